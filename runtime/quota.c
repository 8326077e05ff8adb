#include "quota.h"

#include "base/cleanup.h"
#include "base/fdio.h"

#include <dirent.h>
#include <linux/capability.h>
#include <linux/dqblk_xfs.h>
#include <linux/fs.h>
#include <linux/quota.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* quotactl_fd(2), Linux 5.14; glibc 2.36 has no wrapper. Each of these commands is understood by
 * every file system with quotas, those of XFS by ext4 and the other way round. */
static int project_quota(int fd, unsigned command, uint32_t id, void *data)
{
    return syscall(SYS_quotactl_fd, fd, QCMD(command, PRJQUOTA), id, data) < 0 ? -errno : 0;
}

static bool is_enforced(int fd)
{
    struct fs_quota_statv state = {.qs_version = FS_QSTATV_VERSION1};
    const unsigned wanted = FS_QUOTA_PDQ_ACCT | FS_QUOTA_PDQ_ENFD;

    return project_quota(fd, Q_XGETQSTATV, 0, &state) == 0 && (state.qs_flags & wanted) == wanted;
}

/* 1 where nobody uses the id, 0 where somebody does. */
static int is_free(int fd, uint32_t id)
{
    struct if_dqblk q = {0};
    int r = project_quota(fd, Q_GETQUOTA, id, &q);

    if (r == -ENOENT) /* XFS has never heard of it */
        return 1;
    if (r < 0)
        return r;
    return (q.dqb_bhardlimit | q.dqb_bsoftlimit | q.dqb_curspace | q.dqb_ihardlimit |
            q.dqb_isoftlimit | q.dqb_curinodes) == 0;
}

static int set_limits(int fd, uint32_t id, uint64_t bytes, uint64_t inodes)
{
    struct if_dqblk q = {
        .dqb_bhardlimit = (bytes + QIF_DQBLKSIZE - 1) / QIF_DQBLKSIZE,
        .dqb_ihardlimit = inodes,
        .dqb_valid = QIF_LIMITS,
    };

    return project_quota(fd, Q_SETQUOTA, id, &q);
}

/* The directory's own id, and whether it hands it on. */
static int get_project(int fd, struct fsxattr *ret)
{
    return ioctl(fd, FS_IOC_FSGETXATTR, ret) < 0 ? -errno : 0;
}

static int set_project(int fd, uint32_t id)
{
    struct fsxattr x;
    int r = get_project(fd, &x);

    if (r < 0)
        return r;
    x.fsx_projid = id;
    x.fsx_xflags |= FS_XFLAG_PROJINHERIT;
    return ioctl(fd, FS_IOC_FSSETXATTR, &x) < 0 ? -errno : 0;
}

int quota_attach(int dir_fd, uint32_t ids, uint64_t bytes, uint64_t inodes, uint32_t *ret_id,
                 struct error *e)
{
    if (!is_enforced(dir_fd))
        return error_set(e, -EOPNOTSUPP, "project quotas are not enforced here");
    for (uint32_t id = ids; id < ids + QUOTA_IDS_PER_RANGE; id++) {
        int r = is_free(dir_fd, id);
        if (r == 0)
            continue;
        /* With the directory the project has a file, so that it is seen to be in use. */
        if (r > 0)
            r = set_project(dir_fd, id);
        if (r == 0)
            r = set_limits(dir_fd, id, bytes, inodes);
        if (r < 0)
            return error_sys(e, r, "project quota %u", id);
        *ret_id = id;
        return 0;
    }
    return error_set(e, -EAGAIN, "all project ids from %u to %u are in use", ids,
                     ids + QUOTA_IDS_PER_RANGE - 1);
}

void quota_detach(int dir_fd, uint32_t id)
{
    (void)set_limits(dir_fd, id, 0, 0);
}

/* Takes CAP_SYS_RESOURCE out of the effective set, or puts it back. */
static int change_resource(bool keep)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3];

    if (syscall(SYS_capget, &header, sets) < 0)
        return -errno;
    if (keep)
        sets[0].effective |= 1U << CAP_SYS_RESOURCE;
    else
        sets[0].effective &= ~(1U << CAP_SYS_RESOURCE);
    return syscall(SYS_capset, &header, sets) < 0 ? -errno : 0;
}

void quota_obey(void)
{
    (void)change_resource(false);
}

/* The directory itself is all that its project may have. */
static int try_in(int fd, uint32_t ids, uint32_t *ret_id, struct error *e)
{
    int r = quota_attach(fd, ids, 0, 1, ret_id, e);

    if (r < 0)
        return r;
    r = change_resource(false);
    if (r < 0)
        return error_sys(e, r, "capabilities");
    r = mkdirat(fd, "beyond", 0700) < 0 ? -errno : 0;
    (void)change_resource(true);
    if (r == -EDQUOT || r == -ENOSPC)
        return 0;
    (void)unlinkat(fd, "beyond", AT_REMOVEDIR);
    return error_set(e, -EOPNOTSUPP, "the limit of a project does not hold here");
}

int quota_try(int dir_fd, uint32_t ids, struct error *e)
{
    static const char name[] = "quota";
    _cleanup_close_ int fd = -EBADF;
    uint32_t id = 0;
    int r;

    /* As a rule that is all: nothing is made on the disk. */
    if (!is_enforced(dir_fd))
        return error_set(e, -EOPNOTSUPP, "project quotas are not enforced here");
    if (mkdirat(dir_fd, name, 0700) < 0)
        return error_sys(e, -errno, "make a directory in the scratch");
    fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    r = fd < 0 ? error_sys(e, -errno, "open the scratch") : try_in(fd, ids, &id, e);
    if (id != 0)
        quota_detach(fd, id);
    (void)unlinkat(dir_fd, name, AT_REMOVEDIR);
    return r;
}

/* Where the whole scratch is in somebody's project its directories have that one's id. */
void quota_sweep(int instance_fd)
{
    _cleanup_close_ int fd = openat(instance_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct fsxattr own, x;
    struct dirent *entry;
    DIR *dir;

    if (fd < 0 || get_project(fd, &own) < 0)
        return;
    dir = fdopendir(fd);
    if (!dir)
        return;
    fd = -EBADF; /* the stream's now */
    while ((entry = readdir(dir))) {
        _cleanup_close_ int one = -EBADF;
        if (entry->d_name[0] == '.') /* above all "..", which is not ours */
            continue;
        one = openat(instance_fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (one >= 0 && get_project(one, &x) == 0 && x.fsx_projid != own.fsx_projid &&
            x.fsx_projid != 0)
            quota_detach(one, x.fsx_projid);
    }
    closedir(dir);
}
