#include "hostns.h"

#include "base/fdio.h"
#include "mountfd.h"
#include "rootfs.h"

#include <linux/magic.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

/* The launcher's root holds a few directories and nothing else. */
#define ROOT_BYTES  (1 << 20)
#define ROOT_INODES 4096

/* Makes DIR below the new root (a file where MOUNT_FD is one), attaches MOUNT_FD there. */
static int place(int mount_fd, const char *dir, struct error *e)
{
    _cleanup_close_ int fd = -EBADF;
    struct stat st;
    int r;

    if (fstat(mount_fd, &st) < 0)
        return error_sys(e, -errno, "look at %s", dir);
    if (S_ISDIR(st.st_mode) ? mkdir(dir, 0755) < 0 : mknod(dir, S_IFREG | 0600, 0) < 0)
        return error_sys(e, -errno, "make %s", dir);
    fd = open(dir, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return error_sys(e, -errno, "open %s", dir);
    r = mount_attach(mount_fd, fd);
    return r < 0 ? error_sys(e, r, "mount %s", dir) : 0;
}

static int clone_root(const struct launcher_root *root, struct error *e)
{
    _cleanup_close_ int fd = open(root->path, O_PATH | O_CLOEXEC);
    _cleanup_close_ int mount_fd = -EBADF;
    int r;

    if (fd < 0)
        return error_sys(e, -errno, "root \"%s\": open %s", root->name, root->path);
    mount_fd = mount_clone(fd, true);
    if (mount_fd < 0)
        return error_sys(e, mount_fd, "root \"%s\": clone %s", root->name, root->path);
    r = mount_change(mount_fd, root->read_only ? MOUNT_ATTR_RDONLY : 0, -EBADF, true);
    if (r < 0)
        return error_sys(e, r, "root \"%s\": read-only %s", root->name, root->path);
    return TAKE_FD(mount_fd);
}

static int clone_roots(struct host *h, const struct launcher_config *config, struct error *e)
{
    for (size_t i = 0; i < config->n_roots; i++) {
        struct host_root *root = &h->roots[i];
        root->name = strdup(config->roots[i].name);
        root->read_only = config->roots[i].read_only;
        root->fd = clone_root(&config->roots[i], e);
        h->n_roots = i + 1;
        if (!root->name)
            return error_sys(e, -ENOMEM, "root \"%s\"", config->roots[i].name);
        if (root->fd < 0)
            return root->fd;
    }
    return 0;
}

/* Makes ROOT_FD, a detached mount, the root of the namespace and lets go of the old one. */
static int pivot(int root_fd, int place_fd, struct error *e)
{
    int r = mount_attach(root_fd, place_fd);

    if (r < 0)
        return error_sys(e, r, "attach the launcher's root");
    if (fchdir(root_fd) < 0 || syscall(SYS_pivot_root, ".", ".") < 0)
        return error_sys(e, -errno, "pivot_root into the launcher's root");
    /* The old root now lies over the new one, at "." as well. */
    if (umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
        return error_sys(e, -errno, "detach the host's root");
    return 0;
}

static int populate(struct host *h, int scratch_mount, struct error *e)
{
    _cleanup_close_ int proc = -EBADF, sys = -EBADF;
    char dir[32];
    int r;

    proc = mount_new("proc", NULL, 0, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, e);
    if (proc < 0)
        return proc;
    sys = mount_new("sysfs", NULL, 0, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, e);
    if (sys < 0)
        return sys;
    r = place(proc, "/proc", e);
    if (r == 0)
        r = place(sys, "/sys", e);
    if (r == 0)
        r = place(scratch_mount, "/scratch", e);
    if (r < 0)
        return r;
    if (mkdir("/roots", 0755) < 0 || mkdir("/new", 0755) < 0 || mkdir("/stage", 0755) < 0 ||
        mkdir("/keep", 0755) < 0)
        return error_sys(e, -errno, "populate the launcher's root");
    for (size_t i = 0; r == 0 && i < h->n_roots; i++) {
        snprintf(dir, sizeof(dir), "/roots/%zu", i);
        r = place(h->roots[i].fd, dir, e);
    }
    h->proc_fd = TAKE_FD(proc);
    return r;
}

/* The instance's directory again, by its path: lock_fd lies on a mount of the host's namespace. */
static int reopen_scratch(const struct host *h, const char *scratch, struct error *e)
{
    _cleanup_close_ int parent = open(scratch, O_PATH | O_DIRECTORY | O_CLOEXEC);
    _cleanup_close_ int fd = -EBADF;
    struct stat locked, found;

    if (parent >= 0)
        fd = openat(parent, h->instance, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &found) < 0 || fstat(h->lock_fd, &locked) < 0)
        return error_sys(e, -errno, "open %s/%s", scratch, h->instance);
    if (found.st_dev != locked.st_dev || found.st_ino != locked.st_ino)
        return error_set(e, -ESTALE, "%s was replaced", scratch);
    return TAKE_FD(fd);
}

int hostns_enter(struct host *h, const struct launcher_config *config, struct error *e)
{
    _cleanup_close_ int place_fd = -EBADF, scratch = -EBADF, root = -EBADF;
    int r;

    if (unshare(CLONE_NEWNS) < 0)
        return error_sys(e, -errno, "make a mount namespace");
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return error_sys(e, -errno, "make the mounts private");
    /* Only clones made in this namespace may be attached in it. */
    r = clone_roots(h, config, e);
    if (r < 0)
        return r;
    place_fd = reopen_scratch(h, config->scratch, e);
    if (place_fd < 0)
        return place_fd;
    scratch = mount_clone(place_fd, false);
    if (scratch < 0)
        return error_sys(e, scratch, "clone the scratch directory");
    root = mount_new_tmpfs(
        &(struct mount_tmpfs){.size = ROOT_BYTES, .inodes = ROOT_INODES, .mode = 0755},
        MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, e);
    if (root < 0)
        return root;
    r = pivot(root, place_fd, e);
    if (r == 0)
        r = populate(h, scratch, e);
    if (r < 0)
        return r;
    h->scratch_fd = open("/scratch", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return h->scratch_fd < 0 ? error_sys(e, -errno, "open the scratch directory") : 0;
}

/* Tries an overlay the way sandboxes are made; leaves its directories to the caller. */
static int try_overlay(struct host *h, int dir_fd, struct error *e)
{
    static const char *const names[] = {"lower", "upper", "work"};
    _cleanup_close_ int lower = -EBADF, upper = -EBADF, work = -EBADF, mount_fd = -EBADF;
    int *const fds[] = {&lower, &upper, &work};
    _cleanup_close_ int clone = -EBADF, userns = -EBADF;
    int r;

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (mkdirat(dir_fd, names[i], 0700) < 0)
            return error_sys(e, -errno, "make a directory in the scratch");
        *fds[i] = openat(dir_fd, names[i], O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (*fds[i] < 0)
            return error_sys(e, -errno, "open a directory in the scratch");
    }
    clone = mount_clone(lower, false);
    if (clone < 0)
        return error_sys(e, clone, "open_tree");
    userns = mount_clone(clone, false);
    h->clone_detached = userns >= 0;
    r = overlay_mount(
        h,
        &(struct overlay){
            .lowers = &clone, .n_lowers = 1, .upper_fd = upper, .work_fd = work, .attrs = 0},
        e);
    if (r < 0)
        return r;
    mount_fd = r;
    return 0;
}

static int probe_below(struct host *h, int dir_fd, struct error *e)
{
    _cleanup_close_ int fd = -EBADF;
    int r;

    for (int by_fd = 1; by_fd >= 0; by_fd--) {
        h->overlay_by_fd = by_fd;
        if (mkdirat(dir_fd, "probe", 0700) < 0)
            return error_sys(e, -errno, "make a directory in the scratch");
        safe_close(fd);
        fd = openat(dir_fd, "probe", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        r = fd < 0 ? error_sys(e, -errno, "open the scratch") : try_overlay(h, fd, e);
        (void)fd_remove_tree(dir_fd, "probe");
        if (r == 0)
            return 0;
    }
    return r;
}

/* Whether FD lies on a file system that always takes the changes of an overlay. */
static bool is_known_upper(int fd)
{
    struct statfs fs;

    return fstatfs(fd, &fs) == 0 &&
           (fs.f_type == EXT4_SUPER_MAGIC || fs.f_type == XFS_SUPER_MAGIC ||
            fs.f_type == BTRFS_SUPER_MAGIC || fs.f_type == TMPFS_MAGIC);
}

/* Whether mounts that are attached nowhere can be cloned. */
static int probe_clone(struct host *h, struct error *e)
{
    int first = mount_clone(h->scratch_fd, false);
    int second = first < 0 ? -EBADF : mount_clone(first, false);

    h->clone_detached = second >= 0;
    janitor_close_fds(h->janitor, (int[]){first, second}, 2);
    return first < 0 ? error_sys(e, first, "open_tree") : 0;
}

int hostns_probe_little(struct host *h, struct error *e)
{
    int r;

    if (!is_known_upper(h->scratch_fd))
        return hostns_probe(h, e);
    r = probe_clone(h, e);
    /* Overlayfs has taken such mounts since the same release; see overlay_mount(). */
    h->overlay_by_fd = h->clone_detached;
    return r;
}

int hostns_probe(struct host *h, struct error *e)
{
    _cleanup_close_ int root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct error ignored = ERROR_INIT;
    int r;

    /* What the kernel can do is found out in memory: on a disk the directories alone take longer
     * than a sandbox. */
    if (root >= 0 && is_known_upper(h->scratch_fd) && probe_below(h, root, &ignored) == 0)
        return 0;
    r = probe_below(h, h->scratch_fd, e);
    if (r == 0)
        return 0;
    return error_prefix(e, r,
                        "an overlay with its changes in the scratch directory (which must "
                        "lie on ext4, xfs, btrfs or tmpfs, not on an overlay itself)");
}
