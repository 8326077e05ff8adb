/* A reader of tar streams: ustar, pax and GNU, as layers are written (image-spec, layer.md).
 *
 * Theory of operation: the stream is pulled block by block from a fill function; names and
 * attributes are bytes, as in the archive, with no idea of a locale; nothing is allocated that a
 * bound does not limit. Whatever Go's archive/tar takes and layers contain is read;
 * what is damaged, ambiguous or of an unknown type is an error, never skipped in the hope of
 * finding the next header. Global pax headers are ignored, as Go does.
 *
 * libarchive is not used because it converts pax names through the locale's character set, which
 * changes names that are not UTF-8, and because its memory is not ours to bound. */
#pragma once

#include "base/error.h"
#include "image/image_bounds.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

/** The next run of the stream: *ret_data stays valid until the next call. Returns its size, 0 at
 * the end, a negative errno with E set. */
typedef ssize_t (*tar_fill_fn)(void *userdata, const uint8_t **ret_data, struct error *e);

enum tar_type {
    TAR_FILE,
    TAR_HARDLINK,
    TAR_SYMLINK,
    TAR_CHARACTER_DEVICE,
    TAR_BLOCK_DEVICE,
    TAR_DIRECTORY,
    TAR_FIFO,
};

struct tar_xattr {
    char *name; /* without the "SCHILY.xattr." */
    uint8_t *value;
    size_t size;
};

struct tar_region {
    uint64_t offset, size;
};

struct tar_entry {
    enum tar_type type;
    const char *path; /* as written; not checked for anything but NUL and length */
    const char *link; /* target of TAR_HARDLINK and TAR_SYMLINK */
    mode_t mode;      /* permission bits only, 07777 */
    uint64_t uid, gid;
    struct timespec mtime;
    uint64_t size; /* apparent, of TAR_FILE */
    const struct tar_xattr *xattrs;
    size_t n_xattrs;
};

struct tar_reader;

int tar_reader_new(tar_fill_fn fill, void *userdata, struct tar_reader **ret);
/** Other bounds than image_bounds_default: of extended headers, attributes and sparse maps. BOUNDS
 * must outlive T. */
void tar_reader_bound(struct tar_reader *t, const struct image_bounds *bounds);
void tar_reader_free(struct tar_reader *t);
DEFINE_CLEANUP(struct tar_reader, tar_reader_free)

/** Lets the reader leave bytes of the stream out instead of pulling them: JUMP goes forward by up
 * to SIZE bytes and returns how many. */
typedef uint64_t (*tar_jump_fn)(void *userdata, uint64_t size);
void tar_reader_jumps(struct tar_reader *t, tar_jump_fn jump);

/** Where in the stream the reader is: after tar_next() where the entry's data begins. */
uint64_t tar_position(const struct tar_reader *t);
/** Whether the present entry's data is not all of its file. */
bool tar_is_sparse(const struct tar_reader *t);

/** The next entry, owned by the reader and valid until the next call; *ret is NULL at the archive's
 * end. What is left of the present entry's data is skipped. -EBADMSG for a damaged archive. */
int tar_next(struct tar_reader *t, const struct tar_entry **ret, struct error *e);

/** The next piece of the entry's data and its place in the file. Returns 1, 0 at the data's end or
 * a negative errno. */
int tar_data(struct tar_reader *t, const uint8_t **ret_data, size_t *ret_size, uint64_t *ret_offset,
             struct error *e);
