#include "image/output.h"

#include "base/fdio.h"
#include "base/text.h"
#include "image/output_part.h"
#include "image/tar_write.h"

#include <libgen.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

/* Of the file that is being written, in a part that is a directory. */
#define UNNAMED "new"

struct image_output {
    bool archive;
    char *name;              /* the target's, beside the part; owned */
    struct output_part part; /* the archive, or the directory of all files */
    int target_fd;  /* the directory that they are for, locked, if it is there; else -EBADF */
    int fd;         /* the file that is being written, or -EBADF; of an archive the part's */
    uint64_t start; /* where the present file's header stands in the archive */
    char **names;   /* of all files in their order, "x/" of directories; owned */
};

void image_output_close(struct image_output *o)
{
    if (!o)
        return;
    if (!o->archive)
        safe_close(o->fd);
    output_part_remove(&o->part);
    output_part_close(&o->part);
    safe_close(o->target_fd);
    strv_free(o->names);
    free(o->name);
    free(o);
}

int image_output_fd(const struct image_output *o)
{
    return o->target_fd;
}

static struct image_output *new_output(bool archive)
{
    struct image_output *o = calloc(1, sizeof(*o));

    if (!o)
        return NULL;
    o->archive = archive;
    o->fd = o->target_fd = -EBADF;
    o->part = OUTPUT_PART_NONE;
    return o;
}

