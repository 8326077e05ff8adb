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

/** Makes mount M, the sandbox's number INDEX; returns the detached mount. Sources are resolved
 * once, below their root, never leaving it by links. */
int mount_prepare(const struct mount_source *s, const struct sandbox_mount *m, size_t index,
                  struct error *e);

/** A clone of MOUNT_FD that stays with the launcher, from which later sandboxes may clone subtrees.
 * NAME is unique among those kept. Closing it is not enough on kernels that clone attached mounts
 * only: mount_unkeep(). */
int mount_keep(const struct host *h, int mount_fd, const char *name, struct error *e);
void mount_unkeep(const struct host *h, int kept_fd, const char *name);
