/* links: runtime */
/* Bombs (row 10): each takes all of one resource that it can get. It is ended or refused by its own
 * limits, a sandbox beside it answers meanwhile, and nothing is left. */
#include "sandbox_harness.h"

#include "base/clock.h"
#include "base/fdio.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#define MEMORY (32ULL << 20)
#define TRIES  5
/* What a small program takes varies by this much on a busy machine: a few turns of the scheduler.
 */
#define SLACK_USEC (20 * USEC_PER_MSEC)
/* The machine may become busy by itself between two measurements; a bomb that is not held down is
 * one every time. */
#define EXPLOSIONS 4

static int set_up(void **state)
{
    _cleanup_buffer_ struct buffer b = {0};
    _cleanup_close_ int extra = -EBADF, fd = -EBADF;

    (void)state;
    if (geteuid() != 0 || harness_make_tree() < 0)
        exit(77);
    extra = openat(H.store_fd, "extra", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(fd_read_file(AT_FDCWD, SECURITY_ATTACKER, &b, 16 << 20), 0);
    assert_int_equal(mkdirat(extra, "bin", 0755), 0);
    fd = openat(extra, "bin/attacker", O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
    assert_true(fd >= 0);
    assert_int_equal(fd_write_full(fd, b.data, b.size), 0);
    assert_true(loop_new(&H.event) >= 0);
    return harness_open_host();
}

/* Of what the others take, a busy machine may need long to give it all. */
static bool ends_by_time(const char *kind)
{
    return strcmp(kind, "objects") == 0 || strcmp(kind, "forks") == 0;
}

static void bomb_init(struct run *r, const char *kind, const char *mib)
{
    run_init(r, "");
    assert_int_equal(strv_append(&r->spec.layers, "extra"), 0);
    run_set_argv(r, (const char *const[]){"attacker", "bomb", kind, mib, NULL});
    r->spec.limits.memory_bytes = MEMORY;
    r->spec.limits.pids = 64;
    r->spec.limits.nofile = 512;
    r->spec.limits.wall_time_usec = scaled_usec((ends_by_time(kind) ? 2 : 20) * USEC_PER_SEC);
}

static int compare(const void *a, const void *b)
{
    const uint64_t *left = a, *right = b;

    return *left < *right ? -1 : *left > *right;
}

/* How long an ordinary small program takes, most of the time. */
static uint64_t time_of_neighbour(void)
{
    uint64_t took[TRIES];

    for (int i = 0; i < TRIES; i++) {
        uint64_t start = clock_monotonic_usec();
        check_script("echo answered >/tmp/file && cat /tmp/file", 0, "answered");
        took[i] = clock_monotonic_usec() - start;
    }
    qsort(took, TRIES, sizeof(*took), compare);
    return took[TRIES / 2];
}

static void check_nothing_is_left(void)
{
    for (int i = 0; i < 200 && count_processes_of(H.first_id, 16 * SANDBOX_ID_RANGE) > 0; i++)
        usleep(10000);
    assert_int_equal(count_processes_of(H.first_id, 16 * SANDBOX_ID_RANGE), 0);
}

static bool is_slow(const char *kind, uint64_t beside, uint64_t before)
{
    const uint64_t after = time_of_neighbour();

    print_message("%s: neighbour %llu us, alone %llu us before, %llu us after\n", kind,
                  (unsigned long long)beside, (unsigned long long)before,
                  (unsigned long long)after);
    return beside > 2 * MAX(before, after) + scaled_usec(SLACK_USEC);
}

static uint64_t explode_once(const char *kind, const char *mib, struct sandbox_report *ret)
{
    uint64_t beside;
    struct run bomb;

    bomb_init(&bomb, kind, mib);
    run_start(&bomb);
    beside = time_of_neighbour();
    run_wait(&bomb);
    *ret = bomb.report;
    print_message("%s: %s %d, peak %llu KiB\n", kind, sandbox_verdict_name(ret->verdict),
                  ret->exit_code, (unsigned long long)ret->memory_peak >> 10);
    run_clear(&bomb);
    check_nothing_is_left();
    return beside;
}

/* Explodes one beside a neighbour, who answers within twice the usual time; *RET is what became of
 * it. */
static void explode(const char *kind, const char *mib, struct sandbox_report *ret)
{
    static uint64_t alone;

    for (int i = 0; i < EXPLOSIONS; i++) {
        uint64_t beside;
        if (alone == 0 || i > 0)
            alone = time_of_neighbour();
        beside = explode_once(kind, mib, ret);
        if (!is_slow(kind, beside, alone))
            return;
    }
    fail_msg("%s: its neighbour was slow every time", kind);
}

static void memory_of_every_kind_ends_at_the_limit(void **state)
{
    static const char *const kinds[] = {"anonymous", "children", "tmpfs"};
    struct sandbox_report report;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        explode(kinds[i], "100", &report);
        assert_int_equal(report.verdict, SANDBOX_OUT_OF_MEMORY);
        if (report.memory_peak != SANDBOX_ABSENT)
            assert_in_range(report.memory_peak, 0, MEMORY + (1 << 20));
    }
}

/* What the kernel can write back is no reason to end a program. */
static void pages_of_files_are_reclaimed(void **state)
{
    struct sandbox_report report;

    (void)state;
    explode("pages", "60", &report);
    assert_int_equal(report.verdict, SANDBOX_EXITED);
    assert_int_equal(report.exit_code, 0);
}

/* Bounded by the number of descriptors, or else by memory. */
static void buffers_of_the_kernel_are_bounded(void **state)
{
    static const char *const kinds[] = {"sockets", "pipes", "descriptors"};
    struct sandbox_report report;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        explode(kinds[i], "0", &report);
        if (report.verdict != SANDBOX_OUT_OF_MEMORY) {
            assert_int_equal(report.verdict, SANDBOX_EXITED);
            assert_int_equal(report.exit_code, 13); /* refused */
        }
        if (report.memory_peak != SANDBOX_ABSENT)
            assert_in_range(report.memory_peak, 0, MEMORY + (1 << 20));
    }
}

