#include "disk.h"

#include "base/fdio.h"
#include "mkfs.h"
#include "mountfd.h"
#include "quota.h"

#include <linux/loop.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>

/* Between asking for a free device and taking it, others may have taken it. */
#define TRIES_MAX 64
/* Files that the runtime itself makes in a scratch: upper and work directories, /etc. */
#define OWN_INODES 48
/* Blocks of those that are directories, on a file system that counts them. */
#define OWN_BYTES ((uint64_t)64 << 10)
/* Bytes for each inode where only bytes are limited: mke2fs's default. */
#define BYTES_PER_INODE 16384
/* fs/ext4/ext4.h; not in the kernel's exported headers. */
#define EXT4_IOC_SHUTDOWN           _IOR('X', 125, uint32_t)
#define EXT4_GOING_FLAGS_NOLOGFLUSH 2U
#define DEV_BYTES                   (1 << 16)

/* The first of the project ids that belong to the id range BASE is in. */
static uint32_t project_ids(uint32_t first_project, uint32_t base)
{
    return first_project + base / SANDBOX_ID_RANGE * QUOTA_IDS_PER_RANGE;
}
_Static_assert(INT32_MAX / SANDBOX_ID_RANGE < QUOTA_RANGES, "each id range has project ids");
_Static_assert(LAUNCHER_PROJECT_MAX + QUOTA_RANGES * QUOTA_IDS_PER_RANGE == UINT32_MAX,
               "project ids are numbers of 32 bits");

static int try_quota(struct disk_host *h, uint32_t first_project, int scratch_fd)
{
    struct error why = ERROR_INIT;
    /* The first range has no sandboxes. Two launchers that try at once should not meet. */
    int r = quota_try(scratch_fd, first_project + (uint32_t)getpid() % QUOTA_IDS_PER_RANGE, &why);

    if (r == 0)
        h->first_project = first_project;
    return r;
}

int disk_host_open(struct disk_host *h, const struct launcher_config *config, int scratch_fd,
                   struct error *e)
{
    uint32_t first = config->first_project ? config->first_project : LAUNCHER_PROJECT_DEFAULT;

    if (first > LAUNCHER_PROJECT_MAX)
        return error_set(e, -ERANGE, "project ids begin at %u at most", LAUNCHER_PROJECT_MAX);
    if (config->disk != LAUNCHER_DISK_IMAGE && try_quota(h, first, scratch_fd) == 0)
        return 0;
    if (config->disk == LAUNCHER_DISK_QUOTA)
        return 0;
    h->control_fd = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    if (h->control_fd < 0)
        return 0;
    h->dev_fd = mount_new_tmpfs(&(struct mount_tmpfs){.size = DEV_BYTES, .mode = 0700},
                                MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, e);
    return h->dev_fd < 0 ? h->dev_fd : 0;
}

void disk_host_close(struct disk_host *h)
{
    h->control_fd = safe_close(h->control_fd);
    h->dev_fd = safe_close(h->dev_fd);
}

/* The device number of loop device NUMBER: minors depend on how many partitions each may have. */
static int loop_device(int number, dev_t *ret)
{
    _cleanup_buffer_ struct buffer b = {0};
    unsigned major_number, minor_number;
    char path[64];
    int r;

    snprintf(path, sizeof(path), "/sys/block/loop%d/dev", number);
    r = fd_read_file(AT_FDCWD, path, &b, 64);
    if (r < 0)
        return r;
    /* NOLINTNEXTLINE(cert-err34-c): the kernel wrote it */
    if (!buffer_string(&b) || sscanf(buffer_string(&b), "%u:%u", &major_number, &minor_number) != 2)
        return -EINVAL;
    *ret = makedev(major_number, minor_number);
    return 0;
}

/* Opens loop device NUMBER by a node of our own, which goes again at once. */
static int open_loop(const struct disk_host *h, int number)
{
    char name[32];
    dev_t device;
    int fd, r = loop_device(number, &device);

    if (r < 0)
        return r;
    snprintf(name, sizeof(name), "loop%d", number);
    if (mknodat(h->dev_fd, name, S_IFBLK | 0600, device) < 0 && errno != EEXIST)
        return -errno;
    fd = openat(h->dev_fd, name, O_RDWR | O_CLOEXEC);
    r = fd < 0 ? -errno : fd;
    unlinkat(h->dev_fd, name, 0);
    return r;
}

