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
int store_error(const struct image_store *s, int code, struct error *e, const char *what)
{
    return error_sys(e, code, "image store %s: %s", s->directory, what);
}

int store_lock(int fd, int how)
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

int store_write_file(int dir_fd, const char *name, mode_t mode, const void *data, size_t size,
                     bool sync)
{
    _cleanup_close_ int fd =
        openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, mode);
    int r;

    if (fd < 0)
        return -errno;
    r = fd_write_full(fd, data, size);
    if (r < 0)
        return r;
    if (fchmod(fd, mode) < 0 || (sync && fsync(fd) < 0))
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
    int r = store_lock(s->lock_fd, LOCK_EX);

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
    r = store_write_file(s->fd, "tmp/format", 0644, STORE_FORMAT, strlen(STORE_FORMAT), true);
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
    r = store_lock(s->lock_fd, LOCK_SH);
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
    r = store_lock(s->tmp_fd, LOCK_EX);
    return r < 0 ? store_error(s, r, e, "lock tmp") : store_tidy_tmp(s, e);
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
