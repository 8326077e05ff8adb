/* One netlink socket: messages are gathered into a batch, sent with one sendmsg(2), and the
 * kernel's answers are read at once. netlink(7), rtnetlink(7). The kernel works inside sendmsg(2),
 * so the answers of everything but dumps are there when it returns: nothing here waits. */
#pragma once

#include "base/error.h"

#include <libmnl/libmnl.h>
#include <stdint.h>

/** A whole batch; the longest is the rule set of nat.c with all ranges a configuration may have. */
#define NETLINK_BATCH_MAX ((size_t)128 << 10)
/** Longest single message: a rule with its expressions, or a link with its peer. */
#define NETLINK_MESSAGE_MAX ((size_t)2 << 10)

struct netlink {
    int fd;
    uint32_t sequence;
    size_t used;           /* bytes of the batch that are complete */
    struct nlmsghdr *open; /* the message being filled */
    uint32_t awaited;      /* the message whose answer ends the batch; 0: the last one */
    int fault;             /* -EMSGSIZE: the batch is too long */
    uint8_t *data;         /* NETLINK_BATCH_MAX bytes, owned */
};
#define NETLINK_INIT                                                                               \
    {                                                                                              \
        .fd = -EBADF                                                                               \
    }

/** Loads libmnl, whose functions must not be called before; -ELIBACC: it is not there. What opens a
 * socket below has done it. */
int netlink_load(struct error *e);

/** Opens a socket of PROTOCOL (NETLINK_ROUTE, NETLINK_NETFILTER) in the calling process's network
 * namespace. */
int netlink_open(int protocol, struct netlink *ret, struct error *e);
/** Accepts a closed one. */
void netlink_close(struct netlink *n);

/** Begins a message of TYPE; its fixed header and attributes (mnl_attr_put...) are then put behind
 * it, at most NETLINK_MESSAGE_MAX bytes. Never NULL: what does not fit is told by
 * netlink_commit(). */
struct nlmsghdr *netlink_begin(struct netlink *n, uint16_t type, uint16_t flags);

/** The message being filled is the one whose answer ends the batch: what follows has none of its
 * own (the end of a transaction of nfnetlink, before Linux 6.10). */
void netlink_await(struct netlink *n);

/** Sends the batch. 0, or the first error that a message met, with WHAT and the kernel's own words
 * where it has some. Messages behind a failed one were tried all the same (rtnetlink); of
 * nfnetlink's transactions either all are done or none. The batch is empty afterwards. */
int netlink_commit(struct netlink *n, const char *what, struct error *e);

/** Drops what was gathered. */
void netlink_reset(struct netlink *n);

/** Asks for a dump of TYPE (RTM_GETROUTE...) with this fixed header and gives each message to
 * CALLBACK; a negative return of it ends the dump and is returned. */
int netlink_dump(struct netlink *n, uint16_t type, const void *header, size_t header_size,
                 int (*callback)(const struct nlmsghdr *message, void *userdata), void *userdata,
                 struct error *e);
