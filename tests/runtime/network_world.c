#include "network_world.h"

#include "base/clock.h"
#include "base/fdio.h"
#include "nft.h"

#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/wait.h>

static int host_ns = -EBADF, world_ns = -EBADF;
static pid_t world_pid;

static int bind_to(int type, int port)
{
    const struct sockaddr_in6 address = {.sin6_family = AF_INET6,
                                         .sin6_port = htons((uint16_t)port)};
    int fd = socket(AF_INET6, type | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
        (type == SOCK_STREAM && listen(fd, 64) < 0))
        _exit(1);
    return fd;
}

static void answer(int fd, const char *text)
{
    struct sockaddr_in6 peer;
    socklen_t size = sizeof(peer);
    int client = accept(fd, (struct sockaddr *)&peer, &size);
    char who[INET6_ADDRSTRLEN] = "?";

    inet_ntop(AF_INET6, &peer.sin6_addr, who, sizeof(who));
    if (!text)
        text = strncmp(who, "::ffff:", 7) == 0 ? who + 7 : who;
    (void)fd_write_full(client, text, strlen(text));
    safe_close(client);
}

/* Serves until the test is over. */
static _Noreturn void serve(int ready, int who_port)
{
    struct pollfd fds[] = {
        {bind_to(SOCK_STREAM, who_port), POLLIN, 0},
        {bind_to(SOCK_DGRAM, PORT_DROP), POLLIN, 0},
        {bind_to(SOCK_STREAM, PORT_COUNT), POLLIN, 0},
        {bind_to(SOCK_STREAM, PORT_DNS), POLLIN, 0},
    };
    unsigned count = 0;
    char text[64];

    signal(SIGPIPE, SIG_IGN);
    if (write(ready, "", 1) != 1)
        _exit(1);
    safe_close(ready);
    for (;;) {
        poll(fds, ARRAY_SIZE(fds), -1);
        /* Datagrams first: who asks for the count was after them. */
        while (recv(fds[1].fd, text, sizeof(text), MSG_DONTWAIT) >= 0)
            count++;
        snprintf(text, sizeof(text), "%u", count);
        if (fds[0].revents)
            answer(fds[0].fd, NULL);
        if (fds[2].revents)
            answer(fds[2].fd, text);
        if (fds[3].revents)
            answer(fds[3].fd, NULL);
    }
}

static pid_t start_server(bool own_namespace, int port)
{
    int ready[2];
    char byte;
    pid_t pid;

    if (pipe2(ready, O_CLOEXEC) < 0)
        exit(77);
    pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        safe_close(ready[0]);
        if (own_namespace && unshare(CLONE_NEWNET) < 0)
            _exit(1);
        serve(ready[1], port);
    }
    safe_close(ready[1]);
    if (pid < 0 || fd_read_full(ready[0], &byte, 1) != 1) {
        fprintf(stderr, "no network namespace can be made\n");
        exit(77);
    }
    safe_close(ready[0]);
    return pid;
}

static int run_command(bool in_world, const char *command)
{
    char line[512];

    if (in_world)
        snprintf(line, sizeof(line), "nsenter -t %d -n %s", (int)world_pid, command);
    else
        snprintf(line, sizeof(line), "%s", command);
    return system(line); /* NOLINT(cert-env33-c,bugprone-command-processor): of this file only */
}

void world_command(bool in_world, const char *command)
{
    if (run_command(in_world, command) != 0)
        fail_msg("%s", command);
}

static void make_links(void)
{
    static const char *const host[] = {
        "ip link set lo up",
        "ip address add " HOST4 "/24 dev out",
        "ip address add " HOST6 "/64 dev out nodad",
        "ip link set out up",
        "ip route add default via 203.0.113.2",
        "ip route add default via 2001:db8:1::2",
        /* Places in the outer world that have addresses of the neighbourhood. */
        "ip route add 169.254.0.0/16 via 203.0.113.2",
    };
    static const char *const world[] = {
        "ip link set lo up",
        "ip address add 203.0.113.2/24 dev out",
        "ip address add 2001:db8:1::2/64 dev out nodad",
        "ip link set out up",
        "ip address add " WORLD4 "/32 dev lo",
        "ip address add " WORLD6 "/128 dev lo",
        "ip address add 169.254.169.254/32 dev lo",
        "ip address add 10.8.8.8/32 dev lo",
        "ip address add 10.9.9.9/32 dev lo",
        "ip address add 172.20.1.1/32 dev lo",
        "ip address add 192.168.5.5/32 dev lo",
        "ip address add 100.64.1.1/32 dev lo",
        "ip address add fd00:8::8/128 dev lo",
        "ip address add fd00:9::9/128 dev lo",
        "ip address add 64:ff9b::a08:808/128 dev lo",
        /* A neighbour of the host that tries to come in. */
        "ip route add 10.213.0.0/16 via " HOST4,
        "ip route add fd6f:cc1e:55d0::/48 via " HOST6,
    };
    char line[128];

    snprintf(line, sizeof(line), "ip link add out type veth peer name out netns %d", world_pid);
    if (run_command(false, line) != 0) {
        fprintf(stderr, "needs ip (package iproute2)\n");
        exit(77);
    }
    for (size_t i = 0; i < ARRAY_SIZE(host); i++)
        if (run_command(false, host[i]) != 0)
            exit(1);
    for (size_t i = 0; i < ARRAY_SIZE(world); i++)
        if (run_command(true, world[i]) != 0)
            exit(1);
}