/* Where PATH is or will be, and its name there. */
static int find_place(struct image_output *o, const char *path, int *ret_fd, struct error *e)
{
    _cleanup_free_ char *parent = strdup(path), *base = strdup(path);
    int fd;

    o->name = base ? strdup(basename(base)) : NULL;
    if (!parent || !o->name) {
        error_sys(e, -ENOMEM, "output");
        return -ENOMEM;
    }
    fd = open(dirname(parent), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_sys(e, -errno, "open its directory");
    *ret_fd = fd;
    return 0;
}

/* -ENOENT without an error for what is not there at all, be it a link that leads nowhere. */
static int open_target(int dir_fd, const char *path, int *ret, struct error *e)
{
    _cleanup_close_ int fd = openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct stat st;

    if (fd < 0 && errno == ENOENT && fstatat(dir_fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return -ENOENT;
    if (fd < 0)
        return error_sys(e, errno == ENOENT ? -ELOOP : -errno, "open");
    if (flock(fd, LOCK_EX) < 0)
        return error_sys(e, -errno, "lock");
    *ret = TAKE_FD(fd);
    return 0;
}

int image_output_directory(const char *path, struct image_output **ret, struct error *e)
{
    _cleanup_(image_output_close_p) struct image_output *o = new_output(false);
    _cleanup_close_ int place_fd = -EBADF;
    int r;

    if (!o)
        return error_sys(e, -ENOMEM, "output");
    r = open_target(AT_FDCWD, path, &o->target_fd, e);
    if (r < 0 && r != -ENOENT)
        return r;
    if (r < 0)
        r = find_place(o, path, &place_fd, e);
    else if ((place_fd = openat(o->target_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
        r = error_sys(e, -errno, "open");
    if (r >= 0)
        r = output_part_make(TAKE_FD(place_fd), S_IFDIR, &o->part, e);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(o);
    return 0;
}

int image_output_archive(const char *path, struct image_output **ret, struct error *e)
{
    _cleanup_(image_output_close_p) struct image_output *o = new_output(true);
    _cleanup_close_ int place_fd = -EBADF;
    int r;

    if (!o)
        return error_sys(e, -ENOMEM, "output");
    r = find_place(o, path, &place_fd, e);
    if (r < 0)
        return r;
    if (faccessat(place_fd, o->name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        return error_sys(e, -EEXIST, "make the archive");
    r = output_part_make(TAKE_FD(place_fd), S_IFREG, &o->part, e);
    if (r < 0)
        return r;
    o->fd = o->part.fd;
    *ret = TAKE_PTR(o);
    return 0;
}

/* --- files --- */

int image_output_begin(struct image_output *o, int *ret_fd, struct error *e)
{
    off_t at;

    if (!o->archive) {
        o->fd =
            openat(o->part.fd, UNNAMED, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
        if (o->fd < 0)
            return error_sys(e, -errno, "make a file");
        *ret_fd = o->fd;
        return 0;
    }
    at = lseek(o->fd, 0, SEEK_CUR);
    if (at < 0 || lseek(o->fd, TAR_HEADER_SIZE, SEEK_CUR) < 0)
        return error_sys(e, -errno, "lseek");
    o->start = (uint64_t)at;
    *ret_fd = o->fd;
    return 0;
}

void image_output_drop(struct image_output *o)
{
    if (o->archive) {
        /* Where this fails, the archive will not be finished either. */
        if (ftruncate(o->fd, (off_t)o->start) == 0)
            lseek(o->fd, (off_t)o->start, SEEK_SET);
        return;
    }
    unlinkat(o->part.fd, UNNAMED, 0);
    o->fd = safe_close(o->fd);
}

static bool has_name(const struct image_output *o, const char *name)
{
    for (char **other = o->names; other && *other; other++)
        if (strcmp(*other, name) == 0)
            return true;
    return false;
}

static int end_in_archive(struct image_output *o, const char *name, uint64_t size)
{
    _cleanup_buffer_ struct buffer padding = {0};
    uint8_t header[TAR_HEADER_SIZE];
    int r;

    if (has_name(o, name)) {
        image_output_drop(o);
        return 0;
    }
    tar_write_plain_header(header, name, size);
    if (pwrite(o->fd, header, sizeof(header), (off_t)o->start) != sizeof(header))
        return errno ? -errno : -EIO;
    r = tar_write_padding(&padding, size);
    if (r >= 0)
        r = fd_write_full(o->fd, padding.data, padding.size);
    return r < 0 ? r : strv_append(&o->names, name);
}

static int end_in_directory(struct image_output *o, const char *name)
{
    if (fsync(o->fd) < 0 || renameat(o->part.fd, UNNAMED, o->part.fd, name) < 0)
        return -errno;
    o->fd = safe_close(o->fd);
    return has_name(o, name) ? 0 : strv_append(&o->names, name);
}

int image_output_end(struct image_output *o, const char *name, uint64_t size, struct error *e)
{
    int r = o->archive ? end_in_archive(o, name, size) : end_in_directory(o, name);

    if (r >= 0)
        return 0;
    image_output_drop(o);
    return error_sys(e, r, "write \"%s\"", name);
}

int image_output_add(struct image_output *o, const char *name, const void *data, size_t size,
                     struct error *e)
{
    int fd = -EBADF, r = image_output_begin(o, &fd, e);

    if (r < 0)
        return r;
    r = fd_write_full(fd, data, size);
    if (r < 0) {
        image_output_drop(o);
        return error_sys(e, r, "write \"%s\"", name);
    }
    return image_output_end(o, name, size, e);
}

int image_output_make_directory(struct image_output *o, const char *name, struct error *e)
{
    _cleanup_free_ char *noted = text_printf("%s/", name);
    int r = noted ? 0 : -ENOMEM;

    if (o->archive)
        return 0;
    if (r >= 0 && mkdirat(o->part.fd, name, 0755) < 0)
        r = -errno;
    if (r >= 0)
        r = strv_append(&o->names, noted);
    return r < 0 ? error_sys(e, r, "make \"%s\"", name) : 0;
}

/* --- the end --- */

static bool is_directory(const char *name)
{
    return name[strlen(name) - 1] == '/';
}

/* The entries of DIR_FD and of the directories in it are on disk. */
static int sync_directories(const struct image_output *o, int dir_fd)
{
    for (char **name = o->names; name && *name; name++) {
        _cleanup_close_ int fd = -EBADF;
        if (!is_directory(*name))
            continue;
        fd = openat(dir_fd, *name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 || fsync(fd) < 0)
            return -errno;
    }
    return fsync(dir_fd) < 0 ? -errno : 0;
}

/* Whoever reads the directory meanwhile sees the old image or the new one. */
static int move_into_target(struct image_output *o)
{
    for (char **name = o->names; name && *name; name++) {
        bool last = !name[1];
        int r = last ? sync_directories(o, o->target_fd) : 0;
        if (r < 0)
            return r;
        if (is_directory(*name) ? mkdirat(o->target_fd, *name, 0755) < 0 && errno != EEXIST
                                : renameat(o->part.fd, *name, o->target_fd, *name) < 0)
            return -errno;
    }
    return fsync(o->target_fd) < 0 ? -errno : 0;
}

/* A file that came meanwhile stays. */
static int name_archive(struct image_output *o)
{
    _cleanup_buffer_ struct buffer end = {0};
    int r = tar_write_end(&end);

    if (r >= 0)
        r = fd_write_full(o->fd, end.data, end.size);
    if (r >= 0 && (fsync(o->fd) < 0 ||
                   linkat(o->part.place_fd, o->part.name, o->part.place_fd, o->name, 0) < 0))
        r = -errno;
    if (r >= 0)
        output_part_remove(&o->part);
    return r < 0 ? r : fsync(o->part.place_fd) < 0 ? -errno : 0;
}

/* An empty directory that came meanwhile is replaced, by the nature of rename(2). */
static int name_directory(struct image_output *o)
{
    int r = sync_directories(o, o->part.fd);

    if (r >= 0 && renameat(o->part.place_fd, o->part.name, o->part.place_fd, o->name) < 0)
        return errno == ENOTEMPTY ? -EEXIST : -errno;
    return r < 0 ? r : fsync(o->part.place_fd) < 0 ? -errno : 0;
}

int image_output_finish(struct image_output *o, struct error *e)
{
    int r;

    if (o->archive)
        r = name_archive(o);
    else
        r = o->target_fd >= 0 ? move_into_target(o) : name_directory(o);
    if (r == -EEXIST && !o->archive && o->target_fd < 0) {
        r = open_target(o->part.place_fd, o->name, &o->target_fd, e);
        return r < 0 && r != -ENOENT ? r : -EAGAIN;
    }
    return r < 0 ? error_sys(e, r, "finish") : 0;
}
