/* The inside of an image store, for the room's own files; users take image.h. */
#pragma once

#include "image/digest.h"
#include "image/image.h"
#include "image/notes.h"

struct image_store {
    char *directory; /* as given, for error lines */
    enum image_store_mode mode;
    int fd;
    int lock_fd; /* holds the shared lock */
    int layers_fd;
    int images_fd;
    int leaving_fd; /* IMAGE_STORE_CHANGE */
    int tmp_fd;     /* IMAGE_STORE_CHANGE: holds its exclusive lock */
};

/** Whether the layer is in layers/; its notes are, then, too. */
int store_has_layer(struct image_store *s, const struct digest *diff_id, bool *ret,
                    struct error *e);
/** Opens a layer's root and reads its notes: one that is in layers/, or still in tmp/. */
int store_open_layer(struct image_store *s, const struct digest *diff_id, int *ret_fd,
                     struct layer_notes *ret_notes, struct error *e);
/** Makes the empty directory tmp/HEX (0755) for a layer and opens it. */
int store_begin_layer(struct image_store *s, const struct digest *diff_id, int *ret_fd,
                      struct error *e);
/** Writes the notes beside it, to be moved with it. */
int store_note_layer(struct image_store *s, const struct digest *diff_id,
                     const struct layer_notes *notes, struct error *e);
/** Everything below the store reaches the disk. */
int store_sync(struct image_store *s, struct error *e);
/** Moves tmp/HEX and its notes to layers/. */
int store_commit_layer(struct image_store *s, const struct digest *diff_id, struct error *e);
/** Writes the record to tmp/, on disk when this returns if SYNC, else with the next store_sync().
 */
int store_write_record(struct image_store *s, const struct image *image, bool sync,
                       struct error *e);
/** The shared lock by which an open record is held; -ENOENT where it is gone already. */
int store_hold_record(int record_fd);
/** Holds the record that has just been committed. */
int store_hold_image(struct image_store *s, struct image *image, struct error *e);
/** Takes the record FILE out of images/ and puts tmp/SUCCESSOR in its place, if that is not NULL. A
 * record that somebody holds stays in leaving/, where it goes on naming the layers it needs.
 * *ret_held (may be NULL) says so. */
int store_retire_record(struct image_store *s, const char *file, const char *successor,
                        bool *ret_held, struct error *e);
/** Makes the moved layers durable, then the record visible. */
int store_commit_record(struct image_store *s, const struct image *image, struct error *e);
/** Removes whatever lies in tmp/. */
int store_empty_tmp(struct image_store *s, struct error *e);
/** Removes from tmp/ all but complete layers of a load that was killed. */
int store_tidy_tmp(struct image_store *s, struct error *e);
/** Whether tmp/ has the layer, complete, from a load that was killed. */
bool store_has_unfinished(struct image_store *s, const struct digest *diff_id);
/** The checksums of a layer in layers/ (sums.h), sorted, in the VERSION that its notes say. */
int store_read_sums(struct image_store *s, const struct digest *diff_id, enum sums_version version,
                    struct buffer *ret, struct error *e);
/** Takes a layer out of layers/. Nobody may need it any more. */
int store_remove_layer(struct image_store *s, const struct digest *diff_id, struct error *e);
/** Calls EACH for everything in layers/, for one layer up to three times; ends at a negative value.
 */
int store_each_layer(struct image_store *s,
                     int (*each)(void *userdata, const struct digest *diff_id, struct error *e),
                     void *userdata, struct error *e);

/** "image store DIR: WHAT: " and the text of CODE; returns CODE. */
int store_error(const struct image_store *s, int code, struct error *e, const char *what);
/** flock(2), again where a signal interrupted it. */
int store_lock(int fd, int how);
/** Makes or replaces a file, on disk when this returns if SYNC, else with the next store_sync(). */
int store_write_file(int dir_fd, const char *name, mode_t mode, const void *data, size_t size,
                     bool sync);
