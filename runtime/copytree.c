/* Theory of operation: the source is foreign but not hostile at this moment (course staff may edit
 * it); the target is below the scratch, where no other process reaches. Every entry is opened with
 * O_NOFOLLOW by its parent's fd and judged by fstat of that fd, so that an entry replaced between
 * readdir and open is at worst copied as what it has become. */
#include "copytree.h"

#include "base/fdio.h"
#include "runtime/sandbox.h"

#include <dirent.h>
#include <limits.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

/* Bytes that copy_file_range(2) is asked for at once. */
#define COPY_CHUNK ((size_t)1 << 30)

struct walk {
    uint32_t base;
    dev_t device;
    size_t entries;
    size_t max_entries;
    bool links;          /* one was seen */
    bool placing;        /* for copytree_place(): no owners, no special files, room is made */
    uint64_t bytes_left; /* of what may be copied */
    struct error *error;
};

static bool is_dot(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Opens directory NAME for reading; DIR owns the fd. */
static int open_dir(int dir_fd, const char *name, DIR **ret)
{
    int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);

    if (!dir) {
        int r = -errno;
        safe_close(fd);
        return r;
    }
    *ret = dir;
    return 0;
}

static void closedir_p(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}

static int count_entry(struct walk *w, const char *name, int depth)
{
    if (++w->entries > w->max_entries)
        return error_set(w->error, -E2BIG, "more than %zu entries", w->max_entries);
    if (depth > COPYTREE_DEPTH_MAX)
        return error_set(w->error, -ELOOP, "\"%s\": nested deeper than %d", name,
                         COPYTREE_DEPTH_MAX);
    return 0;
}

static bool is_foreign(const struct stat *st)
{
    return st->st_uid >= SANDBOX_ID_RANGE || st->st_gid >= SANDBOX_ID_RANGE;
}

/* NOLINTBEGIN(misc-no-recursion): bounded by COPYTREE_DEPTH_MAX, see count_entry() */
static int look_for_foreign(struct walk *w, int dir_fd, const char *name, int depth)
{
    _cleanup_(closedir_p) DIR *dir = NULL;
    struct dirent *entry;
    int r = open_dir(dir_fd, name, &dir);

    if (!dir)
        return error_sys(w->error, r, "open \"%s\"", name);
    for (errno = 0; (entry = readdir(dir)); errno = 0) {
        struct stat st;
        if (is_dot(entry->d_name))
            continue;
        r = count_entry(w, entry->d_name, depth);
        if (r < 0)
            return r;
        if (fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
            if (errno == ENOENT)
                continue;
            return error_sys(w->error, -errno, "look at \"%s\"", entry->d_name);
        }
        if (is_foreign(&st))
            return 1;
        w->links |= S_ISLNK(st.st_mode);
        if (S_ISDIR(st.st_mode) && st.st_dev == w->device) {
            r = look_for_foreign(w, dirfd(dir), entry->d_name, depth + 1);
            if (r != 0)
                return r;
        }
    }
    return errno ? error_sys(w->error, -errno, "read \"%s\"", name) : 0;
}
/* NOLINTEND(misc-no-recursion) */

int copytree_survey(int fd, size_t max, struct copytree_survey *ret, struct error *e)
{
    struct walk w = {.max_entries = max, .error = e};
    struct stat st;
    int r;

    if (fstat(fd, &st) < 0)
        return error_sys(e, -errno, "look at a directory");
    w.device = st.st_dev;
    r = is_foreign(&st) ? 1 : look_for_foreign(&w, fd, ".", 1);
    if (r < 0)
        return r;
    *ret = (struct copytree_survey){.foreign_owner = r > 0, .links = w.links || r > 0};
    return 0;
}

static uint32_t shift(const struct walk *w, uint32_t id)
{
    return w->base + (id < SANDBOX_ID_RANGE ? id : 0);
}

/* Owner, mode and times of ST for FD. Owner first: chown(2) takes set-id bits away. */
static int copy_attributes(const struct walk *w, int fd, const struct stat *st)
{
    const struct timespec times[2] = {st->st_atim, st->st_mtim};
    /* What is placed belongs to somebody else than the original: no set-id bit goes over to them.
     */
    mode_t mode = st->st_mode & (w->placing ? 0777 : 07777);

    if (!w->placing && fchown(fd, shift(w, st->st_uid), shift(w, st->st_gid)) < 0)
        return -errno;
    if (fchmod(fd, mode) < 0)
        return -errno;
    return futimens(fd, times) < 0 ? -errno : 0;
}

int copytree_attributes(int source_fd, int target_fd, uint32_t base)
{
    const struct walk w = {.base = base};
    struct stat st;

    return fstat(source_fd, &st) < 0 ? -errno : copy_attributes(&w, target_fd, &st);
}

