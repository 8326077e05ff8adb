#include "archive_file.h"

#include "base/fdio.h"
#include "base/text.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <zlib.h>

#define BLOCK_SIZE 512
/* A usual archive is a few files: small buffers are cheaper than a good ratio. */
#define GZIP_LEVEL        4
#define GZIP_WINDOW_BITS  (15 + 16) /* 16: with a gzip head */
#define GZIP_MEMORY_LEVEL 8
#define OUT_SIZE          ((size_t)64 << 10)
#define IN_SIZE           ((size_t)64 << 10)
/* Bounded by the file systems: a component has 255 bytes. */
#define PATH_SIZE_MAX (ARCHIVE_DEPTH_MAX * 256)

/* POSIX ustar: pax(1p), "ustar Interchange Format". */
struct header {
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type;
    char link[100], magic[6], version[2], user[32], group[32], major[8], minor[8], prefix[155];
    char padding[12];
};
_Static_assert(sizeof(struct header) == BLOCK_SIZE, "a tar header is one block");

struct packer {
    z_stream stream;
    int out;
    unsigned entries;
    uint64_t content, written;
    char path[PATH_SIZE_MAX]; /* of the entry in work, inside the archive */
    struct error *e;
    unsigned char buffer[OUT_SIZE];
};

/* An unnamed file on disk, so that what it holds is not the container's memory. */
static int scratch_file(int root_fd)
{
    char name[64];
    int fd = openat(root_fd, "tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR))
        return fd < 0 ? -errno : fd;
    /* No O_TMPFILE: overlayfs has it since 6.3 only. */
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof(name), "tmp/.dockless.%d.%d", (int)getpid(), i);
        fd = openat(root_fd, name, O_CREAT | O_EXCL | O_NOFOLLOW | O_RDWR | O_CLOEXEC, 0600);
        if (fd >= 0)
            unlinkat(root_fd, name, 0);
        if (fd >= 0 || errno != EEXIST)
            break;
    }
    return fd < 0 ? -errno : fd;
}

static int deflate_some(struct packer *p, const void *data, size_t size, int flush)
{
    p->stream.next_in = (Bytef *)(uintptr_t)data;
    p->stream.avail_in = (uInt)size;
    do {
        size_t n;
        int k;
        p->stream.next_out = p->buffer;
        p->stream.avail_out = sizeof(p->buffer);
        if (deflate(&p->stream, flush) == Z_STREAM_ERROR)
            return error_set(p->e, -EIO, "deflate failed");
        n = sizeof(p->buffer) - p->stream.avail_out;
        p->written += n;
        if (p->written > ARCHIVE_SIZE_MAX)
            return error_set(p->e, -EFBIG, "the archive is larger than %llu MiB",
                             (unsigned long long)ARCHIVE_SIZE_MAX >> 20);
        k = fd_write_full(p->out, p->buffer, n);
        if (k < 0)
            return error_sys(p->e, k, "write the archive");
    } while (p->stream.avail_out == 0);
    return 0;
}

static int pad(struct packer *p, uint64_t size)
{
    static const char zeros[BLOCK_SIZE];
    size_t rest = size % BLOCK_SIZE;

    return rest ? deflate_some(p, zeros, BLOCK_SIZE - rest, Z_NO_FLUSH) : 0;
}

/* An octal number with a NUL behind, cut to what the field holds. */
static void put_octal(char *field, size_t size, uint64_t value)
{
    field[size - 1] = 0;
    for (size_t i = size - 1; i-- > 0; value >>= 3)
        field[i] = (char)('0' + (value & 7));
}

static int put_header(struct packer *p, struct header *h)
{
    const unsigned char *bytes = (const unsigned char *)h;
    unsigned sum = 0;

    memcpy(h->magic, "ustar", sizeof(h->magic));
    memcpy(h->version, "00", sizeof(h->version));
    memset(h->checksum, ' ', sizeof(h->checksum));
    for (size_t i = 0; i < sizeof(*h); i++)
        sum += bytes[i];
    put_octal(h->checksum, sizeof(h->checksum) - 1, sum);
    return deflate_some(p, h, sizeof(*h), Z_NO_FLUSH);
}

/* One pax record, "LENGTH KEY=VALUE\n", where LENGTH counts its own digits. */
static int put_record(struct buffer *b, const char *key, const char *value)
{
    size_t rest = strlen(key) + strlen(value) + 3, length = rest, digits;

    do {
        digits = (size_t)snprintf(NULL, 0, "%zu", length);
        if (length == rest + digits)
            break;
        length = rest + digits;
    } while (digits);
    return buffer_printf(b, "%zu %s=%s\n", length, key, value);
}

