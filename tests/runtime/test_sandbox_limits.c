/* links: runtime */
/* Limits and counters of whole sandboxes: disk, output, processors, and what a report tells. */
#include "sandbox_disk.h"

#include "base/clock.h"
#include "base/fdio.h"
#include "base/text.h"
#include "sandbox_internal.h"

#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define MIB ((uint64_t)1 << 20)

static enum sandbox_verdict verdict_of(struct run *r)
{
    run_start(r);
    run_wait(r);
    if (r->report.verdict == SANDBOX_START_FAILED)
        fail_msg("%s: %s", r->report.failed_step, r->report.error);
    return r->report.verdict;
}

/* --- disk ------------------------------------------------------------------------------------ */

static unsigned loops_in_use(void)
{
    unsigned n = 0;

    for (int i = 0; i < 256; i++) {
        char path[64];
        snprintf(path, sizeof(path), "/sys/block/loop%d/loop/backing_file", i);
        n += access(path, F_OK) == 0;
    }
    return n;
}

/* Others on this machine may use some, too: it is asked until none more are. */
static void nothing_of_a_disk_is_left(void **state)
{
    unsigned before = loops_in_use(), after = 0;
    uint64_t end = clock_monotonic_usec() + scaled_usec(10 * USEC_PER_SEC);
    struct run r;

    (void)state;
    if (!able(LAUNCHER_LIMIT_DISK)) {
        check_refused(&(struct sandbox_limits){.disk_bytes = 8 * MIB}, "disk");
        return;
    }
    run_init(&r, "dd if=/dev/zero of=/fill bs=65536 count=64 2>/dev/null; ls /");
    r.spec.limits.disk_bytes = 8 * MIB;
    run_output(&r, 0);
    run_clear(&r);
    do
        after = loops_in_use();
    while (after > before && clock_monotonic_usec() < end);
    assert_true(after <= before);
}

/* --- output ---------------------------------------------------------------------------------- */

static void output_beyond_the_limit_ends_the_sandbox(void **state)
{
    struct run r;

    (void)state;
    run_init(&r, "yes");
    r.spec.limits.output_bytes = 100000;
    assert_int_equal(verdict_of(&r), SANDBOX_OUTPUT_LIMIT);
    assert_int_equal(r.out.size, 100000);
    assert_int_equal(r.report.output_bytes, 100000);
    run_clear(&r);
}

static void both_streams_and_all_processes_count(void **state)
{
    struct run r;

    (void)state;
    run_init(&r, "(head -c 600 /dev/zero) & (head -c 600 /dev/zero >&2) & wait; sleep 100");
    r.spec.limits.output_bytes = 1000;
    assert_int_equal(verdict_of(&r), SANDBOX_OUTPUT_LIMIT);
    assert_int_equal(r.out.size, 1000);
    run_clear(&r);
}

static void output_within_the_limit_is_delivered_in_order(void **state)
{
    struct run r;

    (void)state;
    run_init(&r, "for i in 1 2 3; do echo out$i; echo err$i >&2; done");
    r.spec.limits.output_bytes = 30;
    assert_string_equal(run_output(&r, 0), "out1\nerr1\nout2\nerr2\nout3\nerr3");
    assert_int_equal(r.report.output_bytes, 30);
    run_clear(&r);
}

/* The program is long gone when the last of it is read. */
static void an_excess_of_the_last_moment_counts(void **state)
{
    struct run r;

    (void)state;
    run_init(&r, "head -c 31 /dev/zero");
    r.spec.limits.output_bytes = 30;
    assert_int_equal(verdict_of(&r), SANDBOX_OUTPUT_LIMIT);
    assert_int_equal(r.out.size, 30);
    run_clear(&r);
}

/* Starts one that ends at once with output that nobody reads. */
static void start_unread(struct run *r, struct run *parent)
{
    run_init(r, "head -c 100000 /dev/zero"); /* more than a pipe holds, less than two */
    r->spec.limits.output_bytes = MIB;
    r->parent = parent ? parent->sandbox : NULL;
    run_start(r);
}