/* Copies at most *LEFT bytes and takes them off it; -EFBIG where there are more. */
static int copy_bytes(int in, int out, const struct stat *st, uint64_t *left)
{
    char data[64 * 1024];

    if ((uint64_t)st->st_size > *left)
        return -EFBIG;
    if (ioctl(out, FICLONE, in) == 0) {
        *left -= (uint64_t)st->st_size;
        return 0;
    }
    for (;;) {
        ssize_t n = copy_file_range(in, NULL, out, NULL, COPY_CHUNK, 0);
        if (n == 0)
            return 0;
        if (n < 0)
            break;
        if ((uint64_t)n > *left)
            return -EFBIG;
        *left -= (uint64_t)n;
    }
    /* Not between these file systems: by hand, from where both offsets stand. */
    for (;;) {
        ssize_t n = read(in, data, sizeof(data));
        int r;
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : 0;
        if ((uint64_t)n > *left)
            return -EFBIG;
        *left -= (uint64_t)n;
        r = fd_write_full(out, data, (size_t)n);
        if (r < 0)
            return r;
    }
}

/* Makes room for something that is no directory. What is there is taken away, never written
 * through: it may be a link or a fifo. */
static int make_room(const struct walk *w, int dir, const char *name)
{
    if (!w->placing || unlinkat(dir, name, 0) == 0 || errno == ENOENT)
        return 0;
    return -errno;
}

/* The bytes and attributes of IN, a regular file. */
static int copy_opened(struct walk *w, int in, const struct stat *st, int to, const char *name)
{
    _cleanup_close_ int out = -EBADF;
    int r = make_room(w, to, name);

    if (r < 0)
        return error_sys(w->error, r, "\"%s\" is in the way", name);
    out = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    r = out < 0 ? -errno : copy_bytes(in, out, st, &w->bytes_left);
    if (r == 0)
        r = copy_attributes(w, out, st);
    if (r < 0 && w->placing && out >= 0)
        (void)unlinkat(to, name, 0); /* no half of a file */
    if (r == -EFBIG && w->placing)
        return error_set(w->error, r, "\"%s\": more than %llu bytes in all", name,
                         (unsigned long long)COPYTREE_BYTES_MAX);
    return r < 0 ? error_sys(w->error, r, "copy \"%s\"", name) : 0;
}

static int copy_file(struct walk *w, int from, int to, const char *name)
{
    /* O_NONBLOCK: it may have become a fifo since fstatat. */
    _cleanup_close_ int in =
        openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    struct stat st;

    if (in < 0 || fstat(in, &st) < 0)
        return error_sys(w->error, -errno, "open \"%s\"", name);
    if (!S_ISREG(st.st_mode))
        return error_set(w->error, -EAGAIN, "\"%s\" changed while it was copied", name);
    return copy_opened(w, in, &st, to, name);
}

/* The link FROM (NAME below it, or "" where it is the link itself) becomes NEW_NAME. */
static int copy_link(struct walk *w, int from, const char *name, int to, const char *new_name,
                     const struct stat *st)
{
    const struct timespec times[2] = {st->st_atim, st->st_mtim};
    char text[PATH_MAX];
    ssize_t n = readlinkat(from, name, text, sizeof(text) - 1);
    int r;

    if (n < 0)
        return error_sys(w->error, -errno, "read link \"%s\"", new_name);
    text[n] = 0;
    r = make_room(w, to, new_name);
    if (r < 0)
        return error_sys(w->error, r, "\"%s\" is in the way", new_name);
    if (symlinkat(text, to, new_name) < 0 ||
        (!w->placing && fchownat(to, new_name, shift(w, st->st_uid), shift(w, st->st_gid),
                                 AT_SYMLINK_NOFOLLOW) < 0) ||
        utimensat(to, new_name, times, AT_SYMLINK_NOFOLLOW) < 0)
        return error_sys(w->error, -errno, "copy link \"%s\"", new_name);
    return 0;
}

static int copy_fifo(struct walk *w, int to, const char *name, const struct stat *st)
{
    if (mkfifoat(to, name, 0600) < 0 ||
        fchownat(to, name, shift(w, st->st_uid), shift(w, st->st_gid), AT_SYMLINK_NOFOLLOW) < 0 ||
        fchmodat(to, name, st->st_mode & 07777, 0) < 0)
        return error_sys(w->error, -errno, "copy fifo \"%s\"", name);
    return 0;
}

/* NOLINTBEGIN(misc-no-recursion): bounded as above */
static int copy_content(struct walk *w, DIR *from, int to, int depth);

/* SOURCE becomes the directory NAME below TO. One that is there already keeps its attributes, and
 * is no link. */