/* The name or link target does not fit into a header: an extended header before it. */
static int put_extended(struct packer *p, const char *path, const char *link)
{
    _cleanup_buffer_ struct buffer b = {.max = 2 * PATH_SIZE_MAX + BLOCK_SIZE};
    struct header h = {.name = "@PaxHeader", .type = 'x'};
    bool utf8 = text_is_utf8(path, strlen(path)) && text_is_utf8(link, strlen(link));
    int k = utf8 ? 0 : put_record(&b, "hdrcharset", "BINARY");

    if (k >= 0)
        k = put_record(&b, "path", path);
    if (k >= 0 && *link)
        k = put_record(&b, "linkpath", link);
    if (k < 0)
        return k;
    put_octal(h.mode, sizeof(h.mode), 0644);
    put_octal(h.size, sizeof(h.size), b.size);
    k = put_header(p, &h);
    if (k >= 0)
        k = deflate_some(p, b.data, b.size, Z_NO_FLUSH);
    return k < 0 ? k : pad(p, b.size);
}

static bool is_ascii(const char *s)
{
    while (*s > 0)
        s++;
    return *s == 0;
}

static int put_entry(struct packer *p, const struct stat *st, char type, const char *link)
{
    struct header h = {.type = type};
    int k = 0;

    if (strlen(p->path) > sizeof(h.name) || strlen(link) > sizeof(h.link) || !is_ascii(p->path) ||
        !is_ascii(link))
        k = put_extended(p, p->path, link);
    if (k < 0)
        return k;
    /* Without a NUL where they fill the field. */
    memcpy(h.name, p->path, strnlen(p->path, sizeof(h.name)));
    memcpy(h.link, link, strnlen(link, sizeof(h.link)));
    put_octal(h.mode, sizeof(h.mode), st->st_mode & 07777);
    put_octal(h.uid, sizeof(h.uid), st->st_uid);
    put_octal(h.gid, sizeof(h.gid), st->st_gid);
    put_octal(h.size, sizeof(h.size), type == '0' ? (uint64_t)st->st_size : 0);
    put_octal(h.mtime, sizeof(h.mtime), (uint64_t)MAX(st->st_mtime, 0));
    return put_header(p, &h);
}

/* Exactly SIZE bytes follow the header: what a file lost meanwhile is filled with zeros. */
static int put_content(struct packer *p, int fd, uint64_t size)
{
    static unsigned char bytes[IN_SIZE];
    uint64_t left = size;

    p->content += size;
    if (p->content > ARCHIVE_CONTENT_MAX)
        return error_set(p->e, -EFBIG, "more than %llu MiB in the archive",
                         (unsigned long long)ARCHIVE_CONTENT_MAX >> 20);
    while (left) {
        size_t want = (size_t)MIN(left, (uint64_t)sizeof(bytes));
        ssize_t n = fd_read_full(fd, bytes, want);
        int k;
        if (n < 0)
            return error_sys(p->e, (int)n, "read");
        if ((size_t)n < want)
            memset(bytes + n, 0, want - (size_t)n);
        k = deflate_some(p, bytes, want, Z_NO_FLUSH);
        if (k < 0)
            return k;
        left -= want;
    }
    return pad(p, size);
}

static int pack_file(struct packer *p, int dir_fd, const char *name)
{
    _cleanup_close_ int fd =
        openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    struct stat st;
    int k;

    if (fd < 0 || fstat(fd, &st) < 0)
        return error_sys(p->e, -errno, "open");
    if (!S_ISREG(st.st_mode))
        return 0;
    k = put_entry(p, &st, '0', "");
    return k < 0 ? k : put_content(p, fd, (uint64_t)st.st_size);
}

static int pack_link(struct packer *p, int dir_fd, const char *name, const struct stat *st)
{
    char target[4097];
    ssize_t n = readlinkat(dir_fd, name, target, sizeof(target) - 1);

    if (n < 0)
        return error_sys(p->e, -errno, "readlink");
    target[n] = 0;
    return put_entry(p, st, '2', target);
}

static int pack_directory(struct packer *p, int dir_fd, const char *name, int depth);

