/* A writer of tar streams: ustar headers, with pax headers in front of entries that need them. The
 * same entries give the same bytes. */
#pragma once

#include "base/buffer.h"
#include "image/tar.h"

/** Appends the header block or blocks of ENTRY to OUT: its data has to follow, and then padding.
 * xattrs become SCHILY.xattr records in their order. */
int tar_write_header(struct buffer *out, const struct tar_entry *entry);
#define TAR_HEADER_SIZE 512
/** The header of a file of root's without a time, whose name has up to 99 bytes. */
void tar_write_plain_header(uint8_t *block, const char *path, uint64_t size);
/** Appends what fills the last block of SIZE bytes of data. */
int tar_write_padding(struct buffer *out, uint64_t size);
/** Appends the two blocks that end an archive. */
int tar_write_end(struct buffer *out);
