/* Id ranges: every top-level sandbox owns 65,536 ids of the host that no other running sandbox has.
 */
#pragma once

#include "base/error.h"

#include <stdint.h>

/** A leased range; the lease is a lock (flock) below the run directory, so that several launchers
 * share one pool and a killed launcher gives its ranges back. */
struct id_pool;

struct id_range {
    uint32_t base; /* host id of container id 0; 0 means none leased */
    int lock_fd;
    struct id_pool *pool;
};
#define ID_RANGE_INIT                                                                              \
    {                                                                                              \
        0, -EBADF, NULL                                                                            \
    }

/** Opens the pool of COUNT ranges from FIRST_ID on, with locks in RUN_DIR (made 0755 where
 * missing). Ranges that overlap /etc/subuid's or /etc/passwd's ids are not the pool's business: the
 * host's `check` warns. */
int id_pool_open(const char *run_dir, uint32_t first_id, uint32_t count, struct id_pool **ret,
                 struct error *e);
void id_pool_close(struct id_pool *p);
DEFINE_CLEANUP(struct id_pool, id_pool_close)

/** Leases a free range. -EAGAIN with a text when all are taken. */
int id_range_lease(struct id_pool *p, struct id_range *ret, struct error *e);
void id_range_release(struct id_range *r);

/** Returns (for life, owned by the pool) a user namespace fd that maps 0..65535 to BASE.., for
 * mount_setattr(MOUNT_ATTR_IDMAP). Needs /proc of the caller's pid namespace. */
int id_range_userns(struct id_pool *p, uint32_t base, struct error *e);

/** The same for where the host's root itself has to make files behind the mapping, which then
 * belong to id 65536 of the file system. The fd is the caller's. */
int id_range_userns_with_root(uint32_t base, struct error *e);

/** Writes uid_map, gid_map of process PID: 0..65535 -> BASE.. */
int id_range_map(int proc_fd, pid_t pid, uint32_t base, struct error *e);
