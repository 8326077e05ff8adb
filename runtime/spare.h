/* Children cloned ahead of their sandboxes.
 *
 * Most of what a start costs is the same for every sandbox: new namespaces (the network's above
 * all), a copy of the launcher's memory, cgroup directories. A spare is a child that has all that
 * and waits for the rest (child_wait()). It is used by one sandbox or by none, never twice: what is
 * made here ahead is as fresh as what is made on demand. */
#pragma once

#include "child.h"

struct spare {
    struct spare *next;
    char name[SANDBOX_NAME_MAX]; /* that of the sandbox to be, its cgroup's already */
    struct cgroup *cgroup;
    pid_t pid;
    int pidfd;
    int mnt_ns_fd;
    int order_fd; /* order.h */
};

struct spares;

/** Keeps up to WANT spares (at most SPARES_MAX), made when the event loop has had nothing else to
 * do for a while. WANT 0: none, ever. H must outlive it; its other parts are there already. */
#define SPARES_MAX 16
int spares_open(struct host *h, uint32_t want, struct spares **ret, struct error *e);
/** Ends all that are left. */
void spares_close(struct spares *s);
DEFINE_CLEANUP(struct spares, spares_close)

/** How many wait now. */
size_t spares_count(const struct spares *s);

/** Takes one that lives; NULL where there is none. The caller's from then on, as are its members.
 */
struct spare *spares_take(struct spares *s);

/** Frees S and what is still in it: a child that has no order yet ends. Members that were taken
 * over are NULL, 0 or negative. */
void spare_free(struct spare *s);
