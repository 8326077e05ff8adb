/* What is remembered of an unpacked layer, to compare it with later. It is taken while the layer is
 * unpacked, when the bytes are at hand, and finds damage of the disk and of careless hands; whoever
 * may write to the store may change it, too, so its checksums need not be cryptographic.
 *
 * Version 3 is a struct sum_record for every name in the layer, sorted. Older stores have sorted
 * 64-bit numbers. Of version 2: one for every name in the layer, of name, content, type, mode,
 * owner, time and extended attributes; for the further names of a file, of these names; for a
 * whiteout, of its name. Of version 1: one for every file, link and fifo, of content, type, mode
 * and owner. */
#pragma once

#include "base/buffer.h"
#include "base/error.h"
#include "image/bounds.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

enum sums_version { SUMS_OF_FILES = 1, SUMS_OF_NAMES = 2, SUMS_OF_PROPERTIES = 3 };

/** Bytes that are kept of a name's last component, to name what is gone. */
#define SUM_NAME_KEPT 28

struct sum_record {
    uint64_t path;   /* checksum_path(); records are sorted by it */
    uint64_t parent; /* of its directory */
    /* Also of a link's target; for SUM_FURTHER_NAME: checksum_path() of the first name. */
    uint64_t content;
    uint64_t attributes; /* checksum_attribute() of each, added up */
    uint64_t mtime;      /* in nanoseconds */
    uint32_t uid, gid;
    uint32_t mode;            /* with its type: SUM_FURTHER_NAME, or S_IFCHR for a whiteout */
    char name[SUM_NAME_KEPT]; /* no NUL behind one that is as long or longer */
};
/** Instead of a mode: a hard link to a file that has its record under another name. */
#define SUM_FURTHER_NAME 0

/** Bytes of one layer's sums: all entries, and as many implied directories as names can have. */
#define SUMS_SIZE_MAX ((LAYER_ENTRIES_MAX + LAYER_NAMES_MAX / 2) * sizeof(struct sum_record))

/** A running checksum; {0} begins one. Pieces may be cut anywhere. */
struct checksum {
    uint64_t lanes[4];
    uint8_t tail[32];
    size_t tail_size;
    uint64_t size;
};
void checksum_update(struct checksum *c, const void *data, size_t size);
/** The sum of one file of version 1, whose content (or target, of a link) came before. */
uint64_t checksum_file(const struct checksum *c, mode_t mode, uid_t uid, gid_t gid);

/** What is remembered of a file beside its content. */
struct sum_subject {
    const char *path; /* "a/b"; "" for the layer's root */
    mode_t mode;      /* with its type */
    uid_t uid;
    gid_t gid;
    struct timespec mtime;
    uint64_t attributes; /* checksum_attribute() of each, added up: their order means nothing */
};
uint64_t checksum_path(const char *path);
/** Of an extended attribute that layers have, else 0. */
uint64_t checksum_attribute(const char *name, const void *value, size_t size);
uint64_t checksum_subject(const struct checksum *c, const struct sum_subject *subject);
/** Of PATH, a further name of the file whose first name has the checksum_path() FIRST. */
uint64_t checksum_link(const char *path, uint64_t first);
uint64_t checksum_whiteout(const char *path);

struct sum_record sum_of_subject(const struct checksum *content, const struct sum_subject *subject);
/** As checksum_link() and checksum_whiteout(). */
struct sum_record sum_of_link(const char *path, uint64_t first);
struct sum_record sum_of_whiteout(const char *path);
/** -ENOMEM. */
int sums_add_record(struct buffer *sums, const struct sum_record *record);
void sums_sort_records(struct buffer *sums);
/** The record of the name with that checksum_path(), or NULL. */
const struct sum_record *sums_find(const struct buffer *sums, uint64_t path);

/** What can differ; several at once. */
enum sum_property {
    SUM_TYPE = 1 << 0,
    SUM_CONTENT = 1 << 1,
    SUM_TARGET = 1 << 2, /* of a symbolic link */
    SUM_MODE = 1 << 3,
    SUM_OWNER = 1 << 4,
    SUM_MTIME = 1 << 5,
    SUM_XATTRS = 1 << 6,
    SUM_HARD_LINK = 1 << 7,
    SUM_MISSING = 1 << 8,
    SUM_ADDITIONAL = 1 << 9,
};
#define SUM_PROPERTIES 10
/** 0, or what of two records of one name differs. */
unsigned sum_differences(const struct sum_record *expected, const struct sum_record *found);

/** Orders sums, and records by their path, for qsort(3) and bsearch(3): both begin with 64 bits. */
int sums_order(const void *a, const void *b);
int sums_add(struct buffer *sums, uint64_t sum);
void sums_sort(struct buffer *sums);
bool sums_have(const struct buffer *sums, uint64_t sum);
/** How many of the sorted EXPECTED are not in the sorted FOUND. */
size_t sums_missing(const struct buffer *expected, const struct buffer *found);

/** A number for each of some inodes: of files that have several names. {0} is an empty one. */
struct inode_map {
    struct inode_place {
        uint64_t inode; /* 0: free */
        uint64_t value;
    } * places; /* owned */
    size_t n, size;
};
void inode_map_clear(struct inode_map *m);
/** -ENOMEM. */
int inode_map_put(struct inode_map *m, uint64_t inode, uint64_t value);
bool inode_map_get(const struct inode_map *m, uint64_t inode, uint64_t *ret);

/** Takes the records of all below ROOT_FD, in order. */
int sums_take(int root_fd, struct buffer *ret, struct error *e);

struct sums_found {
    uint64_t files; /* whatever is no directory, by inodes */
    size_t missing; /* older versions: sums of EXPECTED that nothing has which is there, nor any
                     * fault explains */
};
/** Called for each fault: a path, and why it cannot be read (negative), which properties differ
 * (enum sum_property), or 0 where it differs and the version does not tell in what. */
typedef void (*sums_fault_fn)(void *userdata, const char *path, int code);
/** Compares all below ROOT_FD with the sorted EXPECTED of VERSION. Faults are no error. */
int sums_compare(int root_fd, enum sums_version version, const struct buffer *expected,
                 sums_fault_fn fault, void *userdata, struct sums_found *ret, struct error *e);