static void until_it_waits_for_its_reader(const struct run *r)
{
    while (!r->sandbox->emptied)
        assert_true(loop_run(H.event, 10000) >= 0);
    assert_false(r->over);
}

/* A program that never reads is not waited for by anybody, and a kill ends the waiting. */
static void a_kill_does_not_wait_for_the_reader(void **state)
{
    struct run r;

    (void)state;
    start_unread(&r, NULL);
    until_it_waits_for_its_reader(&r);
    for (int i = 0; i < 5; i++)
        assert_true(loop_run(H.event, 10000) >= 0);
    assert_false(r.over);
    sandbox_kill(r.sandbox);
    run_wait(&r);
    run_clear(&r);
}

/* Who is told of an end may free others: not while somebody goes through a family. */
static void whoever_kills_a_family_is_told_of_its_ends_later_and_once(void **state)
{
    struct run parent, children[2];

    (void)state;
    run_init(&parent, "echo up; read x");
    run_start(&parent);
    run_until(&parent, "up");
    for (size_t i = 0; i < ARRAY_SIZE(children); i++)
        start_unread(&children[i], &parent);
    for (size_t i = 0; i < ARRAY_SIZE(children); i++)
        until_it_waits_for_its_reader(&children[i]);
    sandbox_kill(parent.sandbox);
    sandbox_kill(children[0].sandbox);
    for (size_t i = 0; i < ARRAY_SIZE(children); i++)
        assert_false(children[i].over);
    for (size_t i = 0; i < ARRAY_SIZE(children); i++) {
        run_wait(&children[i]);
        assert_int_equal(children[i].report.verdict, SANDBOX_EXITED);
        run_clear(&children[i]);
    }
    run_wait(&parent);
    assert_int_equal(parent.report.verdict, SANDBOX_KILLED);
    run_clear(&parent);
}

/* --- processors ------------------------------------------------------------------------------ */

static void a_share_of_a_cpu_is_kept_and_its_waits_are_told(void **state)
{
    struct run r;

    (void)state;
    if (!able(LAUNCHER_LIMIT_CPU_SHARE)) {
        check_refused(&(struct sandbox_limits){.cpu_share = 200}, "cpu");
        return;
    }
    run_init(&r, "while :; do :; done & while :; do :; done & wait");
    /* So little that a busy host leaves it more than that. */
    r.spec.limits.cpu_share = 20;
    r.spec.limits.wall_time_usec = 2 * USEC_PER_SEC;
    assert_int_equal(verdict_of(&r), SANDBOX_WALL_TIMEOUT);
    /* A fiftieth of the time, and a few ticks more. */
    assert_in_range(r.report.user_usec + r.report.system_usec, 0,
                    r.report.wall_usec / 50 +
                        MIN(scaled_usec(100 * USEC_PER_MSEC), 500 * USEC_PER_MSEC));
    assert_in_range(r.report.throttled_periods, 1, r.report.wall_usec / (50 * USEC_PER_MSEC) + 2);
    assert_in_range(r.report.throttled_usec, 1, 8 * r.report.wall_usec);
    run_clear(&r);
}

static void a_program_sees_only_the_cpus_it_is_given(void **state)
{
    struct run r;

    (void)state;
    if (!able(LAUNCHER_LIMIT_CPUS)) {
        check_refused(&(struct sandbox_limits){.cpus[0] = 1}, "cpus");
        return;
    }
    run_init(
        &r,
        "grep Cpus_allowed_list /proc/self/status; taskset -p 2 1 >/dev/null 2>&1 || echo refused; "
        "grep Mems_allowed_list /proc/self/status | cut -f2 | grep -c .");
    r.spec.limits.cpus[0] = 1;
    assert_string_equal(run_output(&r, 0), "Cpus_allowed_list:\t0\nrefused\n1");
    run_clear(&r);
}

