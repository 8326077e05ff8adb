/* Copies of directory trees with ids shifted, for what cannot be idmapped. */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bounds: a task directory is smaller by orders of magnitude; beyond them the start fails. */
#define COPYTREE_ENTRIES_MAX 200000
#define COPYTREE_DEPTH_MAX   64 /* each level holds two fds */

/** What a tree holds that an overlay over it cannot show. */
struct copytree_survey {
    bool foreign_owner; /* an owner or group beyond 65535: an id mapping would leave it without one
                         */
    bool links;         /* symbolic links */
};
/** Looks at everything below FD (a directory), or as far as the first foreign owner. -E2BIG when
 * MAX entries were not enough. */
int copytree_survey(int fd, size_t max, struct copytree_survey *ret, struct error *e);

/** Gives TARGET_FD the owner (shifted by BASE), mode and times of SOURCE_FD. */
int copytree_attributes(int source_fd, int target_fd, uint32_t base);

/** Copies the content and attributes of directory SOURCE_FD to the existing directory TARGET_FD, by
 * descriptor, never following a link, never leaving the source's file system. Data is shared
 * (FICLONE) where the file system can. Ids 0..65535 become BASE.., others container root's. Sockets
 * and device nodes are left out. */
int copytree(int source_fd, int target_fd, uint32_t base, struct error *e);
