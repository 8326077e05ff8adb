/* links: runtime */
/* Limits on disk by project quotas, on an ext4 and on an XFS made for the test. Where the kernel
 * has no quotas, that it says so; virtual machines have them. */
#include "sandbox_disk.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fdio.h"
#include "base/text.h"
#include "quota.h"
#include "sandbox_internal.h"
#include "sweep.h"

#include <linux/dqblk_xfs.h>
#include <linux/fs.h>
#include <linux/quota.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define MIB         ((uint64_t)1 << 20)
#define IMAGE_BYTES (400 * MIB) /* XFS has no smaller ones */
#define SKIPPED     77

/* What is tried, and what a program is told there of a limit. */
struct kind {
    const char *name, *make, *refusal;
};
static const struct kind kinds[] = {
    {"ext4", "mkfs.ext4 -q -F -O quota,project", "Disk quota exceeded"},
    {"xfs", "mkfs.xfs -q -f", "No space left on device"},
};
static const struct kind *kind;

static void get_quota(uint32_t id, struct if_dqblk *ret)
{
    *ret = (struct if_dqblk){0};
    if (syscall(SYS_quotactl_fd, H.base_fd, QCMD(Q_GETQUOTA, PRJQUOTA), id, ret) < 0)
        assert_int_equal(errno, ENOENT);
}

static void set_quota(uint32_t id, uint64_t inodes)
{
    struct if_dqblk q = {.dqb_ihardlimit = inodes, .dqb_valid = QIF_LIMITS};

    assert_int_equal(syscall(SYS_quotactl_fd, H.base_fd, QCMD(Q_SETQUOTA, PRJQUOTA), id, &q), 0);
}

static uint32_t project_of(int dir_fd, const char *path)
{
    _cleanup_close_ int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC);
    struct fsxattr x = {0};

    assert_true(fd >= 0 && ioctl(fd, FS_IOC_FSGETXATTR, &x) == 0);
    return x.fsx_projid;
}

static void make_project(int dir_fd, const char *path, uint32_t id)
{
    _cleanup_close_ int fd = -EBADF;
    struct fsxattr x = {0};

    assert_int_equal(mkdirat(dir_fd, path, 0700), 0);
    fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0 && ioctl(fd, FS_IOC_FSGETXATTR, &x) == 0);
    x.fsx_projid = id;
    x.fsx_xflags |= FS_XFLAG_PROJINHERIT;
    assert_int_equal(ioctl(fd, FS_IOC_FSSETXATTR, &x), 0);
}

/* Runs the loop until R says "ready"; its project. */
static uint32_t start_ready(struct run *r, const char *script)
{
    run_init(r, script);
    r->spec.limits.disk_bytes = 2 * MIB;
    run_start(r);
    run_until(r, "ready");
    assert_false(r->sandbox->disk.mounted);
    return r->sandbox->disk.project;
}

static void end(struct run *r)
{
    r->in_fd = safe_close(r->in_fd);
    run_wait(r);
    run_clear(r);
}

static void a_program_is_told_by_the_file_system(void **state)
{
    struct run r;

    (void)state;
    run_init(&r, "dd if=/dev/zero of=/f bs=65536 count=100 2>&1 | grep -o '[^:]*$' | head -1");
    r.spec.limits.disk_bytes = 2 * MIB;
    assert_string_equal(run_output(&r, 0) + 1, kind->refusal);
    run_clear(&r);
}

/* Kibibytes and, of ext4 and XFS alike, inodes: 64 KiB and 48 for what the sandbox has itself. */
static void the_size_that_is_told_is_the_limit(void **state)
{
    struct run r;

    (void)state;
    run_init(&r, "for d in / /data; do df -k $d | tail -n 1 | awk '{print $2}'; "
                 "df -i $d | tail -n 1 | awk '{print $2}'; done");
    assert_non_null(sandbox_spec_add_mount(&r.spec, SANDBOX_MOUNT_SCRATCH, 0, NULL, "/data"));
    r.spec.limits.disk_bytes = 8 * MIB;
    r.spec.limits.disk_inodes = 1000;
    assert_string_equal(run_output(&r, 0), "8256\n1048\n8256\n1048");
    run_clear(&r);
}

