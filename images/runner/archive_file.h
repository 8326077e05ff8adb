/* /archive as a tar.gz file. */
#pragma once

#include "base/error.h"

#include <stdint.h>

/* Bounds. Compressed, it travels in base64 beside the rest of the result in one frame. */
#define ARCHIVE_SIZE_MAX ((uint64_t)128 << 20)
#define ARCHIVE_CONTENT_MAX                                                                        \
    ((uint64_t)1 << 30) /* before compression: what a sparse file can cost */
#define ARCHIVE_ENTRIES_MAX 100000
#define ARCHIVE_DEPTH_MAX   128 /* each level holds one fd */

/** Packs DIR below ROOT_FD, sorted by name, links as links, sockets and devices left out.
 * *ret_fd: an unnamed file with *ret_size bytes, read from its start. */
int archive_file_make(int root_fd, const char *dir, int *ret_fd, uint64_t *ret_size,
                      struct error *e);
