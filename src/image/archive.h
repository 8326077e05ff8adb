/* Which files a tar archive has, and where they stand in it. */
#pragma once

#include "base/cleanup.h"
#include "base/error.h"

#include <stdint.h>

struct archive;

/** Reads the headers of the archive FD, a regular file. */
int archive_index(int fd, struct archive **ret, struct error *e);
void archive_free(struct archive *a);
DEFINE_CLEANUP(struct archive, archive_free)
/** The place of the file NAME, links inside the archive followed. -ENOENT, -ELOOP, -EBADMSG. */
int archive_find(const struct archive *a, const char *name, uint64_t *ret_offset,
                 uint64_t *ret_size, struct error *e);
