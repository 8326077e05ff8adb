/* Theory of operation. What nft(8) would show, BR being the launcher's bridge:
 *
 *   set sources4 { type ether_addr . ipv4_addr }
 *   map ports4 { type inet_service : ipv4_addr . inet_service }
 *   set sources6, map ports6: the same for IPv6
 *
 * - early (filter prerouting, raw): what comes from BR. To 127.0.0.0/8, or from a pair that is not
 *   in sources4 or sources6: dropped. The port a frame came in by is locked to its MAC (bridge.c),
 *   so no sandbox can speak with the address of another. To the subnet but not to the gateway, so
 *   to another sandbox: refused here, before routing would tell the sender a shorter way.
 *
 * - input (filter input): what comes from BR for the host itself. Answers to connections that the
 *   host made are accepted, all else is refused.
 *
 * - forward (filter forward): from BR goes to chain leaving, to BR goes to chain entering.
 *
 * - refuse: TCP reset, else ICMP: programs of a sandbox learn at once what they may not reach.
 *
 * - leaving: back to BR (by another table's translation): refused. Answers: accepted. Resolvers,
 *   port 53: accepted. Never reachable (link-local, multicast, this host): refused. Allowed ranges:
 *   accepted. Private ranges: refused. All else: accepted.
 *
 * - entering: answers and published ports are accepted, all else is dropped.
 *
 * - dstnat (nat prerouting): to an address of this host and a port in ports4, not from BR: to the
 *   sandbox.
 *
 * - localnat (nat output): the same for the host's own connections. Not from ::1 where packets that
 *   are only bridged are filtered, too (br_netfilter): the translation of answers would be undone
 *   before the kernel looks for ::1 on the wire, where it drops it.
 *
 * - srcnat (nat postrouting): from our subnet to elsewhere: masqueraded. To BR from 127.0.0.0/8 or
 *   ::1: masqueraded, as a sandbox could not answer those addresses.
 *
 * Everything is refused by rules that stand for good; adding a sandbox only adds elements. */
#include "nat.h"

#include "nft.h"
#include "weaken.h"

#include <arpa/inet.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/rtnetlink.h>
#include <string.h>

/* Numbers of nft's data types (nft describe), so that nft(8) shows the sets readably. */
#define TYPE_IP4   7U
#define TYPE_IP6   8U
#define TYPE_ETHER 9U
#define TYPE_PORT  13U
#define PAIR(a, b) ((a) << 6 | (b))

/* Registers in words of 4 bytes: register 1 is words 0 to 3. */
#define WORD(n) (NFT_REG32_00 + (n))

#define SOURCE_ADDRESS_OFFSET 8U /* behind the MAC, padded to whole words */
#define SOURCE_KEY_MAX        24U
#define PORT_DATA_MAX         20U

/* netfilter's priorities of the hooks: raw comes before connections are tracked. */
#define PRIORITY_RAW    (-300)
#define PRIORITY_DSTNAT (-100)
#define PRIORITY_FILTER 0
#define PRIORITY_SRCNAT 100

#define ANSWERS (1U << (IP_CT_ESTABLISHED + 1) | 1U << (IP_CT_RELATED + 1))
#define INVALID 1U

#define DNS_PORT 53

/* Offsets of the addresses in the headers of the two families. */
static const struct family {
    int family;
    uint8_t netfilter;
    uint32_t source, destination, size;
    const char *sources, *ports;
} families[] = {
    {AF_INET, NFPROTO_IPV4, 12, 16, 4, "sources4", "ports4"},
    {AF_INET6, NFPROTO_IPV6, 8, 24, 16, "sources6", "ports6"},
};

/* Never reached, whatever is configured: no place in the world, or the host's own neighbourhood
 * (cloud metadata services). IPv6 addresses that embed IPv4 ones (mapped, NAT64, 6to4: in ::/8 and
 * 2002::/16) would be a way around. */
static const char *const never[] = {
    "0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3", "::/8",
    "2002::/16", "fe80::/10",   "fec0::/10",      "ff00::/8",
};

/* Reached only where they are configured. */
static const char *const private_ranges[] = {
    "10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16", "198.18.0.0/15", "fc00::/7",
};

static const struct family *family_of(int family)
{
    return &families[family == AF_INET ? 0 : 1];
}

static size_t n_families(const struct nat_rules *rules)
{
    return rules->ipv6 ? 2 : 1;
}

struct writer {
    struct netlink *n;
    const struct nat_rules *rules;
};

static struct nft_rule begin(const struct writer *w, const char *chain)
{
    return nft_rule_begin(w->n, w->rules->table, chain);
}

