/* The mounts of a spec, made by the launcher as detached mounts before the child exists. */
#pragma once

#include "host.h"

/** What a sandbox gives its mounts from. */
struct mount_source {
    const struct host *host;
    int scratch_fd;    /* the sandbox's own directory */
    int userns_fd;     /* maps 0..65535 to base.. */
    uint32_t base;     /* host id of container root */
    uint64_t memory;   /* the sandbox's limit, for a tmpfs without a size; 0: none */
    const int *parent; /* the parent sandbox's mounts as clonable fds, NULL without a parent */
    size_t n_parent;
};

/** What is known of a mount's source already. */
enum mount_ready {
    MOUNT_FRESH,
    MOUNT_LOOKED_AT, /* it may be mapped; mount_copy() has put what it had to into the upper layer
                      */
    MOUNT_COPIED,    /* mount_copy() has made a copy */
};

/** What mount_prepare() cannot do without holding up the launcher. */
enum mount_wants {
    MOUNT_WANTS_NOTHING,
    MOUNT_WANTS_LOOK, /* very many entries, or links to follow: mount_copy() without FORCE */
    MOUNT_WANTS_COPY, /* mount_copy() with FORCE */
};

/** Makes mount M, the sandbox's number INDEX; returns the detached mount. Sources are resolved
 * once, below their root, never leaving it by links. Where *RET_WANTS is set, there is no mount (0
 * is returned) until mount_copy() has run and its result is given as READY. */
int mount_prepare(const struct mount_source *s, const struct sandbox_mount *m, size_t index,
                  enum mount_ready ready, enum mount_wants *ret_wants, struct error *e);

/** Copies the source of M into the sandbox's scratch, with ids shifted. Without FORCE only where it
 * has owners that cannot be mapped; else it copies no more than what links lead to, where M has
 * them followed. May take long. 1: copied (MOUNT_COPIED); 0: not needed (MOUNT_LOOKED_AT). */
int mount_copy(const struct mount_source *s, const struct sandbox_mount *m, size_t index,
               bool force, struct error *e);

/** A clone of MOUNT_FD that stays with the launcher, from which later sandboxes may clone subtrees.
 * NAME is unique among those kept. Closing it is not enough on kernels that clone attached mounts
 * only: mount_unkeep(). */
int mount_keep(const struct host *h, int mount_fd, const char *name, struct error *e);
void mount_unkeep(const struct host *h, int kept_fd, const char *name);
