/* Checksums of an unpacked layer: one for every file, link and fifo, of its content, type, mode and
 * owner. They are taken while the layer is unpacked, when the bytes are at hand, and find damage of
 * the disk and of careless hands; whoever may write to the store may change them, too, so they need
 * not be cryptographic. */
#pragma once

#include "base/buffer.h"
#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

/** A running checksum; {0} begins one. Pieces may be cut anywhere. */
struct checksum {
    uint64_t lanes[4];
    uint8_t tail[32];
    size_t tail_size;
    uint64_t size;
};
void checksum_update(struct checksum *c, const void *data, size_t size);
/** The sum of one file, whose content (or target, of a link) came before. */
uint64_t checksum_file(const struct checksum *c, mode_t mode, uid_t uid, gid_t gid);

/** Called for each file of a walk: its path and sum, or a negative errno where it cannot be read.
 */
typedef void (*sums_visit_fn)(void *userdata, const char *path, uint64_t sum, int code);

/** Takes the sums of all below ROOT_FD, appends them to SUMS and sorts these. A file with several
 * names has one, whichever is met first. VISIT may be NULL: then the first file that cannot be read
 * ends the walk. */
int sums_walk(int root_fd, struct buffer *sums, sums_visit_fn visit, void *userdata,
              struct error *e);
int sums_add(struct buffer *sums, uint64_t sum);
void sums_sort(struct buffer *sums);
bool sums_have(const struct buffer *sums, uint64_t sum);
/** How many of the sorted EXPECTED are not in the sorted FOUND. */
size_t sums_missing(const struct buffer *expected, const struct buffer *found);