/* Some of them the kernel can take back, again and again: then time ends it. */
static void objects_of_the_kernel_are_bounded(void **state)
{
    struct sandbox_report report;

    (void)state;
    explode("objects", "0", &report);
    assert_true(report.verdict == SANDBOX_OUT_OF_MEMORY || report.verdict == SANDBOX_WALL_TIMEOUT);
    if (report.memory_peak != SANDBOX_ABSENT)
        assert_in_range(report.memory_peak, 0, MEMORY + (1 << 20));
}

static void inodes_of_shared_memory_are_bounded(void **state)
{
    struct sandbox_report report;

    (void)state;
    explode("inodes", "0", &report);
    if (report.verdict != SANDBOX_OUT_OF_MEMORY) {
        assert_int_equal(report.verdict, SANDBOX_EXITED);
        assert_int_equal(report.exit_code, 11); /* no space */
    }
}

static void a_fork_bomb_meets_its_limit(void **state)
{
    struct sandbox_report report;

    (void)state;
    explode("forks", "0", &report);
    assert_true(report.verdict == SANDBOX_EXITED || report.verdict == SANDBOX_WALL_TIMEOUT ||
                report.verdict == SANDBOX_OUT_OF_MEMORY);
}

/* Whoever reads has gone: the writer is told, and no process of ours keeps what it writes. */
static void output_that_nobody_takes_ends_its_writer(void **state)
{
    struct run bomb;

    (void)state;
    bomb_init(&bomb, "output", "4000");
    bomb.spec.limits.wall_time_usec = scaled_usec(USEC_PER_SEC);
    run_start(&bomb);
    bomb.out_fd = safe_close(bomb.out_fd);
    run_wait(&bomb);
    assert_int_equal(bomb.report.verdict, SANDBOX_EXITED); /* SIGPIPE spares a first process */
    assert_int_equal(bomb.report.exit_code, 15);
    run_clear(&bomb);
    check_nothing_is_left();
}

