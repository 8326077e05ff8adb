/* links: runtime */
/* Addresses and ranges as they are written, and the resolv.conf of sandboxes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "address.h"
#include "resolv.h"

#include <string.h>

static struct address_range range(const char *text)
{
    struct address_range r;

    if (address_range_parse(text, &r) < 0)
        fail_msg("%s", text);
    return r;
}

static void ranges_are_read_strictly(void **state)
{
    static const char *const wrong[] = {
        "",
        "10.0.0.0/33",
        "10.0.0.1/8",
        "10.0.0/8",
        "10.0.0.0/",
        "10.0.0.0/ 8",
        "fd00::/129",
        "fd00::1/64",
        "fd00::/-1",
        "10.0.0.0/8/8",
        "localhost",
        "::1%lo",
        "10.0.0.0/+8",
        "0x0a.0.0.0/8",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    struct address_range r;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
        if (address_range_parse(wrong[i], &r) != -EINVAL)
            fail_msg("\"%s\" was taken", wrong[i]);
    r = range("10.128.0.0/9");
    assert_int_equal(r.first.family, AF_INET);
    assert_int_equal(r.prefix, 9);
    assert_int_equal(range("192.0.2.7").prefix, 32);
    assert_int_equal(range("2001:db8::7").prefix, 128);
    assert_int_equal(range("0.0.0.0/0").prefix, 0);
}

static void overlapping_ranges_are_known(void **state)
{
    static const struct {
        const char *a, *b;
        bool overlap;
    } cases[] = {
        {"10.0.0.0/8", "10.213.0.0/22", true},
        {"10.213.0.0/22", "10.213.4.0/22", false},
        {"10.213.0.0/22", "10.213.3.255", true},
        {"0.0.0.0/0", "192.168.0.0/16", true},
        {"fd00::/8", "fd6f::/16", true},
        {"fd00::/16", "fd01::/16", false},
        {"0.0.0.0/0", "::/0", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct address_range a = range(cases[i].a), b = range(cases[i].b);
        assert_int_equal(address_ranges_overlap(&a, &b), cases[i].overlap);
        assert_int_equal(address_ranges_overlap(&b, &a), cases[i].overlap);
    }
    {
        const struct address_range ten = range("10.0.0.0/8");
        const struct address_range in = range("10.1.2.3"), out = range("11.1.2.3");
        assert_true(address_in_range(&in.first, &ten));
        assert_false(address_in_range(&out.first, &ten));
    }
}

static void check_resolv(const char *host, const char *server, bool ipv6, const char *expected,
                         size_t n_servers)
{
    struct address address = {0};
    struct resolv r;

    if (server)
        assert_int_equal(address_parse(server, &address), 0);
    assert_int_equal(resolv_make(host, &address, server ? 1 : 0, ipv6, &r), 0);
    assert_string_equal(buffer_string(&r.text), expected);
    assert_int_equal(r.n_servers, n_servers);
    resolv_clear(&r);
}

static void the_hosts_servers_and_search_list_are_kept(void **state)
{
    (void)state;
    check_resolv("# made by hand\nsearch example.org lan\nnameserver 192.0.2.53\n"
                 "\tnameserver\t2001:db8::53  \noptions ndots:2\nsortlist 10.0.0.0\n",
                 NULL, true,
                 "search example.org lan\nnameserver 192.0.2.53\nnameserver 2001:db8::53\n"
                 "options ndots:2\n",
                 2);
    check_resolv("nameserver 192.0.2.1\nnameserver 192.0.2.2\nnameserver 192.0.2.3\n"
                 "nameserver 192.0.2.4",
                 NULL, true, "nameserver 192.0.2.1\nnameserver 192.0.2.2\nnameserver 192.0.2.3\n",
                 3);
    check_resolv("", NULL, true, "", 0);
    check_resolv("s\n\n \nnameserver\n", NULL, true,
                 "# name servers of the host that cannot be reached from here: 1\n", 0);
}

static void servers_on_the_hosts_loopback_are_dropped_with_a_note(void **state)
{
    (void)state;
    check_resolv("nameserver 127.0.0.53\nnameserver ::1\nnameserver fe80::1%eth0\n"
                 "nameserver fe80::1\nnameserver ::ffff:127.0.0.1\nnameserver 192.0.2.53\n",
                 NULL, true,
                 "nameserver 192.0.2.53\n"
                 "# name servers of the host that cannot be reached from here: 5\n",
                 1);
    check_resolv("nameserver 2001:db8::53\n", NULL, false,
                 "# name servers of the host that cannot be reached from here: 1\n", 0);
}

static void configured_servers_replace_those_of_the_host(void **state)
{
    (void)state;
    check_resolv("nameserver 192.0.2.53\nsearch lan\n", "9.9.9.9", true,
                 "nameserver 9.9.9.9\nsearch lan\n", 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_are_read_strictly),
        cmocka_unit_test(overlapping_ranges_are_known),
        cmocka_unit_test(the_hosts_servers_and_search_list_are_kept),
        cmocka_unit_test(servers_on_the_hosts_loopback_are_dropped_with_a_note),
        cmocka_unit_test(configured_servers_replace_those_of_the_host),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
