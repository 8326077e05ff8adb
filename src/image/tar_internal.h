/* What the files of the tar reader share. */
#pragma once

#include "image/bounds.h"
#include "image/tar.h"

#define TAR_BLOCK 512

/* What pax records and GNU long-name entries say about the entry that follows them. */
struct tar_extra {
    const struct image_bounds *bounds; /* not owned; stays when the rest is cleared */
    char *path, *link, *sparse_name;   /* owned; NULL where absent */
    bool has_size, has_uid, has_gid, has_mtime, has_real_size;
    uint64_t size, uid, gid, real_size;
    struct timespec mtime;
    struct tar_xattr *xattrs;
    size_t n_xattrs, xattr_bytes;
    unsigned sparse_major, sparse_minor;
    bool sparse; /* any GNU.sparse record */
    struct tar_region *regions;
    size_t n_regions;
    bool region_open; /* GNU.sparse.offset came, its numbytes not yet */
};

struct tar_reader {
    tar_fill_fn fill;
    void *userdata;
    tar_jump_fn jump;        /* may be NULL */
    const uint8_t *at, *end; /* the present run */
    uint64_t position;       /* of its end in the stream */
    uint8_t block[TAR_BLOCK];
    uint64_t stored;  /* bytes of the entry's data still in the stream */
    uint64_t padding; /* and what fills its last block */
    uint64_t start;   /* where in the stream its headers begin */
    bool finished;

    struct tar_extra extra;
    char path[ENTRY_PATH_MAX + 1], link[ENTRY_PATH_MAX + 1];
    struct tar_entry entry;
    size_t region; /* which region the data is in */
    uint64_t region_done;
    uint64_t offset; /* of a file without regions */
};

/** One block: 1, 0 at the end of the stream before its first byte, or a negative errno. */
int tar_read_block(struct tar_reader *t, const uint8_t **ret, struct error *e);
/** Exactly SIZE bytes into DATA. */
int tar_read_bytes(struct tar_reader *t, void *data, uint64_t size, struct error *e);
int tar_skip(struct tar_reader *t, uint64_t size, struct error *e);

/** A number field of a header: octal text or base-256. -EBADMSG. */
int tar_number(const uint8_t *field, size_t size, uint64_t *ret);

/** Reads the records of one extended header into X. */
int tar_parse_pax(struct tar_extra *x, char *data, size_t size, struct error *e);
void tar_extra_clear(struct tar_extra *x);

/** Appends a data region. -EBADMSG, -ENOMEM. */
int tar_add_region(struct tar_extra *x, uint64_t offset, uint64_t size, struct error *e);
/** Reads the map of an old GNU sparse header (type S) and its extension blocks. */
int tar_read_gnu_map(struct tar_reader *t, const uint8_t *header, struct error *e);
/** Reads the map that a GNU.sparse 1.0 file has in front of its data. */
int tar_read_map_1_0(struct tar_reader *t, struct error *e);
/** Regions ascending, within the file, together as long as what is stored. */
int tar_check_regions(const struct tar_extra *x, uint64_t real_size, uint64_t stored,
                      struct error *e);