/* Each namespace begins with the kernel's default: on. */
static void set_bridge_filter(bool on)
{
    static const char *const files[] = {"/proc/sys/net/bridge/bridge-nf-call-iptables",
                                        "/proc/sys/net/bridge/bridge-nf-call-ip6tables"};

    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        if (fd_write_file(AT_FDCWD, files[i], on ? "1" : "0") < 0 && on) {
            fprintf(stderr, "this kernel has no br_netfilter\n");
            exit(77);
        }
    }
}

void world_make(bool bridge_filter)
{
    char path[64];

    if (geteuid() != 0 || unshare(CLONE_NEWNET) < 0) {
        fprintf(stderr, "needs root\n");
        exit(77);
    }
    host_ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    world_pid = start_server(true, PORT_WHO);
    start_server(false, PORT_HOST);
    snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)world_pid);
    world_ns = open(path, O_RDONLY | O_CLOEXEC);
    if (host_ns < 0 || world_ns < 0)
        exit(1);
    set_bridge_filter(bridge_filter);
    make_links();
}

static socklen_t make_address(const char *host, int port, struct sockaddr_storage *ret)
{
    struct sockaddr_in *ip4 = (struct sockaddr_in *)ret;
    struct sockaddr_in6 *ip6 = (struct sockaddr_in6 *)ret;

    memset(ret, 0, sizeof(*ret));
    if (inet_pton(AF_INET, host, &ip4->sin_addr) == 1) {
        ip4->sin_family = AF_INET;
        ip4->sin_port = htons((uint16_t)port);
        return sizeof(*ip4);
    }
    assert_int_equal(inet_pton(AF_INET6, host, &ip6->sin6_addr), 1);
    ip6->sin6_family = AF_INET6;
    ip6->sin6_port = htons((uint16_t)port);
    return sizeof(*ip6);
}

static int fetch(int ns, const char *host, int port, char *text, size_t size)
{
    const struct timeval wait = {1, 0};
    struct sockaddr_storage address;
    socklen_t address_size = make_address(host, port, &address);
    _cleanup_close_ int fd = -EBADF;
    ssize_t n;

    /* A socket stays in the namespace it was made in. */
    assert_int_equal(setns(ns, CLONE_NEWNET), 0);
    fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(setns(host_ns, CLONE_NEWNET), 0);
    assert_true(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
    if (connect(fd, (struct sockaddr *)&address, address_size) < 0)
        return errno == EINPROGRESS ? -ETIMEDOUT : -errno;
    n = fd_read_full(fd, text, size - 1);
    text[n > 0 ? n : 0] = 0;
    return n < 0 ? (int)n : 0;
}

int fetch_from_world(const char *host, int port, char *text, size_t size)
{
    return fetch(world_ns, host, port, text, size);
}

int fetch_from_host(const char *host, int port, char *text, size_t size)
{
    return fetch(host_ns, host, port, text, size);
}

int count_links(const char *prefix)
{
    struct if_nameindex *links = if_nameindex();
    int n = 0;

    assert_non_null(links);
    for (struct if_nameindex *l = links; l->if_index; l++)
        n += strncmp(l->if_name, prefix, strlen(prefix)) == 0;
    if_freenameindex(links);
    return n;
}

static int count_message(const struct nlmsghdr *h, void *userdata)
{
    int *n = userdata;

    (void)h;
    (*n)++;
    return 0;
}

int count_tables(void)
{
    const struct nfgenmsg header = {.nfgen_family = AF_UNSPEC};
    struct netlink n = NETLINK_INIT;
    struct error e = ERROR_INIT;
    int count = 0;

    if (netlink_open(NETLINK_NETFILTER, &n, &e) < 0 ||
        netlink_dump(&n, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETTABLE, &header, sizeof(header),
                     count_message, &count, &e) < 0)
        fail_msg("%s", e.text);
    netlink_close(&n);
    return count;
}

void expect_links(const char *prefix, int n)
{
    uint64_t end = clock_monotonic_usec() + scaled_usec(10 * USEC_PER_SEC);

    while (count_links(prefix) != n) {
        if (clock_monotonic_usec() > end)
            fail_msg("%d links %s*, not %d", count_links(prefix), prefix, n);
        usleep(5000);
    }
}