/* The entry NAME of DIR_FD, whose path in the archive ends at LENGTH. */
/* NOLINTNEXTLINE(misc-no-recursion): ARCHIVE_DEPTH_MAX levels */
static int pack_one(struct packer *p, int dir_fd, const char *name, size_t length, int depth)
{
    struct stat st;
    int k = 0;

    if (depth > ARCHIVE_DEPTH_MAX || length + strlen(name) + 2 > sizeof(p->path))
        return error_set(p->e, -ELOOP, "more than %d directories deep", ARCHIVE_DEPTH_MAX);
    if (++p->entries > ARCHIVE_ENTRIES_MAX)
        return error_set(p->e, -E2BIG, "more than %d files", ARCHIVE_ENTRIES_MAX);
    memcpy(p->path + length, name, strlen(name) + 1);
    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : error_sys(p->e, -errno, "%s", name);
    if (S_ISDIR(st.st_mode)) {
        memcpy(p->path + length + strlen(name), "/", 2);
        k = put_entry(p, &st, '5', "");
        if (k >= 0)
            k = pack_directory(p, dir_fd, name, depth);
    } else if (S_ISREG(st.st_mode)) {
        k = pack_file(p, dir_fd, name);
    } else if (S_ISLNK(st.st_mode)) {
        k = pack_link(p, dir_fd, name, &st);
    } else if (S_ISFIFO(st.st_mode)) {
        k = put_entry(p, &st, '6', "");
    }
    p->path[length] = 0;
    return k < 0 ? error_prefix(p->e, k, "%s", name) : 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Takes FD. Names of its entries, sorted. */
static int list_directory(int fd, char ***ret)
{
    _cleanup_strv_ char **names = NULL;
    size_t n = 0, capacity = 0;
    DIR *dir = fdopendir(fd);
    struct dirent *entry;

    if (!dir) {
        safe_close(fd);
        return -ENOMEM;
    }
    while ((entry = readdir(dir)) && n <= ARCHIVE_ENTRIES_MAX) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (n + 1 >= capacity) {
            size_t wanted = capacity ? 2 * capacity : 16;
            char **grown = realloc(names, wanted * sizeof(*names));
            if (!grown)
                break;
            names = grown;
            capacity = wanted;
        }
        names[n] = strdup(entry->d_name);
        names[n + 1] = NULL;
        if (!names[n])
            break;
        n++;
    }
    closedir(dir);
    if (entry && n <= ARCHIVE_ENTRIES_MAX)
        return -ENOMEM;
    if (n)
        qsort(names, n, sizeof(*names), by_name);
    *ret = TAKE_PTR(names);
    return 0;
}

/* NOLINTNEXTLINE(misc-no-recursion): ARCHIVE_DEPTH_MAX levels */
static int pack_directory(struct packer *p, int dir_fd, const char *name, int depth)
{
    _cleanup_close_ int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    _cleanup_strv_ char **names = NULL;
    size_t length = strlen(p->path);
    int copy, k;

    if (fd < 0)
        return error_sys(p->e, -errno, "open");
    copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    k = copy < 0 ? -errno : list_directory(copy, &names);
    for (char **n = names; k >= 0 && n && *n; n++)
        k = pack_one(p, fd, *n, length, depth + 1);
    return k;
}

/* The entry of the directory itself has the name "/": what is in it starts without one. */
static int pack_all(struct packer *p, int root_fd, const char *dir)
{
    static const char end[2 * BLOCK_SIZE];
    struct stat st;
    int k;

    if (fstatat(root_fd, dir, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return error_sys(p->e, -errno, "/%s", dir);
    memcpy(p->path, "/", 2);
    k = put_entry(p, &st, '5', "");
    p->path[0] = 0;
    if (k >= 0)
        k = pack_directory(p, root_fd, dir, 0);
    if (k < 0)
        return error_prefix(p->e, k, "/%s", dir);
    return deflate_some(p, end, sizeof(end), Z_FINISH);
}

int archive_file_make(int root_fd, const char *dir, int *ret_fd, uint64_t *ret_size,
                      struct error *e)
{
    _cleanup_close_ int fd = scratch_file(root_fd);
    _cleanup_free_ struct packer *p = calloc(1, sizeof(*p));
    int k;

    if (fd < 0)
        return error_sys(e, fd, "a temporary file in /tmp");
    if (!p)
        return -ENOMEM;
    p->out = fd;
    p->e = e;
    if (deflateInit2(&p->stream, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW_BITS, GZIP_MEMORY_LEVEL,
                     Z_DEFAULT_STRATEGY) != Z_OK)
        return -ENOMEM;
    k = pack_all(p, root_fd, dir);
    deflateEnd(&p->stream);
    if (k >= 0 && lseek(fd, 0, SEEK_SET) < 0)
        k = error_sys(e, -errno, "lseek");
    if (k < 0)
        return k;
    *ret_size = p->written;
    *ret_fd = TAKE_FD(fd);
    return 0;
}
