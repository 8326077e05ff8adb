/* The disk limit: a file system of its own for each sandbox that has one.
 *
 * It is an image file that has no name, on a loop device that the kernel clears when the file
 * system is gone, mounted over the sandbox's directory of the scratch. Bytes and inodes are bounded
 * by what the file system has; what the sandbox sees is ENOSPC. At the end the file system is shut
 * down first, so that nothing is written out that nobody will read, and the host's disk has the
 * image's blocks back when the last file is closed. */
#pragma once

#include "base/error.h"

#include "runtime/sandbox.h"

/** What makes loop devices. */
struct disk_host {
    int control_fd; /* /dev/loop-control, negative where there is none */
    int dev_fd;     /* a tmpfs for their nodes */
};
#define DISK_HOST_INIT                                                                             \
    {                                                                                              \
        -EBADF, -EBADF                                                                             \
    }

/** Opens what is needed; no error where there are no loop devices. Before the host's /dev is out of
 * reach. */
int disk_host_open(struct disk_host *h, struct error *e);
void disk_host_close(struct disk_host *h);

/** Makes a file system with LIMITS and attaches it to the directory DIR_FD of the scratch; its
 * image goes to the same place. Returns the mount's root, opened for reading. */
int disk_attach(const struct disk_host *h, int dir_fd, const struct sandbox_limits *limits,
                struct error *e);

/** Shuts the file system down: nobody can use it any more, nothing is written. */
void disk_shut_down(int root_fd);
