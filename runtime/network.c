#include "network.h"

#include "base/fdio.h"
#include "base/text.h"
#include "nat.h"
#include "netns.h"
#include "netsysctl.h"
#include "porthold.h"
#include "resolv.h"
#include "sweep.h"

#include <arpa/inet.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>

/* A subnet has as many addresses as a bridge has ports (BR_MAX_PORTS, 1024). */
#define SUBNET4_PREFIX   22U
#define SUBNET6_PREFIX   64U
#define SUBNET_PLACES    1024U
#define SUBNETS_MAX      1024U
#define POOL4_PREFIX_MIN 8U
#define POOL6_PREFIX_MIN 16U
/* Address 0 is the network's own, 1 the gateway's, the last the broadcast address. */
#define FIRST_PLACE 2U
#define LAST_PLACE  (SUBNET_PLACES - 2)

/* Links get indexes far from those that the kernel gives out itself. */
#define INDEX_FIRST 0x01000000U
#define INDEX_RANGE 0x7e000000U
/* Another launcher may have started near ours; a second random start hardly ever meets it. */
#define INDEX_TRIES 4

#define INSTANCE_ID(instance) ((instance) + 2) /* behind "i-" */

enum place_state {
    PLACE_FREE,
    PLACE_LEFT, /* free, and its address is in the sets already */
    PLACE_TAKEN,
};

struct network {
    struct netlink route, filter;
    struct bridge bridge;
    struct nat_rules rules;
    struct resolv resolv;
    struct address_range pool4, pool6;
    uint16_t first_port, last_port;
    int lock_dir_fd, lock_fd; /* of the subnets; the lease */
    bool up;
    uint32_t next_index;
    unsigned next_place;
    uint8_t places[SUBNET_PLACES]; /* enum place_state */
    struct network_place *first;   /* those in use */
};

struct network_place {
    struct network *network;
    struct network_place *next;
    unsigned number;
    struct link_plan link;
    struct nat_port ports[SANDBOX_PORTS_MAX];
    int port_fds[SANDBOX_PORTS_MAX]; /* bound, so that nobody else uses them */
    size_t n_ports;
    bool published;
};

/* ---- configuration ---- */

static int read_pool(const char *text, const char *fallback, int family, unsigned min, unsigned max,
                     struct address_range *ret, struct error *e)
{
    if (address_range_parse(text ? text : fallback, ret) < 0 || ret->first.family != family ||
        ret->prefix < min || ret->prefix > max)
        return error_set(e, -EINVAL, "network: \"%s\" is no %s range with a prefix of %u to %u",
                         text, family == AF_INET ? "IPv4" : "IPv6", min, max);
    return 0;
}

static int read_lists(const struct launcher_network *config, struct network *n,
                      struct address *servers, struct error *e)
{
    if (config->n_allowed > NAT_RANGES_MAX || config->n_resolvers > RESOLVERS_MAX)
        return error_set(e, -E2BIG, "network: more than %d allowed ranges or %d resolvers",
                         NAT_RANGES_MAX, RESOLVERS_MAX);
    for (size_t i = 0; i < config->n_allowed; i++)
        if (address_range_parse(config->allowed[i], &n->rules.allowed[i]) < 0)
            return error_set(e, -EINVAL, "network: \"%s\" is no range of addresses",
                             config->allowed[i]);
    n->rules.n_allowed = config->n_allowed;
    for (size_t i = 0; i < config->n_resolvers; i++)
        if (address_parse(config->resolvers[i], &servers[i]) < 0)
            return error_set(e, -EINVAL, "network: \"%s\" is no address", config->resolvers[i]);
    return 0;
}

static int read_resolv(const struct launcher_network *config, struct network *n,
                       const struct address *servers, struct error *e)
{
    /* Where systemd-resolved answers on the loopback, the second names the servers it asks. */
    static const char *const files[] = {"/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"};
    int r = 0;

    for (size_t i = 0; i < ARRAY_SIZE(files) && r == 0; i++) {
        _cleanup_buffer_ struct buffer text = {0};
        const char *host = fd_read_file(AT_FDCWD, files[i], &text, RESOLV_TEXT_MAX) < 0
                               ? ""
                               : buffer_string(&text);
        if (i > 0 && (n->resolv.n_servers > 0 || !host || !host[0]))
            break;
        resolv_clear(&n->resolv);
        r = host ? resolv_make(host, servers, config->n_resolvers, n->rules.ipv6, &n->resolv)
                 : -ENOMEM;
    }
    if (r < 0 || !buffer_string(&n->resolv.text))
        return error_sys(e, r < 0 ? r : -ENOMEM, "network: resolv.conf");
    n->rules.n_resolvers = n->resolv.n_servers;
    memcpy(n->rules.resolvers, n->resolv.servers, sizeof(n->rules.resolvers));
    return 0;
}

