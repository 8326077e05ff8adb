/* What unpacking one layer may come to. The defaults take every public image that is known; whoever
 * runs a grader can allow more or less, up to what the unpacker is built for. */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

#define IMAGE_BOUND_GIB ((uint64_t)1 << 30)
#define IMAGE_BOUND_MIB ((uint64_t)1 << 20)

/** The bounds: X(CONSTANT, field, "name", whether it is a size, default, highest value).
 *   - stream: bytes of the decompressed archive; a bomb of zeros inflates a thousandfold
 *   - files: apparent sizes of the files together, so also what a sparse file claims to be
 *   - entries: a complete TeX Live has 250,000. Each takes memory for its checksum
 *   - names: bytes of directory names remembered, because times of directories are set last
 *   - path, name: PATH_MAX and NAME_MAX; longer ones could not be opened again
 *   - depth: components; removing a tree holds one descriptor a level, of which a process has 1024
 *   - xattrs, xattr-bytes: extended attributes of one entry; the kernel takes 64 KiB for one value
 *   - header: one pax extended header. A long path, a long link and the attributes fit four times
 *   - regions: pieces of data of one sparse file */
#define IMAGE_BOUND_LIST(X)                                                                        \
    X(STREAM, stream, "stream", true, 64 * IMAGE_BOUND_GIB, 4096 * IMAGE_BOUND_GIB)                \
    X(FILES, files, "files", true, 64 * IMAGE_BOUND_GIB, 4096 * IMAGE_BOUND_GIB)                   \
    X(ENTRIES, entries, "entries", false, 2000000, 8000000)                                        \
    X(NAMES, names, "names", true, 64 * IMAGE_BOUND_MIB, 256 * IMAGE_BOUND_MIB)                    \
    X(PATH, path, "path", false, 4095, 4095)                                                       \
    X(NAME, name, "name", false, 255, 255)                                                         \
    X(DEPTH, depth, "depth", false, 256, 512)                                                      \
    X(XATTRS, xattrs, "xattrs", false, 64, 1024)                                                   \
    X(XATTR_BYTES, xattr_bytes, "xattr-bytes", true, 64 << 10, IMAGE_BOUND_MIB)                    \
    X(HEADER, header, "header", true, IMAGE_BOUND_MIB, 16 * IMAGE_BOUND_MIB)                       \
    X(REGIONS, regions, "regions", false, 65536, 4 << 20)

#define IMAGE_BOUND_CONSTANT(constant, field, name, is_size, standard, highest)                    \
    IMAGE_BOUND_##constant,
enum image_bound { IMAGE_BOUND_LIST(IMAGE_BOUND_CONSTANT) IMAGE_BOUNDS };
#undef IMAGE_BOUND_CONSTANT

#define IMAGE_BOUND_FIELD(constant, field, name, is_size, standard, highest) uint64_t field;
struct image_bounds {
    IMAGE_BOUND_LIST(IMAGE_BOUND_FIELD)
};
#undef IMAGE_BOUND_FIELD

extern const struct image_bounds image_bounds_default;

/** Whether VALUE, which a layer has for BOUND, is beyond it: then E says what it has too much of
 * (WHAT: "entries in the layer"), the bound and how to raise it. */
bool image_bound_exceeded(const struct image_bounds *b, enum image_bound bound, uint64_t value,
                          const char *what, struct error *e);
