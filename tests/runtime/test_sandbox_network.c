/* links: runtime */
/* What a sandbox with a network reaches, what reaches it, and what is left of it. With the argument
 * "bridge-filter" the same where br_netfilter is on. */
#include "network_world.h"

#include "base/fdio.h"
#include "network.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>

#define FIRST_PORT 64200
#define LAST_PORT  64209
#define GATEWAY4   "10.213.0.1"
#define GATEWAY6   "fd6f:cc1e:55d0::1"

static bool bridge_filter;

static void run_networked(struct run *r, const char *script)
{
    run_init(r, script);
    r->spec.network = SANDBOX_NETWORK_NAT;
}

static void check_networked(const char *script, const char *output)
{
    struct run r;

    run_networked(&r, script);
    assert_string_equal(run_output(&r, 0), output);
    run_clear(&r);
}

/* A sandbox that tells its name to everybody at port 80, published at PORT where that is not 0. */
static void run_server(struct run *r, uint16_t port)
{
    run_networked(r, "");
    run_set_argv(r, (const char *const[]){"payload", "serve", "80", NULL});
    if (port > 0)
        assert_int_equal(sandbox_spec_add_port(&r->spec, port, 80), 0);
    run_start(r);
    run_until(r, "serving");
}

/* Its own IPv4 address, MAC. */
static void address_of(const struct run *r, char *ip4, char *ip6, char *mac)
{
    const struct link_plan *link = network_link(sandbox_place(r->sandbox));

    inet_ntop(AF_INET, &link->self.ip4, ip4, INET6_ADDRSTRLEN);
    inet_ntop(AF_INET6, &link->self.ip6, ip6, INET6_ADDRSTRLEN);
    snprintf(mac, 32, "%02x:%02x:%02x:%02x:%02x:%02x", link->self.mac[0], link->self.mac[1],
             link->self.mac[2], link->self.mac[3], link->self.mac[4], link->self.mac[5]);
}

static void the_outer_world_is_reached_with_the_addresses_of_the_host(void **state)
{
    (void)state;
    check_networked("payload fetch " WORLD4 " 7000; echo; payload fetch " WORLD6 " 7000",
                    HOST4 "\n" HOST6);
}

static void private_ranges_are_refused_unless_allowed(void **state)
{
    (void)state;
    check_networked("for a in 10.8.8.8 172.20.1.1 192.168.5.5 100.64.1.1 fd00:8::8 "
                    "64:ff9b::a08:808; do payload fetch $a 7000; done; "
                    "payload fetch 10.9.9.9 7000; echo; payload fetch fd00:9::9 7000",
                    "refused\nrefused\nrefused\nrefused\nrefused\nrefused\n" HOST4 "\n" HOST6);
}

static void the_host_itself_is_refused_at_all_its_addresses(void **state)
{
    char text[64];

    (void)state;
    assert_int_equal(fetch_from_host(HOST4, PORT_HOST, text, sizeof(text)), 0);
    check_networked("for a in " HOST4 " " GATEWAY4 " " HOST6 " " GATEWAY6
                    "; do payload fetch $a 7001; done; true",
                    "refused\nrefused\nrefused\nrefused");
}

static void metadata_services_and_link_local_addresses_are_refused(void **state)
{
    char text[64];

    (void)state;
    assert_int_equal(fetch_from_host("169.254.169.254", PORT_WHO, text, sizeof(text)), 0);
    /* The container has no link-local address and no route to any. */
    check_networked("payload fetch 169.254.169.254 7000; payload fetch fe80::1 7000; "
                    "ip -6 address show eth0 | grep -c fe80; true",
                    "refused\nrefused\n0");
}

