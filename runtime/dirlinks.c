/* Theory of operation. The source is edited by course staff: it is foreign, and may change while it
 * is walked. A link is looked up once, relative to the root, and never leaves it (RESOLVE_BENEATH:
 * absolute links and ".." beyond the root are refused by the kernel); what is then walked and
 * copied is the directory that was opened, not its path. Paths are only used to say where below the
 * root a directory is, and a wrong one leads to another place below the root at worst. */
#include "dirlinks.h"

#include "base/fdio.h"
#include "copytree.h"

#include <dirent.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

/* One directory of the source on the way down, so that a link to any of them is seen as a loop. */
struct level {
    const struct level *up;
    dev_t device;
    ino_t inode;
    const char *name;
    int source_fd;
    int target_fd; /* -1 until something has to be put there */
    int depth;
};

struct walk {
    int root_fd;
    uint32_t base;
    int replaced;
    size_t entries;
    struct error *error;
};

static void closedir_p(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}

/* Where FD is below the root, as a relative path in PATH (PATH_MAX). */
static int path_below_root(const struct walk *w, int fd, char *path)
{
    char self[64], root[PATH_MAX];
    ssize_t n, length;

    snprintf(self, sizeof(self), "/proc/self/fd/%d", w->root_fd);
    n = readlink(self, root, sizeof(root) - 1);
    snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
    length = readlink(self, path, PATH_MAX - 1); // NOLINT(readability-suspicious-call-argument)
    if (n < 0 || length < 0)
        return -errno;
    root[n] = path[length] = 0;
    if (n == 1)
        n = 0; /* the root is "/" */
    if (length <= n || strncmp(path, root, (size_t)n) != 0 || path[n] != '/')
        return -EXDEV;
    memmove(path, path + n + 1, (size_t)(length - n));
    return 0;
}

/* Opens the directory that link NAME in SOURCE_FD leads to; -ENOENT where it is to stay a link. */
static int follow(const struct walk *w, int source_fd, const char *name)
{
    char path[PATH_MAX], joined[PATH_MAX];
    int fd, n;

    if (path_below_root(w, source_fd, path) < 0)
        return -ENOENT;
    n = snprintf(joined, sizeof(joined), "%s/%s", path, name);
    if (n < 0 || (size_t)n >= sizeof(joined))
        return -ENOENT;
    fd = fd_openat2(w->root_fd, joined, O_RDONLY | O_DIRECTORY, 0,
                    RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS);
    return fd < 0 ? -ENOENT : fd;
}

static bool is_above(const struct level *level, const struct stat *st)
{
    for (; level; level = level->up)
        if (level->device == st->st_dev && level->inode == st->st_ino)
            return true;
    return false;
}

/* The target of LEVEL, made with its parents where it is not there yet; the top has one. */
/* NOLINTNEXTLINE(misc-no-recursion): bounded by COPYTREE_DEPTH_MAX */
static int target_of(struct walk *w, struct level *level)
{
    int up, fd;

    if (level->target_fd >= 0)
        return level->target_fd;
    up = target_of(w, (struct level *)(uintptr_t)level->up);
    if (up < 0)
        return up;
    /* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): only the top has no name */
    if (mkdirat(up, level->name, 0700) == 0) {
        fd = openat(up, level->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
            return -errno;
        level->target_fd = fd;
        fd = copytree_attributes(level->source_fd, level->target_fd, w->base);
        return fd < 0 ? fd : level->target_fd;
    }
    if (errno != EEXIST)
        return -errno;
    fd = openat(up, level->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? -errno : (level->target_fd = fd);
}

/* NOLINTBEGIN(misc-no-recursion): bounded by COPYTREE_DEPTH_MAX */
static int walk_dir(struct walk *w, struct level *level);

/* Puts a copy of the directory FD at NAME of LEVEL's target, and goes on inside it. */
static int replace(struct walk *w, struct level *level, const char *name, int fd,
                   const struct stat *st)
{
    struct level below = {level, st->st_dev, st->st_ino, name, fd, -EBADF, level->depth + 1};
    int target = target_of(w, level), r;

    if (target < 0)
        return error_sys(w->error, target, "make room for \"%s\"", name);
    if (++w->replaced > DIRLINKS_MAX)
        return error_set(w->error, -E2BIG, "more than %d links to directories", DIRLINKS_MAX);
    if ((unlinkat(target, name, 0) < 0 && errno != ENOENT) || mkdirat(target, name, 0700) < 0)
        return error_sys(w->error, -errno, "make \"%s\"", name);
    below.target_fd = openat(target, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (below.target_fd < 0)
        return error_sys(w->error, -errno, "open \"%s\"", name);
    r = copytree(fd, below.target_fd, w->base, w->error);
    if (r == 0)
        r = walk_dir(w, &below);
    safe_close(below.target_fd);
    return r < 0 ? error_prefix(w->error, r, "link \"%s\"", name) : 0;
}

static int visit_link(struct walk *w, struct level *level, const char *name)
{
    _cleanup_close_ int fd = follow(w, level->source_fd, name);
    struct stat st;

    if (fd < 0)
        return 0;
    if (fstat(fd, &st) < 0)
        return error_sys(w->error, -errno, "link \"%s\"", name);
    return is_above(level, &st) ? 0 : replace(w, level, name, fd, &st);
}

static int visit_dir(struct walk *w, struct level *level, const char *name)
{
    _cleanup_close_ int fd =
        openat(level->source_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct level below = {level, 0, 0, name, fd, -EBADF, level->depth + 1};
    struct stat st;
    int r;

    if (fd < 0 || fstat(fd, &st) < 0)
        return errno == ENOENT || errno == ENOTDIR
                   ? 0
                   : error_sys(w->error, -errno, "open \"%s\"", name);
    if (st.st_dev != level->device)
        return 0;
    below.device = st.st_dev;
    below.inode = st.st_ino;
    r = walk_dir(w, &below);
    safe_close(below.target_fd);
    return r;
}

static int walk_dir(struct walk *w, struct level *level)
{
    _cleanup_(closedir_p) DIR *dir = NULL;
    struct dirent *entry;
    int fd = openat(level->source_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        int r = -errno;
        safe_close(fd);
        return error_sys(w->error, r, "read a directory");
    }
    if (level->depth > COPYTREE_DEPTH_MAX)
        return error_set(w->error, -ELOOP, "nested deeper than %d", COPYTREE_DEPTH_MAX);
    for (errno = 0; (entry = readdir(dir)); errno = 0) {
        int r = 0;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (++w->entries > COPYTREE_ENTRIES_MAX)
            return error_set(w->error, -E2BIG, "more than %d entries", COPYTREE_ENTRIES_MAX);
        if (entry->d_type == DT_LNK)
            r = visit_link(w, level, entry->d_name);
        else if (entry->d_type == DT_DIR)
            r = visit_dir(w, level, entry->d_name);
        if (r < 0)
            return r;
    }
    return errno ? error_sys(w->error, -errno, "read a directory") : 0;
}
/* NOLINTEND(misc-no-recursion) */

int dirlinks_replace(int root_fd, int source_fd, int target_fd, uint32_t base, struct error *e)
{
    struct walk w = {.root_fd = root_fd, .base = base, .error = e};
    struct level top = {.source_fd = source_fd, .target_fd = target_fd, .depth = 1};
    struct stat st;
    int r;

    if (fstat(source_fd, &st) < 0)
        return error_sys(e, -errno, "links to directories");
    top.device = st.st_dev;
    top.inode = st.st_ino;
    r = walk_dir(&w, &top);
    return r < 0 ? error_prefix(e, r, "links to directories") : w.replaced;
}
