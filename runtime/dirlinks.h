/* Links to directories in a tree of a root, replaced by copies of what they lead to. */
#pragma once

#include "base/error.h"

#include <stdint.h>

/** Links of one tree that are replaced, at most; what is copied is bounded as in copytree.h. */
#define DIRLINKS_MAX 1000

/** Walks the directory SOURCE_FD, which lies below ROOT_FD. For each symbolic link in it that leads
 * to a directory below the root, a directory with a copy of that one's content, ids shifted by
 * BASE, is made in its place below TARGET_FD (what stands there is replaced; missing parents are
 * made as they are in the source). TARGET_FD is an overlay's upper layer or a copy of the source.
 * Links inside the copies are treated alike. A link that is absolute, leads out of the root or to a
 * directory that it lies in stays a link.
 *
 * Returns how many were replaced. -E2BIG, -ELOOP beyond the bounds, or what the file system says.
 */
int dirlinks_replace(int root_fd, int source_fd, int target_fd, uint32_t base, struct error *e);
