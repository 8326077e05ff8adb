#include "devices.h"

#include "mountfd.h"
#include "rootfs.h"

#include <fcntl.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define DEV_BYTES  (64 << 20) /* as Docker's */
#define DEV_INODES 16384

static const struct {
    const char *name;
    unsigned major, minor;
} nodes[] = {
    {"null", 1, 3},   {"zero", 1, 5},    {"full", 1, 7},
    {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0},
};

static const struct {
    const char *name, *target;
} links[] = {
    {"fd", "/proc/self/fd"},       {"stdin", "/proc/self/fd/0"}, {"stdout", "/proc/self/fd/1"},
    {"stderr", "/proc/self/fd/2"}, {"core", "/proc/kcore"},      {"ptmx", "pts/ptmx"},
};

/* Nodes are made as root of the host (mknod(2) wants CAP_MKNOD), then given away. */
static int make_nodes(int fd, uint32_t base)
{
    for (size_t i = 0; i < ARRAY_SIZE(nodes); i++)
        if (mknodat(fd, nodes[i].name, S_IFCHR | 0666, makedev(nodes[i].major, nodes[i].minor)) <
                0 ||
            fchownat(fd, nodes[i].name, base, base, AT_SYMLINK_NOFOLLOW) < 0)
            return -errno;
    return 0;
}

static int make_links_and_dirs(int fd)
{
    static const char *const dirs[] = {"pts", "shm", "mqueue"};

    for (size_t i = 0; i < ARRAY_SIZE(links); i++)
        if (symlinkat(links[i].target, fd, links[i].name) < 0)
            return -errno;
    for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
        if (mkdirat(fd, dirs[i], 0755) < 0)
            return -errno;
    return 0;
}

static int fill(int fd, uint32_t base)
{
    mode_t mask = umask(0);
    int r = make_nodes(fd, base);

    if (r == 0) {
        /* Made with their owner at once: half the system calls. */
        setfsgid(base);
        setfsuid(base);
        r = make_links_and_dirs(fd);
        setfsuid(0);
        setfsgid(0);
    }
    umask(mask);
    return r;
}

int devices_make(uint32_t base, struct error *e)
{
    const struct mount_tmpfs t = {
        .size = DEV_BYTES, .inodes = DEV_INODES, .owner = base, .mode = 0755};
    _cleanup_close_ int fd = mount_new_tmpfs(&t, MOUNT_ATTR_NOSUID, e);
    int r;

    if (fd < 0)
        return fd;
    r = fill(fd, base);
    return r < 0 ? error_sys(e, r, "fill /dev") : TAKE_FD(fd);
}
