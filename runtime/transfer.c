/* Theory of operation
 *
 * In. Nothing of the sandbox runs yet: its mounts are there, detached, and are written to directly.
 * The image may have links, fifos and devices in the way of what is copied. Links are followed with
 * the mount as their root, and only on the way to the place: there, copytree_place() replaces them.
 * The process takes the program's user as its file system ids, so that everything it makes belongs
 * to that user, through id mappings, too, and of root's rights keeps that to pass any mode.
 *
 * Out. Everything of the sandbox is dead. The process enters its mount namespace (it is this
 * process's root from then on: no link leads elsewhere) and reads what is there as plain data, into
 * a directory of the host that was opened before. */
#include "transfer.h"

#include "base/fdio.h"
#include "capabilities.h"
#include "copytree.h"
#include "user.h"

#include <linux/capability.h>
#include <linux/magic.h>
#include <sched.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#define PASS_ANY_MODE (1ULL << CAP_DAC_OVERRIDE | 1ULL << CAP_DAC_READ_SEARCH)

static int failed(struct error *e, int r, const struct sandbox_copy *c)
{
    return error_prefix(e, r, "copy %s %s", c->out ? "out" : "in", c->path);
}

/* ---- in ---- */

static int become_user(const struct transfer_in *t, struct error *e)
{
    struct user user;
    int r = user_lookup_at(t->root_fd, t->spec, &user, e);

    if (r < 0)
        return r;
    setfsgid(t->base + user.gid);
    setfsuid(t->base + user.uid);
    r = capabilities_set(PASS_ANY_MODE);
    return r < 0 ? error_sys(e, r, "set capabilities") : 0;
}

/* The mount that PATH (absolute) is in, and what is left of the path below it. */
static int find_mount(const struct transfer_in *t, const char *path, const char **ret_rest)
{
    size_t longest = 0;
    int fd = t->root_fd;

    for (size_t i = 0; i < t->n_mounts; i++) {
        size_t length = strlen(t->mounts[i].target);
        if (length > longest && strncmp(path, t->mounts[i].target, length) == 0 &&
            (path[length] == 0 || path[length] == '/')) {
            longest = length;
            fd = t->mounts[i].fd;
        }
    }
    path += longest;
    *ret_rest = path[0] == '/' ? path + 1 : path;
    return fd;
}

/* Opens the directory PATH below MOUNT_FD ("" is itself). */
static int open_dir(int mount_fd, const char *path)
{
    return fd_openat2(mount_fd, path[0] ? path : ".", O_PATH | O_DIRECTORY, 0, RESOLVE_UNTRUSTED);
}

/* The same, made with all that leads to it where it is missing. */
static int make_dir(int mount_fd, const char *path, struct error *e)
{
    _cleanup_free_ char *copy = strdup(path);
    _cleanup_close_ int at = open_dir(mount_fd, "");

    if (!copy || at < 0)
        return error_sys(e, copy ? at : -ENOMEM, "open the mount");
    for (char *name = copy, *end = copy; *name; name = end) {
        char slash;
        int fd;
        end = name + strcspn(name, "/");
        slash = *end;
        *end = 0;
        fd = open_dir(mount_fd, copy);
        if (fd == -ENOENT && mkdirat(at, name, 0755) == 0)
            fd = open_dir(mount_fd, copy);
        if (fd < 0)
            return error_sys(e, fd, "make \"%s\"", copy);
        safe_close(at);
        at = fd;
        *end = slash;
        end += slash != 0;
    }
    return TAKE_FD(at);
}

static int copy_in(const struct transfer_in *t, const struct sandbox_copy *c, struct error *e)
{
    int source = t->host->roots[c->root].fd;
    const char *rest, *slash, *name = c->name;
    int mount_fd = find_mount(t, c->path, &rest);
    _cleanup_close_ int dir = open_dir(mount_fd, rest);
    _cleanup_free_ char *parent = NULL;

    /* Not a directory that is there: then it is the name that the copy gets. */
    if ((dir == -ENOENT || dir == -ENOTDIR) && rest[0]) {
        slash = strrchr(rest, '/');
        name = slash ? slash + 1 : rest;
        parent = strndup(rest, slash ? (size_t)(slash - rest) : 0);
        if (!parent)
            return error_sys(e, -ENOMEM, "path");
        dir = make_dir(mount_fd, parent, e);
        if (dir < 0)
            return dir;
    }
    if (dir < 0)
        return error_sys(e, dir, "open the directory");
    return copytree_place(t->host->proc_fd, source, dir, name, COPYTREE_ENTRIES_MAX, e);
}

int transfer_in(const void *what, struct error *e)
{
    const struct transfer_in *t = what;
    int r = become_user(t, e);

    for (size_t i = 0; r == 0 && i < t->spec->n_copies; i++) {
        const struct sandbox_copy *c = &t->spec->copies[i];
        r = c->out ? 0 : copy_in(t, c, e);
        if (r < 0)
            return failed(e, r, c);
    }
    return r;
}

/* ---- out ---- */

/* Whether FD lies in a file system of the kernel's, whose files are no data of the sandbox. */
static bool is_of_kernel(int fd)
{
    struct statfs fs;

    return fstatfs(fd, &fs) < 0 || fs.f_type == PROC_SUPER_MAGIC || fs.f_type == SYSFS_MAGIC ||
           fs.f_type == CGROUP2_SUPER_MAGIC;
}

static int copy_out(const struct transfer_out *t, int root_fd, const struct sandbox_copy *c,
                    struct error *e)
{
    const char *path = c->path[1] ? c->path + 1 : ".";
    _cleanup_close_ int target = -EBADF;
    /* The last component is not followed: a link is copied as one. */
    _cleanup_close_ int source =
        fd_openat2(root_fd, path, O_PATH | O_NOFOLLOW, 0, RESOLVE_UNTRUSTED);

    if (source == -ENOENT)
        return error_set(e, source, "there is no such file in the sandbox");
    if (source < 0)
        return error_sys(e, source, "open it in the sandbox");
    if (is_of_kernel(source))
        return error_set(e, -EACCES, "it is a file of the kernel's");
    target = openat(t->host->roots[c->root].fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (target < 0)
        return error_sys(e, -errno, "open the directory of the host");
    return copytree_place(t->host->proc_fd, source, target, c->name, COPYTREE_ENTRIES_MAX, e);
}

int transfer_out(const void *what, struct error *e)
{
    const struct transfer_out *t = what;
    _cleanup_close_ int root = -EBADF;
    int result = 0;

    if (setns(t->mnt_ns_fd, CLONE_NEWNS) < 0)
        return error_sys(e, -errno, "enter the sandbox's mount namespace");
    root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return error_sys(e, -errno, "open the sandbox's root");
    for (size_t i = 0; i < t->n_copies; i++) {
        const struct sandbox_copy *c = &t->copies[i];
        struct error why = ERROR_INIT;
        int r = c->out ? copy_out(t, root, c, &why) : 0;
        if (r < 0 && result == 0) {
            *e = why;
            result = failed(e, r, c);
        }
    }
    return result;
}