/* Names may be given across all directories of one file system. */
static void directories_of_a_mount_are_one_project(void **state)
{
    struct run r;

    (void)state;
    run_init(&r, "mkdir -p /a/b /data/a/b && echo x >/a/f && ln /a/f /a/b/g && ln /a/f /tmp/h && "
                 "echo x >/data/f && ln /data/f /data/a/b/g && echo x >>/etc/passwd && "
                 "ln /etc/passwd /a/p && echo fine");
    assert_non_null(sandbox_spec_add_mount(&r.spec, SANDBOX_MOUNT_SCRATCH, 0, NULL, "/data"));
    r.spec.limits.disk_bytes = 8 * MIB;
    assert_string_equal(run_output(&r, 0), "fine");
    run_clear(&r);
}

static void nobody_inside_leaves_the_project(void **state)
{
    struct run r;

    (void)state;
    run_init(&r, "for d in /own /data/own; do mkdir $d; payload project $d; done; "
                 "dd if=/dev/zero of=/own/f bs=65536 count=100 2>/dev/null && echo written; "
                 "dd if=/dev/zero of=/data/own/f bs=65536 count=100 2>/dev/null && echo written; "
                 "echo end");
    assert_non_null(sandbox_spec_add_mount(&r.spec, SANDBOX_MOUNT_SCRATCH, 0, NULL, "/data"));
    r.spec.limits.disk_bytes = 2 * MIB;
    run_output(&r, 0);
    /* Ten attempts and the last word. */
    for (char *line = buffer_string(&r.out), *next; line; line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = 0;
        if (next && (strstr(line, ": allowed") || !strstr(line, "set ")))
            fail_msg("%s", line);
        if (!next)
            assert_string_equal(line, "end");
    }
    run_clear(&r);
}

static void limits_and_files_go_with_the_sandbox(void **state)
{
    uint64_t last = clock_monotonic_usec() + scaled_usec(20 * USEC_PER_SEC);
    struct if_dqblk q;
    uint32_t project;
    struct run r;

    (void)state;
    project = start_ready(&r, "echo x >/f; echo ready; cat");
    get_quota(project, &q);
    assert_int_equal(q.dqb_bhardlimit, 2048 + 64);
    assert_int_equal(q.dqb_ihardlimit, MAX(128, SANDBOX_INODES_MIN) + 48);
    assert_true(q.dqb_curspace > 0 && q.dqb_curinodes > 4);
    end(&r);
    do
        get_quota(project, &q);
    while (q.dqb_curinodes > 0 && clock_monotonic_usec() < last);
    assert_int_equal(q.dqb_curinodes, 0);
    assert_int_equal(q.dqb_bhardlimit | q.dqb_ihardlimit | q.dqb_bsoftlimit | q.dqb_isoftlimit, 0);
}

static void ids_of_others_are_passed_over(void **state)
{
    struct if_dqblk q;
    uint32_t first, now;
    struct run r, child;

    (void)state;
    first = start_ready(&r, "echo ready; cat");
    /* One that shares its ids has a project of its own. */
    run_init(&child, "dd if=/dev/zero of=/f bs=65536 count=100 2>/dev/null; stat -c %s /f");
    child.parent = r.sandbox;
    child.spec.limits.disk_bytes = 1 * MIB;
    run_start(&child);
    now = child.sandbox->disk.project;
    assert_in_range(now, first + 1, first + 8);
    run_wait(&child);
    assert_in_range(strtoull(buffer_string(&child.out), NULL, 10), MIB / 2, MIB + 65536);
    run_clear(&child);
    get_quota(first, &q);
    assert_int_equal(q.dqb_bhardlimit, 2048 + 64);
    end(&r);

    /* Somebody has a limit without files, somebody files without a limit. */
    first = H.host->disks.first_project + H.first_id / SANDBOX_ID_RANGE * QUOTA_IDS_PER_RANGE;
    make_project(H.base_fd, "theirs", first);
    set_quota(first + 1, 5);
    now = start_ready(&r, "echo ready; cat");
    assert_in_range(now, first + 2, first + 12);
    end(&r);
    get_quota(first + 1, &q);
    assert_int_equal(q.dqb_ihardlimit, 5);
    get_quota(first, &q);
    assert_int_equal(q.dqb_ihardlimit, 0);
    set_quota(first + 1, 0);
    assert_int_equal(unlinkat(H.base_fd, "theirs", AT_REMOVEDIR), 0);
}

