/* Leftovers of an earlier life. A launcher that is killed takes its containers with it (they die
 * with their parent or are killed here) and its mounts go with its mount namespace; what stays are
 * its scratch directory, its cgroup directories and, where a sandbox had a network, a bridge and a
 * table of the packet filter; where it had a project quota, that one's limits.
 *
 * An instance is alive as long as somebody holds the lock (flock(2)) on its directory. The lock is
 * taken right after mkdir; a sweep that comes in between takes it first, and the maker then begins
 * again under another name. */
#include "sweep.h"

#include "cgroup_internal.h"
#include "network.h"
#include "quota.h"

#include "base/clock.h"
#include "base/fdio.h"
#include "base/text.h"
#include "weaken.h"

#include <dirent.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#define NAME_PREFIX "i-"
#define NAME_DIGITS 8
#define NAME_LENGTH (sizeof(NAME_PREFIX) - 1 + NAME_DIGITS)
/* Eight random digits meet an existing name hardly ever. */
#define NEW_TRIES 16
/* How long the sweep of one instance waits for killed processes to be gone. */
#define GONE_WAIT_USEC (2 * USEC_PER_SEC)
#define GONE_STEP_USEC (2 * USEC_PER_MSEC)
#define NOTES_FILE     "cgroups"
/* Three paths. */
#define NOTES_MAX ((size_t)4 * 4096)

static bool is_instance_name(const char *name)
{
    return strlen(name) == NAME_LENGTH &&
           strncmp(name, NAME_PREFIX, sizeof(NAME_PREFIX) - 1) == 0 &&
           strspn(name + sizeof(NAME_PREFIX) - 1, "0123456789abcdef") == NAME_DIGITS;
}

/* Locks directory NAME below SCRATCH_FD. -EWOULDBLOCK: somebody else holds it; -ENOENT: it went
 * away. */
