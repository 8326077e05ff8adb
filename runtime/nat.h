/* The packet filter and address translation of one launcher: one nf_tables table, loaded once;
 * sandboxes and published ports are elements of its sets. */
#pragma once

#include "address.h"
#include "bridge.h"

#define NAT_TABLE_MAX     48
#define NAT_RANGES_MAX    64 /* LAUNCHER_RANGES_MAX */
#define NAT_RESOLVERS_MAX 3  /* MAXNS of resolv.conf(5): no resolver asks more of them */

struct nat_rules {
    char table[NAT_TABLE_MAX];
    uint32_t bridge; /* its index */
    bool ipv6;
    bool loopback6; /* published ports are reached from ::1 */
    struct address_range subnet4, subnet6;
    struct link_end gateway;
    struct address_range allowed[NAT_RANGES_MAX]; /* private ranges that may be reached */
    size_t n_allowed;
    struct address resolvers[NAT_RESOLVERS_MAX]; /* reached on port 53 wherever they are */
    size_t n_resolvers;
};

/** Loads the table. */
int nat_load(struct netlink *n, const struct nat_rules *rules, struct error *e);
/** Removes table NAME; 0 also when there is none. */
int nat_remove(struct netlink *n, const char *table, struct error *e);

/** From now on packets from END's address are let in when they come from END's MAC. */
int nat_admit(struct netlink *n, const struct nat_rules *rules, const struct link_end *end,
              struct error *e);

/** One published TCP port. */
struct nat_port {
    uint16_t host, container;
};
/** Publishes PORTS, all or none. */
int nat_publish(struct netlink *n, const struct nat_rules *rules, const struct link_end *end,
                const struct nat_port *ports, size_t n_ports, struct error *e);
int nat_unpublish(struct netlink *n, const struct nat_rules *rules, const struct nat_port *ports,
                  size_t n_ports, struct error *e);
