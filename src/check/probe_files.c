/* The file systems of store and scratch: id-mapped mounts and overlays. Both are tried in a mount
 * namespace of a child, on a directory that is made for it and goes again. */
#include "check/check_internal.h"

#include "base/fdio.h"
#include "base/text.h"
#include "mountfd.h"
#include "quota.h"
#include "runtime/launcher.h"
#include "userns.h"

#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define TRY_ID 0x80000

/* The nearest directory above PATH that is there: where it would be made. */
static int open_nearest(const char *path, char *shown, size_t size)
{
    snprintf(shown, size, "%s", path);
    for (;;) {
        int fd = open(shown, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        char *slash = strrchr(shown, '/');
        if (fd >= 0)
            return fd;
        if (errno != ENOENT || !slash)
            return -errno;
        slash[slash == shown ? 1 : 0] = 0;
        if (slash == shown && shown[1] == 0 && access("/", F_OK) < 0)
            return -errno;
    }
}

/* A user namespace that maps 0..65535; the process that holds it is killed. */
static int make_userns(void)
{
    _cleanup_close_ int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    int ready[2], fd, r;
    char path[64], byte;
    pid_t pid;

    if (proc < 0 || pipe2(ready, O_CLOEXEC) < 0)
        return -errno;
    pid = fork();
    if (pid < 0)
        return -errno;
    if (pid == 0) {
        if (unshare(CLONE_NEWUSER) < 0 || write(ready[1], "", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    safe_close(ready[1]);
    r = fd_read_full(ready[0], &byte, 1) == 1 ? 0 : -EPERM;
    safe_close(ready[0]);
    if (r == 0)
        r = id_range_map(proc, pid, TRY_ID, NULL);
    snprintf(path, sizeof(path), "%d/ns/user", (int)pid);
    fd = r == 0 ? openat(proc, path, O_RDONLY | O_CLOEXEC) : -1;
    if (r == 0 && fd < 0)
        r = -errno;
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    return r < 0 ? r : fd;
}

static int try_idmap(void *argument)
{
    _cleanup_close_ int userns = make_userns();
    _cleanup_close_ int mount_fd = -EBADF;

    if (userns < 0)
        return userns;
    mount_fd = mount_clone(*(const int *)argument, false);
    if (mount_fd < 0)
        return mount_fd;
    return mount_change(mount_fd, 0, userns, false);
}

static int try_overlay(void *argument)
{
    static const char *const names[] = {"lower", "upper", "work", "merged"};
    const int dir = *(const int *)argument;

    /* The working directory goes along into the new namespace, a descriptor would not. */
    if (fchdir(dir) < 0 || unshare(CLONE_NEWNS) < 0 ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return -errno;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (mkdir(names[i], 0700) < 0)
            return -errno;
    if (mount("overlay", "merged", "overlay", 0,
              "lowerdir=lower,upperdir=upper,workdir=work,redirect_dir=on,metacopy=on,index=off,"
              "volatile") < 0)
        return -errno;
    return umount2("merged", MNT_DETACH) < 0 ? -errno : 0;
}

/* Makes a directory below FD for PROBE. */
static int try_below(int fd, int (*probe)(void *))
{
    char name[64];
    int dir, r;

    snprintf(name, sizeof(name), ".dockless-check-%d", (int)getpid());
    if (mkdirat(fd, name, 0700) < 0)
        return -errno;
    dir = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    r = dir < 0 ? -errno : check_in_child(probe, &dir);
    safe_close(dir);
    fd_remove_tree(fd, name);
    return r;
}

static void check_store(struct check_report *report, const char *path)
{
    char place[512];
    _cleanup_close_ int fd = open_nearest(path, place, sizeof(place));
    int r = fd < 0 ? fd : check_in_child(try_idmap, (int[]){fd});

    if (r == 0)
        check_add(report, "store", CHECK_OK, NULL, "%s takes id-mapped mounts", place);
    else
        check_mend(check_add(report, "store", CHECK_FAIL,
                             "files of images get the ids of each container by them",
                             "%s takes no id-mapped mounts: %s", place, strerror(-r)),
                   "put the store on ext4, xfs or btrfs (--store DIR)");
}

static void check_scratch(struct check_report *report, const char *path)
{
    char place[512];
    _cleanup_close_ int fd = open_nearest(path, place, sizeof(place));
    int r = fd < 0 ? fd : try_below(fd, try_overlay);

    if (r == 0)
        check_add(report, "scratch", CHECK_OK, NULL, "%s can hold what containers change", place);
    else
        check_mend(check_add(report, "scratch", CHECK_FAIL,
                             "changes of a container are the upper layer of an overlay there",
                             "%s cannot be the upper layer of an overlay: %s", place, strerror(-r)),
                   "put it on ext4, xfs, btrfs or tmpfs, not on an overlay (--tmpdir DIR)");
}

static int try_project_quota(void *argument)
{
    struct error why = ERROR_INIT;

    return quota_try(*(const int *)argument, LAUNCHER_PROJECT_DEFAULT, &why);
}

/* How a container's share of the disk could be bounded: not every configuration wants that. */
static void check_disk(struct check_report *report, const char *path)
{
    char place[512];
    _cleanup_close_ int fd = open_nearest(path, place, sizeof(place));
    _cleanup_close_ int loop = open("/dev/loop-control", O_RDWR | O_CLOEXEC);

    if (fd >= 0 && try_below(fd, try_project_quota) == 0)
        check_add(report, "disk limit", CHECK_OK, NULL, "project quotas of %s", place);
    else if (loop >= 0)
        check_add(report, "disk limit", CHECK_OK, NULL,
                  "images on loop devices (%s has no project quotas that are enforced)", place);
    else
        check_mend(check_add(report, "disk limit", CHECK_WARN,
                             "a limit on what containers write to disk needs one of the two",
                             "%s has no project quotas that are enforced, and there are no loop "
                             "devices",
                             place),
                   "modprobe loop");
}

void check_files(struct check_report *report, const struct check_options *options)
{
    check_store(report, options->store);
    check_scratch(report, options->scratch);
    check_disk(report, options->scratch);
}
