/* Records of a store: written in tmp/, made visible by a rename, and kept for those who hold them.
 */
#include "base/fdio.h"
#include "image/fields.h"
#include "image/names.h"
#include "image/store.h"

#include <linux/limits.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

/* The record in tmp/. */
#define RECORD "record"

int store_write_record(struct image_store *s, const struct image *image, bool sync, struct error *e)
{
    _cleanup_json_ json_t *json = image_to_json(image);
    _cleanup_free_ char *text = json_dumps(json, JSON_INDENT(2));
    int r = text ? store_write_file(s->tmp_fd, RECORD, 0644, text, strlen(text), sync) : -ENOMEM;

    return r < 0 ? store_error(s, r, e, "record") : 0;
}

int store_hold_record(int record_fd)
{
    struct stat st;
    int r = store_lock(record_fd, LOCK_SH);

    if (r < 0)
        return r;
    if (fstat(record_fd, &st) < 0)
        return -errno;
    return st.st_nlink > 0 ? 0 : -ENOENT;
}

/* A record that somebody holds gets a second name in leaving/, that of its inode. */
static int keep_held(struct image_store *s, const char *file, int fd, bool *ret_held,
                     struct error *e)
{
    char name[32];
    struct stat st;

    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return 0;
    if (errno != EWOULDBLOCK || fstat(fd, &st) < 0)
        return store_error(s, -errno, e, file);
    *ret_held = true;
    snprintf(name, sizeof(name), "%llu", (unsigned long long)st.st_ino);
    if (linkat(s->images_fd, file, s->leaving_fd, name, 0) < 0 && errno != EEXIST)
        return store_error(s, -errno, e, "leaving");
    return fsync(s->leaving_fd) < 0 ? store_error(s, -errno, e, "leaving") : 0;
}

int store_retire_record(struct image_store *s, const char *file, const char *successor,
                        bool *ret_held, struct error *e)
{
    /* Kept open, and so locked, until the name is gone: who comes now finds no links left. */
    _cleanup_close_ int fd = openat(s->images_fd, file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    bool held = false;
    int r;

    if (fd < 0 && errno != ENOENT)
        return store_error(s, -errno, e, file);
    if (fd < 0 && !successor)
        return error_set(e, -ENOENT, "image store %s: %s is not there", s->directory, file);
    r = fd < 0 ? 0 : keep_held(s, file, fd, &held, e);
    if (r < 0)
        return r;
    r = successor ? renameat(s->tmp_fd, successor, s->images_fd, file)
                  : unlinkat(s->images_fd, file, 0);
    if (r < 0 || fsync(s->images_fd) < 0)
        return store_error(s, -errno, e, file);
    if (ret_held)
        *ret_held = held;
    return 0;
}

int store_commit_record(struct image_store *s, const struct image *image, struct error *e)
{
    char file[NAME_MAX + 1];
    int r = image_file_name(image->name, file, e);

    if (r < 0)
        return r;
    if (fsync(s->layers_fd) < 0)
        return store_error(s, -errno, e, "fsync layers");
    return store_retire_record(s, file, RECORD, NULL, e);
}
