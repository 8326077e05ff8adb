#include "bridge.h"
#include "weaken.h"

#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <string.h>

/* Of include/uapi/linux/if_link.h: enum in6_addr_gen_mode. */
#define ADDR_GEN_MODE_NONE 1
/* Behind the kernel's own route to ::1, whose metric is 0. */
#define LOOPBACK_METRIC 1024

static struct ifinfomsg *put_link(struct nlmsghdr *h, uint32_t index, bool up)
{
    struct ifinfomsg *link = mnl_nlmsg_put_extra_header(h, sizeof(*link));

    link->ifi_family = AF_UNSPEC;
    link->ifi_index = (int)index;
    if (up) {
        link->ifi_flags = IFF_UP;
        link->ifi_change = IFF_UP;
    }
    return link;
}

/* No fe80:: address when the link comes up: told before it does, in a message of its own, as the
 * kernel looks at the flags of a message first. */
static void put_no_link_local(struct netlink *n, uint32_t index)
{
    struct nlmsghdr *h = netlink_begin(n, RTM_NEWLINK, 0);
    struct nlattr *spec, *inet6;

    put_link(h, index, false);
    spec = mnl_attr_nest_start(h, IFLA_AF_SPEC);
    inet6 = mnl_attr_nest_start(h, AF_INET6);
    mnl_attr_put_u8(h, IFLA_INET6_ADDR_GEN_MODE, ADDR_GEN_MODE_NONE);
    mnl_attr_nest_end(h, inet6);
    mnl_attr_nest_end(h, spec);
}

static void put_up(struct netlink *n, uint32_t index, bool ipv6)
{
    if (ipv6)
        put_no_link_local(n, index);
    put_link(netlink_begin(n, RTM_NEWLINK, 0), index, true);
}

static void put_address(struct netlink *n, uint32_t index, int family, const void *address,
                        size_t size, uint8_t prefix)
{
    struct nlmsghdr *h = netlink_begin(n, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL);
    struct ifaddrmsg *a = mnl_nlmsg_put_extra_header(h, sizeof(*a));

    a->ifa_family = (uint8_t)family;
    a->ifa_prefixlen = prefix;
    a->ifa_index = index;
    /* Nobody else can have it: it is used at once. */
    a->ifa_flags = family == AF_INET6 ? IFA_F_NODAD : 0;
    mnl_attr_put(h, IFA_LOCAL, size, address);
    mnl_attr_put(h, IFA_ADDRESS, size, address);
}

static void put_addresses(struct netlink *n, uint32_t index, const struct link_end *end,
                          uint8_t prefix4, uint8_t prefix6, bool ipv6)
{
    put_address(n, index, AF_INET, &end->ip4, sizeof(end->ip4), prefix4);
    if (ipv6)
        put_address(n, index, AF_INET6, &end->ip6, sizeof(end->ip6), prefix6);
}

/* A permanent entry: FAMILY AF_INET, AF_INET6 of the neighbour table, AF_BRIDGE of the forwarding
 * table. */
static void put_neighbour(struct netlink *n, uint32_t index, int family, const void *address,
                          size_t size, const uint8_t *mac)
{
    struct nlmsghdr *h = netlink_begin(n, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE);
    struct ndmsg *d = mnl_nlmsg_put_extra_header(h, sizeof(*d));

    d->ndm_family = (uint8_t)family;
    d->ndm_ifindex = (int)index;
    d->ndm_state = family == AF_BRIDGE ? NUD_NOARP : NUD_PERMANENT;
    d->ndm_flags = family == AF_BRIDGE ? NTF_MASTER : 0;
    if (address)
        mnl_attr_put(h, NDA_DST, size, address);
    mnl_attr_put(h, NDA_LLADDR, MAC_SIZE, mac);
}

static void put_neighbours(struct netlink *n, uint32_t index, const struct link_end *end, bool ipv6)
{
    put_neighbour(n, index, AF_INET, &end->ip4, sizeof(end->ip4), end->mac);
    if (ipv6)
        put_neighbour(n, index, AF_INET6, &end->ip6, sizeof(end->ip6), end->mac);
}

