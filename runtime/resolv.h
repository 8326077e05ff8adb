/* The resolv.conf(5) of sandboxes with a network, made from the host's. Pure logic. */
#pragma once

#include "address.h"
#include "base/buffer.h"

/** What resolvers read at most (MAXNS of resolv.h). */
#define RESOLVERS_MAX 3
/** More than any resolver configuration; what is longer is refused. */
#define RESOLV_TEXT_MAX ((size_t)64 << 10)

struct resolv {
    struct buffer text; /* of the sandboxes' file */
    struct address servers[RESOLVERS_MAX];
    size_t n_servers;
    size_t n_dropped; /* of the host's servers: addresses of its own loopback or link */
};
void resolv_clear(struct resolv *r);

/** Makes it from HOST_TEXT (the host's file). Name servers are SERVERS where there are some, else
 * the host's without those that a sandbox cannot reach; search and options lines are kept. IPV6
 * false: servers with IPv6 addresses are dropped, too. -ENOMEM. */
int resolv_make(const char *host_text, const struct address *servers, size_t n_servers, bool ipv6,
                struct resolv *ret);