/* Puts IMAGE_FD on a loop device of its own. */
static int attach_loop(const struct disk_host *h, int image_fd, struct error *e)
{
    const struct loop_config config = {
        .fd = (uint32_t)image_fd,
        .block_size = MKFS_BLOCK,
        .info = {.lo_flags = LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO},
    };

    for (int tries = 0; tries < TRIES_MAX; tries++) {
        _cleanup_close_ int fd = -EBADF;
        int number = ioctl(h->control_fd, LOOP_CTL_GET_FREE);
        if (number < 0)
            return error_sys(e, -errno, "find a free loop device");
        fd = open_loop(h, number);
        if (fd < 0)
            return error_sys(e, fd, "open loop device %d", number);
        if (ioctl(fd, LOOP_CONFIGURE, &config) == 0)
            return TAKE_FD(fd);
        if (errno != EBUSY)
            return error_sys(e, -errno, "set up loop device %d", number);
    }
    return error_set(e, -EBUSY, "every free loop device was taken by others first");
}

/* Where only bytes are limited, inodes are, too: they are not to be had for nothing. */
static uint64_t inodes_for(const struct sandbox_limits *limits, uint64_t bytes)
{
    uint64_t inodes = limits->disk_inodes;

    if (inodes == 0)
        inodes = MIN(MAX(bytes / BYTES_PER_INODE, SANDBOX_INODES_MIN), SANDBOX_INODES_MAX);
    return inodes + OWN_INODES;
}

/* How much of each there is to be. Where only inodes are limited, bytes are what the host has. */
static int plan(int dir_fd, const struct sandbox_limits *limits, struct mkfs_plan *ret,
                struct error *e)
{
    uint64_t bytes = limits->disk_bytes;
    struct statvfs fs;
    int r;

    if (bytes == 0) {
        if (fstatvfs(dir_fd, &fs) < 0)
            return error_sys(e, -errno, "size of the scratch");
        bytes = MIN(MAX((uint64_t)fs.f_bavail * fs.f_frsize, SANDBOX_DISK_MIN), SANDBOX_DISK_MAX);
    }
    r = mkfs_plan(bytes, inodes_for(limits, bytes), ret);
    return r < 0 ? error_sys(e, r, "a file system of %llu bytes", (unsigned long long)bytes) : 0;
}

static int mount_loop(int loop_fd, struct error *e)
{
    char source[32];
    const struct mount_option options[] = {
        {"source", source, -1}, {"discard", NULL, -1}, {"errors", "continue", -1}};

    snprintf(source, sizeof(source), "/proc/self/fd/%d", loop_fd);
    return mount_new("ext4", options, ARRAY_SIZE(options), MOUNT_ATTR_NODEV, e);
}

/* Returns the new file system's root. */
static int attach_image(const struct disk_host *h, int dir_fd, const struct sandbox_limits *limits,
                        struct error *e)
{
    _cleanup_close_ int image = -EBADF, loop = -EBADF, mount_fd = -EBADF;
    struct mkfs_plan p;
    int fd, r = plan(dir_fd, limits, &p, e);

    if (r < 0)
        return r;
    image = openat(dir_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (image < 0)
        return error_sys(e, -errno, "make a disk image");
    r = mkfs_make(image, &p);
    if (r < 0)
        return error_sys(e, r, "make a file system");
    loop = attach_loop(h, image, e);
    if (loop < 0)
        return loop;
    mount_fd = mount_loop(loop, e);
    if (mount_fd < 0)
        return mount_fd;
    r = mount_attach(mount_fd, dir_fd);
    if (r < 0)
        return error_sys(e, r, "mount the disk image");
    fd = openat(mount_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? error_sys(e, -errno, "open the disk image") : fd;
}

int disk_attach(const struct disk_host *h, int *dir_fd, uint32_t base,
                const struct sandbox_limits *limits, struct disk *ret, struct error *e)
{
    int fd;

    if (h->first_project != 0) {
        uint64_t bytes = limits->disk_bytes > 0 ? limits->disk_bytes + OWN_BYTES : 0;
        return quota_attach(*dir_fd, project_ids(h->first_project, base), bytes,
                            inodes_for(limits, limits->disk_bytes), &ret->project, e);
    }
    fd = attach_image(h, *dir_fd, limits, e);
    if (fd < 0)
        return fd;
    safe_close(*dir_fd);
    *dir_fd = fd;
    ret->mounted = true;
    return 0;
}

void disk_end(const struct disk *d, int root_fd)
{
    uint32_t how = EXT4_GOING_FLAGS_NOLOGFLUSH;

    if (d->mounted)
        (void)ioctl(root_fd, EXT4_IOC_SHUTDOWN, &how);
    if (d->project != 0)
        quota_detach(root_fd, d->project);
}
