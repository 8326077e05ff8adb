/* links: runtime */
/* The file systems that mkfs.c makes, as e2fsck(8) sees them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mkfs.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB ((uint64_t)1 << 20)

/* Exit status of e2fsck -fn over a new file system; bit 4 is an error it would have to correct. */
static int check(uint64_t bytes, uint64_t inodes, struct mkfs_plan *p)
{
    char path[] = "/tmp/dockless-mkfs-XXXXXX";
    _cleanup_close_ int fd = mkstemp(path);
    pid_t pid;
    int status;

    assert_true(fd >= 0);
    assert_int_equal(mkfs_plan(bytes, inodes, p), 0);
    assert_true(p->inodes == inodes);
    /* Inodes that are marked as used and belong to no file are what e2fsck would take for an error.
     */
    p->inodes = p->groups * p->inodes_per_group - 10;
    assert_int_equal(mkfs_make(fd, p), 0);
    pid = fork();
    if (pid == 0) {
        int null = open("/dev/null", O_RDWR);
        dup2(null, STDOUT_FILENO);
        dup2(null, STDERR_FILENO);
        execl("/sbin/e2fsck", "e2fsck", "-fn", path, NULL);
        _exit(127);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    unlink(path);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void every_size_is_a_sound_file_system(void **state)
{
    static const struct {
        uint64_t bytes, inodes;
    } sizes[] = {
        {MIB, 64},          {5 * MIB + 1, 1000},       {127 * MIB, 2000}, {128 * MIB, 100000},
        {126 * MIB, 16384}, {1024 * MIB, 65536},       {3000 * MIB, 64},  {20 * MIB, 300000},
        {256 * MIB, 32768}, {10 * 1024 * MIB, 655360},
    };

    (void)state;
    if (access("/sbin/e2fsck", X_OK) < 0)
        skip();
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        struct mkfs_plan p;
        /* 127: it could not be run. */
        if (check(sizes[i].bytes, sizes[i].inodes, &p) != 0)
            fail_msg("%llu bytes, %llu inodes", (unsigned long long)sizes[i].bytes,
                     (unsigned long long)sizes[i].inodes);
        assert_true((uint64_t)p.inodes_per_group * p.groups >= sizes[i].inodes);
        assert_true(p.blocks * MKFS_BLOCK > sizes[i].bytes);
    }
}

static void what_is_not_used_takes_no_room(void **state)
{
    char path[] = "/tmp/dockless-mkfs-XXXXXX";
    _cleanup_close_ int fd = mkstemp(path);
    struct mkfs_plan p;
    struct stat st;

    (void)state;
    unlink(path);
    assert_int_equal(mkfs_plan(1024 * MIB, 65536, &p), 0);
    assert_int_equal(mkfs_make(fd, &p), 0);
    assert_int_equal(fstat(fd, &st), 0);
    assert_true((uint64_t)st.st_size == p.blocks * MKFS_BLOCK);
    assert_true((uint64_t)st.st_blocks * 512 < MIB);
}

static void what_ext4_cannot_count_is_refused(void **state)
{
    struct mkfs_plan p;

    (void)state;
    assert_int_equal(mkfs_plan((uint64_t)1 << 44, 1000, &p), -EFBIG);
    assert_int_equal(mkfs_plan(MIB, UINT64_MAX / 2, &p), -EFBIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_size_is_a_sound_file_system),
        cmocka_unit_test(what_is_not_used_takes_no_room),
        cmocka_unit_test(what_ext4_cannot_count_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
