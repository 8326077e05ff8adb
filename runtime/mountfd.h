/* Detached mounts: made, cloned and given attributes by descriptor, attached in one last step.
 *
 * Thin over fsopen(2), fsmount(2), open_tree(2), mount_setattr(2) and move_mount(2). Nothing here
 * resolves an untrusted path. Functions that return an fd give it to the caller, O_CLOEXEC. */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/mount.h>

/** One parameter of a file system: a string, an fd (VALUE NULL) or, with fd -1, a bare flag. */
struct mount_option {
    const char *key;
    const char *value;
    int fd;
};

/** What file systems of the kernel are mounted with. */
#define MOUNT_NOTHING_SPECIAL (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)

/** Makes a new instance of file system FS and mounts it, detached, with ATTRS (MOUNT_ATTR_*).
 * On failure the kernel's own words (fsopen(2) message log) go into E. */
int mount_new(const char *fs, const struct mount_option *options, size_t n, unsigned attrs,
              struct error *e);

/** Parameters of a tmpfs whose root belongs to one host id. */
struct mount_tmpfs {
    uint64_t size;   /* bytes; 0: the kernel's default, half of the memory */
    uint64_t inodes; /* 0: derived from size, one for every page */
    uint32_t owner;  /* host uid and gid */
    unsigned mode;
};
int mount_new_tmpfs(const struct mount_tmpfs *t, unsigned attrs, struct error *e);

/** Clones what FD refers to (file or directory), with all mounts below it where RECURSIVE. */
int mount_clone(int fd, bool recursive);

/** Sets ATTRS on a mount and, where USERNS_FD is not negative, its id mapping. 0 or a negative
 * errno; -EINVAL where the file system cannot be idmapped. */
int mount_change(int mount_fd, uint64_t attrs, int userns_fd, bool recursive);

/** Attaches a detached mount (or moves one) onto TARGET_FD. */
int mount_attach(int mount_fd, int target_fd);
