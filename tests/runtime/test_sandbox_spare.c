/* links: runtime */
/* Sandboxes whose first process was made ahead. */
#include "sandbox_harness.h"

#include "base/clock.h"
#include "base/text.h"
#include "spare.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#define WANT 2

static struct spares *spares(void)
{
    return H.host->spares;
}

/* Runs the loop until N wait. */
static void until(size_t n)
{
    uint64_t end = clock_monotonic_usec() + scaled_usec(20 * USEC_PER_SEC);

    while (spares_count(spares()) != n) {
        assert_true(clock_monotonic_usec() < end);
        assert_true(loop_run(H.event, 10000) >= 0);
    }
}

static void empty(void)
{
    struct spare *s;

    while ((s = spares_take(spares())))
        spare_free(s);
    assert_int_equal(spares_count(spares()), 0);
}

/* Runs the loop for so long. */
static void idle(uint64_t usec)
{
    uint64_t end = clock_monotonic_usec() + usec;

    while (clock_monotonic_usec() < end)
        assert_true(loop_run(H.event, 10000) >= 0);
}

static void there_are_as_many_as_wanted_and_they_come_again(void **state)
{
    (void)state;
    until(WANT);
    idle(50 * USEC_PER_MSEC);
    assert_int_equal(spares_count(spares()), WANT);
    check_script("echo first", 0, "first");
    until(WANT);
}

/* What a program can see of where it runs. */
static const char look[] =
    "hostname; id; umask; pwd; env; ls -d /proc/[0-9]*; ls /proc/self/fd /proc/1/fd;"
    "grep -e ^Cap -e ^Seccomp -e ^NoNew -e ^Sig[BCIP] -e ^Shd -e ^Groups -e ^NSpid "
    "/proc/self/status;"
    "cat /proc/self/limits /proc/self/oom_score_adj /proc/self/uid_map /proc/self/gid_map;"
    "sed 's/s[0-9]*$//' /proc/self/cgroup; ip addr; ls / /sys /sys/class/net;"
    /* without numbers and the launcher's directories */
    "sed 's/^[0-9]* [0-9]* [0-9:]* //; s/dir=[^ ,]*//g' /proc/self/mountinfo | sort;"
    "cd /proc/sys/net/ipv4; cat ip_unprivileged_port_start ping_group_range;"
    "stat -c '%A %u %g %t %T %n' ip_forward /dev/* /dev/pts/ptmx";

static void what_runs_in_it_cannot_tell_it_from_another(void **state)
{
    _cleanup_free_ char *ahead = NULL;
    struct run r;

    (void)state;
    until(WANT);
    run_init(&r, look);
    run_start(&r);
    assert_int_equal(spares_count(spares()), WANT - 1);
    run_wait(&r);
    assert_int_equal(r.report.exit_code, 0);
    ahead = strdup(buffer_string(&r.out));
    run_clear(&r); /* and its id range is the next one's again */
    empty();
    run_init(&r, look);
    run_start(&r);
    run_wait(&r);
    assert_string_equal(ahead, buffer_string(&r.out));
    run_clear(&r);
}

static void no_two_sandboxes_share_anything(void **state)
{
    static const char script[] =
        "for n in net user ipc mnt uts pid cgroup; do readlink /proc/self/ns/$n; done; read x";
    struct run runs[WANT];

    (void)state;
    until(WANT);
    for (size_t i = 0; i < WANT; i++) {
        run_init(&runs[i], script);
        run_start(&runs[i]);
    }
    assert_int_equal(spares_count(spares()), 0);
    for (size_t i = 0; i < WANT; i++)
        run_until(&runs[i], "cgroup:[");
    for (const char *a = buffer_string(&runs[0].out); *a; a = strchr(a, '\n') + 1) {
        _cleanup_free_ char *line = strndup(a, strcspn(a, "\n"));
        assert_non_null(line);
        assert_null(strstr(buffer_string(&runs[1].out), line));
        if (!strchr(a, '\n'))
            break;
    }
    for (size_t i = 0; i < WANT; i++) {
        sandbox_kill(runs[i].sandbox);
        run_wait(&runs[i]);
        run_clear(&runs[i]);
    }
}