/* What the host gave the sandbox started last: a file system of its own, and how many files. */
static void check_bounds(const struct sandbox_limits *limits)
{
    char name[32];
    struct statvfs fs, host;
    _cleanup_close_ int fd = -EBADF;

    snprintf(name, sizeof(name), "s%llu", (unsigned long long)H.host->made);
    fd = openat(H.host->scratch_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(fstatvfs(fd, &fs), 0);
    assert_int_equal(fstatvfs(H.host->scratch_fd, &host), 0);
    assert_int_not_equal(fs.f_fsid, host.f_fsid);
    if (limits->disk_bytes > 0) /* and its own tables */
        assert_in_range(fs.f_blocks * fs.f_frsize, 1, limits->disk_bytes + limits->disk_bytes / 16);
    if (limits->disk_inodes > 0) /* and what a file system has for itself, see runtime/disk.c */
        assert_in_range(count_entries(fd, "u/tmp"), 1, limits->disk_inodes + 64);
}

/* A grader with the limits of SPEC fills its disk, and keeps it; then its student fills its own and
 * what it shares with the grader. Both are refused more, and others are not. */
static void fill_disks(const char *kind, const struct sandbox_limits *limits)
{
    struct run grader, student;

    bomb_init(&grader, kind, "64");
    assert_non_null(
        sandbox_spec_add_mount(&grader.spec, SANDBOX_MOUNT_SCRATCH, 0, NULL, "/shared"));
    grader.spec.limits = *limits;
    run_start(&grader);
    run_until(&grader, "full");
    check_bounds(limits);
    bomb_init(&student, kind, "64");
    student.parent = grader.sandbox;
    assert_non_null(
        sandbox_spec_add_mount(&student.spec, SANDBOX_MOUNT_PARENT, 0, NULL, "/shared"));
    student.spec.limits = *limits;
    run_start(&student);
    run_until(&student, "full");
    check_bounds(limits);
    check_script("head -c 1000000 /dev/zero >/tmp/file && stat -c %s /tmp/file", 0, "1000000");
    assert_int_equal(write(student.in_fd, "x", 1), 1);
    run_wait(&student);
    assert_int_equal(student.report.exit_code, 11);
    assert_int_equal(write(grader.in_fd, "x", 1), 1);
    run_wait(&grader);
    assert_int_equal(grader.report.exit_code, 11);
    run_clear(&student);
    run_clear(&grader);
    check_nothing_is_left();
}

static void disks_are_filled_to_their_limits_and_no_further(void **state)
{
    const struct sandbox_limits bytes = {.disk_bytes = 8 << 20}, inodes = {.disk_inodes = 200};
    struct run r;

    (void)state;
    if (H.host->abilities & LAUNCHER_LIMIT_DISK) {
        fill_disks("disk", &bytes);
        fill_disks("files", &inodes);
        return;
    }
    /* A limit that cannot be held is refused, not forgotten. */
    bomb_init(&r, "disk", "64");
    r.spec.limits = bytes;
    run_start(&r);
    run_wait(&r);
    assert_int_equal(r.report.verdict, SANDBOX_START_FAILED);
    run_clear(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_of_every_kind_ends_at_the_limit),
        cmocka_unit_test(pages_of_files_are_reclaimed),
        cmocka_unit_test(buffers_of_the_kernel_are_bounded),
        cmocka_unit_test(objects_of_the_kernel_are_bounded),
        cmocka_unit_test(inodes_of_shared_memory_are_bounded),
        cmocka_unit_test(a_fork_bomb_meets_its_limit),
        cmocka_unit_test(output_that_nobody_takes_ends_its_writer),
        cmocka_unit_test(disks_are_filled_to_their_limits_and_no_further),
    };

    if (getenv("TEST_ONLY"))
        cmocka_set_test_filter(getenv("TEST_ONLY"));
    return cmocka_run_group_tests_name("bombs", tests, set_up, harness_teardown);
}