static void end(struct nft_rule *r, int32_t verdict)
{
    nft_verdict(r, verdict, NULL);
    nft_rule_end(r);
}

static void end_refused(struct nft_rule *r)
{
    nft_verdict(r, NFT_GOTO, "refuse");
    nft_rule_end(r);
}

static void match_interface(const struct writer *w, struct nft_rule *r, uint32_t key,
                            bool is_bridge)
{
    nft_meta(r, key, NFT_REG_1);
    nft_compare_word(r, is_bridge, w->rules->bridge);
}

static void match_family(struct nft_rule *r, const struct family *f)
{
    nft_meta(r, NFT_META_NFPROTO, NFT_REG_1);
    nft_compare_byte(r, f->netfilter);
}

static void match_protocol(struct nft_rule *r, uint8_t protocol)
{
    nft_meta(r, NFT_META_L4PROTO, NFT_REG_1);
    nft_compare_byte(r, protocol);
}

static void load_destination_port(struct nft_rule *r)
{
    nft_payload(r, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, NFT_REG_1);
}

static void match_range(struct nft_rule *r, bool source, const struct address_range *range)
{
    const struct family *f = family_of(range->first.family);
    uint8_t mask[16];

    match_family(r, f);
    nft_payload(r, NFT_PAYLOAD_NETWORK_HEADER, source ? f->source : f->destination, f->size,
                NFT_REG_1);
    address_mask(range, mask);
    nft_mask(r, mask, f->size);
    nft_compare(r, true, range->first.bytes, f->size);
}

/* A range that is written in this file. */
static struct address_range range_of(const char *text)
{
    struct address_range range = {0};

    (void)address_range_parse(text, &range);
    return range;
}

static void match_exactly(struct nft_rule *r, const struct family *f, uint32_t offset,
                          const void *address)
{
    match_family(r, f);
    nft_payload(r, NFT_PAYLOAD_NETWORK_HEADER, offset, f->size, NFT_REG_1);
    nft_compare(r, true, address, f->size);
}

static void write_sources(const struct writer *w, const struct family *f)
{
    struct nft_rule r;

    if (weakened("source-check"))
        return;
    r = begin(w, "early");
    match_family(&r, f);
    if (f->family == AF_INET || w->rules->ipv6) {
        nft_payload(&r, NFT_PAYLOAD_LL_HEADER, MAC_SIZE, MAC_SIZE, NFT_REG_1);
        nft_payload(&r, NFT_PAYLOAD_NETWORK_HEADER, f->source, f->size,
                    WORD(SOURCE_ADDRESS_OFFSET / 4));
        nft_not_in_set(&r, f->sources);
    }
    end(&r, NF_DROP);
}

static void write_neighbours(const struct writer *w, const struct family *f)
{
    const bool ip4 = f->family == AF_INET;
    const struct link_end *gateway = &w->rules->gateway;
    struct nft_rule r = begin(w, "early");

    match_exactly(&r, f, f->destination,
                  ip4 ? (const void *)&gateway->ip4 : (const void *)&gateway->ip6);
    end(&r, NF_ACCEPT);
    r = begin(w, "early");
    match_range(&r, false, ip4 ? &w->rules->subnet4 : &w->rules->subnet6);
    end_refused(&r);
}

static void write_early(const struct writer *w)
{
    const struct address_range loopback = range_of("127.0.0.0/8");
    struct nft_rule r;

    nft_add_chain(w->n, w->rules->table, "early", "filter", NF_INET_PRE_ROUTING, PRIORITY_RAW);
    r = begin(w, "early");
    match_interface(w, &r, NFT_META_IIF, false);
    end(&r, NF_ACCEPT);
    r = begin(w, "early");
    match_range(&r, false, &loopback);
    end(&r, NF_DROP);
    for (size_t i = 0; i < ARRAY_SIZE(families); i++)
        write_sources(w, &families[i]);
    for (size_t i = 0; i < n_families(w->rules); i++)
        write_neighbours(w, &families[i]);
}

/* ICMP alone would do, but there are only so many of them a second. */
static void write_refuse(const struct writer *w)
{
    struct nft_rule r;

    nft_add_chain(w->n, w->rules->table, "refuse", NULL, 0, 0);
    r = begin(w, "refuse");
    match_protocol(&r, IPPROTO_TCP);
    nft_reject(&r, true);
    nft_rule_end(&r);
    r = begin(w, "refuse");
    nft_reject(&r, false);
    nft_rule_end(&r);
}

