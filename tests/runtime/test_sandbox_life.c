/* links: runtime */
#include "sandbox_harness.h"

#include "base/clock.h"
#include "base/fdio.h"
#include "base/text.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB (1ULL << 20)

static void run_payload(struct run *r, const char *verb, const char *argument)
{
    run_init(r, "");
    run_set_argv(r, (const char *const[]){"payload", verb, argument, NULL});
}

static void exit_codes_and_signals_are_reported(void **state)
{
    struct run r;

    (void)state;
    for (int code = 0; code < 256; code += 51) {
        char script[32];
        snprintf(script, sizeof(script), "exit %d", code);
        check_script(script, code, "");
    }
    /* The first process of a pid namespace dies of no signal but this one, and faults. */
    run_init(&r, "echo up; sleep 100");
    run_start(&r);
    run_until(&r, "up");
    assert_int_equal(kill(run_host_pid(&r), SIGKILL), 0);
    run_wait(&r);
    assert_int_equal(r.report.verdict, SANDBOX_SIGNALLED);
    assert_int_equal(r.report.signal, SIGKILL);
    run_clear(&r);
}

static void a_kill_is_reported_as_one(void **state)
{
    struct run r;

    (void)state;
    run_init(&r, "trap '' TERM; echo up; sleep 100 & sleep 100");
    run_start(&r);
    run_until(&r, "up");
    assert_true(sandbox_is_running(r.sandbox));
    sandbox_kill(r.sandbox);
    run_wait(&r);
    assert_int_equal(r.report.verdict, SANDBOX_KILLED);
    assert_false(sandbox_is_running(r.sandbox));
    run_clear(&r);
}

static void a_kill_right_after_the_start_is_one_too(void **state)
{
    struct run r;

    (void)state;
    for (int i = 0; i < 20; i++) {
        run_init(&r, "echo should not; sleep 100");
        run_start(&r);
        usleep((useconds_t)(i * 150));
        sandbox_kill(r.sandbox);
        sandbox_kill(r.sandbox);
        run_wait(&r);
        assert_int_equal(r.report.verdict, SANDBOX_KILLED);
        run_clear(&r);
    }
}

static void wall_time_is_bounded(void **state)
{
    const uint64_t limit = 200 * USEC_PER_MSEC;
    struct run r;

    (void)state;
    run_init(&r, "sleep 100");
    r.spec.limits.wall_time_usec = limit;
    run_start(&r);
    run_wait(&r);
    assert_int_equal(r.report.verdict, SANDBOX_WALL_TIMEOUT);
    assert_in_range(r.report.wall_usec, limit, limit + scaled_usec(50 * USEC_PER_MSEC));
    run_clear(&r);
}

static void cpu_time_is_bounded_and_counted(void **state)
{
    const uint64_t limit = 200 * USEC_PER_MSEC;
    uint64_t used;
    struct run r;

    (void)state;
    run_payload(&r, "spin", NULL);
    r.spec.limits.cpu_time_usec = limit;
    run_start(&r);
    run_wait(&r);
    assert_int_equal(r.report.verdict, SANDBOX_CPU_TIMEOUT);
    used = r.report.user_usec + r.report.system_usec;
    assert_in_range(used, limit, limit + scaled_usec(40 * USEC_PER_MSEC));
    run_clear(&r);
}

static void memory_is_bounded(void **state)
{
    struct run r;

    (void)state;
    run_payload(&r, "eat", "200");
    r.spec.limits.memory_bytes = 32 * MIB;
    run_start(&r);
    run_wait(&r);
    assert_int_equal(r.report.verdict, SANDBOX_OUT_OF_MEMORY);
    run_clear(&r);

    /* A child of the first process as well, whatever the first one does then. */
    run_init(&r, "payload eat 200; sleep 100; echo survived");
    r.spec.limits.memory_bytes = 32 * MIB;
    run_start(&r);
    run_wait(&r);
    assert_int_equal(r.report.verdict, SANDBOX_OUT_OF_MEMORY);
    assert_int_equal(r.out.size, 0);
    run_clear(&r);

    run_payload(&r, "eat", "20");
    r.spec.limits.memory_bytes = 64 * MIB;
    assert_string_equal(run_output(&r, 0), "eaten");
    if (r.report.memory_peak != SANDBOX_ABSENT)
        assert_in_range(r.report.memory_peak, 20 * MIB, 64 * MIB);
    run_clear(&r);
}

