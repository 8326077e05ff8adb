/* Copies of directory trees with ids shifted, for what cannot be idmapped. */
#pragma once

#include "base/error.h"

#include <stdint.h>

/* Bounds: a task directory is smaller by orders of magnitude; beyond them the start fails. */
#define COPYTREE_ENTRIES_MAX 200000
#define COPYTREE_DEPTH_MAX   64 /* each level holds two fds */

/** 1 when anything below FD (a directory) has an owner or group beyond 65535, which an id mapping
 * would leave without an owner inside; 0 when not. */
int copytree_has_foreign_owner(int fd, struct error *e);

/** Copies the content and attributes of directory SOURCE_FD to the existing directory TARGET_FD, by
 * descriptor, never following a link, never leaving the source's file system. Data is shared
 * (FICLONE) where the file system can. Ids 0..65535 become BASE.., others container root's. Sockets
 * and device nodes are left out. */
int copytree(int source_fd, int target_fd, uint32_t base, struct error *e);
