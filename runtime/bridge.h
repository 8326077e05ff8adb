/* The bridge of a launcher and the veth pairs on it, by rtnetlink.
 *
 * Who may send what is decided on the port itself: every port is isolated (frames go between it and
 * the bridge only), locked to one MAC address (a static entry of the forwarding table; frames from
 * any other are dropped) and learns and floods nothing. Neighbour entries are permanent on both
 * sides, so no ARP or neighbour discovery is needed and none is believed. No link-local addresses
 * are made. */
#pragma once

#include "netlink.h"

#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <sys/types.h>

#define MAC_SIZE 6

/** One host on the bridge: the bridge itself or a sandbox. */
struct link_end {
    uint8_t mac[MAC_SIZE];
    struct in_addr ip4;
    struct in6_addr ip6;
};

struct bridge {
    char name[IFNAMSIZ];
    uint32_t index;
    struct link_end self; /* the gateway of all sandboxes */
    uint8_t prefix4, prefix6;
    bool ipv6;
};

/** The end of a pair inside. */
struct link_plan {
    char name[IFNAMSIZ];
    uint32_t index;
    struct link_end self, gateway;
    bool ipv6;
};

/** Makes the bridge with its index and addresses, up. */
int bridge_make(struct netlink *n, const struct bridge *b, struct error *e);

/** Removes link NAME where it is a bridge; 0 also when there is none. Waits for a grace period of
 * the kernel's. */
int bridge_remove(struct netlink *n, const char *name, struct error *e);

/** Makes the pair of a sandbox: the host's end is a port of B called HOST_NAME with INDEX (-EBUSY
 * or -EEXIST where that is taken), the other one lies down, with INDEX + 1, in the network
 * namespace of process PID. The kernel removes the pair with that namespace; removing it ourselves
 * would make the caller wait for a grace period. */
int bridge_attach(struct netlink *n, const struct bridge *b, uint32_t index, const char *host_name,
                  const struct link_plan *inside, pid_t pid, struct error *e);

/** N being a socket in the sandbox's network namespace: addresses, routes, up. */
int link_configure(struct netlink *n, const struct link_plan *p, struct error *e);

/** Waits for nothing, but has the kernel look now at what it knows of INDEX's carrier, not some
 * moments later: a port of a bridge forwards nothing before (linkwatch_sync_dev; Linux 6.8). */
int link_settle(struct netlink *n, uint32_t index, struct error *e);