/* What can be told without looking at the host. */
static int read_values(const struct launcher_network *config, struct network *n,
                       struct address *servers, struct error *e)
{
    int r = read_pool(config->pool4, LAUNCHER_POOL4_DEFAULT, AF_INET, POOL4_PREFIX_MIN,
                      SUBNET4_PREFIX, &n->pool4, e);

    if (r == 0)
        r = read_pool(config->pool6 && !config->pool6[0] ? NULL : config->pool6,
                      LAUNCHER_POOL6_DEFAULT, AF_INET6, POOL6_PREFIX_MIN, SUBNET6_PREFIX, &n->pool6,
                      e);
    if (r == 0)
        r = read_lists(config, n, servers, e);
    if (r < 0)
        return r;
    if (config->first_port > config->last_port)
        return error_set(e, -EINVAL, "network: ports %u to %u are none", config->first_port,
                         config->last_port);
    n->first_port = config->first_port;
    n->last_port = config->last_port;
    return 0;
}

int launcher_network_validate(const struct launcher_network *network, struct error *e)
{
    struct address servers[RESOLVERS_MAX];
    struct network scratch;

    return read_values(network, &scratch, servers, e);
}

static int read_config(const struct launcher_network *config, struct network *n, struct error *e)
{
    struct address servers[RESOLVERS_MAX];
    int r = read_values(config, n, servers, e);

    if (r < 0)
        return r;
    n->rules.ipv6 = n->bridge.ipv6 =
        !(config->pool6 && !config->pool6[0]) && access("/proc/sys/net/ipv6", F_OK) == 0;
    return read_resolv(config, n, servers, e);
}