static int lock_instance(int scratch_fd, const char *name, int *ret_fd)
{
    _cleanup_close_ int fd =
        openat(scratch_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat locked, named;

    if (fd < 0)
        return -errno;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return -errno;
    /* The name may mean another directory by now. */
    if (fstat(fd, &locked) < 0 || fstatat(scratch_fd, name, &named, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    if (locked.st_dev != named.st_dev || locked.st_ino != named.st_ino)
        return -ENOENT;
    *ret_fd = TAKE_FD(fd);
    return 0;
}

int sweep_new_instance(int scratch_fd, char **ret_name, struct error *e)
{
    int r = -EEXIST, fd = -EBADF;

    for (int tries = 0; tries < NEW_TRIES; tries++) {
        _cleanup_free_ char *name = NULL;
        uint32_t number;

        if (getrandom(&number, sizeof(number), 0) != (ssize_t)sizeof(number))
            return error_sys(e, -errno, "getrandom");
        name = text_printf("%s%0*x", NAME_PREFIX, NAME_DIGITS, number);
        if (!name)
            return error_sys(e, -ENOMEM, "new instance");
        if (mkdirat(scratch_fd, name, 0700) < 0) {
            r = -errno;
            if (r == -EEXIST)
                continue;
            break;
        }
        r = lock_instance(scratch_fd, name, &fd);
        if (r == 0) {
            *ret_name = TAKE_PTR(name);
            return fd;
        }
        if (r != -EWOULDBLOCK && r != -ENOENT) {
            unlinkat(scratch_fd, name, AT_REMOVEDIR);
            break;
        }
    }
    return error_sys(e, r, "make a directory for this instance in the scratch");
}

int sweep_note_cgroups(int instance_fd, char *const *paths, struct error *e)
{
    _cleanup_buffer_ struct buffer b = {.max = NOTES_MAX};
    _cleanup_close_ int fd = openat(instance_fd, NOTES_FILE ".new",
                                    O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    int r = 0;

    if (fd < 0)
        return error_sys(e, -errno, "note cgroups");
    for (; paths && *paths && r == 0; paths++)
        r = buffer_printf(&b, "%s\n", *paths);
    if (r == 0)
        r = fd_write_full(fd, b.data, b.size);
    /* Whole or not at all. */
    if (r == 0 && renameat(instance_fd, NOTES_FILE ".new", instance_fd, NOTES_FILE) < 0)
        r = -errno;
    return r < 0 ? error_sys(e, r, "note cgroups") : 0;
}

/* Whether DIR_FD is in a cgroup file system; *ret_v2 which. */
static bool is_cgroup(int dir_fd, bool *ret_v2)
{
    struct statfs fs;

    if (fstatfs(dir_fd, &fs) < 0)
        return false;
    *ret_v2 = fs.f_type == CGROUP2_SUPER_MAGIC;
    return *ret_v2 || fs.f_type == CGROUP_SUPER_MAGIC;
}

/* Opens what PATH lies in, provided that its last component is CGROUP and it is in a cgroup file
 * system. */
static int open_parent(const char *path, const char *cgroup, bool *ret_v2)
{
    _cleanup_free_ char *parent = NULL;
    _cleanup_close_ int fd = -EBADF;
    const char *slash = strrchr(path, '/');

    if (path[0] != '/' || !slash || strcmp(slash + 1, cgroup) != 0)
        return -EINVAL;
    parent = strndup(path, slash == path ? 1 : (size_t)(slash - path));
    if (!parent)
        return -ENOMEM;
    fd = fd_openat2(AT_FDCWD, parent, O_RDONLY | O_DIRECTORY, 0, RESOLVE_NO_SYMLINKS);
    if (fd < 0)
        return fd;
    return is_cgroup(fd, ret_v2) ? TAKE_FD(fd) : -EXDEV;
}

/* The agent's leaf goes only when it is empty by itself: an agent outlives its launcher for a
 * moment, to answer for its jobs. */
static int remove_supervisor(int parent_fd, const char *cgroup)
{
    _cleanup_free_ char *leaf = text_printf("%s%s", cgroup, CGROUP_SUPERVISOR);

    if (!leaf)
        return -ENOMEM;
    return unlinkat(parent_fd, leaf, AT_REMOVEDIR) == 0 || errno == ENOENT ? 0 : -ENOTEMPTY;
}

static void kill_cgroup(int parent_fd, const char *cgroup)
{
    _cleanup_close_ int fd =
        openat(parent_fd, cgroup, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd >= 0)
        fd_write_file(fd, "cgroup.kill", "1");
}

/* Kills (on v2) or removes the cgroups of PATHS, the first failure is returned. */
static int each_cgroup(char *const *paths, const char *cgroup, bool removing)
{
    int first = 0;

    for (char *const *p = paths; p && *p; p++) {
        bool v2;
        _cleanup_close_ int parent = open_parent(*p, cgroup, &v2);
        int r = 0;
        if (parent < 0)
            continue;
        if (removing) {
            r = cgroup_remove_tree(parent, cgroup);
            if (r == 0 && v2)
                r = remove_supervisor(parent, cgroup);
        } else if (v2) {
            kill_cgroup(parent, cgroup);
        }
        first = first == 0 ? r : first;
    }
    return first;
}

/* Kills and removes the cgroups of PATHS. 0 when all are gone. */
static int remove_cgroups(char *const *paths, const char *cgroup)
{
    struct timespec step = {0, (long)(GONE_STEP_USEC * NSEC_PER_USEC)};
    uint64_t end = clock_monotonic_usec() + GONE_WAIT_USEC;
    int r;

    for (;;) {
        /* All are killed before the first is removed: on hybrid hosts the v1 directories hold the
         * same processes. */
        each_cgroup(paths, cgroup, false);
        r = each_cgroup(paths, cgroup, true);
        if (r != -EBUSY || clock_monotonic_usec() >= end)
            return r;
        nanosleep(&step, NULL);
    }
}

/* The paths an instance noted. One that was killed before it could note any had its cgroups, if
 * any, most likely where ours would be. */
static int read_notes(int instance_fd, const char *cgroup, char ***list)
{
    _cleanup_buffer_ struct buffer b = {0};
    char *next, *line;
    int r = fd_read_file(instance_fd, NOTES_FILE, &b, NOTES_MAX);

    if (r == -ENOENT) {
        r = 0;
        for (size_t i = 0; i < CGROUP_DIRS_MAX && r == 0; i++) {
            _cleanup_(cgroup_dir_clear) struct cgroup_dir place = CGROUP_DIR_INIT;
            _cleanup_free_ char *path = NULL;
            if (cgroup_place_find(cgroup_hierarchies[i], &place, NULL) < 0)
                continue;
            path = text_printf("%s/%s", place.path, cgroup);
            r = path ? strv_append(list, path) : -ENOMEM;
        }
        return r;
    }
    if (r < 0)
        return r;
    next = buffer_string(&b);
    if (!next)
        return -ENOMEM;
    while (r == 0 && (line = strsep(&next, "\n")))
        if (*line)
            r = strv_append(list, line);
    return r;
}

/* 1 when it was removed, 0 when it is alive or could not be. */
static int sweep_one(int scratch_fd, const char *name)
{
    _cleanup_free_ char *cgroup = text_printf("%s%s", CGROUP_PREFIX, name);
    _cleanup_strv_ char **paths = NULL;
    _cleanup_close_ int fd = -EBADF;

    if (!cgroup || lock_instance(scratch_fd, name, &fd) < 0)
        return 0;
    if (read_notes(fd, cgroup, &paths) < 0)
        return 0;
    /* The notes stay as long as there is something to find by them. */
    if (remove_cgroups(paths, cgroup) < 0 || network_sweep(name, NULL) < 0)
        return 0;
    quota_sweep(fd);
    return fd_remove_tree(scratch_fd, name) == 0;
}

int sweep_instances(int scratch_fd, struct error *e)
{
    int fd = openat(scratch_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), n = 0;
    struct dirent *entry;
    DIR *dir;

    if (fd < 0)
        return error_sys(e, -errno, "sweep the scratch");
    if (weakened("sweep")) {
        safe_close(fd);
        return 0;
    }
    dir = fdopendir(fd);
    if (!dir) {
        safe_close(fd);
        return error_sys(e, -ENOMEM, "sweep the scratch");
    }
    while ((entry = readdir(dir)))
        if (is_instance_name(entry->d_name))
            n += sweep_one(scratch_fd, entry->d_name);
    closedir(dir);
    return n;
}

void sweep_remove_instance(int scratch_fd, int instance_fd, const char *name)
{
    (void)instance_fd; /* its lock is what keeps a sweep from doing the same */
    fd_remove_tree(scratch_fd, name);
}