static void more_at_once_than_there_are_run_all_the_same(void **state)
{
    struct run runs[WANT + 3];

    (void)state;
    until(WANT);
    for (size_t i = 0; i < ARRAY_SIZE(runs); i++) {
        run_init(&runs[i], "echo here; exit 3");
        run_start(&runs[i]);
    }
    for (size_t i = 0; i < ARRAY_SIZE(runs); i++) {
        run_wait(&runs[i]);
        assert_int_equal(runs[i].report.exit_code, 3);
        assert_string_equal(buffer_string(&runs[i].out), "here\n");
        run_clear(&runs[i]);
    }
}

static void one_that_has_died_is_not_used(void **state)
{
    struct spare *victim;
    siginfo_t info;
    pid_t pid;

    (void)state;
    until(WANT);
    victim = spares_take(spares());
    assert_non_null(victim);
    assert_int_equal(kill(victim->pid, 0), 0);
    spare_free(victim);
    until(WANT);
    pid = newest_first_process();
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    check_script("echo one; exit 4", 4, "one");
    check_script("echo two; exit 5", 5, "two");
    until(WANT);
}

static void limits_hold_in_one(void **state)
{
    struct run r;

    (void)state;
    until(WANT);
    run_init(&r, "a=xxxxxxxxxxxxxxxx; while :; do a=$a$a; done");
    r.spec.limits.memory_bytes = 20 << 20;
    run_start(&r);
    run_wait(&r);
    assert_int_equal(r.report.verdict, SANDBOX_OUT_OF_MEMORY);
    run_clear(&r);
    until(WANT);
    run_init(&r, "(sleep 100 & sleep 100 & sleep 100 & sleep 100 & sleep 100 & wait) 2>&1");
    r.spec.limits.pids = 4;
    run_start(&r);
    run_until(&r, "fork");
    sandbox_kill(r.sandbox);
    run_wait(&r);
    run_clear(&r);
}

static void a_request_too_large_for_one_is_served_without(void **state)
{
    _cleanup_free_ char *large = text_printf("LARGE=%060000d", 0);
    struct run r;

    (void)state;
    until(WANT);
    assert_non_null(large);
    run_init(&r, "echo ${#LARGE}");
    assert_int_equal(strv_append(&r.spec.env, large), 0);
    assert_string_equal(run_output(&r, 0), "60000");
    run_clear(&r);
}

static void a_sandbox_freed_at_once_takes_its_spare_along(void **state)
{
    struct run r;

    (void)state;
    until(WANT);
    run_init(&r, "sleep 100");
    run_start(&r);
    run_clear(&r);
    until(WANT);
}

static void none_is_made_while_a_mount_of_a_sandbox_would_be_copied(void **state)
{
    (void)state;
    empty();
    H.host->attached++;
    idle(50 * USEC_PER_MSEC);
    assert_int_equal(spares_count(spares()), 0);
    H.host->attached--;
    check_script("echo fresh", 0, "fresh");
    until(WANT);
}

static int setup(void **state)
{
    H.spares = WANT;
    return harness_setup(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_are_as_many_as_wanted_and_they_come_again),
        cmocka_unit_test(what_runs_in_it_cannot_tell_it_from_another),
        cmocka_unit_test(no_two_sandboxes_share_anything),
        cmocka_unit_test(more_at_once_than_there_are_run_all_the_same),
        cmocka_unit_test(one_that_has_died_is_not_used),
        cmocka_unit_test(limits_hold_in_one),
        cmocka_unit_test(a_request_too_large_for_one_is_served_without),
        cmocka_unit_test(a_sandbox_freed_at_once_takes_its_spare_along),
        cmocka_unit_test(none_is_made_while_a_mount_of_a_sandbox_would_be_copied),
    };

    return cmocka_run_group_tests_name("spare", tests, setup, harness_teardown);
}