/* What the launcher's own processes write for a sandbox counts, root or not. */
/* What a launcher leaves that was killed. The second is in the project of the whole directory,
 * which is somebody else's. */
static void the_limits_of_a_dead_launcher_are_swept(void **state)
{
    const uint32_t administrators = 4711, dead = 0x7fff0000;
    struct error e = ERROR_INIT;
    struct if_dqblk q;
    _cleanup_close_ int scratch = -EBADF;

    (void)state;
    make_project(H.base_fd, "old", administrators);
    set_quota(administrators, 1000);
    assert_int_equal(mkdirat(H.base_fd, "old/i-0123abcd", 0700), 0);
    make_project(H.base_fd, "old/i-0123abcd/s1", dead);
    set_quota(dead, 100);
    assert_int_equal(mkdirat(H.base_fd, "old/i-0123abcd/s1/u", 0700), 0);
    assert_int_equal(project_of(H.base_fd, "old/i-0123abcd/s1/u"), dead);
    assert_int_equal(mkdirat(H.base_fd, "old/i-0123abcd/s2", 0700), 0);
    assert_int_equal(project_of(H.base_fd, "old/i-0123abcd/s2"), administrators);
    scratch = openat(H.base_fd, "old", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(sweep_instances(scratch, &e), 1);
    get_quota(dead, &q);
    assert_int_equal(q.dqb_ihardlimit, 0);
    get_quota(administrators, &q);
    assert_int_equal(q.dqb_ihardlimit, 1000);
    set_quota(administrators, 0);
    assert_int_equal(unlinkat(H.base_fd, "old", AT_REMOVEDIR), 0);
}

/* A directory in a project need not hand it on to what is below it. */
static void the_sweep_leaves_what_is_above_alone(void **state)
{
    _cleanup_close_ int scratch = -EBADF;
    struct error e = ERROR_INIT;
    struct fsxattr x = {0};
    struct if_dqblk q;

    (void)state;
    make_project(H.base_fd, "above", 4712);
    set_quota(4712, 1000);
    scratch = openat(H.base_fd, "above", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(ioctl(scratch, FS_IOC_FSGETXATTR, &x), 0);
    x.fsx_xflags &= ~(uint32_t)FS_XFLAG_PROJINHERIT;
    assert_int_equal(ioctl(scratch, FS_IOC_FSSETXATTR, &x), 0);
    assert_int_equal(mkdirat(scratch, "i-0123abcd", 0700), 0);
    assert_int_equal(project_of(scratch, "i-0123abcd"), 0);
    assert_int_equal(sweep_instances(scratch, &e), 1);
    get_quota(4712, &q);
    assert_int_equal(q.dqb_ihardlimit, 1000);
    set_quota(4712, 0);
    assert_int_equal(unlinkat(H.base_fd, "above", AT_REMOVEDIR), 0);
}

static void switch_limits(unsigned command)
{
    unsigned flags = FS_QUOTA_PDQ_ENFD;

    assert_int_equal(syscall(SYS_quotactl_fd, H.base_fd, QCMD(command, PRJQUOTA), 0, &flags), 0);
}

static void limits_that_are_switched_off_fail_the_start(void **state)
{
    struct run r;

    (void)state;
    switch_limits(Q_XQUOTAOFF);
    run_init(&r, "echo fine");
    r.spec.limits.disk_bytes = 2 * MIB;
    run_start(&r);
    run_wait(&r);
    switch_limits(Q_XQUOTAON);
    assert_int_equal(r.report.verdict, SANDBOX_START_FAILED);
    assert_string_equal(r.report.failed_step, "scratch");
    assert_non_null(strstr(r.report.error, "project quotas are not enforced"));
    run_clear(&r);
}

static void where_there_are_no_quotas_they_are_refused(void **state)
{
    struct run r;

    if (able(LAUNCHER_LIMIT_DISK)) { /* this very directory has them */
        root_and_scratch_share_the_bytes_of_the_disk(state);
        return;
    }
    check_refused(&(struct sandbox_limits){.disk_bytes = 2 * MIB}, "disk");
    run_init(&r, "echo fine");
    r.spec.limits.disk_inodes = 100;
    run_start(&r);
    run_wait(&r);
    assert_non_null(strstr(r.report.error, "has no project quotas that are enforced (ext4: "));
    run_clear(&r);
}

/* The file system of K on DIRECTORY, in a mount namespace of this process. */
static bool make_file_system(const struct kind *k, const char *directory)
{
    char command[512];

    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return false;
    snprintf(command, sizeof(command),
             "PATH=$PATH:/sbin:/usr/sbin; cd %s && truncate -s %llu image && %s image && "
             "mount -t %s -o loop,prjquota image . && chmod 755 .",
             directory, (unsigned long long)IMAGE_BYTES, k->make, k->name);
    return run_command(command) == 0;
}

/* In a process of its own: the launcher's part leaves the namespace, and with the last process the
 * file system goes. */
static int run_kind(const struct kind *k, const char *directory)
{
    const struct CMUnitTest tests[] = {
        DISK_TESTS,
        cmocka_unit_test(a_program_is_told_by_the_file_system),
        cmocka_unit_test(the_size_that_is_told_is_the_limit),
        cmocka_unit_test(directories_of_a_mount_are_one_project),
        cmocka_unit_test(nobody_inside_leaves_the_project),
        cmocka_unit_test(limits_and_files_go_with_the_sandbox),
        cmocka_unit_test(ids_of_others_are_passed_over),
        cmocka_unit_test(the_limits_of_a_dead_launcher_are_swept),
        cmocka_unit_test(the_sweep_leaves_what_is_above_alone),
        cmocka_unit_test(limits_that_are_switched_off_fail_the_start),
    };
    int status;
    pid_t pid;

    fflush(NULL);
    pid = fork();
    if (pid == 0) {
        kind = k;
        H.disk = LAUNCHER_DISK_QUOTA;
        if (!make_file_system(k, directory) || setenv("TMPDIR", directory, 1) < 0)
            _exit(SKIPPED);
        status = harness_main(k->name, tests, ARRAY_SIZE(tests));
        fflush(NULL);
        _exit(status);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
        return 1;
    return WEXITSTATUS(status);
}

int main(void)
{
    const struct CMUnitTest without[] = {
        cmocka_unit_test(where_there_are_no_quotas_they_are_refused),
    };
    const bool must_work = getenv("DOCKLESS_TEST_QUOTAS") != NULL;
    const char *tmp = getenv("TMPDIR");
    char directory[256], image[300];
    int failed = 0;

    for (size_t i = 0; geteuid() == 0 && i < ARRAY_SIZE(kinds); i++) {
        int r;
        snprintf(directory, sizeof(directory), "%s/dockless-rt-quota-XXXXXX", tmp ? tmp : "/tmp");
        if (!mkdtemp(directory))
            return 1;
        snprintf(image, sizeof(image), "%s/image", directory);
        r = run_kind(&kinds[i], directory);
        unlink(image);
        if (rmdir(directory) < 0)
            r = 1;
        if (r == SKIPPED)
            fprintf(stderr, "this kernel cannot mount %s with project quotas%s\n", kinds[i].name,
                    must_work ? ", and should" : "");
        failed |= r == SKIPPED ? must_work : r != 0;
    }
    if (!must_work) {
        H.disk = LAUNCHER_DISK_QUOTA;
        failed |= harness_main("without quotas", without, ARRAY_SIZE(without)) != 0;
    }
    return failed;
}