static int open_locks(const char *run_dir, struct network *n, struct error *e)
{
    _cleanup_close_ int fd = open(run_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 || (mkdirat(fd, "subnets", 0700) < 0 && errno != EEXIST))
        return error_sys(e, -errno, "make %s/subnets", run_dir);
    n->lock_dir_fd = openat(fd, "subnets", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return n->lock_dir_fd < 0 ? error_sys(e, -errno, "open %s/subnets", run_dir) : 0;
}

static void name_things(const char *instance, char *bridge, char *table)
{
    snprintf(bridge, IFNAMSIZ, "dl-%.12s", INSTANCE_ID(instance));
    snprintf(table, NAT_TABLE_MAX, "dockless-%.32s", INSTANCE_ID(instance));
}

int network_open(const struct launcher_network *config, const char *run_dir, const char *instance,
                 struct network **ret, struct error *e)
{
    _cleanup_(network_close_p) struct network *n = calloc(1, sizeof(*n));
    int r;

    if (!n)
        return error_sys(e, -ENOMEM, "network");
    n->route.fd = n->filter.fd = n->lock_dir_fd = n->lock_fd = -EBADF;
    n->next_place = FIRST_PLACE;
    name_things(instance, n->bridge.name, n->rules.table);
    /* Now, while there are libraries: the launcher leaves the host's root. */
    r = netlink_load(e);
    if (r == 0)
        r = read_config(config, n, e);
    if (r == 0)
        r = open_locks(run_dir, n, e);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(n);
    return 0;
}

void network_close(struct network *n)
{
    if (n->up) {
        (void)bridge_remove(&n->route, n->bridge.name, NULL);
        (void)nat_remove(&n->filter, n->rules.table, NULL);
    }
    netlink_close(&n->route);
    netlink_close(&n->filter);
    resolv_clear(&n->resolv);
    safe_close(n->lock_fd);
    safe_close(n->lock_dir_fd);
    free(n);
}

int network_sweep(const char *instance, struct error *e)
{
    struct netlink route = NETLINK_INIT, filter = NETLINK_INIT;
    char bridge[IFNAMSIZ], table[NAT_TABLE_MAX];
    int r;

    name_things(instance, bridge, table);
    /* Nearly always nothing is there: then no netfilter module is loaded for the asking. */
    if (if_nametoindex(bridge) == 0)
        return 0;
    r = netlink_open(NETLINK_ROUTE, &route, e);
    if (r == 0)
        r = netlink_open(NETLINK_NETFILTER, &filter, e);
    if (r == 0)
        r = nat_remove(&filter, table, e);
    if (r == 0)
        r = bridge_remove(&route, bridge, e);
    netlink_close(&route);
    netlink_close(&filter);
    return r;
}

/* ---- coming up ---- */

/* Subnet number I of POOL. */
static struct address_range subnet(const struct address_range *pool, unsigned prefix, unsigned i)
{
    struct address_range s = {pool->first, prefix};

    for (unsigned bit = prefix; bit > pool->prefix && i > 0; bit--, i >>= 1)
        if (i & 1)
            s.first.bytes[(bit - 1) / 8] |= (uint8_t)(0x80U >> (bit - 1) % 8);
    return s;
}

static unsigned subnets_of(const struct address_range *pool, unsigned prefix)
{
    unsigned bits = prefix - pool->prefix;

    return bits >= 10 ? SUBNETS_MAX : 1U << bits;
}

struct collision {
    struct address_range subnet;
    unsigned pool_prefix;
    bool found;
};

/* A route wider than the pool is no collision: ours is the more precise one. */
static int look_at_route(const struct nlmsghdr *h, void *userdata)
{
    const struct rtmsg *route = mnl_nlmsg_get_payload(h);
    struct collision *c = userdata;
    struct address_range range = {{.family = route->rtm_family}, route->rtm_dst_len};
    const struct nlattr *attribute;

    if (h->nlmsg_type != RTM_NEWROUTE || range.first.family != c->subnet.first.family)
        return 0;
    mnl_attr_for_each(attribute, h, sizeof(*route))
    {
        if (mnl_attr_get_type(attribute) == RTA_DST &&
            mnl_attr_get_payload_len(attribute) == ADDRESS_SIZE(route->rtm_family)) {
            memcpy(range.first.bytes, mnl_attr_get_payload(attribute),
                   ADDRESS_SIZE(route->rtm_family));
            c->found = c->found || (range.prefix >= c->pool_prefix &&
                                    address_ranges_overlap(&range, &c->subnet));
        }
    }
    return 0;
}

static int is_taken(struct network *n, const struct address_range *range,
                    const struct address_range *pool, struct error *e)
{
    const struct rtmsg header = {.rtm_family = (unsigned char)range->first.family};
    struct collision c = {*range, pool->prefix, false};
    int r = netlink_dump(&n->route, RTM_GETROUTE, &header, sizeof(header), look_at_route, &c, e);

    return r < 0 ? r : c.found;
}

static int lock_subnet(struct network *n, unsigned i)
{
    _cleanup_close_ int fd = -EBADF;
    char name[16];

    snprintf(name, sizeof(name), "%u", i);
    fd = openat(n->lock_dir_fd, name, O_RDONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    return flock(fd, LOCK_EX | LOCK_NB) < 0 ? -errno : TAKE_FD(fd);
}

static int lease_subnets(struct network *n, struct error *e)
{
    unsigned count = subnets_of(&n->pool4, SUBNET4_PREFIX);

    if (n->rules.ipv6)
        count = MIN(count, subnets_of(&n->pool6, SUBNET6_PREFIX));
    for (unsigned i = 0; i < count; i++) {
        _cleanup_close_ int fd = lock_subnet(n, i);
        int r;
        if (fd == -EWOULDBLOCK)
            continue;
        if (fd < 0)
            return error_sys(e, fd, "lock subnet %u", i);
        n->rules.subnet4 = subnet(&n->pool4, SUBNET4_PREFIX, i);
        n->rules.subnet6 = subnet(&n->pool6, SUBNET6_PREFIX, i);
        r = is_taken(n, &n->rules.subnet4, &n->pool4, e);
        if (r == 0 && n->rules.ipv6)
            r = is_taken(n, &n->rules.subnet6, &n->pool6, e);
        if (r < 0)
            return r;
        if (r == 0) {
            n->lock_fd = TAKE_FD(fd);
            return 0;
        }
    }
    return error_set(e, -EADDRNOTAVAIL, "network: all %u subnets of the pool are in use", count);
}

/* The addresses of place NUMBER; the MAC is made of them, so that the pair is the same for good. */
static void make_end(const struct network *n, unsigned number, struct link_end *ret)
{
    uint32_t ip4;

    memcpy(&ip4, n->rules.subnet4.first.bytes, sizeof(ip4));
    ret->ip4.s_addr = htonl(ntohl(ip4) + number);
    memcpy(&ret->ip6, n->rules.subnet6.first.bytes, sizeof(ret->ip6));
    ret->ip6.s6_addr[14] = (uint8_t)(number >> 8);
    ret->ip6.s6_addr[15] = (uint8_t)number;
    ret->mac[0] = 0x02; /* locally administered */
    ret->mac[1] = 0x64;
    memcpy(ret->mac + 2, &ret->ip4, sizeof(ret->ip4));
}

static int random_index(struct network *n, struct error *e)
{
    uint32_t random;

    if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
        return error_sys(e, -errno, "getrandom");
    n->next_index = INDEX_FIRST + random % INDEX_RANGE;
    return 0;
}

static int make_bridge(struct network *n, struct error *e)
{
    int r = random_index(n, e);

    if (r < 0)
        return r;
    n->bridge.index = n->rules.bridge = n->next_index;
    n->next_index += 2;
    n->bridge.prefix4 = SUBNET4_PREFIX;
    n->bridge.prefix6 = SUBNET6_PREFIX;
    make_end(n, 1, &n->bridge.self);
    n->rules.gateway = n->bridge.self;
    return bridge_make(&n->route, &n->bridge, e);
}

static int come_up(struct network *n, int proc_fd, struct error *e)
{
    int r = 0;

    if (n->route.fd < 0)
        r = netlink_open(NETLINK_ROUTE, &n->route, e);
    if (r == 0 && n->filter.fd < 0)
        r = netlink_open(NETLINK_NETFILTER, &n->filter, e);
    if (r == 0 && n->lock_fd < 0)
        r = lease_subnets(n, e);
    if (r == 0)
        r = make_bridge(n, e);
    if (r < 0)
        return r;
    n->rules.loopback6 = n->rules.ipv6 && !netsysctl_filters_bridges6(proc_fd);
    /* The rules before the first packet can be forwarded. */
    r = nat_load(&n->filter, &n->rules, e);
    if (r == 0)
        r = netsysctl_route(proc_fd, n->bridge.name, n->bridge.ipv6, e);
    if (r < 0) {
        (void)bridge_remove(&n->route, n->bridge.name, NULL);
        (void)nat_remove(&n->filter, n->rules.table, NULL);
        return r;
    }
    n->up = true;
    return 0;
}

/* ---- places ---- */

/* One that was not used for long: the link of its last user may be still on its way out. */
static int take_place(struct network *n, struct network_place *p, struct error *e)
{
    for (unsigned tries = FIRST_PLACE; tries <= LAST_PLACE; tries++) {
        unsigned number = n->next_place;
        n->next_place = number == LAST_PLACE ? FIRST_PLACE : number + 1;
        if (n->places[number] == PLACE_TAKEN)
            continue;
        p->link.ipv6 = n->bridge.ipv6;
        snprintf(p->link.name, sizeof(p->link.name), "eth0");
        p->link.gateway = n->bridge.self;
        make_end(n, number, &p->link.self);
        if (n->places[number] == PLACE_FREE) {
            int r = nat_admit(&n->filter, &n->rules, &p->link.self, e);
            if (r < 0)
                return r;
        }
        n->places[number] = PLACE_TAKEN;
        p->number = number;
        return 0;
    }
    return error_set(e, -EAGAIN, "network: all %u addresses are in use",
                     LAST_PLACE - FIRST_PLACE + 1);
}

static int hold_ports(struct network_place *p, const struct sandbox_spec *spec, struct error *e)
{
    for (size_t i = 0; i < spec->n_ports; i++) {
        const struct sandbox_port *port = &spec->ports[i];
        int fd;
        if (port->host < p->network->first_port || port->host > p->network->last_port)
            return error_set(e, -EPERM, "port %u is not one that may be published", port->host);
        fd = port_hold(port->host, p->network->bridge.ipv6, e);
        if (fd < 0)
            return fd;
        p->port_fds[p->n_ports] = fd;
        p->ports[p->n_ports++] = (struct nat_port){port->host, port->container};
    }
    return 0;
}

int network_join(struct network *n, int proc_fd, const struct sandbox_spec *spec,
                 struct network_place **ret, struct error *e)
{
    struct network_place *p;
    int r;

    if (!n)
        return error_set(e, -EPERM, "this launcher was given no network for its sandboxes");
    p = calloc(1, sizeof(*p));
    if (!p)
        return error_sys(e, -ENOMEM, "network");
    r = n->up ? 0 : come_up(n, proc_fd, e);
    if (r < 0) {
        free(p);
        return r;
    }
    p->network = n;
    p->next = n->first;
    n->first = p;
    r = take_place(n, p, e);
    if (r == 0)
        r = hold_ports(p, spec, e);
    if (r < 0) {
        network_leave(p);
        return r;
    }
    *ret = p;
    return 0;
}

/* Makes the pair; its indexes are free but for chance. */
static int make_pair(struct network_place *p, pid_t pid, uint32_t *ret_index, struct error *e)
{
    struct network *n = p->network;
    int r = -EBUSY;

    for (int tries = 0; tries < INDEX_TRIES && (r == -EBUSY || r == -EEXIST); tries++) {
        char name[IFNAMSIZ];
        if (tries > 0 && random_index(n, e) < 0)
            return -EAGAIN;
        *ret_index = n->next_index;
        /* Not the same number: the kernel would take it for no pair at all and let the port wait
         * for its carrier for up to a second (linkwatch_urgent_event). */
        p->link.index = n->next_index + 1;
        snprintf(name, sizeof(name), "dv%08x", n->next_index);
        r = bridge_attach(&n->route, &n->bridge, n->next_index, name, &p->link, pid, e);
        n->next_index = n->next_index < INDEX_FIRST + INDEX_RANGE ? n->next_index + 2 : INDEX_FIRST;
    }
    return r;
}

/* A netlink socket in the network namespace of process PID: the launcher goes there for the moment
 * that it takes to make one. */
static int open_inside(int proc_fd, pid_t pid, struct netlink *ret, struct error *e)
{
    _cleanup_close_ int own = netns_open(proc_fd, (int)getpid(), e);
    _cleanup_close_ int theirs = own < 0 ? -EBADF : netns_open(proc_fd, (int)pid, e);
    int r;

    if (own < 0 || theirs < 0)
        return own < 0 ? own : theirs;
    if (setns(theirs, CLONE_NEWNET) < 0)
        return error_sys(e, -errno, "enter the network namespace");
    r = netlink_open(NETLINK_ROUTE, ret, e);
    if (setns(own, CLONE_NEWNET) < 0) {
        netlink_close(ret);
        return error_sys(e, -errno, "leave the network namespace");
    }
    return r;
}

int network_attach(struct network_place *p, int proc_fd, pid_t pid, struct error *e)
{
    struct network *n = p->network;
    struct netlink inside = NETLINK_INIT;
    uint32_t index;
    int r = make_pair(p, pid, &index, e);

    if (r == 0)
        r = open_inside(proc_fd, pid, &inside, e);
    if (r == 0)
        r = link_configure(&inside, &p->link, e);
    netlink_close(&inside);
    if (r == 0)
        r = link_settle(&n->route, index, e);
    if (r < 0 || p->n_ports == 0)
        return r;
    r = nat_publish(&n->filter, &n->rules, &p->link.self, p->ports, p->n_ports, e);
    p->published = r == 0;
    return r;
}

const struct link_plan *network_link(const struct network_place *p)
{
    return &p->link;
}

const char *network_resolv(const struct network_place *p)
{
    return (const char *)p->network->resolv.text.data;
}

int network_withdraw(struct network_place *p)
{
    struct network *n = p->network;

    if (p->published)
        (void)nat_unpublish(&n->filter, &n->rules, p->ports, p->n_ports, NULL);
    p->published = false;
    for (size_t i = 0; i < p->n_ports; i++)
        p->port_fds[i] = safe_close(p->port_fds[i]);
    for (; p->n_ports > 0; p->n_ports--) {
        int fd = port_hold(p->ports[p->n_ports - 1].host, n->bridge.ipv6, NULL);
        if (fd == -EADDRINUSE)
            return -EBUSY;
        safe_close(fd);
    }
    return 0;
}

void network_drop_ports(const struct network *n)
{
    for (const struct network_place *p = n->first; p; p = p->next)
        for (size_t i = 0; i < p->n_ports; i++)
            safe_close(p->port_fds[i]);
}

void network_leave(struct network_place *p)
{
    struct network_place **link = &p->network->first;

    (void)network_withdraw(p);
    if (p->number > 0)
        p->network->places[p->number] = PLACE_LEFT;
    while (*link != p)
        link = &(*link)->next;
    *link = p->next;
    free(p);
}