static void cpus_that_do_not_exist_are_refused(void **state)
{
    const unsigned missing = SANDBOX_CPUS_MAX - 1;
    struct run r;

    (void)state;
    if (!able(LAUNCHER_LIMIT_CPUS))
        return; /* all are refused, see above */
    run_init(&r, "echo fine");
    r.spec.limits.cpus[0] = 1;
    r.spec.limits.cpus[missing / 64] |= (uint64_t)1 << missing % 64;
    run_start(&r);
    run_wait(&r);
    assert_int_equal(r.report.verdict, SANDBOX_START_FAILED);
    assert_non_null(strstr(r.report.error, "CPUs 0,1023: there are only 0"));
    assert_non_null(strstr(r.report.error, " to choose from"));
    run_clear(&r);
}

static void what_the_host_cannot_is_refused_unless_waived(void **state)
{
    unsigned abilities = H.host->abilities;
    struct run r;

    (void)state;
    H.host->abilities &= ~(unsigned)LAUNCHER_LIMIT_DISK;
    check_refused(&(struct sandbox_limits){.disk_bytes = 8 * MIB}, "disk");
    H.host->waived = LAUNCHER_LIMIT_DISK;
    run_init(&r, "echo fine");
    r.spec.limits.disk_bytes = 8 * MIB;
    assert_string_equal(run_output(&r, 0), "fine");
    run_clear(&r);
    H.host->waived = 0;
    H.host->abilities = abilities;
}

/* --- what a report tells -----------------------------------------------------------------------
 */

static void the_report_counts_processes_and_switches(void **state)
{
    struct run r;

    (void)state;
    run_init(&r, "for i in 1 2 3 4 5; do sleep 2 & done; wait");
    r.spec.limits.pids = 50;
    run_output(&r, 0);
    if (r.report.pids_peak != SANDBOX_ABSENT)
        assert_in_range(r.report.pids_peak, 6, 8);
    assert_in_range(r.report.voluntary_switches, 6, 10000);
    assert_in_range(r.report.oom_kills, 0, 0);
    assert_true(r.report.output_bytes == SANDBOX_ABSENT);
    run_clear(&r);
    /* Each sleep is one, but for those that are over when somebody else has come between. */
    run_init(&r, "exec payload nap 500");
    run_output(&r, 0);
    assert_in_range(r.report.voluntary_switches, 300, 10000);
    run_clear(&r);
}

static void the_report_counts_kills_for_memory(void **state)
{
    struct run r;

    (void)state;
    run_init(&r, "a=xxxxxxxxxxxxxxxx; while :; do a=$a$a; done");
    r.spec.limits.memory_bytes = 20 * MIB;
    assert_int_equal(verdict_of(&r), SANDBOX_OUT_OF_MEMORY);
    assert_true(r.report.oom_kills != SANDBOX_ABSENT);
    /* On a hybrid host the launcher is told before the kernel kills, and may be faster. */
    assert_true(r.report.oom_kills > 0 || !H.host->unified);
    run_clear(&r);
}

/* Two that want one CPU: pressure, where the kernel tells of it. */
static void the_report_tells_of_waiting_for_a_cpu(void **state)
{
    struct run r;

    (void)state;
    if (!able(LAUNCHER_LIMIT_CPUS)) {
        check_refused(&(struct sandbox_limits){.cpus[0] = 1}, "cpus");
        return;
    }
    run_init(&r, "while :; do :; done & while :; do :; done & while :; do :; done");
    r.spec.limits.cpus[0] = 1;
    /* A start on an emulated machine costs some of it. */
    r.spec.limits.cpu_time_usec = 300 * MIN(scaled_usec(1), 5) * USEC_PER_MSEC;
    assert_int_equal(verdict_of(&r), SANDBOX_CPU_TIMEOUT);
    if (r.report.cpu_pressure.some_usec != SANDBOX_ABSENT)
        assert_in_range(r.report.cpu_pressure.some_usec, 50 * USEC_PER_MSEC,
                        r.report.wall_usec * 2);
    assert_in_range(r.report.involuntary_switches, 3, 1000000);
    run_clear(&r);
}