static void write_input(const struct writer *w)
{
    struct nft_rule r;

    nft_add_chain(w->n, w->rules->table, "input", "filter", NF_INET_LOCAL_IN, PRIORITY_FILTER);
    r = begin(w, "input");
    match_interface(w, &r, NFT_META_IIF, false);
    end(&r, NF_ACCEPT);
    r = begin(w, "input");
    nft_ct_has(&r, NFT_CT_STATE, ANSWERS);
    end(&r, NF_ACCEPT);
    if (weakened("host-filter"))
        return;
    r = begin(w, "input");
    end_refused(&r);
}

static void write_resolver(const struct writer *w, const struct address *a, uint8_t protocol)
{
    const struct address_range one = {*a, 8 * ADDRESS_SIZE(a->family)};
    const uint16_t port = htons(DNS_PORT);
    struct nft_rule r = begin(w, "leaving");

    match_range(&r, false, &one);
    match_protocol(&r, protocol);
    load_destination_port(&r);
    nft_compare(&r, true, &port, sizeof(port));
    end(&r, NF_ACCEPT);
}

static void write_leaving(const struct writer *w)
{
    struct nft_rule r = begin(w, "leaving");

    match_interface(w, &r, NFT_META_OIF, true);
    end_refused(&r);
    r = begin(w, "leaving");
    nft_ct_has(&r, NFT_CT_STATE, INVALID);
    end(&r, NF_DROP);
    r = begin(w, "leaving");
    nft_ct_has(&r, NFT_CT_STATE, ANSWERS);
    end(&r, NF_ACCEPT);
    for (size_t i = 0; i < w->rules->n_resolvers; i++) {
        write_resolver(w, &w->rules->resolvers[i], IPPROTO_UDP);
        write_resolver(w, &w->rules->resolvers[i], IPPROTO_TCP);
    }
    for (size_t i = 0; i < ARRAY_SIZE(never); i++) {
        const struct address_range range = range_of(never[i]);
        r = begin(w, "leaving");
        match_range(&r, false, &range);
        end_refused(&r);
    }
    for (size_t i = 0; i < w->rules->n_allowed; i++) {
        r = begin(w, "leaving");
        match_range(&r, false, &w->rules->allowed[i]);
        end(&r, NF_ACCEPT);
    }
    for (size_t i = 0; !weakened("private-ranges") && i < ARRAY_SIZE(private_ranges); i++) {
        const struct address_range range = range_of(private_ranges[i]);
        r = begin(w, "leaving");
        match_range(&r, false, &range);
        end_refused(&r);
    }
}

static void write_entering(const struct writer *w)
{
    struct nft_rule r = begin(w, "entering");

    nft_ct_has(&r, NFT_CT_STATE, ANSWERS);
    end(&r, NF_ACCEPT);
    r = begin(w, "entering");
    nft_ct_has(&r, NFT_CT_STATUS, IPS_DST_NAT);
    end(&r, NF_ACCEPT);
    r = begin(w, "entering");
    end(&r, NF_DROP);
}

static void write_forward(const struct writer *w)
{
    struct nft_rule r;

    nft_add_chain(w->n, w->rules->table, "leaving", NULL, 0, 0);
    nft_add_chain(w->n, w->rules->table, "entering", NULL, 0, 0);
    nft_add_chain(w->n, w->rules->table, "forward", "filter", NF_INET_FORWARD, PRIORITY_FILTER);
    write_leaving(w);
    write_entering(w);
    r = begin(w, "forward");
    match_interface(w, &r, NFT_META_IIF, true);
    nft_verdict(&r, NFT_GOTO, "leaving");
    nft_rule_end(&r);
    r = begin(w, "forward");
    match_interface(w, &r, NFT_META_OIF, true);
    nft_verdict(&r, NFT_GOTO, "entering");
    nft_rule_end(&r);
}

static void write_dnat(const struct writer *w, const char *chain, uint32_t hook)
{
    nft_add_chain(w->n, w->rules->table, chain, "nat", hook, PRIORITY_DSTNAT);
    for (size_t i = 0; i < n_families(w->rules); i++) {
        const struct family *f = &families[i];
        struct nft_rule r = begin(w, chain);
        if (hook == NF_INET_PRE_ROUTING)
            match_interface(w, &r, NFT_META_IIF, false);
        match_family(&r, f);
        if (f->family == AF_INET6 && !w->rules->loopback6) {
            nft_payload(&r, NFT_PAYLOAD_NETWORK_HEADER, f->source, f->size, NFT_REG_1);
            nft_compare(&r, false, &in6addr_loopback, f->size);
        }
        match_protocol(&r, IPPROTO_TCP);
        nft_fib_daddr_type(&r);
        nft_compare_word(&r, true, RTN_LOCAL);
        load_destination_port(&r);
        nft_map(&r, f->ports);
        nft_dnat(&r, f->netfilter, WORD(f->size / 4));
        nft_rule_end(&r);
    }
}

