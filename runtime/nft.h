/* Messages of nf_tables: tables, chains, sets, elements, and rules from a few expressions.
 *
 * Written on libmnl alone: the libraries that make such messages (libnftnl, libnftables) are under
 * the GPL, and the second one parses text and takes milliseconds where one message takes
 * microseconds. include/uapi/linux/netfilter/nf_tables.h is the reference; registers and constants
 * are written as `nft --debug=netlink` shows them, so that the two can be compared. */
#pragma once

#include "netlink.h"

#include <netinet/in.h> /* before the kernel's own definitions of the same */

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdbool.h>

/** Begins and ends a transaction: all messages between take effect at one instant or none does. */
void nft_begin(struct netlink *n);
int nft_commit(struct netlink *n, const char *what, struct error *e);

void nft_add_table(struct netlink *n, const char *table);
/** Deletes it with all that is in it; -ENOENT from the commit where there is none. */
void nft_delete_table(struct netlink *n, const char *table);

/** A base chain where TYPE ("filter", "nat") is given, else one to jump to. */
void nft_add_chain(struct netlink *n, const char *table, const char *chain, const char *type,
                   uint32_t hook, int32_t priority);

/** A set of keys (types as nft's own numbers, several packed by 6 bits each), a map where DATA_SIZE
 * is not 0. */
struct nft_set {
    const char *name;
    uint32_t id; /* unique in its transaction */
    uint32_t key_type, key_size;
    uint32_t data_type, data_size;
};
void nft_add_set(struct netlink *n, const char *table, const struct nft_set *set);
/** Adds (or removes) one element; DATA may be NULL. An element that is there already is no error.
 */
void nft_add_element(struct netlink *n, const char *table, const char *set, const void *key,
                     size_t key_size, const void *data, size_t data_size);
void nft_delete_element(struct netlink *n, const char *table, const char *set, const void *key,
                        size_t key_size);

/** A rule being written: expressions are appended, nft_rule_end() closes it. */
struct nft_rule {
    struct nlmsghdr *message;
    struct nlattr *expressions;
};
struct nft_rule nft_rule_begin(struct netlink *n, const char *table, const char *chain);
void nft_rule_end(struct nft_rule *r);

/** meta KEY => REGISTER, and the test on register 1. */
void nft_meta(struct nft_rule *r, uint32_t key, uint32_t reg);
void nft_compare(struct nft_rule *r, bool equal, const void *data, size_t size);
/** Test of a 32 bit word in the machine's order (interfaces, address types). */
void nft_compare_word(struct nft_rule *r, bool equal, uint32_t word);
/** Test of one byte (protocols). */
void nft_compare_byte(struct nft_rule *r, uint8_t byte);
void nft_payload(struct nft_rule *r, uint32_t base, uint32_t offset, uint32_t size, uint32_t reg);
/** Register 1 &= MASK. */
void nft_mask(struct nft_rule *r, const void *mask, size_t size);
/** ct KEY => register 1, then "has one of BITS". */
void nft_ct_has(struct nft_rule *r, uint32_t key, uint32_t bits);
/** Type of the destination address => register 1. */
void nft_fib_daddr_type(struct nft_rule *r);
/** Stops the rule where the key from register 1 on is in SET. */
void nft_not_in_set(struct nft_rule *r, const char *set);
/** Stops the rule unless the key in register 1 is in MAP, whose data goes to register 1. */
void nft_map(struct nft_rule *r, const char *map);

/** What the rule ends with: NF_ACCEPT, NF_DROP, NFT_JUMP (to CHAIN). */
void nft_verdict(struct nft_rule *r, int32_t verdict, const char *chain);
/** Refuses with ICMP "administratively prohibited", or a TCP reset where RESET (and the rule has
 * tested for TCP). */
void nft_reject(struct nft_rule *r, bool reset);
/** Destination from register 1 (address) and PORT_REGISTER. */
void nft_dnat(struct nft_rule *r, uint32_t family, uint32_t port_register);
void nft_masquerade(struct nft_rule *r);