static void bytes_of_disks_are_counted_where_the_kernel_does(void **state)
{
    struct run r;

    (void)state;
    run_init(&r, "dd if=/dev/zero of=/f bs=65536 count=64 conv=fsync 2>/dev/null; echo fine");
    run_output(&r, 0);
    /* A cgroup v1 charges the writing of dirty pages to nobody, and a tmpfs writes nothing. */
    if (H.host->unified && r.report.write_bytes != SANDBOX_ABSENT && r.report.write_bytes > 0)
        assert_in_range(r.report.write_bytes, 4 * MIB, 16 * MIB);
    run_clear(&r);
}

/* --- limits below what a start needs --------------------------------------------------------- */

/* Runs SCRIPT, which says "fine", under limits that may be too small for a start. Returns whether
 * they were: then somebody is told so. */
static bool too_small(const struct sandbox_limits *limits, const char *script, const char *what)
{
    struct run r;
    bool small;

    run_init(&r, script);
    r.spec.limits = *limits;
    run_start(&r);
    run_wait(&r);
    small = r.report.verdict != SANDBOX_EXITED || r.report.exit_code != 0;
    if (r.report.verdict == SANDBOX_START_FAILED)
        assert_true(r.report.failed_step[0] && r.report.error[0]);
    else if (r.report.verdict == SANDBOX_EXITED && r.report.exit_code == 0)
        assert_string_equal(buffer_string(&r.out), "fine\n");
    else if (r.report.verdict == SANDBOX_EXITED)
        assert_non_null(strstr(buffer_string(&r.out), "sh: ")); /* the program itself was refused */
    else if (r.report.verdict != SANDBOX_OUT_OF_MEMORY || limits->memory_bytes == 0)
        fail_msg("%s: %s", what, sandbox_verdict_name(r.report.verdict));
    run_clear(&r);
    return small;
}

static void limits_too_small_for_a_start_have_a_verdict(void **state)
{
    bool small = true;

    (void)state;
    for (uint64_t kib = 4; kib <= 8192; kib *= 2) {
        const struct sandbox_limits limits = {.memory_bytes = kib << 10};
        char what[32];
        snprintf(what, sizeof(what), "%llu KiB", (unsigned long long)kib);
        small = too_small(&limits, "echo fine", what);
        if (kib == 4)
            assert_true(small);
    }
    assert_false(small);
    for (uint64_t n = 1; n <= 8; n++) {
        const struct sandbox_limits limits = {.pids = n};
        small = too_small(&limits, "sleep 0 && echo fine", "processes");
        if (n == 1)
            assert_true(small);
    }
    assert_false(small);
    for (uint64_t n = 3; n <= 64; n += n) {
        const struct sandbox_limits limits = {.nofile = n};
        small = too_small(&limits, "echo fine", "open files");
    }
    assert_false(small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DISK_TESTS,
        cmocka_unit_test(nothing_of_a_disk_is_left),
        cmocka_unit_test(output_beyond_the_limit_ends_the_sandbox),
        cmocka_unit_test(both_streams_and_all_processes_count),
        cmocka_unit_test(output_within_the_limit_is_delivered_in_order),
        cmocka_unit_test(an_excess_of_the_last_moment_counts),
        cmocka_unit_test(a_kill_does_not_wait_for_the_reader),
        cmocka_unit_test(whoever_kills_a_family_is_told_of_its_ends_later_and_once),
        cmocka_unit_test(a_share_of_a_cpu_is_kept_and_its_waits_are_told),
        cmocka_unit_test(a_program_sees_only_the_cpus_it_is_given),
        cmocka_unit_test(cpus_that_do_not_exist_are_refused),
        cmocka_unit_test(what_the_host_cannot_is_refused_unless_waived),
        cmocka_unit_test(the_report_counts_processes_and_switches),
        cmocka_unit_test(the_report_counts_kills_for_memory),
        cmocka_unit_test(the_report_tells_of_waiting_for_a_cpu),
        cmocka_unit_test(bytes_of_disks_are_counted_where_the_kernel_does),
        cmocka_unit_test(limits_too_small_for_a_start_have_a_verdict),
    };

    return harness_main("limits", tests, ARRAY_SIZE(tests));
}