static void tmpfs_counts_as_memory(void **state)
{
    struct run r;

    (void)state;
    run_init(&r, "dd if=/dev/zero of=/dev/shm/x bs=1024k count=60; echo survived");
    r.spec.limits.memory_bytes = 32 * MIB;
    run_start(&r);
    run_wait(&r);
    assert_int_equal(r.report.verdict, SANDBOX_OUT_OF_MEMORY);
    run_clear(&r);
}

static void processes_are_bounded(void **state)
{
    struct run r;

    (void)state;
    run_init(&r,
             "for i in 1 2 3 4 5 6 7 8 9; do sleep 100 & done 2>&1; ls -d /proc/[0-9]* | wc -l");
    r.spec.limits.pids = 6;
    run_start(&r);
    run_wait(&r);
    assert_int_equal(r.report.verdict, SANDBOX_EXITED);
    assert_non_null(strstr(buffer_string(&r.out), "can't fork"));
    run_clear(&r);
}

/* Processes on the host with an id of the first range. */
static int processes_of_the_range(void)
{
    int n = 0;

    for (int tries = 0; tries < 1000; tries++) {
        n = count_processes_of(H.first_id, SANDBOX_ID_RANGE);
        if (n == 0)
            break;
        usleep(10000);
    }
    return n;
}

static void nothing_survives_the_first_process(void **state)
{
    struct run r;

    (void)state;
    run_payload(&r, "daemons", NULL);
    run_start(&r);
    run_wait(&r);
    assert_int_equal(r.report.verdict, SANDBOX_EXITED);
    assert_int_equal(r.report.exit_code, 5);
    assert_int_equal(processes_of_the_range(), 0);
    run_clear(&r);
}

static void children_end_with_their_parent(void **state)
{
    struct run parent, child;

    (void)state;
    run_init(&parent, "echo up; read x");
    run_start(&parent);
    run_until(&parent, "up");
    run_init(&child, "echo up; sleep 100");
    child.parent = parent.sandbox;
    run_start(&child);
    run_until(&child, "up");
    assert_int_equal(write(parent.in_fd, "\n", 1), 1);
    run_wait(&parent);
    assert_int_equal(parent.report.verdict, SANDBOX_EXITED);
    run_clear(&parent); /* the child outlives it by a moment: its ids stay its own */
    run_wait(&child);
    assert_int_equal(child.report.verdict, SANDBOX_KILLED);
    run_clear(&child);
}

static void freeing_a_running_sandbox_ends_it(void **state)
{
    struct run r;

    (void)state;
    run_init(&r, "echo up; sleep 100");
    run_start(&r);
    run_until(&r, "up");
    run_clear(&r);
    assert_int_equal(processes_of_the_range(), 0);
}

struct counts {
    int fds, mounts, cgroups, scratch, ids;
    long rss;
};

static int count_lines(const char *path)
{
    _cleanup_buffer_ struct buffer b = {0};
    int n = 0;

    assert_int_equal(fd_read_file(H.host->proc_fd, path, &b, 1 << 20), 0);
    for (size_t i = 0; i < b.size; i++)
        n += b.data[i] == '\n';
    return n;
}

static struct counts count_all(void)
{
    struct counts c = {0};
    char path[64];