/* Answers to connections that the host made from ::1 come back through the bridge and are for ::1
 * again once their translation is undone; the kernel's own route to it takes packets from the
 * loopback only. (Packets that say ::1 on the wire never get so far.) */
static void put_loopback_route(struct netlink *n, uint32_t index)
{
    /* Beside those of other launchers. */
    struct nlmsghdr *h = netlink_begin(n, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_APPEND);
    struct rtmsg *route = mnl_nlmsg_put_extra_header(h, sizeof(*route));

    route->rtm_family = AF_INET6;
    route->rtm_dst_len = 128;
    route->rtm_table = RT_TABLE_LOCAL;
    route->rtm_protocol = RTPROT_BOOT;
    route->rtm_scope = RT_SCOPE_UNIVERSE;
    route->rtm_type = RTN_LOCAL;
    mnl_attr_put(h, RTA_DST, sizeof(in6addr_loopback), &in6addr_loopback);
    mnl_attr_put_u32(h, RTA_OIF, index);
    mnl_attr_put_u32(h, RTA_PRIORITY, LOOPBACK_METRIC);
}

int bridge_make(struct netlink *n, const struct bridge *b, struct error *e)
{
    struct nlmsghdr *h = netlink_begin(n, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
    struct nlattr *info, *data;
    int r;

    put_link(h, b->index, false);
    mnl_attr_put_strz(h, IFLA_IFNAME, b->name);
    mnl_attr_put(h, IFLA_ADDRESS, MAC_SIZE, b->self.mac);
    info = mnl_attr_nest_start(h, IFLA_LINKINFO);
    mnl_attr_put_strz(h, IFLA_INFO_KIND, "bridge");
    data = mnl_attr_nest_start(h, IFLA_INFO_DATA);
    mnl_attr_put_u8(h, IFLA_BR_MCAST_SNOOPING, 0);
    mnl_attr_nest_end(h, data);
    mnl_attr_nest_end(h, info);
    r = netlink_commit(n, b->name, e);
    if (r < 0)
        return r; /* the index may be somebody else's: nothing more is said about it */
    put_up(n, b->index, b->ipv6);
    put_addresses(n, b->index, &b->self, b->prefix4, b->prefix6, b->ipv6);
    if (b->ipv6)
        put_loopback_route(n, b->index);
    return netlink_commit(n, b->name, e);
}

int bridge_remove(struct netlink *n, const char *name, struct error *e)
{
    struct nlmsghdr *h = netlink_begin(n, RTM_DELLINK, 0);
    struct nlattr *info;
    int r;

    put_link(h, 0, false);
    mnl_attr_put_strz(h, IFLA_IFNAME, name);
    info = mnl_attr_nest_start(h, IFLA_LINKINFO);
    mnl_attr_put_strz(h, IFLA_INFO_KIND, "bridge");
    mnl_attr_nest_end(h, info);
    r = netlink_commit(n, name, e);
    return r == -ENODEV ? 0 : r;
}

static void put_pair(struct netlink *n, const struct bridge *b, uint32_t index,
                     const char *host_name, const struct link_plan *inside, pid_t pid)
{
    struct nlmsghdr *h = netlink_begin(n, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
    struct nlattr *info, *data, *peer;
    struct ifinfomsg *link;

    put_link(h, index, false);
    mnl_attr_put_strz(h, IFLA_IFNAME, host_name);
    mnl_attr_put_u32(h, IFLA_MASTER, b->index);
    info = mnl_attr_nest_start(h, IFLA_LINKINFO);
    mnl_attr_put_strz(h, IFLA_INFO_KIND, "veth");
    data = mnl_attr_nest_start(h, IFLA_INFO_DATA);
    peer = mnl_attr_nest_start(h, VETH_INFO_PEER);
    link = mnl_nlmsg_put_extra_header(h, sizeof(*link));
    link->ifi_index = (int)inside->index;
    mnl_attr_put_strz(h, IFLA_IFNAME, inside->name);
    mnl_attr_put(h, IFLA_ADDRESS, MAC_SIZE, inside->self.mac);
    mnl_attr_put_u32(h, IFLA_NET_NS_PID, (uint32_t)pid);
    mnl_attr_nest_end(h, peer);
    mnl_attr_nest_end(h, data);
    mnl_attr_nest_end(h, info);
}

static void put_port_rules(struct netlink *n, uint32_t index)
{
    static const uint16_t off[] = {
        IFLA_BRPORT_LEARNING,
        IFLA_BRPORT_UNICAST_FLOOD,
        IFLA_BRPORT_MCAST_FLOOD,
        IFLA_BRPORT_BCAST_FLOOD,
    };
    struct nlmsghdr *h = netlink_begin(n, RTM_SETLINK, 0);
    struct nlattr *port;

    put_link(h, index, false)->ifi_family = AF_BRIDGE;
    port = mnl_attr_nest_start(h, IFLA_PROTINFO);
    for (size_t i = 0; i < ARRAY_SIZE(off); i++)
        mnl_attr_put_u8(h, off[i], 0);
    mnl_attr_put_u8(h, IFLA_BRPORT_ISOLATED, !weakened("port-isolation"));
    mnl_attr_put_u8(h, IFLA_BRPORT_LOCKED, 1); /* Linux 5.18 */
    mnl_attr_nest_end(h, port);
}

int bridge_attach(struct netlink *n, const struct bridge *b, uint32_t index, const char *host_name,
                  const struct link_plan *inside, pid_t pid, struct error *e)
{
    int r;

    put_pair(n, b, index, host_name, inside, pid);
    r = netlink_commit(n, host_name, e);
    if (r < 0)
        return r;
    put_port_rules(n, index);
    put_neighbour(n, index, AF_BRIDGE, NULL, 0, inside->self.mac);
    put_neighbours(n, b->index, &inside->self, b->ipv6);
    put_up(n, index, b->ipv6);
    return netlink_commit(n, host_name, e);
}

/* Everything goes through the gateway, also what would be a neighbour: it refuses at once where a
 * neighbour that may not be reached would never answer. */
static void put_default_route(struct netlink *n, uint32_t index, int family, const void *gateway,
                              size_t size)
{
    struct nlmsghdr *h = netlink_begin(n, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL);
    struct rtmsg *route = mnl_nlmsg_put_extra_header(h, sizeof(*route));

    route->rtm_family = (uint8_t)family;
    route->rtm_table = RT_TABLE_MAIN;
    route->rtm_protocol = RTPROT_BOOT;
    route->rtm_scope = RT_SCOPE_UNIVERSE;
    route->rtm_type = RTN_UNICAST;
    route->rtm_flags = RTNH_F_ONLINK; /* the own address is a single one: no network is on link */
    mnl_attr_put(h, RTA_GATEWAY, size, gateway);
    mnl_attr_put_u32(h, RTA_OIF, index);
}

int link_configure(struct netlink *n, const struct link_plan *p, struct error *e)
{
    const uint32_t index = p->index;

    put_addresses(n, index, &p->self, 32, 128, p->ipv6);
    put_up(n, index, p->ipv6);
    put_default_route(n, index, AF_INET, &p->gateway.ip4, sizeof(p->gateway.ip4));
    if (p->ipv6)
        put_default_route(n, index, AF_INET6, &p->gateway.ip6, sizeof(p->gateway.ip6));
    put_neighbours(n, index, &p->gateway, p->ipv6);
    return netlink_commit(n, p->name, e);
}

int link_settle(struct netlink *n, uint32_t index, struct error *e)
{
    put_link(netlink_begin(n, RTM_GETLINK, 0), index, false);
    return netlink_commit(n, "link state", e);
}
