/* An empty ext4 file system for one sandbox, made in a millisecond and without any program of the
 * host: no journal, no checksums, no reserve, inodes as asked for. What need not be written stays a
 * hole in the file. Fields are those of the kernel's Documentation/filesystems/ext4/. */
#pragma once

#include "base/error.h"

#include <stdint.h>

#define MKFS_BLOCK 4096

/** Sizes of a file system to be made. */
struct mkfs_plan {
    uint64_t blocks; /* of the whole file system */
    uint64_t inodes; /* that files can have; groups may have more, which are never free */
    uint64_t groups;
    uint32_t inodes_per_group;
    uint32_t table_blocks; /* of the inodes of one group */
    uint32_t descriptor_blocks;
};

/** Plans a file system in which BYTES of data and INODES files fit, whatever it needs for itself.
 * -EFBIG beyond 8 TiB. */
int mkfs_plan(uint64_t bytes, uint64_t inodes, struct mkfs_plan *ret);

/** Makes it in the empty file FD, which gets the right size. */
int mkfs_make(int fd, const struct mkfs_plan *p);
