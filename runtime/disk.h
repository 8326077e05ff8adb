/* The disk limit, in one of two ways.
 *
 * Where the scratch is on a file system with project quotas that are enforced, each sandbox's
 * directory is a project (quota.h): nothing has to be made at a start.
 *
 * Elsewhere each sandbox has a file system of its own: an image file that has no name, on a loop
 * device that the kernel clears when the file system is gone, mounted over the sandbox's directory
 * of the scratch. Bytes and inodes are bounded by what the file system has; what the sandbox sees
 * is ENOSPC. At the end the file system is shut down first, so that nothing is written out that
 * nobody will read, and the host's disk has the image's blocks back when the last file is closed.
 */
#pragma once

#include "base/error.h"

#include "runtime/launcher.h"

/** What makes loop devices, or the projects that stand in for them. */
struct disk_host {
    int control_fd; /* /dev/loop-control, negative where there is none or it is not wanted */
    int dev_fd;     /* a tmpfs for their nodes */
    uint32_t first_project; /* of the host's project ids; 0 where quotas are not used */
};
#define DISK_HOST_INIT                                                                             \
    {                                                                                              \
        -EBADF, -EBADF, 0                                                                          \
    }

/** Finds out by trying, in a directory below SCRATCH_FD, how disks can be bounded, of what CONFIG
 * leaves to choose; no error where they cannot. Before the host's /dev is out of reach. */
int disk_host_open(struct disk_host *h, const struct launcher_config *config, int scratch_fd,
                   struct error *e);
void disk_host_close(struct disk_host *h);

/** Whether a limit can be enforced. */
static inline bool disk_host_is_able(const struct disk_host *h)
{
    return h->control_fd >= 0 || h->first_project != 0;
}

/** How one sandbox's scratch is bounded. */
struct disk {
    bool mounted;     /* by a file system of its own */
    uint32_t project; /* by the quota of this one; 0: it is not */
};

/** Bounds the empty directory *DIR_FD of the scratch, of the sandbox with the ids from BASE on, by
 * LIMITS. With a file system of its own, whose image goes to the same place, *DIR_FD becomes the
 * mount's root, opened for reading. */
int disk_attach(const struct disk_host *h, int *dir_fd, uint32_t base,
                const struct sandbox_limits *limits, struct disk *ret, struct error *e);

/** The end of D, whose scratch ROOT_FD is: a file system is shut down, so that nobody can use it
 * any more and nothing is written; a project has its limits no longer. */
void disk_end(const struct disk *d, int root_fd);
