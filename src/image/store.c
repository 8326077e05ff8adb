#include "image/store.h"

#include "base/fdio.h"
#include "image/fields.h"
#include "image/names.h"

#include <dirent.h>
#include <linux/limits.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#define STORE_FORMAT "1\n"
/* The record in tmp/. */
#define RECORD "record"
/* A layer's notes are mostly names: LAYER_NAMES_MAX percent-encoded and in quotes. */
#define NOTES_FILE_MAX ((size_t)256 << 20)

static int store_error(const struct image_store *s, int code, struct error *e, const char *what)
{
    return error_sys(e, code, "image store %s: %s", s->directory, what);
}

static int lock(int fd, int how)
{
    while (flock(fd, how) < 0)
        if (errno != EINTR)
            return -errno;
    return 0;
}

/* Whether the directory has nothing that is not ours, so that it may become a store. */
static int check_unused(struct image_store *s, struct error *e)
{
    static const char *const ours[] = {".",      "..",      "lock", "layers",
                                       "images", "leaving", "tmp",  "format"};
    int fd = openat(s->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;
    bool foreign = false;

    if (!dir) {
        safe_close(fd);
        return store_error(s, -errno, e, "read");
    }
    while ((entry = readdir(dir))) {
        bool known = false;
        for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
            known |= strcmp(entry->d_name, ours[i]) == 0;
        foreign |= !known;
    }
    closedir(dir);
    if (foreign)
        return error_set(e, -ENOTDIR, "image store %s: not an image store, and not empty either",
                         s->directory);
    return 0;
}

static int write_new_file(int dir_fd, const char *name, mode_t mode, const void *data, size_t size)
{
    _cleanup_close_ int fd =
        openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, mode);
    int r;

    if (fd < 0)
        return -errno;
    r = fd_write_full(fd, data, size);
    if (r < 0)
        return r;
    if (fchmod(fd, mode) < 0 || fsync(fd) < 0)
        return -errno;
    return 0;
}

/* Makes what is missing of a store; the format file comes last, so that a half-made store is made
 * again. */
static int make_store(struct image_store *s, struct error *e)
{
    static const struct {
        const char *name;
        mode_t mode;
    } dirs[] = {{"layers", 0700}, {"images", 0755}, {"leaving", 0700}, {"tmp", 0700}};
    int r = lock(s->lock_fd, LOCK_EX);

    if (r < 0)
        return store_error(s, r, e, "lock");
    if (faccessat(s->fd, "format", F_OK, 0) == 0)
        return 0;
    r = check_unused(s, e);
    if (r < 0)
        return r;
    for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
        if (mkdirat(s->fd, dirs[i].name, dirs[i].mode) < 0 && errno != EEXIST)
            return store_error(s, -errno, e, dirs[i].name);
        if (fchmodat(s->fd, dirs[i].name, dirs[i].mode, 0) < 0)
            return store_error(s, -errno, e, dirs[i].name);
    }
    r = write_new_file(s->fd, "tmp/format", 0644, STORE_FORMAT, strlen(STORE_FORMAT));
    if (r < 0)
        return store_error(s, r, e, "tmp/format");
    if (renameat(s->fd, "tmp/format", s->fd, "format") < 0 || fsync(s->fd) < 0)
        return store_error(s, -errno, e, "format");
    return 0;
}

static int check_format(struct image_store *s, struct error *e)
{
    _cleanup_buffer_ struct buffer b = {0};
    int r = fd_read_file(s->fd, "format", &b, sizeof(STORE_FORMAT));

    if (r == -ENOENT)
        return error_set(e, r, "image store %s: not an image store (it has no file \"format\")",
                         s->directory);
    if (r == 0 && (b.size != strlen(STORE_FORMAT) || memcmp(b.data, STORE_FORMAT, b.size) != 0))
        r = -EFBIG;
    if (r == -EFBIG)
        return error_set(e, -EPROTO,
                         "image store %s: written in another format than this program's",
                         s->directory);
    return r < 0 ? store_error(s, r, e, "format") : 0;
}

