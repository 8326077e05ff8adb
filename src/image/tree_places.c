/* Where an entry goes: parents, and what already stands in its place. */
#include "image/tree_internal.h"

#include "base/fdio.h"

#include <string.h>
#include <sys/sysmacros.h>

#define IMPLIED_MODE 0755

int tree_note(struct layer_tree *t, struct path_list *list, const char *path, struct error *e)
{
    int r;

    if (image_bound_exceeded(t->bounds, IMAGE_BOUND_NAMES, list->size + strlen(path) + 1,
                             "bytes of directory names in the layer", e))
        return -EFBIG;
    r = path_list_add(list, path);
    return r < 0 ? error_sys(e, r, "remember a name") : 0;
}

int tree_note_replaced(struct layer_tree *t, const char *path, struct error *e)
{
    int r = tree_note(t, &t->notes->lists[LAYER_OPAQUE], path, e);

    return r < 0 ? r : tree_note(t, &t->notes->lists[LAYER_REPLACED], path, e);
}

int tree_stat(int parent_fd, const char *base, struct stat *ret)
{
    return fstatat(parent_fd, base, ret, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

bool tree_is_whiteout(const struct stat *st)
{
    return S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0);
}

int tree_clear_place(struct layer_tree *t, int parent_fd, const char *base, bool *ret_whiteout,
                     struct error *e)
{
    struct stat st;
    int r = tree_stat(parent_fd, base, &st);

    *ret_whiteout = false;
    if (r == -ENOENT)
        return 0;
    if (r < 0)
        return error_sys(e, r, "stat");
    *ret_whiteout = tree_is_whiteout(&st);
    t->notes->sums_stale = true;
    if (S_ISDIR(st.st_mode) || S_ISLNK(st.st_mode))
        t->parent_stale = true;
    if (!S_ISDIR(st.st_mode))
        return unlinkat(parent_fd, base, 0) < 0 ? error_sys(e, -errno, "unlink") : 0;
    r = fd_remove_tree(parent_fd, base);
    return r < 0 ? error_sys(e, r, "remove the earlier directory") : 0;
}

int tree_make_directory(struct layer_tree *t, int parent_fd, const char *path, const char *base,
                        mode_t mode, bool *ret_made, struct error *e)
{
    bool whiteout = false;
    struct stat st;
    int r;

    *ret_made = true;
    if (mkdirat(parent_fd, base, mode) == 0)
        return 0;
    if (errno != EEXIST)
        return error_sys(e, -errno, "mkdir");
    r = tree_stat(parent_fd, base, &st);
    if (r < 0)
        return error_sys(e, r, "stat");
    if (S_ISDIR(st.st_mode)) {
        *ret_made = false;
        return 0;
    }
    r = tree_clear_place(t, parent_fd, base, &whiteout, e);
    if (r < 0)
        return r;
    if (mkdirat(parent_fd, base, mode) < 0)
        return error_sys(e, -errno, "mkdir");
    return whiteout ? tree_note_replaced(t, path, e) : 0;
}

int tree_open_directory(struct layer_tree *t, const char *path)
{
    const char *place = path[0] ? path : ".";
    int fd = fd_openat2(t->root_fd, place, O_PATH | O_DIRECTORY, 0,
                        RESOLVE_UNTRUSTED | RESOLVE_NO_SYMLINKS);

    if (fd != -ELOOP)
        return fd;
    /* What is made there has another name than its entry. */
    t->notes->sums_stale = true;
    return fd_openat2(t->root_fd, place, O_PATH | O_DIRECTORY, 0, RESOLVE_UNTRUSTED);
}

/* Opens PATH as a directory, or says what is in the way: -ENOENT where nothing is. */
static int open_existing(struct layer_tree *t, const char *path, struct error *e)
{
    int fd = tree_open_directory(t, path);

    if (fd >= 0 || fd == -ENOENT || fd == -ENOTDIR)
        return fd;
    if (fd == -ELOOP)
        return error_set(e, -EBADMSG, "its directory is a loop of links");
    return error_sys(e, fd, "openat2");
}

/* Makes the directory PATH, whose parent is there; it has no entry of its own so far. */
static int make_implied(struct layer_tree *t, const char *path, struct error *e)
{
    _cleanup_close_ int opened = -EBADF;
    const char *slash = strrchr(path, '/');
    const char *base = slash ? slash + 1 : path;
    int parent_fd = t->root_fd;
    struct stat st;
    bool made;
    int r;

    if (slash) {
        char parent[ENTRY_PATH_MAX + 1];
        memcpy(parent, path, (size_t)(slash - path));
        parent[slash - path] = 0;
        parent_fd = opened = open_existing(t, parent, e);
        if (opened < 0)
            return opened;
    }
    r = tree_stat(parent_fd, base, &st);
    if (r == 0 && S_ISLNK(st.st_mode))
        return error_set(e, -EBADMSG, "its directory is a link that leads to none in this layer");
    if (r == 0 && !S_ISDIR(st.st_mode) && !tree_is_whiteout(&st))
        return error_set(e, -EBADMSG, "its directory is something else in this layer");
    r = tree_make_directory(t, parent_fd, path, base, IMPLIED_MODE, &made, e);
    return r < 0 || !made ? r : tree_note(t, &t->notes->lists[LAYER_IMPLIED], path, e);
}

int tree_open_parent(struct layer_tree *t, const char *path, int *ret, struct error *e)
{
    struct stat st;
    int fd;

    if (!path[0]) {
        /* Not worth remembering: few entries stand there. */
        t->parent_setgid = true;
        *ret = t->root_fd;
        return 0;
    }
    if (t->parent_fd >= 0 && !t->parent_stale && strcmp(t->parent, path) == 0) {
        t->parent_setgid = t->parent_gid_inherited;
        *ret = t->parent_fd;
        return 0;
    }
    t->parent_fd = safe_close(t->parent_fd);
    t->parent_stale = false;
    fd = open_existing(t, path, e);
    if (fd == -ENOENT || fd == -ENOTDIR) {
        char prefix[ENTRY_PATH_MAX + 1];
        for (const char *end = strchrnul(path, '/');; end = strchrnul(end + 1, '/')) {
            memcpy(prefix, path, (size_t)(end - path));
            prefix[end - path] = 0;
            safe_close(fd);
            fd = open_existing(t, prefix, e);
            if (fd == -ENOENT || fd == -ENOTDIR) {
                int r = make_implied(t, prefix, e);
                if (r < 0)
                    return r;
                fd = open_existing(t, prefix, e);
            }
            if (fd < 0)
                return fd;
            if (!*end)
                break;
        }
    }
    if (fd < 0)
        return fd;
    if (fstat(fd, &st) < 0) {
        int r = -errno;
        close(fd);
        return error_sys(e, r, "stat");
    }
    t->parent_setgid = t->parent_gid_inherited = (st.st_mode & S_ISGID) != 0;
    memcpy(t->parent, path, strlen(path) + 1);
    *ret = t->parent_fd = fd;
    return 0;
}
