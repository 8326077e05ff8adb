/* Theory of operation
 *
 * The process is root of a new user namespace and has a copy of the launcher's small mount
 * namespace. The image is hostile, so nothing in it is touched by path from outside: the root
 * overlay is attached at /new and from then on everything is resolved from its fd with
 * RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS, and mounts are moved onto what was found, by fd. No
 * process of the container exists yet, so what was found stays.
 *
 *   1. attach the root overlay
 *   2. proc, sys, dev: onto real directories of the image's root only (no links), made where
 *      missing; their own content is the kernel's or made by us, so paths inside them are safe
 *   3. masks over what Docker masks, read-only over what Docker makes read-only
 *   4. the spec's mounts, in order; a target that turns out to lie in proc, sysfs, /dev or the like
 *      is refused (an image may have a link there), so masks cannot be covered or uncovered
 *   5. pivot_root, old root detached: the launcher's namespace is out of reach */
#include "childroot.h"

#include "base/fdio.h"
#include "mountfd.h"
#include "netns.h"
#include "weaken.h"

#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#ifndef MQUEUE_MAGIC
#define MQUEUE_MAGIC 0x19800202 /* ipc/mqueue.c; not in linux/magic.h */
#endif

/* The root being built. */
struct tree {
    const struct child_plan *plan;
    int root; /* of the overlay, attached at /new */
    int proc;
    int sys;
    int dev;
    int empty;
    char *step;
    struct error *error;
};

static int fail(struct tree *t, int r, const char *step, const char *what)
{
    snprintf(t->step, SANDBOX_STEP_MAX, "%s", step);
    return error_sys(t->error, r, "%s", what);
}

/* A directory NAME right below the root; made where missing, refused where it is anything else. */
static int open_top_dir(int root_fd, const char *name)
{
    const uint64_t resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV;
    int fd = fd_openat2(root_fd, name, O_PATH | O_DIRECTORY, 0, resolve);

    if (fd == -ENOENT && mkdirat(root_fd, name, 0755) == 0)
        fd = fd_openat2(root_fd, name, O_PATH | O_DIRECTORY, 0, resolve);
    return fd;
}

/* Moves MOUNT_FD onto directory NAME right below the root. */
static int attach_top(struct tree *t, int mount_fd, const char *name, const char *step)
{
    _cleanup_close_ int target = open_top_dir(t->root, name);
    int r;

    if (target < 0)
        return fail(t, target, step, "open the directory in the image");
    r = mount_attach(mount_fd, target);
    return r < 0 ? fail(t, r, step, "attach") : 0;
}

static int attach_root(struct tree *t)
{
    _cleanup_close_ int target = open("/new", O_PATH | O_DIRECTORY | O_CLOEXEC);
    int r = target < 0 ? -errno : mount_attach(t->plan->root_fd, target);

    t->root = t->plan->root_fd;
    return r < 0 ? fail(t, r, "mount /", "attach") : 0;
}

static int attach_proc(struct tree *t)
{
    int r;

    t->proc = t->plan->proc_fd >= 0 ? fcntl(t->plan->proc_fd, F_DUPFD_CLOEXEC, 3)
                                    : mount_new("proc", NULL, 0, MOUNT_NOTHING_SPECIAL, t->error);
    if (t->proc < 0) {
        snprintf(t->step, SANDBOX_STEP_MAX, "mount /proc");
        return t->proc;
    }
    r = attach_top(t, t->proc, "proc", "mount /proc");
    /* Before /proc/sys becomes read-only; a parent's network has them already. */
    if (r == 0 && t->plan->spec->network != SANDBOX_NETWORK_PARENT) {
        r = netns_set_sysctls(t->proc, t->error);
        if (r < 0)
            snprintf(t->step, SANDBOX_STEP_MAX, "sysctls");
    }
    return r;
}