static void a_sandbox_neither_reaches_nor_hears_its_neighbour(void **state)
{
    char ip4[INET6_ADDRSTRLEN], ip6[INET6_ADDRSTRLEN], mac[32], script[512];
    struct run server, collector;

    (void)state;
    run_server(&server, FIRST_PORT);
    address_of(&server, ip4, ip6, mac);
    snprintf(script, sizeof(script),
             "payload fetch %s 80; payload fetch %s 80; payload fetch " HOST4 " %d; payload fetch "
             "" GATEWAY4 " %d; true",
             ip4, ip6, FIRST_PORT, FIRST_PORT);
    check_networked(script, "refused\nrefused\nrefused\nrefused");
    run_clear(&server);

    run_networked(&collector, "payload collect 7002");
    run_start(&collector);
    run_until(&collector, "collecting");
    address_of(&collector, ip4, ip6, mac);
    /* A frame straight to the neighbour's MAC, with the sender's own addresses. */
    snprintf(script, sizeof(script),
             "ip=$(ip -4 address show eth0 | sed -n 's,.*inet \\([0-9.]*\\)/.*,\\1,p'); "
             "mac=$(cat /sys/class/net/eth0/address); "
             "payload frame $mac %s $ip %s 7002 neighbour && "
             "payload frame $mac ff:ff:ff:ff:ff:ff $ip %s 7002 everybody && echo sent",
             mac, ip4, ip4);
    check_networked(script, "sent");
    {
        const struct sockaddr_in to = {
            .sin_family = AF_INET, .sin_port = htons(7002), .sin_addr.s_addr = inet_addr(ip4)};
        _cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        assert_int_equal(sendto(fd, "host", 4, 0, (const struct sockaddr *)&to, sizeof(to)), 4);
    }
    run_until(&collector, "<host>");
    assert_string_equal(buffer_string(&collector.out), "collecting\n<host>\n");
    run_clear(&collector);
}

static int datagrams(void)
{
    char text[64];

    assert_int_equal(fetch_from_world("203.0.113.2", PORT_COUNT, text, sizeof(text)), 0);
    return (int)strtol(text, NULL, 10);
}

static void foreign_source_addresses_are_dropped(void **state)
{
    char ip4[INET6_ADDRSTRLEN], ip6[INET6_ADDRSTRLEN], mac[32], script[1024];
    struct run neighbour;
    int before = datagrams();

    (void)state;
    run_server(&neighbour, 0);
    address_of(&neighbour, ip4, ip6, mac);
    snprintf(script, sizeof(script),
             "ip=$(ip -4 address show eth0 | sed -n 's,.*inet \\([0-9.]*\\)/.*,\\1,p'); "
             "mac=$(cat /sys/class/net/eth0/address); gw=02:64:0a:d5:00:01; "
             "payload frame $mac $gw %s " WORLD4 " 7002 x; " /* the neighbour's address */
             "payload frame %s $gw %s " WORLD4 " 7002 x; "   /* and its MAC */
             "payload frame %s $gw $ip " WORLD4 " 7002 x; "  /* a foreign MAC only */
             "payload frame $mac $gw 198.51.100.99 " WORLD4 " 7002 x; " /* anybody's */
             "payload frame $mac $gw 127.0.0.1 " WORLD4 " 7002 x; "
             "payload frame $mac $gw $ip " WORLD4 " 7002 x; " /* its own: the only one to arrive */
             "payload fetch " WORLD4 " 7003 >/dev/null",
             ip4, mac, ip4, mac);
    check_networked(script, "");
    assert_int_equal(datagrams(), before + 1);
    run_clear(&neighbour);
}