    spare_wait();
    snprintf(path, sizeof(path), "%d/fd", (int)getpid());
    c.fds = count_entries(H.host->proc_fd, path);
    snprintf(path, sizeof(path), "%d/mountinfo", (int)getpid());
    c.mounts = count_lines(path);
    c.cgroups = count_lines("cgroups");
    /* The janitor may be a moment behind: then names wait here for it, which the loop hands over.
     */
    for (int tries = 0; tries < 6000; tries++) {
        c.scratch = count_entries(H.host->scratch_fd, ".");
        if (c.scratch <= 1)
            break;
        assert_true(loop_run(H.event, 10000) >= 0);
    }
    c.ids = count_entries(H.base_fd, "run/ids");
    return c;
}

static void two_hundred_in_a_row_leave_nothing(void **state)
{
    struct counts before = {0}, after;

    (void)state;
    for (int i = 0; i < 201; i++) {
        struct run r;
        run_init(&r, i % 3 == 0 ? "exit 3" : "echo x >/tmp/x; echo y");
        if (i % 5 == 0)
            r.spec.cwd = strdup("/etc/passwd"); /* some fail to start */
        assert_non_null(
            sandbox_spec_add_mount(&r.spec, SANDBOX_MOUNT_OVERLAY, ROOT_SHARED, "", "/task"));
        if (i % 7 == 0) { /* some before the clone */
            assert_non_null(
                sandbox_spec_add_mount(&r.spec, SANDBOX_MOUNT_BIND, ROOT_TASKS, "none", "/no"));
            r.spec.mounts[1].read_only = true;
        }
        run_start(&r);
        run_wait(&r);
        assert_int_equal(r.report.verdict,
                         i % 5 == 0 || i % 7 == 0 ? SANDBOX_START_FAILED : SANDBOX_EXITED);
        run_clear(&r);
        if (i == 0)
            before = count_all();
    }
    after = count_all();
    assert_int_equal(after.fds, before.fds);
    assert_int_equal(after.mounts, before.mounts);
    assert_int_equal(after.ids, before.ids);
    assert_int_equal(after.scratch, before.scratch);
}

static void many_run_at_once(void **state)
{
    struct run runs[12];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(runs); i++) {
        run_init(&runs[i], "read x; echo $x; cat /proc/self/uid_map");
        run_start(&runs[i]);
    }
    for (size_t i = 0; i < ARRAY_SIZE(runs); i++)
        assert_int_equal(write(runs[i].in_fd, "go\n", 3), 3);
    for (size_t i = 0; i < ARRAY_SIZE(runs); i++)
        run_wait(&runs[i]);
    for (size_t i = 0; i < ARRAY_SIZE(runs); i++) {
        assert_int_equal(runs[i].report.verdict, SANDBOX_EXITED);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(buffer_string(&runs[i].out), buffer_string(&runs[j].out));
    }
    for (size_t i = 0; i < ARRAY_SIZE(runs); i++)
        run_clear(&runs[i]);
}

/* Deeper than any path, and by the thousand: removed all the same. */
static void large_and_deep_leftovers_are_removed(void **state)
{
    struct run r;

    (void)state;
    run_init(&r, "cd /tmp; payload deep 3000 && seq 3000 | xargs touch && echo done");
    assert_string_equal(run_output(&r, 0), "done");
    run_clear(&r);
    assert_in_range(count_all().scratch, 0, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exit_codes_and_signals_are_reported),
        cmocka_unit_test(a_kill_is_reported_as_one),
        cmocka_unit_test(a_kill_right_after_the_start_is_one_too),
        cmocka_unit_test(wall_time_is_bounded),
        cmocka_unit_test(cpu_time_is_bounded_and_counted),
        cmocka_unit_test(memory_is_bounded),
        cmocka_unit_test(tmpfs_counts_as_memory),
        cmocka_unit_test(processes_are_bounded),
        cmocka_unit_test(nothing_survives_the_first_process),
        cmocka_unit_test(children_end_with_their_parent),
        cmocka_unit_test(freeing_a_running_sandbox_ends_it),
        cmocka_unit_test(two_hundred_in_a_row_leave_nothing),
        cmocka_unit_test(many_run_at_once),
        cmocka_unit_test(large_and_deep_leftovers_are_removed),
    };

    return harness_main("life", tests, ARRAY_SIZE(tests));
}