static int open_directory(struct image_store *s, const char *name, int *ret, struct error *e)
{
    int fd = openat(s->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return store_error(s, -errno, e, name);
    *ret = fd;
    return 0;
}

static int open_root(struct image_store *s, struct error *e)
{
    bool made = false;

    if (s->mode == IMAGE_STORE_CHANGE) {
        made = mkdir(s->directory, 0700) == 0;
        if (!made && errno != EEXIST)
            return error_sys(e, -errno, "image store %s: make", s->directory);
    }
    s->fd = open(s->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->fd < 0)
        return error_sys(e, -errno, "image store %s", s->directory);
    s->lock_fd = openat(
        s->fd, "lock",
        O_RDONLY | O_NOFOLLOW | O_CLOEXEC | (s->mode == IMAGE_STORE_CHANGE ? O_CREAT : 0), 0644);
    if (s->lock_fd < 0 && errno == ENOENT)
        return check_format(s, e);
    if (s->lock_fd < 0)
        return store_error(s, -errno, e, "lock");
    return 0;
}

static int open_store(struct image_store *s, struct error *e)
{
    int r = open_root(s, e);

    if (r < 0)
        return r;
    if (s->mode == IMAGE_STORE_CHANGE) {
        if (faccessat(s->fd, "format", F_OK, 0) < 0 && (r = make_store(s, e)) < 0)
            return r;
        if (fchmod(s->fd, 0700) < 0)
            return store_error(s, -errno, e, "chmod");
    }
    r = check_format(s, e);
    if (r < 0)
        return r;
    r = lock(s->lock_fd, LOCK_SH);
    if (r < 0)
        return store_error(s, r, e, "lock");
    r = open_directory(s, "images", &s->images_fd, e);
    if (r >= 0)
        r = open_directory(s, "layers", &s->layers_fd, e);
    if (r < 0 || s->mode == IMAGE_STORE_READ)
        return r;
    /* Stores of earlier versions have none. */
    if (mkdirat(s->fd, "leaving", 0700) < 0 && errno != EEXIST)
        return store_error(s, -errno, e, "leaving");
    r = open_directory(s, "leaving", &s->leaving_fd, e);
    if (r >= 0)
        r = open_directory(s, "tmp", &s->tmp_fd, e);
    if (r < 0)
        return r;
    r = lock(s->tmp_fd, LOCK_EX);
    return r < 0 ? store_error(s, r, e, "lock tmp") : store_empty_tmp(s, e);
}

int image_store_open(const char *dir, enum image_store_mode mode, struct image_store **ret,
                     struct error *e)
{
    _cleanup_(image_store_close_p) struct image_store *s = calloc(1, sizeof(*s));
    int r;

    if (!s)
        return error_sys(e, -ENOMEM, "image store");
    s->fd = s->lock_fd = s->layers_fd = s->images_fd = s->leaving_fd = s->tmp_fd = -EBADF;
    s->mode = mode;
    s->directory = strdup(dir);
    if (!s->directory)
        return error_sys(e, -ENOMEM, "image store");
    r = open_store(s, e);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(s);
    return 0;
}

void image_store_close(struct image_store *s)
{
    if (!s)
        return;
    safe_close(s->tmp_fd);
    safe_close(s->leaving_fd);
    safe_close(s->images_fd);
    safe_close(s->layers_fd);
    safe_close(s->lock_fd);
    safe_close(s->fd);
    free(s->directory);
    free(s);
}

int image_store_images_fd(const struct image_store *s)
{
    return s->images_fd;
}

int store_empty_tmp(struct image_store *s, struct error *e)
{
    int fd = openat(s->tmp_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;
    int first = 0;

    if (!dir) {
        safe_close(fd);
        return store_error(s, -errno, e, "tmp");
    }
    while ((entry = readdir(dir))) {
        int r;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        r = fd_remove_tree(s->tmp_fd, entry->d_name);
        if (r < 0 && first == 0)
            first = r;
    }
    closedir(dir);
    return first < 0 ? store_error(s, first, e, "empty tmp") : 0;
}

static void notes_name(const struct digest *diff_id, char *buf, size_t size)
{
    snprintf(buf, size, "%s.json", diff_id->hex);
}

int store_has_layer(struct image_store *s, const struct digest *diff_id, bool *ret, struct error *e)
{
    struct stat st;

    if (fstatat(s->layers_fd, diff_id->hex, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        *ret = S_ISDIR(st.st_mode);
        return 0;
    }
    if (errno != ENOENT)
        return store_error(s, -errno, e, diff_id->hex);
    *ret = false;
    return 0;
}

static int read_notes(struct image_store *s, int dir_fd, const struct digest *diff_id,
                      struct layer_notes *ret, struct error *e)
{
    _cleanup_buffer_ struct buffer b = {.max = NOTES_FILE_MAX};
    _cleanup_json_ json_t *json = NULL;
    char name[DIGEST_HEX_MAX + 8];
    int r;

    notes_name(diff_id, name, sizeof(name));
    r = fd_read_file(dir_fd, name, &b, NOTES_FILE_MAX);
    if (r < 0)
        return store_error(s, r, e, name);
    r = json_parse_object(b.data, b.size, &json, e);
    if (r >= 0)
        r = layer_notes_from_json(json, ret, e);
    return r < 0 ? error_prefix(e, r, "image store %s: %s", s->directory, name) : 0;
}

int store_open_layer(struct image_store *s, const struct digest *diff_id, int *ret_fd,
                     struct layer_notes *ret_notes, struct error *e)
{
    const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    int dir_fd = s->layers_fd, r;
    _cleanup_close_ int fd = openat(dir_fd, diff_id->hex, flags);

    if (fd < 0 && errno == ENOENT && s->tmp_fd >= 0) {
        dir_fd = s->tmp_fd;
        fd = openat(dir_fd, diff_id->hex, flags);
    }
    if (fd < 0)
        return store_error(s, -errno, e, diff_id->hex);
    r = read_notes(s, dir_fd, diff_id, ret_notes, e);
    if (r < 0)
        return r;
    *ret_fd = TAKE_FD(fd);
    return 0;
}

int store_begin_layer(struct image_store *s, const struct digest *diff_id, int *ret_fd,
                      struct error *e)
{
    int fd;

    if (mkdirat(s->tmp_fd, diff_id->hex, 0755) < 0)
        return store_error(s, -errno, e, "make a directory in tmp");
    fd = openat(s->tmp_fd, diff_id->hex, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return store_error(s, -errno, e, "open a directory in tmp");
    if (fchmod(fd, 0755) < 0) {
        safe_close(fd);
        return store_error(s, -errno, e, "chmod");
    }
    *ret_fd = fd;
    return 0;
}

int store_note_layer(struct image_store *s, const struct digest *diff_id,
                     const struct layer_notes *notes, struct error *e)
{
    _cleanup_json_ json_t *json = layer_notes_to_json(notes);
    _cleanup_free_ char *text = json ? json_dumps(json, JSON_INDENT(1)) : NULL;
    char name[DIGEST_HEX_MAX + 8];
    int r;

    if (!text)
        return store_error(s, -ENOMEM, e, "notes");
    notes_name(diff_id, name, sizeof(name));
    r = write_new_file(s->tmp_fd, name, 0600, text, strlen(text));
    return r < 0 ? store_error(s, r, e, "notes") : 0;
}

int store_sync(struct image_store *s, struct error *e)
{
    return syncfs(s->fd) < 0 ? store_error(s, -errno, e, "syncfs") : 0;
}

int store_commit_layer(struct image_store *s, const struct digest *diff_id, struct error *e)
{
    char name[DIGEST_HEX_MAX + 8];

    /* Notes first: a layer that is there has its notes. */
    notes_name(diff_id, name, sizeof(name));
    if (renameat(s->tmp_fd, name, s->layers_fd, name) < 0 ||
        renameat(s->tmp_fd, diff_id->hex, s->layers_fd, diff_id->hex) < 0)
        return store_error(s, -errno, e, "move a layer to layers");
    return 0;
}

int store_write_record(struct image_store *s, const struct image *image, struct error *e)
{
    _cleanup_json_ json_t *json = image_to_json(image);
    _cleanup_free_ char *text = json_dumps(json, JSON_INDENT(2));
    int r = text ? write_new_file(s->tmp_fd, RECORD, 0644, text, strlen(text)) : -ENOMEM;

    return r < 0 ? store_error(s, r, e, "record") : 0;
}

int store_hold_record(int record_fd)
{
    struct stat st;
    int r = lock(record_fd, LOCK_SH);

    if (r < 0)
        return r;
    if (fstat(record_fd, &st) < 0)
        return -errno;
    return st.st_nlink > 0 ? 0 : -ENOENT;
}

/* A record that somebody holds gets a second name in leaving/, that of its inode. */
static int keep_held(struct image_store *s, const char *file, int fd, struct error *e)
{
    char name[32];
    struct stat st;

    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return 0;
    if (errno != EWOULDBLOCK || fstat(fd, &st) < 0)
        return store_error(s, -errno, e, file);
    snprintf(name, sizeof(name), "%llu", (unsigned long long)st.st_ino);
    if (linkat(s->images_fd, file, s->leaving_fd, name, 0) < 0 && errno != EEXIST)
        return store_error(s, -errno, e, "leaving");
    return fsync(s->leaving_fd) < 0 ? store_error(s, -errno, e, "leaving") : 0;
}

int store_retire_record(struct image_store *s, const char *file, const char *successor,
                        struct error *e)
{
    /* Kept open, and so locked, until the name is gone: who comes now finds no links left. */
    _cleanup_close_ int fd = openat(s->images_fd, file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    int r;

    if (fd < 0 && errno != ENOENT)
        return store_error(s, -errno, e, file);
    if (fd < 0 && !successor)
        return error_set(e, -ENOENT, "image store %s: %s is not there", s->directory, file);
    r = fd < 0 ? 0 : keep_held(s, file, fd, e);
    if (r < 0)
        return r;
    r = successor ? renameat(s->tmp_fd, successor, s->images_fd, file)
                  : unlinkat(s->images_fd, file, 0);
    if (r < 0 || fsync(s->images_fd) < 0)
        return store_error(s, -errno, e, file);
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
    return store_retire_record(s, file, RECORD, e);
}