static void published_ports_are_reached_from_outside_and_from_the_host(void **state)
{
    static const char *const from_host[] = {"127.0.0.1", "127.8.8.8", HOST4, "::1", HOST6};
    char text[64];
    struct run r;

    (void)state;
    run_server(&r, FIRST_PORT + 1);
    assert_int_equal(fetch_from_world(HOST4, FIRST_PORT + 1, text, sizeof(text)), 0);
    assert_string_equal(text, "box");
    assert_int_equal(fetch_from_world(HOST6, FIRST_PORT + 1, text, sizeof(text)), 0);
    assert_string_equal(text, "box");
    for (size_t i = 0; i < ARRAY_SIZE(from_host); i++) {
        int code = fetch_from_host(from_host[i], FIRST_PORT + 1, text, sizeof(text));
        /* Not possible there; refused at once, so that clients go on to 127.0.0.1. */
        if (bridge_filter && strcmp(from_host[i], "::1") == 0) {
            assert_int_equal(code, -ECONNREFUSED);
            continue;
        }
        if (code < 0)
            fail_msg("%s: %s", from_host[i], strerror(-code));
        assert_string_equal(text, "box");
    }
    /* Others lead nowhere. */
    assert_int_equal(fetch_from_world(HOST4, FIRST_PORT + 2, text, sizeof(text)), -ECONNREFUSED);
    run_clear(&r);
    assert_int_equal(fetch_from_world(HOST4, FIRST_PORT + 1, text, sizeof(text)), -ECONNREFUSED);
    assert_int_equal(fetch_from_host("127.0.0.1", FIRST_PORT + 1, text, sizeof(text)),
                     -ECONNREFUSED);
}

static void nobody_comes_in_but_through_published_ports(void **state)
{
    char ip4[INET6_ADDRSTRLEN], ip6[INET6_ADDRSTRLEN], mac[32], text[64];
    struct run r;

    (void)state;
    run_server(&r, 0);
    address_of(&r, ip4, ip6, mac);
    assert_int_equal(fetch_from_world(ip4, 80, text, sizeof(text)), -ETIMEDOUT);
    assert_int_equal(fetch_from_world(ip6, 80, text, sizeof(text)), -ETIMEDOUT);
    /* It does serve. */
    assert_int_equal(fetch_from_host(ip4, 80, text, sizeof(text)), 0);
    assert_string_equal(text, "box");
    run_clear(&r);
}

static void expect_port_refused(uint16_t port, int code)
{
    struct run r;

    run_networked(&r, "true");
    assert_int_equal(sandbox_spec_add_port(&r.spec, port, 80), 0);
    run_start(&r);
    run_wait(&r);
    assert_int_equal(r.report.verdict, SANDBOX_START_FAILED);
    assert_string_equal(r.report.failed_step, "network");
    assert_int_equal(r.report.error_code, code);
    run_clear(&r);
}

static void a_port_that_is_not_ours_is_refused(void **state)
{
    const struct sockaddr_in taken = {.sin_family = AF_INET,
                                      .sin_port = htons(FIRST_PORT + 3),
                                      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    _cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)state;
    expect_port_refused(22, -EPERM);
    expect_port_refused(LAST_PORT + 1, -EPERM);
    assert_int_equal(bind(fd, (const struct sockaddr *)&taken, sizeof(taken)), 0);
    expect_port_refused(FIRST_PORT + 3, -EADDRINUSE);
}

static void a_port_is_used_again_two_hundred_times(void **state)
{
    int fds = 0;

    (void)state;
    for (int i = 0; i < 200; i++) {
        char text[64];
        struct run r;
        run_server(&r, LAST_PORT);
        assert_int_equal(fetch_from_host("127.0.0.1", LAST_PORT, text, sizeof(text)), 0);
        assert_string_equal(text, "box");
        sandbox_kill(r.sandbox);
        run_wait(&r); /* whoever is told may give the port away */
        run_clear(&r);
        spare_wait();
        if (i == 20)
            fds = count_entries(H.host_proc_fd, "self/fd");
    }
    assert_int_equal(count_entries(H.host_proc_fd, "self/fd"), fds);
    expect_links("dv", 0);
    assert_int_equal(count_links("dl-"), 1);
    assert_int_equal(count_tables(), 1);
}

static void the_files_of_etc_tell_addresses_and_name_servers(void **state)
{
    (void)state;
    check_networked("ip=$(ip -4 address show eth0 | sed -n 's,.*inet \\([0-9.]*\\)/.*,\\1,p'); "
                    "grep -c \"^$ip\tbox$\" /etc/hosts; "
                    "grep -c \"^" GATEWAY4 "\thost.docker.internal$\" /etc/hosts; "
                    "grep nameserver /etc/resolv.conf",
                    "1\n1\nnameserver 10.8.8.8");
}