static int copy_opened_dir(struct walk *w, DIR *source, const struct stat *st, int to,
                           const char *name, int depth)
{
    _cleanup_close_ int target = -EBADF;
    bool made = mkdirat(to, name, 0700) == 0;
    int r;

    if (!made && !(w->placing && errno == EEXIST))
        return error_sys(w->error, -errno, "make \"%s\"", name);
    target = openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (target < 0)
        return error_sys(w->error, -errno, made ? "open \"%s\"" : "\"%s\" is in the way", name);
    r = copy_content(w, source, target, depth);
    if (r < 0)
        return error_prefix(w->error, r, "\"%s\"", name);
    r = made ? copy_attributes(w, target, st) : 0;
    return r < 0 ? error_sys(w->error, r, "copy attributes of \"%s\"", name) : 0;
}

static int copy_dir(struct walk *w, int from, int to, const char *name, int depth)
{
    _cleanup_(closedir_p) DIR *source = NULL;
    struct stat st;
    int r = open_dir(from, name, &source);

    if (!source || fstat(dirfd(source), &st) < 0)
        return error_sys(w->error, r < 0 ? r : -errno, "open \"%s\"", name);
    return st.st_dev == w->device ? copy_opened_dir(w, source, &st, to, name, depth) : 0;
}

static int copy_entry(struct walk *w, int from, int to, const char *name, int depth)
{
    struct stat st;
    int r = count_entry(w, name, depth);

    if (r < 0)
        return r;
    if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : error_sys(w->error, -errno, "look at \"%s\"", name);
    switch (st.st_mode & S_IFMT) {
    case S_IFREG:
        return copy_file(w, from, to, name);
    case S_IFDIR:
        return copy_dir(w, from, to, name, depth + 1);
    case S_IFLNK:
        return copy_link(w, from, name, to, name, &st);
    case S_IFIFO:
        return w->placing ? 0 : copy_fifo(w, to, name, &st);
    default:
        return 0;
    }
}

static int copy_content(struct walk *w, DIR *from, int to, int depth)
{
    struct dirent *entry;

    for (errno = 0; (entry = readdir(from)); errno = 0) {
        int r = is_dot(entry->d_name) ? 0 : copy_entry(w, dirfd(from), to, entry->d_name, depth);
        if (r < 0)
            return r;
    }
    return errno ? error_sys(w->error, -errno, "read a directory") : 0;
}
/* NOLINTEND(misc-no-recursion) */

int copytree(int source_fd, int target_fd, uint32_t base, struct error *e)
{
    _cleanup_(closedir_p) DIR *source = NULL;
    struct walk w = {
        .base = base,
        .max_entries = COPYTREE_ENTRIES_MAX,
        .bytes_left = UINT64_MAX,
        .error = e,
    };
    struct stat st;
    int r = open_dir(source_fd, ".", &source);

    if (!source || fstat(dirfd(source), &st) < 0)
        return error_sys(e, r < 0 ? r : -errno, "open a directory");
    w.device = st.st_dev;
    r = copy_content(&w, source, target_fd, 1);
    if (r < 0)
        return error_prefix(e, r, "copy");
    r = copy_attributes(&w, target_fd, &st);
    return r < 0 ? error_sys(e, r, "copy attributes") : 0;
}

static int place_dir(struct walk *w, int source_fd, const struct stat *st, int target_fd,
                     const char *name)
{
    _cleanup_(closedir_p) DIR *source = NULL;
    int r = open_dir(source_fd, ".", &source);

    if (!source)
        return error_sys(w->error, r, "open a directory");
    w->device = st->st_dev;
    return name ? copy_opened_dir(w, source, st, target_fd, name, 1)
                : copy_content(w, source, target_fd, 1);
}

static int place_file(struct walk *w, int proc_fd, int source_fd, int target_fd, const char *name)
{
    _cleanup_close_ int in = -EBADF;
    struct stat st;
    char path[32];

    snprintf(path, sizeof(path), "self/fd/%d", source_fd);
    in = openat(proc_fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (in < 0 || fstat(in, &st) < 0)
        return error_sys(w->error, -errno, "open \"%s\"", name);
    return copy_opened(w, in, &st, target_fd, name);
}

int copytree_place(int proc_fd, int source_fd, int target_fd, const char *name, size_t max,
                   struct error *e)
{
    struct walk w = {
        .max_entries = max,
        .bytes_left = COPYTREE_BYTES_MAX,
        .placing = true,
        .error = e,
    };
    struct stat st;

    if (fstat(source_fd, &st) < 0)
        return error_sys(e, -errno, "look at what is to be copied");
    if (S_ISDIR(st.st_mode))
        return place_dir(&w, source_fd, &st, target_fd, name);
    if (!name)
        return error_set(e, -ENOTDIR, "not a directory, so it has no content");
    if (S_ISLNK(st.st_mode))
        return copy_link(&w, source_fd, "", target_fd, name, &st);
    if (!S_ISREG(st.st_mode))
        return error_set(e, -EINVAL, "neither a file nor a directory nor a link");
    return place_file(&w, proc_fd, source_fd, target_fd, name);
}
