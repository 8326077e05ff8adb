#include "image/files.h"

#include "base/fdio.h"
#include "image/archive.h"

#include <string.h>
#include <sys/stat.h>

#define RESOLVE_BLOB (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)

struct image_files {
    int fd;                  /* the directory or the archive */
    struct archive *archive; /* NULL: a directory */
};

void image_file_close(struct image_file *f)
{
    f->fd = safe_close(f->fd);
}

ssize_t image_file_read(const struct image_file *f, uint64_t at, void *data, size_t size)
{
    size_t done = 0;

    size = at < f->size ? (size_t)MIN((uint64_t)size, f->size - at) : 0;
    while (done < size) {
        ssize_t n =
            pread(f->fd, (uint8_t *)data + done, size - done, (off_t)(f->offset + at + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

static int files_new(const char *path, int flags, struct image_files **ret, struct error *e)
{
    _cleanup_(image_files_close_p) struct image_files *f = calloc(1, sizeof(*f));

    if (!f)
        return error_sys(e, -ENOMEM, "image files");
    f->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | flags);
    if (f->fd < 0)
        return error_sys(e, -errno, "open");
    *ret = TAKE_PTR(f);
    return 0;
}

int image_files_open_directory(const char *path, struct image_files **ret, struct error *e)
{
    return files_new(path, O_DIRECTORY, ret, e);
}

int image_files_open_archive(const char *path, struct image_files **ret, struct error *e)
{
    _cleanup_(image_files_close_p) struct image_files *f = NULL;
    struct stat st;
    int r = files_new(path, O_NONBLOCK, &f, e);

    if (r < 0 || !f)
        return r;
    if (fstat(f->fd, &st) < 0)
        return error_sys(e, -errno, "stat");
    if (!S_ISREG(st.st_mode))
        return error_set(e, -EBADMSG, "not a regular file");
    r = archive_index(f->fd, &f->archive, e);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(f);
    return 0;
}

void image_files_close(struct image_files *f)
{
    if (!f)
        return;
    archive_free(f->archive);
    safe_close(f->fd);
    free(f);
}

/* O_NONBLOCK: a fifo must not stop us before it is refused. */
static int open_in_directory(struct image_files *f, const char *name, struct image_file *ret,
                             struct error *e)
{
    _cleanup_close_ int fd =
        fd_openat2(f->fd, name, O_RDONLY | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW, 0, RESOLVE_BLOB);
    struct stat st;

    if (fd == -ELOOP)
        return error_set(e, fd, "%s: a symbolic link", name);
    if (fd < 0)
        return error_sys(e, fd, "%s", name);
    if (fstat(fd, &st) < 0)
        return error_sys(e, -errno, "%s", name);
    if (!S_ISREG(st.st_mode))
        return error_set(e, -EBADMSG, "%s: not a regular file", name);
    *ret = (struct image_file){TAKE_FD(fd), 0, (uint64_t)st.st_size};
    return 0;
}

int image_files_open(struct image_files *f, const char *name, struct image_file *ret,
                     struct error *e)
{
    struct image_file file = IMAGE_FILE_INIT;
    char self[32];
    int r;

    if (!f->archive)
        return open_in_directory(f, name, ret, e);
    r = archive_find(f->archive, name, &file.offset, &file.size, e);
    if (r < 0)
        return r;
    /* With a position of its own: several layers of an archive are read at once. */
    snprintf(self, sizeof(self), "/proc/self/fd/%d", f->fd);
    file.fd = open(self, O_RDONLY | O_NOCTTY | O_CLOEXEC);
    if (file.fd < 0)
        return error_sys(e, -errno, "%s", name);
    *ret = file;
    return 0;
}

int image_files_read(struct image_files *f, const char *name, size_t max, struct buffer *ret,
                     struct error *e)
{
    _cleanup_image_file_ struct image_file file = IMAGE_FILE_INIT;
    _cleanup_free_ uint8_t *data = NULL;
    ssize_t n;
    int r = image_files_open(f, name, &file, e);

    if (r < 0)
        return r;
    if (file.size > max)
        return error_set(e, -EFBIG, "%s: larger than %zu bytes", name, max);
    data = malloc(file.size + 1);
    if (!data)
        return error_sys(e, -ENOMEM, "%s", name);
    n = image_file_read(&file, 0, data, file.size);
    if (n < 0)
        return error_sys(e, (int)n, "%s", name);
    r = buffer_append(ret, data, (size_t)n);
    return r < 0 ? error_sys(e, r, "%s", name) : 0;
}