/* 10.8.8.8 is in a private range and the name server: port 53 alone is open. */
static void the_name_server_is_reached_wherever_it_is(void **state)
{
    (void)state;
    check_networked("payload fetch 10.8.8.8 53; echo; payload fetch 10.8.8.8 7000; true",
                    HOST4 "\nrefused");
}

static void a_child_shares_the_network_of_its_parent(void **state)
{
    struct run parent, child;

    (void)state;
    run_server(&parent, 0);
    run_init(&child, "payload fetch 127.0.0.1 80; echo; payload fetch " WORLD4 " 7000; echo; "
                     "grep -c host.docker.internal /etc/hosts; grep nameserver /etc/resolv.conf");
    child.parent = parent.sandbox;
    child.spec.network = SANDBOX_NETWORK_PARENT;
    assert_string_equal(run_output(&child, 0), "box\n" HOST4 "\n1\nnameserver 10.8.8.8");
    run_clear(&child);
    run_clear(&parent);
}

static void capabilities_over_the_own_network_are_not_given(void **state)
{
    (void)state;
    check_networked("ip address add 10.213.0.77/32 dev eth0 2>/dev/null && echo changed; "
                    "ip route del default 2>/dev/null && echo changed; "
                    "ip link set eth0 address 02:00:00:00:00:01 2>/dev/null && echo changed; true",
                    "");
}

/* Last: closes the host, as the group's teardown would. */
static void nothing_is_left_when_the_launcher_ends(void **state)
{
    (void)state;
    host_close(H.host);
    H.host = NULL;
    expect_links("d", 0);
    assert_int_equal(count_tables(), 0);
}

int main(int argc, char **argv)
{
    static const char *const allowed[] = {"10.9.0.0/16", "fd00:9::/32"};
    static const char *const resolvers[] = {"10.8.8.8"};
    static const struct launcher_network network = {
        .allowed = allowed,
        .n_allowed = ARRAY_SIZE(allowed),
        .resolvers = resolvers,
        .n_resolvers = ARRAY_SIZE(resolvers),
        .first_port = FIRST_PORT,
        .last_port = LAST_PORT,
    };
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_outer_world_is_reached_with_the_addresses_of_the_host),
        cmocka_unit_test(private_ranges_are_refused_unless_allowed),
        cmocka_unit_test(the_host_itself_is_refused_at_all_its_addresses),
        cmocka_unit_test(metadata_services_and_link_local_addresses_are_refused),
        cmocka_unit_test(a_sandbox_neither_reaches_nor_hears_its_neighbour),
        cmocka_unit_test(foreign_source_addresses_are_dropped),
        cmocka_unit_test(published_ports_are_reached_from_outside_and_from_the_host),
        cmocka_unit_test(nobody_comes_in_but_through_published_ports),
        cmocka_unit_test(a_port_that_is_not_ours_is_refused),
        cmocka_unit_test(the_files_of_etc_tell_addresses_and_name_servers),
        cmocka_unit_test(the_name_server_is_reached_wherever_it_is),
        cmocka_unit_test(a_child_shares_the_network_of_its_parent),
        cmocka_unit_test(capabilities_over_the_own_network_are_not_given),
        cmocka_unit_test(nothing_is_left_when_the_launcher_ends),
    };

    const struct CMUnitTest long_tests[] = {
        cmocka_unit_test(a_port_is_used_again_two_hundred_times),
        cmocka_unit_test(nothing_is_left_when_the_launcher_ends),
    };

    bridge_filter = argc > 1 && strcmp(argv[1], "bridge-filter") == 0;
    world_make(bridge_filter);
    H.network = &network;
    if (argc > 1 && strcmp(argv[1], "long") == 0)
        return harness_main("network", long_tests, ARRAY_SIZE(long_tests));
    return harness_main("network", tests, ARRAY_SIZE(tests));
}
