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

#define MEMORY (32ULL << 20)
#define TRIES  3
/* A busy machine may be slow by itself; a bomb that was not held down makes it slower by far. */
#define SLACK_USEC (500 * USEC_PER_MSEC)

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
    assert_true(sd_event_new(&H.event) >= 0);
    return harness_open_host();
}

static void bomb_init(struct run *r, const char *kind, const char *mib)
{
    run_init(r, "");
    assert_int_equal(strv_append(&r->spec.layers, "extra"), 0);
    run_set_argv(r, (const char *const[]){"attacker", "bomb", kind, mib, NULL});
    r->spec.limits.memory_bytes = MEMORY;
    r->spec.limits.pids = 64;
    r->spec.limits.nofile = 512;
    r->spec.limits.wall_time_usec = scaled_usec(2 * USEC_PER_SEC);
}

/* How long an ordinary small program takes. */
static uint64_t time_of_neighbour(void)
{
    uint64_t best = UINT64_MAX;

    for (int i = 0; i < TRIES; i++) {
        uint64_t start = clock_monotonic_usec();
        check_script("echo answered", 0, "answered");
        best = MIN(best, clock_monotonic_usec() - start);
    }
    return best;
}

/* The same without a bomb, measured once. */
static uint64_t time_alone(void)
{
    static uint64_t alone;

    if (alone == 0)
        alone = time_of_neighbour();
    return alone;
}

static void check_nothing_is_left(void)
{
    for (int i = 0; i < 200 && count_processes_of(H.first_id, 16 * SANDBOX_ID_RANGE) > 0; i++)
        usleep(10000);
    assert_int_equal(count_processes_of(H.first_id, 16 * SANDBOX_ID_RANGE), 0);
}

/* Explodes one beside a neighbour; *RET_VERDICT is what became of it. */
static void explode(const char *kind, const char *mib, struct sandbox_report *ret)
{
    uint64_t alone = time_alone(), beside;
    struct run bomb;

    bomb_init(&bomb, kind, mib);
    run_start(&bomb);
    beside = time_of_neighbour();
    run_wait(&bomb);
    *ret = bomb.report;
    print_message("%s: %s %d, neighbour %llu us, alone %llu us, peak %llu KiB\n", kind,
                  sandbox_verdict_name(ret->verdict), ret->exit_code, (unsigned long long)beside,
                  (unsigned long long)alone, (unsigned long long)ret->memory_peak >> 10);
    run_clear(&bomb);
    assert_in_range(beside, 0, 2 * alone + scaled_usec(SLACK_USEC));
    check_nothing_is_left();
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
    uint64_t alone = time_alone(), beside;
    struct run bomb;

    (void)state;
    bomb_init(&bomb, "output", "4000");
    bomb.spec.limits.wall_time_usec = scaled_usec(USEC_PER_SEC);
    run_start(&bomb);
    bomb.out_fd = safe_close(bomb.out_fd);
    beside = time_of_neighbour();
    run_wait(&bomb);
    assert_int_equal(bomb.report.verdict, SANDBOX_EXITED); /* SIGPIPE spares a first process */
    assert_int_equal(bomb.report.exit_code, 15);
    run_clear(&bomb);
    assert_in_range(beside, 0, 2 * alone + scaled_usec(SLACK_USEC));
    check_nothing_is_left();
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
    };

    if (getenv("TEST_ONLY"))
        cmocka_set_test_filter(getenv("TEST_ONLY"));
    return cmocka_run_group_tests_name("bombs", tests, set_up, harness_teardown);
}
