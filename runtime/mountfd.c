#include "mountfd.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

/* Longest line the kernel writes to the log of a file system context (fs/fsopen.c). */
#define KERNEL_MESSAGE_MAX 512
/* Files a small tmpfs may hold anyway. */
#define TMPFS_INODES_MIN 1024
#define PAGE_BYTES       4096

/* The last message of the context's log: "e overlay: ..." without its level. */
static void kernel_says(int fs_fd, char *text, size_t size)
{
    char line[KERNEL_MESSAGE_MAX];
    ssize_t n;

    text[0] = 0;
    while ((n = read(fs_fd, line, sizeof(line) - 1)) > 0) {
        line[n] = 0;
        line[strcspn(line, "\n")] = 0;
        snprintf(text, size, " (%s)", n > 2 && line[1] == ' ' ? line + 2 : line);
    }
}

static int fail(int fs_fd, const char *fs, const char *what, struct error *e)
{
    char said[KERNEL_MESSAGE_MAX + 4];
    int r = -errno;

    if (!e)
        return r;
    kernel_says(fs_fd, said, sizeof(said));
    return error_sys(e, r, "%s: %s%s", fs, what, said);
}

static int set_option(int fs_fd, const struct mount_option *o)
{
    if (o->value)
        return fsconfig(fs_fd, FSCONFIG_SET_STRING, o->key, o->value, 0);
    if (o->fd >= 0)
        return fsconfig(fs_fd, FSCONFIG_SET_FD, o->key, NULL, o->fd);
    return fsconfig(fs_fd, FSCONFIG_SET_FLAG, o->key, NULL, 0);
}

int mount_new(const char *fs, const struct mount_option *options, size_t n, unsigned attrs,
              struct error *e)
{
    _cleanup_close_ int fs_fd = fsopen(fs, FSOPEN_CLOEXEC);
    int mount_fd;

    if (fs_fd < 0)
        return error_sys(e, -errno, "%s: fsopen", fs);
    for (size_t i = 0; i < n; i++)
        if (set_option(fs_fd, &options[i]) < 0)
            return fail(fs_fd, fs, options[i].key, e);
    if (fsconfig(fs_fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        return fail(fs_fd, fs, "create", e);
    mount_fd = fsmount(fs_fd, FSMOUNT_CLOEXEC, attrs);
    if (mount_fd < 0)
        return fail(fs_fd, fs, "fsmount", e);
    return mount_fd;
}

int mount_new_tmpfs(const struct mount_tmpfs *t, unsigned attrs, struct error *e)
{
    char size[32], inodes[32], owner[16], mode[16];
    uint64_t n_inodes = t->inodes ? t->inodes : MAX(t->size / PAGE_BYTES, TMPFS_INODES_MIN);
    struct mount_option options[5] = {{"mode", mode, -1}, {"uid", owner, -1}, {"gid", owner, -1}};
    size_t n = 3;

    snprintf(mode, sizeof(mode), "%o", t->mode);
    snprintf(owner, sizeof(owner), "%" PRIu32, t->owner);
    if (t->size > 0) {
        snprintf(size, sizeof(size), "%" PRIu64, t->size);
        snprintf(inodes, sizeof(inodes), "%" PRIu64, n_inodes);
        options[n++] = (struct mount_option){"size", size, -1};
        options[n++] = (struct mount_option){"nr_inodes", inodes, -1};
    }
    return mount_new("tmpfs", options, n, attrs, e);
}

int mount_clone(int fd, bool recursive)
{
    unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH;
    int mount_fd = open_tree(fd, "", recursive ? flags | AT_RECURSIVE : flags);

    return mount_fd < 0 ? -errno : mount_fd;
}

int mount_change(int mount_fd, uint64_t attrs, int userns_fd, bool recursive)
{
    struct mount_attr change = {.attr_set = attrs};

    if (userns_fd >= 0) {
        change.attr_set |= MOUNT_ATTR_IDMAP;
        change.userns_fd = (uint64_t)userns_fd;
    }
    if (mount_setattr(mount_fd, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), &change,
                      sizeof(change)) < 0)
        return -errno;
    return 0;
}

int mount_attach(int mount_fd, int target_fd)
{
    if (move_mount(mount_fd, "", target_fd, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) <
        0)
        return -errno;
    return 0;
}
