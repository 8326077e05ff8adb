/* links: runtime */
/* The launcher goes before what it watches: limits are as exact beside busy processes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "limits_fixture.h"

#include <linux/capability.h>

static bool is_before_others(void)
{
    int policy = sched_getscheduler(0);

    return policy == (SCHED_FIFO | SCHED_RESET_ON_FORK) ||
           (policy == (SCHED_OTHER | SCHED_RESET_ON_FORK) && getpriority(PRIO_PROCESS, 0) == -20);
}

/* Exit status 0: it is before others here, ordinary in a child. */
static int look_at_precedence(uint64_t unused)
{
    pid_t pid;

    (void)unused;
    if (limits_take_precedence() < 0)
        return 1;
    if (!is_before_others())
        return 2;
    pid = fork();
    if (pid == 0)
        _exit(sched_getscheduler(0) == SCHED_OTHER && getpriority(PRIO_PROCESS, 0) == 0 ? 0 : 3);
    return wait_status(pid);
}

static void precedence_is_not_inherited(void **state)
{
    struct fixture *f = *state;
    const struct sandbox_limits limits = {.wall_time_usec = 10 * USEC_PER_SEC};
    struct sandbox_report report = {0};

    start(f, &limits, look_at_precedence, 0);
    assert_int_equal(finish(f, &report), SANDBOX_EXITED);
    assert_int_equal(report.exit_code, 0);
}

static int give_up_nice(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3];

    if (syscall(SYS_capget, &header, sets) < 0)
        return -errno;
    sets[0].effective &= ~(1U << CAP_SYS_NICE);
    return syscall(SYS_capset, &header, sets) < 0 ? -errno : 0;
}

/* Without the right to real time, and with one to priorities up to nice 20 - LIMIT only. */
static int look_at_less_precedence(uint64_t limit)
{
    const struct rlimit none = {0}, priorities = {limit, limit};
    int r;

    if (setrlimit(RLIMIT_RTPRIO, &none) < 0)
        return 1;
    if (setrlimit(RLIMIT_NICE, &priorities) < 0)
        return errno == EPERM ? 0 : 2; /* not to be had here (CAP_SYS_RESOURCE) */
    if (give_up_nice() < 0)
        return 3;
    r = limits_take_precedence();
    if (limit == 0)
        return r == -EPERM && sched_getscheduler(0) == SCHED_OTHER &&
                       getpriority(PRIO_PROCESS, 0) == 0
                   ? 0
                   : 4;
    return r == 0 && is_before_others() ? 0 : 5;
}

static void without_real_time_a_high_priority_is_taken(void **state)
{
    struct fixture *f = *state;
    const struct sandbox_limits limits = {.wall_time_usec = 10 * USEC_PER_SEC};
    struct sandbox_report report = {0};

    for (uint64_t limit = 0; limit <= 40; limit += 40) {
        start(f, &limits, look_at_less_precedence, limit);
        assert_int_equal(finish(f, &report), SANDBOX_EXITED);
        assert_int_equal(report.exit_code, 0);
        clear(f);
    }
}

#define HOGS 8

static void start_hogs(pid_t *hogs)
{
    for (size_t i = 0; i < HOGS; i++) {
        hogs[i] = fork();
        if (hogs[i] == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            _exit(burn(0));
        }
    }
    limits_take_precedence();
}

static void end_hogs(const pid_t *hogs)
{
    be_ordinary();
    for (size_t i = 0; i < HOGS; i++) {
        kill(hogs[i], SIGKILL);
        wait_status(hogs[i]);
    }
}

/* When the kill of a sleeper with a wall limit was sent, in microseconds after it was due, with
 * hogs on all CPUs. */
static uint64_t kill_beside_hogs(struct fixture *f)
{
    const struct sandbox_limits limits = {.wall_time_usec = 100 * MSEC};
    pid_t hogs[HOGS];
    uint64_t now = 0;

    start_hogs(hogs);
    start(f, &limits, sleep_on, 0);
    while (now < f->started + limits.wall_time_usec) {
        loop_run(f->event, UINT64_MAX);
        now = clock_monotonic_usec();
    }
    end_hogs(hogs);
    return now - f->started - limits.wall_time_usec;
}

static void hogs_on_every_cpu_delay_no_limit(void **state)
{
    struct fixture *f = *state;
    struct sandbox_report report = {0};

    assert_in_range(kill_beside_hogs(f), 0, 5 * MSEC * time_scale());
    assert_int_equal(finish(f, &report), SANDBOX_WALL_TIMEOUT);
}

/* It gets a fifth of a CPU or less, and is charged for that only. */
static void hogs_on_every_cpu_cost_no_cpu_time(void **state)
{
    struct fixture *f = *state;
    const struct sandbox_limits limits = {.cpu_time_usec = 150 * MSEC};
    struct sandbox_report report = {0};
    enum sandbox_verdict verdict;
    pid_t hogs[HOGS];

    start_hogs(hogs);
    start(f, &limits, burn, 0);
    verdict = finish(f, &report);
    end_hogs(hogs);
    assert_int_equal(verdict, SANDBOX_CPU_TIMEOUT);
    assert_in_range(cpu_used(f), 150 * MSEC, (150 + 20 * time_scale()) * MSEC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(precedence_is_not_inherited),
        TEST(without_real_time_a_high_priority_is_taken),
        TEST(hogs_on_every_cpu_delay_no_limit),
        TEST(hogs_on_every_cpu_cost_no_cpu_time),
    };

    if (geteuid() != 0)
        return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