static int attach_sys(struct tree *t)
{
    _cleanup_close_ int cgroup = -EBADF;
    int r;

    t->sys = t->plan->sys_fd >= 0
                 ? fcntl(t->plan->sys_fd, F_DUPFD_CLOEXEC, 3)
                 : mount_new("sysfs", NULL, 0, MOUNT_NOTHING_SPECIAL | MOUNT_ATTR_RDONLY, t->error);
    if (t->sys < 0) {
        snprintf(t->step, SANDBOX_STEP_MAX, "mount /sys");
        return t->sys;
    }
    r = attach_top(t, t->sys, "sys", "mount /sys");
    if (r < 0 || !t->plan->host->unified)
        return r; /* on hybrid hosts /sys/fs/cgroup stays sysfs's own empty directory */
    cgroup = mount_new("cgroup2", NULL, 0, MOUNT_NOTHING_SPECIAL | MOUNT_ATTR_RDONLY, t->error);
    if (cgroup < 0) {
        snprintf(t->step, SANDBOX_STEP_MAX, "mount /sys/fs/cgroup");
        return cgroup;
    }
    if (move_mount(cgroup, "", t->sys, "fs/cgroup", MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return fail(t, -errno, "mount /sys/fs/cgroup", "attach");
    return 0;
}

/* Mounts FD onto NAME of our own /dev. */
static int attach_in_dev(struct tree *t, int fd, const char *name, const char *step)
{
    if (fd < 0) {
        snprintf(t->step, SANDBOX_STEP_MAX, "%s", step);
        return fd;
    }
    if (move_mount(fd, "", t->dev, name, MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return fail(t, -errno, step, "attach");
    return 0;
}

static int attach_dev(struct tree *t)
{
    const struct mount_option pts_options[] = {{"newinstance", NULL, -1},
                                               {"ptmxmode", "0666", -1},
                                               {"mode", "0620", -1},
                                               {"gid", "5", -1}};
    _cleanup_close_ int pts = -EBADF, mqueue = -EBADF;
    int r = attach_top(t, t->plan->dev_fd, "dev", "mount /dev");

    t->dev = t->plan->dev_fd;
    if (r < 0)
        return r;
    pts = mount_new("devpts", pts_options, ARRAY_SIZE(pts_options),
                    MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, t->error);
    r = attach_in_dev(t, pts, "pts", "mount /dev/pts");
    if (r < 0)
        return r;
    if (!weakened("ipc-namespace")) {
        mqueue = mount_new("mqueue", NULL, 0, MOUNT_NOTHING_SPECIAL, t->error);
        r = attach_in_dev(t, mqueue, "mqueue", "mount /dev/mqueue");
        if (r < 0)
            return r;
    }
    return attach_in_dev(t, t->plan->shm_fd, "shm", "mount /dev/shm");
}

/* Clones PATH below DIR_FD (kernel file systems only). */
static int clone_below(int dir_fd, const char *path, bool recursive)
{
    int fd = open_tree(dir_fd, path,
                       OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW |
                           (recursive ? AT_RECURSIVE : 0U));

    return fd < 0 ? -errno : fd;
}

/* What covers a directory: an empty tmpfs, once it is attached clones of it. */
static int cover_directory(struct tree *t)
{
    const struct mount_tmpfs empty = {.size = 4096, .inodes = 1, .mode = 0555};
    int fd;

    if (t->empty >= 0)
        return mount_clone(t->empty, false);
    t->empty = mount_new_tmpfs(&empty, MOUNT_NOTHING_SPECIAL | MOUNT_ATTR_RDONLY, t->error);
    if (t->empty < 0)
        return t->empty;
    fd = fcntl(t->empty, F_DUPFD_CLOEXEC, 3);
    return fd < 0 ? -errno : fd;
}

/* Hides PATH: a file behind the null device, a directory behind an empty one. */
static int mask(struct tree *t, int dir_fd, const char *path)
{
    _cleanup_close_ int target = openat(dir_fd, path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    _cleanup_close_ int cover = -EBADF;
    struct stat st;
    int r;

    if (target < 0 && errno == ENOENT)
        return 0;
    if (target < 0 || fstat(target, &st) < 0)
        return fail(t, -errno, "mask paths", path);
    cover = S_ISDIR(st.st_mode) ? cover_directory(t) : clone_below(t->dev, "null", false);
    r = cover < 0 ? cover : mount_attach(cover, target);
    return r < 0 ? fail(t, r, "mask paths", path) : 0;
}

static int protect(struct tree *t, const char *path)
{
    _cleanup_close_ int fd = clone_below(t->proc, path, true);
    int r;

    if (fd == -ENOENT)
        return 0;
    if (fd < 0)
        return fail(t, fd, "protect paths", path);
    r = mount_change(fd, MOUNT_ATTR_RDONLY | MOUNT_NOTHING_SPECIAL, -EBADF, true);
    if (r == 0 && move_mount(fd, "", t->proc, path, MOVE_MOUNT_F_EMPTY_PATH) < 0)
        r = -errno;
    return r < 0 ? fail(t, r, "protect paths", path) : 0;
}

/* Docker's lists (moby oci/defaults.go), plus what it added later. */
static int cover_paths(struct tree *t)
{
    static const char *const masked[] = {
        "asound",        "acpi",       "interrupts",  "kcore",       "keys",
        "latency_stats", "timer_list", "timer_stats", "sched_debug", "scsi"};
    static const char *const read_only[] = {"bus", "fs", "irq", "sys", "sysrq-trigger"};
    static const char *const masked_sys[] = {"firmware", "devices/virtual/powercap"};
    int r = 0;

    if (weakened("masks"))
        return 0;
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(masked); i++)
        r = mask(t, t->proc, masked[i]);
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(masked_sys); i++)
        r = mask(t, t->sys, masked_sys[i]);
    for (size_t i = 0; r == 0 && !weakened("read-only-paths") && i < ARRAY_SIZE(read_only); i++)
        r = protect(t, read_only[i]);
    return r;
}

/* Makes what is missing of directory PATH (relative) below ROOT; *RET_FD is the last one. Links are
 * resolved inside the root; one that leads nowhere is an error. */
static int make_dirs(int root_fd, const char *path, int *ret_fd)
{
    char copy[SANDBOX_PATH_MAX];
    int at = fcntl(root_fd, F_DUPFD_CLOEXEC, 3);
    char *end = copy;

    if (strlen(path) >= sizeof(copy) || at < 0) {
        safe_close(at);
        return -ENAMETOOLONG;
    }
    memcpy(copy, path, strlen(path) + 1);
    while (end) {
        char *name;
        int fd;
        end = strchr(end, '/');
        if (end)
            *end = 0;
        fd = fd_openat2(root_fd, copy, O_PATH | O_DIRECTORY, 0, RESOLVE_UNTRUSTED);
        if (fd == -ENOENT) {
            name = strrchr(copy, '/');
            name = name ? name + 1 : copy;
            if (mkdirat(at, name, 0755) == 0)
                fd = openat(at, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
            if (fd < 0)
                fd = -errno;
        }
        safe_close(at);
        if (fd < 0)
            return fd;
        at = fd;
        if (end)
            *end++ = '/';
    }
    *ret_fd = at;
    return 0;
}

/* An empty file PATH to mount onto, its directories included. */
static int make_file(int root_fd, const char *path)
{
    char copy[SANDBOX_PATH_MAX];
    _cleanup_close_ int dir = -EBADF, fd = -EBADF;
    char *slash;
    int r;

    if (strlen(path) >= sizeof(copy))
        return -ENAMETOOLONG;
    memcpy(copy, path, strlen(path) + 1);
    slash = strrchr(copy, '/');
    if (slash) {
        *slash = 0;
        r = make_dirs(root_fd, copy, &dir);
        if (r < 0)
            return r;
    }
    fd = openat(slash ? dir : root_fd, slash ? slash + 1 : copy,
                O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    return fd < 0 ? -errno : 0;
}

/* Finds or makes the place for a mount; *RET_FD is an O_PATH fd. */
static int open_target(int root_fd, const char *path, bool directory, int *ret_fd)
{
    int fd =
        fd_openat2(root_fd, path, O_PATH, 0, weakened("resolve-in-root") ? 0 : RESOLVE_UNTRUSTED);
    int r;

    if (fd == -ENOENT && directory)
        return make_dirs(root_fd, path, ret_fd);
    if (fd == -ENOENT) {
        r = make_file(root_fd, path);
        if (r < 0)
            return r;
        fd = fd_openat2(root_fd, path, O_PATH, 0, RESOLVE_UNTRUSTED);
    }
    if (fd < 0)
        return fd;
    *ret_fd = fd;
    return 0;
}

/* Whether FD lies where only the runtime mounts, or is the root itself: the validated target was
 * elsewhere, a link of the image led here. */
static bool is_forbidden(const struct tree *t, int fd)
{
    struct stat st, root, dev, shm;
    struct statfs fs;

    if (fstatfs(fd, &fs) < 0 || fstat(fd, &st) < 0 || fstat(t->root, &root) < 0 ||
        fstat(t->dev, &dev) < 0 || fstat(t->plan->shm_fd, &shm) < 0)
        return true;
    return fs.f_type == PROC_SUPER_MAGIC || fs.f_type == SYSFS_MAGIC ||
           fs.f_type == CGROUP2_SUPER_MAGIC || fs.f_type == DEVPTS_SUPER_MAGIC ||
           fs.f_type == MQUEUE_MAGIC || st.st_dev == dev.st_dev || st.st_dev == shm.st_dev ||
           (st.st_dev == root.st_dev && st.st_ino == root.st_ino);
}

static int attach_mount(struct tree *t, const struct child_mount *m)
{
    _cleanup_close_ int target = -EBADF;
    char step[SANDBOX_STEP_MAX];
    struct stat st;
    int r;

    snprintf(step, sizeof(step), "mount %s", m->target);
    if (fstat(m->fd, &st) < 0)
        return fail(t, -errno, step, "look at the source");
    r = open_target(t->root, m->target + 1, S_ISDIR(st.st_mode), &target);
    if (r < 0)
        return fail(t, r, step, "open the target in the image");
    if (!weakened("mount-targets") && is_forbidden(t, target))
        return fail(t, -ELOOP, step,
                    "a link of the image leads it to the root, /proc, /sys or /dev");
    r = mount_attach(m->fd, target);
    return r < 0 ? fail(t, r, step, "attach") : 0;
}

static int pivot(struct tree *t)
{
    if (fchdir(t->root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0)
        return fail(t, -errno, "pivot_root", "pivot_root");
    if (umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
        return fail(t, -errno, "pivot_root", "detach the old root");
    return 0;
}

/* NOLINTNEXTLINE(readability-non-const-parameter): fail() writes it through the tree */
int childroot_enter(const struct child_plan *plan, char step[SANDBOX_STEP_MAX], struct error *e)
{
    struct tree t = {.plan = plan,
                     .proc = -EBADF,
                     .sys = -EBADF,
                     .dev = -EBADF,
                     .empty = -EBADF,
                     .step = step,
                     .error = e};
    int r = attach_root(&t);

    if (r == 0)
        r = attach_proc(&t);
    if (r == 0)
        r = attach_sys(&t);
    if (r == 0)
        r = attach_dev(&t);
    if (r == 0)
        r = cover_paths(&t);
    for (size_t i = 0; r == 0 && i < plan->spec->n_mounts; i++)
        r = attach_mount(&t, &plan->mounts[i]);
    if (r == 0 && plan->spec->read_only) {
        r = mount_change(t.root, MOUNT_ATTR_RDONLY, -EBADF, false);
        if (r < 0)
            fail(&t, r, "mount /", "make it read-only");
    }
    if (r == 0)
        r = pivot(&t);
    safe_close(t.proc);
    safe_close(t.sys);
    safe_close(t.empty);
    return r;
}
