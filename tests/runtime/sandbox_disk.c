/* Limits on disk, whatever they are enforced by. */
#include "sandbox_disk.h"

#include "base/cleanup.h"
#include "base/fdio.h"
#include "base/text.h"

#include <spawn.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define MIB ((uint64_t)1 << 20)

bool able(unsigned limit)
{
    return (H.host->abilities & limit) != 0;
}

int run_command(const char *command)
{
    const char *const argv[] = {"sh", "-c", command, NULL};
    int status;
    pid_t pid;

    if (posix_spawnp(&pid, argv[0], NULL, NULL, (char *const *)(uintptr_t)argv, environ) != 0 ||
        waitpid(pid, &status, 0) != pid)
        return -1;
    return status;
}

void check_refused(const struct sandbox_limits *limits, const char *name)
{
    char text[64];
    struct run r;

    snprintf(text, sizeof(text), "cannot enforce the limit \"%s\"", name);
    run_init(&r, "echo fine");
    r.spec.limits = *limits;
    run_start(&r);
    run_wait(&r);
    assert_int_equal(r.report.verdict, SANDBOX_START_FAILED);
    assert_string_equal(r.report.failed_step, "limits");
    assert_non_null(strstr(r.report.error, text));
    run_clear(&r);
}

void root_and_scratch_share_the_bytes_of_the_disk(void **state)
{
    struct run r;
    char *text;

    (void)state;
    if (!able(LAUNCHER_LIMIT_DISK)) {
        check_refused(&(struct sandbox_limits){.disk_bytes = 8 * MIB}, "disk");
        return;
    }
    run_init(&r, "dd if=/dev/zero of=/fill bs=65536 count=96 2>/dev/null || exit 9; "
                 "dd if=/dev/zero of=/data/fill bs=65536 count=96 2>/dev/null && exit 8; "
                 "echo x 2>/dev/null >/one-more; stat -c %s /fill /data/fill");
    assert_non_null(sandbox_spec_add_mount(&r.spec, SANDBOX_MOUNT_SCRATCH, 0, NULL, "/data"));
    r.spec.limits.disk_bytes = 8 * MIB;
    run_output(&r, 0);
    text = buffer_string(&r.out);
    if (strncmp(text, "6291456\n", 8) != 0)
        fail_msg("%s", text);
    /* A quota leaves room for what the sandbox itself has there. */
    assert_in_range(strtoull(text + 8, NULL, 10), 15 * MIB / 10, 2 * MIB + 65536);
    run_clear(&r);
}

void files_beyond_the_inodes_are_refused(void **state)
{
    struct run r;

    (void)state;
    if (!able(LAUNCHER_LIMIT_DISK)) {
        check_refused(&(struct sandbox_limits){.disk_bytes = 8 * MIB}, "disk");
        return;
    }
    run_init(&r,
             "i=0; while echo 2>/dev/null >/f$i; do i=$((i+1)); [ $i -lt 1000 ] || break; done; "
             "echo $i");
    r.spec.limits.disk_inodes = 100;
    assert_in_range(strtoul(run_output(&r, 0), NULL, 10), 90, 140);
    run_clear(&r);
}

void room_that_is_freed_can_be_used_again(void **state)
{
    (void)state;
    struct run r;

    if (!able(LAUNCHER_LIMIT_DISK)) {
        check_refused(&(struct sandbox_limits){.disk_bytes = 8 * MIB}, "disk");
        return;
    }
    run_init(&r, "for i in 1 2 3 4 5; do dd if=/dev/zero of=/f bs=65536 count=96 2>/dev/null || "
                 "exit 9; rm /f; done; echo fine");
    r.spec.limits.disk_bytes = 8 * MIB;
    assert_string_equal(run_output(&r, 0), "fine");
    run_clear(&r);
}

/* A task tree of 200 files and 2 MiB that has to be copied: one belongs to nobody inside. */
static void put_tree(const char *name)
{
    _cleanup_free_ char *text = malloc(MIB);
    char path[64];

    assert_non_null(text);
    memset(text, 'x', MIB);
    text[MIB - 1] = 0;
    assert_int_equal(mkdirat(H.tasks_fd, name, 0755), 0);
    for (int i = 0; i < 200; i++) {
        snprintf(path, sizeof(path), "%s/%d", name, i);
        put_file(H.tasks_fd, path, i < 2 ? text : "", 0644);
    }
    assert_int_equal(fchownat(H.tasks_fd, path, 1234567, 1234567, 0), 0);
}

void a_start_that_needs_more_than_the_disk_says_so(void **state)
{
    static const struct {
        uint64_t bytes, inodes;
        bool fails;
    } tries[] = {{SANDBOX_DISK_MIN, 0, true},
                 {MIB + MIB / 2, 0, true},
                 {4 * MIB, 0, false},
                 {0, SANDBOX_INODES_MIN, true},
                 {4 * MIB, SANDBOX_INODES_MIN, true},
                 {0, 512, false}};

    (void)state;
    if (!able(LAUNCHER_LIMIT_DISK)) {
        check_refused(&(struct sandbox_limits){.disk_inodes = SANDBOX_INODES_MIN}, "disk");
        return;
    }
    put_tree("large");
    for (size_t i = 0; i < ARRAY_SIZE(tries); i++) {
        struct run r;
        run_init(&r, "ls /task | wc -l");
        assert_non_null(
            sandbox_spec_add_mount(&r.spec, SANDBOX_MOUNT_OVERLAY, ROOT_TASKS, "large", "/task"));
        r.spec.limits.disk_bytes = tries[i].bytes;
        r.spec.limits.disk_inodes = tries[i].inodes;
        if (tries[i].fails) {
            run_start(&r);
            run_wait(&r);
            assert_int_equal(r.report.verdict, SANDBOX_START_FAILED);
            assert_string_equal(r.report.failed_step, "mount /task");
            assert_true(strstr(r.report.error, "No space left on device") ||
                        strstr(r.report.error, "Disk quota exceeded"));
        } else {
            assert_string_equal(run_output(&r, 0), "200");
        }
        run_clear(&r);
    }
    assert_int_equal(fd_remove_tree(H.tasks_fd, "large"), 0);
}