static void write_masquerade(const struct writer *w, bool to_bridge,
                             const struct address_range *source)
{
    struct nft_rule r = begin(w, "srcnat");

    match_interface(w, &r, NFT_META_OIF, to_bridge);
    match_range(&r, true, source);
    nft_masquerade(&r);
    nft_rule_end(&r);
}

static void write_srcnat(const struct writer *w)
{
    const struct address_range own[] = {w->rules->subnet4, w->rules->subnet6};
    const struct address_range loopback[] = {range_of("127.0.0.0/8"), range_of("::1")};

    nft_add_chain(w->n, w->rules->table, "srcnat", "nat", NF_INET_POST_ROUTING, PRIORITY_SRCNAT);
    for (size_t i = 0; i < n_families(w->rules); i++) {
        write_masquerade(w, true, &loopback[i]);
        write_masquerade(w, false, &own[i]);
    }
}

static void write_sets(const struct writer *w)
{
    static const struct nft_set sets[2][2] = {
        {{"sources4", 1, PAIR(TYPE_ETHER, TYPE_IP4), 12, 0, 0},
         {"ports4", 2, TYPE_PORT, 2, PAIR(TYPE_IP4, TYPE_PORT), 8}},
        {{"sources6", 3, PAIR(TYPE_ETHER, TYPE_IP6), SOURCE_KEY_MAX, 0, 0},
         {"ports6", 4, TYPE_PORT, 2, PAIR(TYPE_IP6, TYPE_PORT), PORT_DATA_MAX}},
    };

    for (size_t i = 0; i < n_families(w->rules); i++)
        for (size_t j = 0; j < ARRAY_SIZE(sets[i]); j++)
            nft_add_set(w->n, w->rules->table, &sets[i][j]);
}

int nat_load(struct netlink *n, const struct nat_rules *rules, struct error *e)
{
    const struct writer w = {n, rules};

    nft_begin(n);
    nft_add_table(n, rules->table);
    write_sets(&w);
    write_refuse(&w);
    write_early(&w);
    write_input(&w);
    write_forward(&w);
    write_dnat(&w, "dstnat", NF_INET_PRE_ROUTING);
    write_dnat(&w, "localnat", NF_INET_LOCAL_OUT);
    write_srcnat(&w);
    return nft_commit(n, rules->table, e);
}

int nat_remove(struct netlink *n, const char *table, struct error *e)
{
    int r;

    nft_begin(n);
    nft_delete_table(n, table);
    r = nft_commit(n, table, e);
    return r == -ENOENT ? 0 : r;
}

static const void *address_of(const struct link_end *end, const struct family *f)
{
    return f->family == AF_INET ? (const void *)&end->ip4 : (const void *)&end->ip6;
}

int nat_admit(struct netlink *n, const struct nat_rules *rules, const struct link_end *end,
              struct error *e)
{
    nft_begin(n);
    for (size_t i = 0; i < n_families(rules); i++) {
        const struct family *f = &families[i];
        uint8_t key[SOURCE_KEY_MAX] = {0};
        memcpy(key, end->mac, MAC_SIZE);
        memcpy(key + SOURCE_ADDRESS_OFFSET, address_of(end, f), f->size);
        nft_add_element(n, rules->table, f->sources, key, SOURCE_ADDRESS_OFFSET + f->size, NULL, 0);
    }
    return nft_commit(n, "admit an address", e);
}

int nat_publish(struct netlink *n, const struct nat_rules *rules, const struct link_end *end,
                const struct nat_port *ports, size_t n_ports, struct error *e)
{
    nft_begin(n);
    for (size_t i = 0; i < n_families(rules); i++) {
        const struct family *f = &families[i];
        for (size_t j = 0; j < n_ports; j++) {
            const uint16_t host = htons(ports[j].host), container = htons(ports[j].container);
            uint8_t data[PORT_DATA_MAX] = {0};
            memcpy(data, address_of(end, f), f->size);
            memcpy(data + f->size, &container, sizeof(container));
            nft_add_element(n, rules->table, f->ports, &host, sizeof(host), data, f->size + 4);
        }
    }
    return nft_commit(n, "publish ports", e);
}

int nat_unpublish(struct netlink *n, const struct nat_rules *rules, const struct nat_port *ports,
                  size_t n_ports, struct error *e)
{
    nft_begin(n);
    for (size_t i = 0; i < n_families(rules); i++) {
        for (size_t j = 0; j < n_ports; j++) {
            const uint16_t host = htons(ports[j].host);
            nft_delete_element(n, rules->table, families[i].ports, &host, sizeof(host));
        }
    }
    return nft_commit(n, "withdraw ports", e);
}
