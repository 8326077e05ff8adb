/* Overlays and the root file system of a sandbox, made by the launcher as detached mounts. */
#pragma once

#include "host.h"
#include "network.h"

#include <sys/stat.h>

/** The parts of one overlay. All fds stay the caller's. */
struct overlay {
    const int *lowers; /* detached mounts (idmapped where need be), topmost first */
    size_t n_lowers;
    int upper_fd; /* O_PATH directories of the scratch */
    int work_fd;
    unsigned attrs; /* MOUNT_ATTR_* of the result */
    bool lasting;   /* the upper is to be read by others afterwards: whole files, no redirections,
                       safe on disk when it is unmounted */
};

/** Mounts it, detached; returns the fd. The superblock belongs to the initial user namespace: a
 * container's root may not stack foreign layers itself, and an overlay cannot be idmapped, so its
 * layers are. On kernels that take layers by path only they are attached below /stage for the time
 * of the call, and LOWERS then refers to nothing that can be attached again. */
int overlay_mount(const struct host *h, const struct overlay *o, struct error *e);

/** Makes directory NAME with MODE below DIR_FD, owned by host ids UID and GID; returns it as an
 * O_PATH fd. */
int make_owned_dir(int dir_fd, const char *name, mode_t mode, uid_t uid, gid_t gid,
                   struct error *e);

/** The root of a sandbox: layers of SPEC idmapped by USERNS_FD to BASE, changes below SCRATCH_FD
 * (directories "u" and "w" are made there), /etc/hosts, hostname and resolv.conf in place, for
 * PLACE in the network (NULL: none). Returns a detached mount. */
int rootfs_make(const struct host *h, const struct sandbox_spec *spec,
                const struct network_place *place, int scratch_fd, int userns_fd, uint32_t base,
                struct error *e);
