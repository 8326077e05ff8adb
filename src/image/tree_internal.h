/* What the files of the tree writer share. */
#pragma once

#include "image/entry.h"
#include "image/sums.h"
#include "image/tree.h"

#include <sys/stat.h>

struct described { /* a directory */
    struct timespec mtime;
    uint64_t attributes;
};

struct layer_tree {
    int root_fd;
    const struct image_bounds *bounds;
    struct layer_notes *notes;
    char parent[ENTRY_PATH_MAX + 1]; /* the directory last used and its descriptor */
    int parent_fd;                   /* -EBADF: none; the root's is not kept here */
    bool parent_stale;               /* the name may lead elsewhere by now */
    bool parent_gid_inherited;    /* the directory is set-gid: what is made in it has its group */
    bool parent_setgid;           /* the same of the one that was asked for last */
    struct path_list directories; /* described by entries */
    struct described *described;  /* what these said; as many */
    size_t described_capacity;
    bool root_described;
    const char **opaque;     /* at the end: the directories of LAYER_OPAQUE, sorted */
    uint64_t attributes;     /* of the entry that was made last: checksum_attribute() */
    struct inode_map linked; /* files with several names: checksum_path() of the first */
};

/** Opens a directory that is there, by its name or through links, O_PATH. */
int tree_open_directory(struct layer_tree *t, const char *path);
/** The directory's descriptor, valid until the next call and not the caller's to close; the
 * directory is made where it is missing. */
int tree_open_parent(struct layer_tree *t, const char *path, int *ret, struct error *e);
/** What stands at BASE; -ENOENT where nothing does. */
int tree_stat(int parent_fd, const char *base, struct stat *ret);
bool tree_is_whiteout(const struct stat *st);
/** Removes what stands at BASE, a whole tree if need be; *ret_whiteout tells that it was one. */
int tree_clear_place(struct layer_tree *t, int parent_fd, const char *base, bool *ret_whiteout,
                     struct error *e);
/** Makes a directory at BASE, or takes the one that is there. PATH is its name in the notes. */
int tree_make_directory(struct layer_tree *t, int parent_fd, const char *path, const char *base,
                        mode_t mode, bool *ret_made, struct error *e);
int tree_note(struct layer_tree *t, struct path_list *list, const char *path, struct error *e);
/** A directory of the layer stands where the lower one was taken away. */
int tree_note_replaced(struct layer_tree *t, const char *path, struct error *e);

/** What a file has from being made, by a writer whose ids are 0 and whose umask is 0. Most files of
 * most images need no further call. */
struct tree_made {
    mode_t mode;
    bool gid_inherited;
};
/** Owner, mode and attributes of an open file or directory; not its time. MADE is NULL for what may
 * be older. */
int tree_set_attributes(struct layer_tree *t, int fd, const struct tar_entry *entry,
                        const struct tree_made *made, struct error *e);
/** Counts attributes that this kind of file cannot have; refuses those that would steer overlayfs.
 */
int tree_drop_xattrs(struct layer_tree *t, const struct tar_entry *entry, struct error *e);

/** The time that a file got: the file system may have cut it. NAME may be "", for FD itself. */
int tree_stored_time(int fd, const char *name, const struct timespec *wanted, struct timespec *ret);
/** Remembers a directory's time, and its attributes, which are those of the last entry. */
int tree_describe_directory(struct layer_tree *t, const char *path, const struct timespec *mtime,
                            struct error *e);
/** Sets the times of all directories and brings the notes into order. */
int tree_finish(struct layer_tree *t, struct error *e);
