#include "nft.h"

#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>

static struct nlmsghdr *put_header(struct netlink *n, uint16_t type, uint16_t flags, uint8_t family,
                                   uint16_t resource)
{
    struct nlmsghdr *h = netlink_begin(n, type, flags);
    struct nfgenmsg *g = mnl_nlmsg_put_extra_header(h, sizeof(*g));

    g->nfgen_family = family;
    g->version = NFNETLINK_V0;
    g->res_id = htons(resource);
    return h;
}

static struct nlmsghdr *put_message(struct netlink *n, uint16_t type, uint16_t flags)
{
    return put_header(n, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), flags, NFPROTO_INET, 0);
}

static void put_be32(struct nlmsghdr *h, uint16_t type, uint32_t value)
{
    mnl_attr_put_u32(h, type, htonl(value));
}

void nft_begin(struct netlink *n)
{
    put_header(n, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
}

int nft_commit(struct netlink *n, const char *what, struct error *e)
{
    netlink_await(n);
    put_header(n, NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
    return netlink_commit(n, what, e);
}

void nft_add_table(struct netlink *n, const char *table)
{
    struct nlmsghdr *h = put_message(n, NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL);

    mnl_attr_put_strz(h, NFTA_TABLE_NAME, table);
}

void nft_delete_table(struct netlink *n, const char *table)
{
    mnl_attr_put_strz(put_message(n, NFT_MSG_DELTABLE, 0), NFTA_TABLE_NAME, table);
}

void nft_add_chain(struct netlink *n, const char *table, const char *chain, const char *type,
                   uint32_t hook, int32_t priority)
{
    struct nlmsghdr *h = put_message(n, NFT_MSG_NEWCHAIN, NLM_F_CREATE | NLM_F_EXCL);
    struct nlattr *nest;

    mnl_attr_put_strz(h, NFTA_CHAIN_TABLE, table);
    mnl_attr_put_strz(h, NFTA_CHAIN_NAME, chain);
    if (!type)
        return;
    nest = mnl_attr_nest_start(h, NFTA_CHAIN_HOOK);
    put_be32(h, NFTA_HOOK_HOOKNUM, hook);
    put_be32(h, NFTA_HOOK_PRIORITY, (uint32_t)priority);
    mnl_attr_nest_end(h, nest);
    mnl_attr_put_strz(h, NFTA_CHAIN_TYPE, type);
    put_be32(h, NFTA_CHAIN_POLICY, NF_ACCEPT);
}

void nft_add_set(struct netlink *n, const char *table, const struct nft_set *set)
{
    struct nlmsghdr *h = put_message(n, NFT_MSG_NEWSET, NLM_F_CREATE | NLM_F_EXCL);

    mnl_attr_put_strz(h, NFTA_SET_TABLE, table);
    mnl_attr_put_strz(h, NFTA_SET_NAME, set->name);
    put_be32(h, NFTA_SET_FLAGS, set->data_size > 0 ? NFT_SET_MAP : 0);
    put_be32(h, NFTA_SET_KEY_TYPE, set->key_type);
    put_be32(h, NFTA_SET_KEY_LEN, set->key_size);
    put_be32(h, NFTA_SET_ID, set->id);
    if (set->data_size > 0) {
        put_be32(h, NFTA_SET_DATA_TYPE, set->data_type);
        put_be32(h, NFTA_SET_DATA_LEN, set->data_size);
    }
}

static void put_data(struct nlmsghdr *h, uint16_t type, const void *data, size_t size)
{
    struct nlattr *nest = mnl_attr_nest_start(h, type);

    mnl_attr_put(h, NFTA_DATA_VALUE, size, data);
    mnl_attr_nest_end(h, nest);
}

static void put_element(struct netlink *n, uint16_t type, uint16_t flags, const char *table,
                        const char *set, const void *key, size_t key_size, const void *data,
                        size_t data_size)
{
    struct nlmsghdr *h = put_message(n, type, flags);
    struct nlattr *elements, *element;

    mnl_attr_put_strz(h, NFTA_SET_ELEM_LIST_TABLE, table);
    mnl_attr_put_strz(h, NFTA_SET_ELEM_LIST_SET, set);
    elements = mnl_attr_nest_start(h, NFTA_SET_ELEM_LIST_ELEMENTS);
    element = mnl_attr_nest_start(h, NFTA_LIST_ELEM);
    put_data(h, NFTA_SET_ELEM_KEY, key, key_size);
    if (data)
        put_data(h, NFTA_SET_ELEM_DATA, data, data_size);
    mnl_attr_nest_end(h, element);
    mnl_attr_nest_end(h, elements);
}

void nft_add_element(struct netlink *n, const char *table, const char *set, const void *key,
                     size_t key_size, const void *data, size_t data_size)
{
    put_element(n, NFT_MSG_NEWSETELEM, NLM_F_CREATE, table, set, key, key_size, data, data_size);
}

void nft_delete_element(struct netlink *n, const char *table, const char *set, const void *key,
                        size_t key_size)
{
    put_element(n, NFT_MSG_DELSETELEM, 0, table, set, key, key_size, NULL, 0);
}

/* ---- rules ---- */

struct nft_rule nft_rule_begin(struct netlink *n, const char *table, const char *chain)
{
    struct nft_rule r = {put_message(n, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND), NULL};

    mnl_attr_put_strz(r.message, NFTA_RULE_TABLE, table);
    mnl_attr_put_strz(r.message, NFTA_RULE_CHAIN, chain);
    r.expressions = mnl_attr_nest_start(r.message, NFTA_RULE_EXPRESSIONS);
    return r;
}

void nft_rule_end(struct nft_rule *r)
{
    mnl_attr_nest_end(r->message, r->expressions);
}

struct expression {
    struct nlattr *element, *data;
};

static struct expression begin(struct nft_rule *r, const char *name)
{
    struct expression x;

    x.element = mnl_attr_nest_start(r->message, NFTA_LIST_ELEM);
    mnl_attr_put_strz(r->message, NFTA_EXPR_NAME, name);
    x.data = mnl_attr_nest_start(r->message, NFTA_EXPR_DATA);
    return x;
}

static void end(struct nft_rule *r, struct expression x)
{
    mnl_attr_nest_end(r->message, x.data);
    mnl_attr_nest_end(r->message, x.element);
}

void nft_meta(struct nft_rule *r, uint32_t key, uint32_t reg)
{
    struct expression x = begin(r, "meta");

    put_be32(r->message, NFTA_META_KEY, key);
    put_be32(r->message, NFTA_META_DREG, reg);
    end(r, x);
}

void nft_compare(struct nft_rule *r, bool equal, const void *data, size_t size)
{
    struct expression x = begin(r, "cmp");

    put_be32(r->message, NFTA_CMP_SREG, NFT_REG_1);
    put_be32(r->message, NFTA_CMP_OP, equal ? NFT_CMP_EQ : NFT_CMP_NEQ);
    put_data(r->message, NFTA_CMP_DATA, data, size);
    end(r, x);
}

void nft_compare_word(struct nft_rule *r, bool equal, uint32_t word)
{
    nft_compare(r, equal, &word, sizeof(word));
}

void nft_compare_byte(struct nft_rule *r, uint8_t byte)
{
    nft_compare(r, true, &byte, sizeof(byte));
}

void nft_payload(struct nft_rule *r, uint32_t base, uint32_t offset, uint32_t size, uint32_t reg)
{
    struct expression x = begin(r, "payload");

    put_be32(r->message, NFTA_PAYLOAD_DREG, reg);
    put_be32(r->message, NFTA_PAYLOAD_BASE, base);
    put_be32(r->message, NFTA_PAYLOAD_OFFSET, offset);
    put_be32(r->message, NFTA_PAYLOAD_LEN, size);
    end(r, x);
}

void nft_mask(struct nft_rule *r, const void *mask, size_t size)
{
    static const uint8_t zero[16];
    struct expression x = begin(r, "bitwise");

    put_be32(r->message, NFTA_BITWISE_SREG, NFT_REG_1);
    put_be32(r->message, NFTA_BITWISE_DREG, NFT_REG_1);
    put_be32(r->message, NFTA_BITWISE_LEN, (uint32_t)size);
    put_data(r->message, NFTA_BITWISE_MASK, mask, size);
    put_data(r->message, NFTA_BITWISE_XOR, zero, size);
    end(r, x);
}

void nft_ct_has(struct nft_rule *r, uint32_t key, uint32_t bits)
{
    struct expression x = begin(r, "ct");

    put_be32(r->message, NFTA_CT_KEY, key);
    put_be32(r->message, NFTA_CT_DREG, NFT_REG_1);
    end(r, x);
    nft_mask(r, &bits, sizeof(bits));
    nft_compare_word(r, false, 0);
}

void nft_fib_daddr_type(struct nft_rule *r)
{
    struct expression x = begin(r, "fib");

    put_be32(r->message, NFTA_FIB_DREG, NFT_REG_1);
    put_be32(r->message, NFTA_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
    put_be32(r->message, NFTA_FIB_FLAGS, NFTA_FIB_F_DADDR);
    end(r, x);
}

void nft_not_in_set(struct nft_rule *r, const char *set)
{
    struct expression x = begin(r, "lookup");

    mnl_attr_put_strz(r->message, NFTA_LOOKUP_SET, set);
    put_be32(r->message, NFTA_LOOKUP_SREG, NFT_REG_1);
    put_be32(r->message, NFTA_LOOKUP_FLAGS, NFT_LOOKUP_F_INV);
    end(r, x);
}

void nft_map(struct nft_rule *r, const char *map)
{
    struct expression x = begin(r, "lookup");

    mnl_attr_put_strz(r->message, NFTA_LOOKUP_SET, map);
    put_be32(r->message, NFTA_LOOKUP_SREG, NFT_REG_1);
    put_be32(r->message, NFTA_LOOKUP_DREG, NFT_REG_1);
    end(r, x);
}

void nft_verdict(struct nft_rule *r, int32_t verdict, const char *chain)
{
    struct expression x = begin(r, "immediate");
    struct nlattr *data, *code;

    put_be32(r->message, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
    data = mnl_attr_nest_start(r->message, NFTA_IMMEDIATE_DATA);
    code = mnl_attr_nest_start(r->message, NFTA_DATA_VERDICT);
    put_be32(r->message, NFTA_VERDICT_CODE, (uint32_t)verdict);
    if (chain)
        mnl_attr_put_strz(r->message, NFTA_VERDICT_CHAIN, chain);
    mnl_attr_nest_end(r->message, code);
    mnl_attr_nest_end(r->message, data);
    end(r, x);
}

void nft_reject(struct nft_rule *r, bool reset)
{
    struct expression x = begin(r, "reject");

    put_be32(r->message, NFTA_REJECT_TYPE, reset ? NFT_REJECT_TCP_RST : NFT_REJECT_ICMPX_UNREACH);
    if (!reset)
        mnl_attr_put_u8(r->message, NFTA_REJECT_ICMP_CODE, NFT_REJECT_ICMPX_ADMIN_PROHIBITED);
    end(r, x);
}

void nft_dnat(struct nft_rule *r, uint32_t family, uint32_t port_register)
{
    struct expression x = begin(r, "nat");

    put_be32(r->message, NFTA_NAT_TYPE, NFT_NAT_DNAT);
    put_be32(r->message, NFTA_NAT_FAMILY, family);
    put_be32(r->message, NFTA_NAT_REG_ADDR_MIN, NFT_REG_1);
    put_be32(r->message, NFTA_NAT_REG_PROTO_MIN, port_register);
    end(r, x);
}

void nft_masquerade(struct nft_rule *r)
{
    end(r, begin(r, "masq"));
}
