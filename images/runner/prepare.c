#include "prepare.h"

#include "feedback.h"
#include "input.h"

#include "base/fdio.h"

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RIGHTS 0777
/* Nesting that is walked; each level holds one fd. */
#define RIGHTS_DEPTH_MAX 256
#define SYSTEM_FILE_MAX  ((size_t)1 << 20)

#define NO_OOM_GROUP                                                                               \
    "Cgroup flag memory.oom.group is not set. Please refer to the setup documentation."

static bool has_rights(const struct stat *st)
{
    return (st->st_mode & 07777) == RIGHTS && st->st_uid == WORKER_ID && st->st_gid == WORKER_ID;
}

/* What already is as it should be is left alone: below /task every change copies the file up. The
 * owner comes first, as changing it clears mode bits. */
static int give(int dir_fd, const char *name, const struct stat *st)
{
    if (has_rights(st))
        return 0;
    if (fchownat(dir_fd, name, WORKER_ID, WORKER_ID, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    if (S_ISLNK(st->st_mode))
        return 0;
    return fchmodat(dir_fd, name, RIGHTS, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

static int give_content(int fd, int depth, struct error *e);

/* NOLINTNEXTLINE(misc-no-recursion): RIGHTS_DEPTH_MAX levels */
static int give_tree(int dir_fd, const char *name, int depth, struct error *e)
{
    struct stat st;
    int fd, k;

    if (depth > RIGHTS_DEPTH_MAX)
        return error_set(e, -ELOOP, "%s: more than %d directories deep", name, RIGHTS_DEPTH_MAX);
    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return error_sys(e, -errno, "%s", name);
    k = give(dir_fd, name, &st);
    if (k < 0)
        return error_sys(e, k, "%s", name);
    if (!S_ISDIR(st.st_mode))
        return 0;
    fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return error_sys(e, -errno, "%s", name);
    k = give_content(fd, depth, e);
    return k < 0 ? error_prefix(e, k, "%s", name) : 0;
}

/* Takes FD. */
/* NOLINTNEXTLINE(misc-no-recursion): see give_tree */
static int give_content(int fd, int depth, struct error *e)
{
    DIR *dir = fdopendir(fd);
    struct dirent *entry;
    int k = 0;

    if (!dir) {
        safe_close(fd);
        return -ENOMEM;
    }
    while (k >= 0 && (entry = readdir(dir)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            k = give_tree(dirfd(dir), entry->d_name, depth + 1, e);
    closedir(dir);
    return k;
}

int prepare_rights(int root_fd, const char *dir, struct error *e)
{
    return give_tree(root_fd, dir, 0, e);
}

static int make_directory(int root_fd, const char *dir, struct error *e)
{
    return mkdirat(root_fd, dir, 0777) < 0 && errno != EEXIST ? error_sys(e, -errno, "/%s", dir)
                                                              : 0;
}

/* An empty feedback file, so that a run script can write it by itself, too. */
static int make_feedback_file(int root_fd, struct error *e)
{
    _cleanup_close_ int fd = fd_openat2(root_fd, FEEDBACK_DIR "/" FEEDBACK_FILE,
                                        O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0666, 0);

    return fd < 0 ? error_sys(e, fd, "/" FEEDBACK_DIR "/" FEEDBACK_FILE) : 0;
}

/* Without it the kernel kills one process of a job that is out of memory, not the job. Where the
 * file cannot be seen the agent has other means. */
static bool lacks_oom_group(int root_fd)
{
    char flag[4] = "";
    _cleanup_close_ int fd =
        openat(root_fd, "sys/fs/cgroup/memory.oom.group", O_RDONLY | O_CLOEXEC | O_NOCTTY);

    return fd >= 0 && fd_read_full(fd, flag, sizeof(flag) - 1) > 0 && flag[0] == '0';
}

struct system_file {
    const char *name, *path, *refusal;
    int flags;
};

/* The file of a task that changes one of /etc, where there is one. */
static int apply_system_file(int root_fd, const struct system_file *f)
{
    _cleanup_buffer_ struct buffer b = {.max = 2 * SYSTEM_FILE_MAX};
    _cleanup_close_ int dir_fd = -EBADF, fd = -EBADF;
    int k = buffer_append(&b, "\n", 1);

    dir_fd = openat(root_fd, "task/systemfiles", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0 || faccessat(dir_fd, f->name, F_OK, 0) < 0)
        return 0;
    if (k >= 0)
        k = fd_read_file(dir_fd, f->name, &b, SYSTEM_FILE_MAX);
    if (k < 0)
        return k;
    fd = openat(root_fd, f->path, O_WRONLY | O_CREAT | O_CLOEXEC | f->flags, 0644);
    return fd < 0 ? -errno : fd_write_full(fd, b.data, b.size);
}

int prepare_system_files(int root_fd, const char **ret_refusal)
{
    static const struct system_file files[] = {
        {"hosts", "etc/hosts", "Cannot read/use /task/systemfiles/hosts", O_APPEND},
        {"resolv.conf", "etc/resolv.conf", "Cannot read/use /task/systemfiles/resolv.conf",
         O_TRUNC},
    };

    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        int k = apply_system_file(root_fd, &files[i]);
        if (k < 0) {
            *ret_refusal = files[i].refusal;
            return k;
        }
    }
    return 0;
}

/* Run files may change these two: they are the worker's group's. An image without them is none the
 * worse. */
static int share_system_files(int root_fd, struct error *e)
{
    static const char *const paths[] = {"etc/hosts", "etc/resolv.conf"};

    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        if (fchownat(root_fd, paths[i], 0, WORKER_ID, 0) == 0 &&
            fchmodat(root_fd, paths[i], 0664, 0) == 0)
            continue;
        if (errno != ENOENT)
            return error_sys(e, -errno, "/%s", paths[i]);
    }
    return 0;
}

int prepare(int root_fd, const struct runner_message *start, const char **ret_refusal,
            struct error *e)
{
    static const char *const dirs[] = {FEEDBACK_DIR, "archive", "task", "tmp"};
    int k = input_write(root_fd, start, e);

    for (size_t i = 0; k >= 0 && i < ARRAY_SIZE(dirs); i++)
        k = make_directory(root_fd, dirs[i], e);
    if (k >= 0)
        k = make_feedback_file(root_fd, e);
    if (k >= 0) {
        /* Keys in a task would let others than the student log in to ssh_debug. */
        k = fd_remove_tree(root_fd, "task/.ssh");
        if (k < 0)
            return error_sys(e, k, "/task/.ssh");
    }
    for (size_t i = 0; k >= 0 && i < ARRAY_SIZE(dirs); i++)
        k = prepare_rights(root_fd, dirs[i], e);
    if (k < 0)
        return k;
    if (lacks_oom_group(root_fd))
        *ret_refusal = NO_OOM_GROUP;
    prepare_system_files(root_fd, ret_refusal);
    return share_system_files(root_fd, e);
}
