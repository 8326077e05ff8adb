/* Copies of directory trees with ids shifted, for what cannot be idmapped. */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bounds: a task directory is smaller by orders of magnitude; beyond them the start fails. */
#define COPYTREE_ENTRIES_MAX 200000
#define COPYTREE_DEPTH_MAX   64 /* each level holds two fds */
/* One copytree_place(): what a sandbox can make us write elsewhere. A file with holes counts as
 * long as it says it is. */
#define COPYTREE_BYTES_MAX ((uint64_t)4 << 30)

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

/** Copies what the O_PATH descriptor SOURCE_FD is (a directory with everything below it, a file, or
 * a link as a link) to the directory TARGET_FD as NAME; NULL: the content of a directory. Made are
 * directories, files and links that belong to the caller's file system ids, with the modes of the
 * originals but for set-id bits. A directory that is there takes the new entries in; what else is
 * there is replaced, never written through or followed, on neither side. Fifos, sockets, devices
 * and what is mounted below are left out. Neither tree need be trusted. PROC_FD is a /proc of the
 * caller's pid namespace. -E2BIG beyond MAX entries, -EFBIG, -ELOOP beyond the bounds above; what
 * was made until then stays. */
int copytree_place(int proc_fd, int source_fd, int target_fd, const char *name, size_t max,
                   struct error *e);
