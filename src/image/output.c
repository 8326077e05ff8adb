#include "image/output.h"

#include "base/fdio.h"
#include "base/text.h"
#include "image/tar_write.h"

#include <libgen.h>
#include <linux/limits.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

struct image_output {
    int dir_fd;     /* the directory, locked; of an archive: the one that it is in */
    int fd;         /* the archive; else the file that is being written, or -EBADF */
    char *archive;  /* its name in dir_fd, or NULL; owned */
    char part[32];  /* the name of what is not complete */
    uint64_t start; /* where the present file's header stands in the archive */
    char **names;   /* that the archive has; owned */
    bool finished;
};

void image_output_close(struct image_output *o)
{
    if (!o)
        return;
    if (o->fd >= 0 && !o->finished)
        unlinkat(o->dir_fd, o->part, 0);
    safe_close(o->fd);
    safe_close(o->dir_fd);
    strv_free(o->names);
    free(o->archive);
    free(o);
}

int image_output_fd(const struct image_output *o)
{
    return o->archive ? -EBADF : o->dir_fd;
}

static int open_part(struct image_output *o)
{
    const int flags = O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC;

    o->fd = openat(o->dir_fd, o->part, flags, 0644);
    return o->fd < 0 ? -errno : 0;
}

static struct image_output *new_output(void)
{
    struct image_output *o = calloc(1, sizeof(*o));

    if (!o)
        return NULL;
    o->fd = o->dir_fd = -EBADF;
    snprintf(o->part, sizeof(o->part), ".part.%d", (int)getpid());
    return o;
}

int image_output_directory(const char *path, struct image_output **ret, struct error *e)
{
    _cleanup_(image_output_close_p) struct image_output *o = new_output();

    if (!o)
        return error_sys(e, -ENOMEM, "output");
    if (mkdir(path, 0755) < 0 && errno != EEXIST)
        return error_sys(e, -errno, "make");
    o->dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (o->dir_fd < 0)
        return error_sys(e, -errno, "open");
    if (flock(o->dir_fd, LOCK_EX) < 0)
        return error_sys(e, -errno, "lock");
    *ret = TAKE_PTR(o);
    return 0;
}

int image_output_archive(const char *path, struct image_output **ret, struct error *e)
{
    _cleanup_(image_output_close_p) struct image_output *o = new_output();
    _cleanup_free_ char *parent = strdup(path), *base = strdup(path);
    int r;

    if (!o || !parent || !base || !(o->archive = strdup(basename(base))))
        return error_sys(e, -ENOMEM, "output");
    o->dir_fd = open(dirname(parent), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (o->dir_fd < 0)
        return error_sys(e, -errno, "open its directory");
    if (faccessat(o->dir_fd, o->archive, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        return error_sys(e, -EEXIST, "make the archive");
    r = open_part(o);
    if (r < 0)
        return error_sys(e, r, "make the archive");
    *ret = TAKE_PTR(o);
    return 0;
}

int image_output_begin(struct image_output *o, int *ret_fd, struct error *e)
{
    off_t at;
    int r = o->archive ? 0 : open_part(o);

    if (r < 0)
        return error_sys(e, r, "make a file");
    at = lseek(o->fd, 0, SEEK_CUR);
    if (at < 0)
        return error_sys(e, -errno, "lseek");
    o->start = (uint64_t)at;
    if (o->archive && lseek(o->fd, TAR_HEADER_SIZE, SEEK_CUR) < 0)
        return error_sys(e, -errno, "lseek");
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
    unlinkat(o->dir_fd, o->part, 0);
    o->fd = safe_close(o->fd);
}

static int end_in_archive(struct image_output *o, const char *name, uint64_t size)
{
    _cleanup_buffer_ struct buffer padding = {0};
    uint8_t header[TAR_HEADER_SIZE];
    int r;

    for (char **other = o->names; other && *other; other++) {
        if (strcmp(*other, name) == 0) {
            image_output_drop(o);
            return 0;
        }
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
    if (fsync(o->fd) < 0 || renameat(o->dir_fd, o->part, o->dir_fd, name) < 0)
        return -errno;
    o->fd = safe_close(o->fd);
    return 0;
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

/* A file that came meanwhile stays. */
static int name_archive(struct image_output *o)
{
    _cleanup_buffer_ struct buffer end = {0};
    int r = tar_write_end(&end);

    if (r >= 0)
        r = fd_write_full(o->fd, end.data, end.size);
    if (r >= 0 && (fsync(o->fd) < 0 || linkat(o->dir_fd, o->part, o->dir_fd, o->archive, 0) < 0))
        r = -errno;
    return r;
}

int image_output_finish(struct image_output *o, struct error *e)
{
    int r = o->archive ? name_archive(o) : 0;

    if (r >= 0 && o->archive)
        unlinkat(o->dir_fd, o->part, 0);
    if (r >= 0 && fsync(o->dir_fd) < 0)
        r = -errno;
    if (r < 0)
        return error_sys(e, r, "finish");
    o->finished = true;
    return 0;
}
