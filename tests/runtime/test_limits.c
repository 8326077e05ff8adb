/* links: runtime */
/* Limits on the real kernel: an event loop as the launcher's, children in real cgroups. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "limits_fixture.h"

#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/ptrace.h>

static int exit_with(uint64_t status)
{
    return (int)status;
}

static int die_of(uint64_t signal)
{
    raise((int)signal);
    return 0;
}

static void an_exit_is_told_as_it_was(void **state)
{
    struct fixture *f = *state;
    const struct sandbox_limits limits = {64 * MIB, 10, 2 * USEC_PER_SEC, 2 * USEC_PER_SEC};
    struct sandbox_report report = {0};

    start(f, &limits, exit_with, 42);
    assert_int_equal(finish(f, &report), SANDBOX_EXITED);
    assert_int_equal(report.exit_code, 42);
    assert_int_equal(report.signal, 0);
    assert_false(limits_ended_it(f->limits));
}

static void limits_beyond_the_end_of_time_are_none(void **state)
{
    struct fixture *f = *state;
    const struct sandbox_limits limits = {
        .pids = 1, .cpu_time_usec = UINT64_MAX, .wall_time_usec = UINT64_MAX};
    struct sandbox_report report = {0};

    start(f, &limits, exit_with, 42);
    assert_int_equal(finish(f, &report), SANDBOX_EXITED);
}

/* What cannot work at once cannot use a budget up at once: so much later is the next look. */
static void looks_are_as_far_apart_as_the_budget_allows(void **state)
{
    (void)state;
    assert_int_equal(limits_next_look(300 * MSEC, 1), 300 * MSEC);
    assert_int_equal(limits_next_look(300 * MSEC, 4), 75 * MSEC);
    assert_int_equal(limits_next_look(0, 4), 1 * MSEC);
    assert_int_equal(limits_next_look(3 * MSEC, 4), 1 * MSEC);
    assert_int_equal(limits_cpus(&(struct sandbox_limits){0}, 8), 8);
    assert_int_equal(limits_cpus(&(struct sandbox_limits){.pids = 3}, 8), 3);
    assert_int_equal(limits_cpus(&(struct sandbox_limits){.pids = 30}, 8), 8);
    assert_int_equal(limits_cpus(&(struct sandbox_limits){.cpus = {5, 1}}, 8), 3);
    assert_int_equal(limits_cpus(&(struct sandbox_limits){.cpus = {5, 1}, .pids = 2}, 8), 2);
}

static void a_signal_is_told_as_it_was(void **state)
{
    struct fixture *f = *state;
    const struct sandbox_limits limits = {0};
    struct sandbox_report report = {0};

    start(f, &limits, die_of, SIGTERM);
    assert_int_equal(finish(f, &report), SANDBOX_SIGNALLED);
    assert_int_equal(report.signal, SIGTERM);
    assert_int_equal(report.exit_code, 0);
}

static void cpu_time_beyond_the_limit_ends_it(void **state)
{
    struct fixture *f = *state;
    const struct sandbox_limits limits = {.cpu_time_usec = 300 * MSEC};
    struct sandbox_report report = {0};

    start(f, &limits, burn, 0);
    assert_int_equal(finish(f, &report), SANDBOX_CPU_TIMEOUT);
    assert_int_equal(report.signal, 0);
    assert_in_range(cpu_used(f), 300 * MSEC, (300 + 20 * time_scale()) * MSEC);
}

static void *burn_thread(void *arg)
{
    burn((uintptr_t)arg);
    return NULL;
}

static int burn_threads(uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, burn_thread, NULL) != 0)
            return 5;
    }
    return sleep_on(0);
}

static void threads_share_one_cpu_budget(void **state)
{
    struct fixture *f = *state;
    const struct sandbox_limits limits = {.cpu_time_usec = 300 * MSEC};
    struct sandbox_report report = {0};

    start(f, &limits, burn_threads, 8);
    assert_int_equal(finish(f, &report), SANDBOX_CPU_TIMEOUT);
    assert_in_range(cpu_used(f), 300 * MSEC, (300 + 20 * time_scale()) * MSEC);
}

/* Each child is gone long before a look could see it run. */
static int burn_in_short_children(uint64_t usec)
{
    for (;;) {
        pid_t pid = fork();
        if (pid == 0)
            _exit(burn(usec));
        wait_status(pid);
    }
    return 0;
}

static void short_lived_children_are_counted(void **state)
{
    struct fixture *f = *state;
    const struct sandbox_limits limits = {.cpu_time_usec = 200 * MSEC};
    struct sandbox_report report = {0};

    start(f, &limits, burn_in_short_children, 500);
    assert_int_equal(finish(f, &report), SANDBOX_CPU_TIMEOUT);
    assert_in_range(cpu_used(f), 200 * MSEC, (200 + 20 * time_scale()) * MSEC);
}

static void sleeping_costs_no_cpu_time(void **state)
{
    struct fixture *f = *state;
    const struct sandbox_limits limits = {.cpu_time_usec = 50 * MSEC * time_scale(),
                                          .wall_time_usec = 400 * MSEC * time_scale()};
    struct sandbox_report report = {0};

    start(f, &limits, sleep_on, 0);
    assert_int_equal(finish(f, &report), SANDBOX_WALL_TIMEOUT);
}

static void wall_time_beyond_the_limit_ends_it(void **state)
{
    struct fixture *f = *state;
    const struct sandbox_limits limits = {.wall_time_usec = 300 * MSEC};
    struct sandbox_report report = {0};

    start(f, &limits, sleep_on, 0);
    assert_false(limits_ended_it(f->limits));
    assert_int_equal(finish(f, &report), SANDBOX_WALL_TIMEOUT);
    assert_in_range(report.wall_usec, 300 * MSEC, (300 + 25 * time_scale()) * MSEC);
    assert_true(limits_ended_it(f->limits));
    /* What else comes up now was not what ended it. */
    limits_output_exceeded(f->limits);
    limits_verdict(f->limits, f->ended.si_code, f->ended.si_status, &report);
    assert_int_equal(report.verdict, SANDBOX_WALL_TIMEOUT);
}

static void wall_time_is_that_since_the_start(void **state)
{
    struct fixture *f = *state;
    struct sandbox_limits limits = {.wall_time_usec = 20 * USEC_PER_SEC * time_scale()};
    struct sandbox_report report = {0};

    start(f, &limits, sleep_on, 0);
    limits_stop(TAKE_PTR(f->limits));
    /* The clock counts from boot, which in a virtual machine was a moment ago. */
    limits.wall_time_usec = MIN(limits.wall_time_usec, f->started);
    assert_int_equal(limits_start(f->event, f->cg, &limits, f->started - limits.wall_time_usec,
                                  &f->limits, NULL),
                     0);
    assert_int_equal(finish(f, &report), SANDBOX_WALL_TIMEOUT);
    assert_true(report.wall_usec < limits.wall_time_usec / 2);
}

static int look_whether_it_ended(struct loop_source *source, int fd, uint32_t revents,
                                 void *userdata)
{
    struct fixture *f = userdata;

    (void)fd, (void)revents;
    assert_true(limits_ended_it(f->limits));
    return loop_source_enable(source, false);
}

/* Whoever floods the launcher's loop does not gain time by it: of two things of equal rank, the one
 * that had no turn yet would be first. */
static void a_limit_goes_before_what_else_there_is_to_do(void **state)
{
    struct fixture *f = *state;
    const struct sandbox_limits limits = {.cpu_time_usec = 20 * MSEC};
    _cleanup_close_ int fd = eventfd(1, EFD_CLOEXEC);
    struct sandbox_report report = {0};
    struct loop_source *other;
    uint64_t looked;

    start(f, &limits, burn, 0);
    assert_int_equal(loop_run(f->event, UINT64_MAX), 1);
    looked = clock_monotonic_usec();
    assert_int_equal(loop_add_io(f->event, &other, fd, EPOLLIN, look_whether_it_ended, f), 0);
    while (!limits_ended_it(f->limits) && (cpu_used(f) <= limits.cpu_time_usec ||
                                           clock_monotonic_usec() < looked + limits.cpu_time_usec))
        ;
    assert_int_equal(finish(f, &report), SANDBOX_CPU_TIMEOUT);
    loop_source_free(other);
}

static void nothing_is_watched_after_the_stop(void **state)
{
    struct fixture *f = *state;
    const struct sandbox_limits limits = {
        .memory_bytes = 16 * MIB, .cpu_time_usec = 1, .wall_time_usec = 1};

    start(f, &limits, use_memory, 40 * MIB);
    limits_stop(TAKE_PTR(f->limits));
    assert_int_equal(loop_source_enable(f->end, false), 0);
    assert_int_equal(wait_status(f->pid), 256 + SIGKILL);
    assert_true(cgroup_oom_happened(f->cg));
    assert_int_equal(loop_run(f->event, 0), 0);
}

/* That tells when the first look was: with so many CPUs the budget could be gone soon. */
static void a_cpu_limit_that_cannot_be_looked_at_is_not_waived(void **state)
{
    struct fixture *f = *state;
    const struct sandbox_limits limits = {
        .cpu_time_usec = 64 * 200 * MSEC * time_scale(),
        .cpus = {UINT64_MAX},
    };
    _cleanup_close_ int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    struct sandbox_report report = {0};

    start(f, &(struct sandbox_limits){0}, sleep_on, 0);
    assert_int_equal(dup3(nothing, f->cg->cpu_fd, O_CLOEXEC), f->cg->cpu_fd);
    limits_stop(TAKE_PTR(f->limits));
    assert_int_equal(limits_start(f->event, f->cg, &limits, f->started, &f->limits, NULL), 0);
    assert_int_equal(finish(f, &report), SANDBOX_CPU_TIMEOUT);
    assert_in_range(report.wall_usec, limits.cpu_time_usec / 64, limits.cpu_time_usec / 2);
}

static int stop_everybody(uint64_t unused)
{
    (void)unused;
    if (fork() == 0)
        kill(getpid(), SIGSTOP);
    kill(getpid(), SIGSTOP);
    return sleep_on(0);
}

static void a_stopped_program_still_meets_its_wall_limit(void **state)
{
    struct fixture *f = *state;
    const struct sandbox_limits limits = {.wall_time_usec = 200 * MSEC};
    struct sandbox_report report = {0};

    start(f, &limits, stop_everybody, 0);
    assert_int_equal(finish(f, &report), SANDBOX_WALL_TIMEOUT);
}

static int burn_nicely(uint64_t unused)
{
    return nice(19) != 19 ? 5 : burn(unused);
}

static void a_low_priority_saves_no_cpu_time(void **state)
{
    struct fixture *f = *state;
    const struct sandbox_limits limits = {.cpu_time_usec = 200 * MSEC};
    struct sandbox_report report = {0};

    start(f, &limits, burn_nicely, 0);
    assert_int_equal(finish(f, &report), SANDBOX_CPU_TIMEOUT);
    assert_in_range(cpu_used(f), 200 * MSEC, (200 + 20 * time_scale()) * MSEC);
}

/* Traces a child that stops at once; GO: lets it burn, stopped again every few milliseconds. */
static int trace_a_child(uint64_t go)
{
    pid_t pid = fork();

    if (pid == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
            _exit(5);
        raise(SIGSTOP);
        _exit(burn(0));
    }
    for (;;) {
        int status;
        if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
            return 6;
        if (!go)
            return sleep_on(0);
        if (ptrace(PTRACE_CONT, pid, NULL, NULL) < 0)
            return 7;
        usleep(2000);
        kill(pid, SIGSTOP);
    }
}

static void a_traced_program_still_meets_its_limits(void **state)
{
    struct fixture *f = *state;
    const struct sandbox_limits cpu = {.cpu_time_usec = 200 * MSEC};
    const struct sandbox_limits wall = {.wall_time_usec = 200 * MSEC};
    struct sandbox_report report = {0};

    start(f, &cpu, trace_a_child, true);
    assert_int_equal(finish(f, &report), SANDBOX_CPU_TIMEOUT);
    assert_in_range(cpu_used(f), 200 * MSEC, (200 + 20 * time_scale()) * MSEC);
    clear(f);
    start(f, &wall, trace_a_child, false);
    assert_int_equal(finish(f, &report), SANDBOX_WALL_TIMEOUT);
    assert_in_range(report.wall_usec, 200 * MSEC, (200 + 25 * time_scale()) * MSEC);
}

/* The looks are spaced for the time the budget lasts; a program that ends between two of them has
 * still used what it has used. */
static void an_excess_between_two_looks_counts(void **state)
{
    struct fixture *f = *state;
    const struct sandbox_limits limits = {.cpu_time_usec = 1 * MSEC};
    struct sandbox_report report = {0};

    start(f, &limits, burn, 30 * MSEC);
    /* The loop does not run meanwhile. */
    while (waitid(P_PID, (id_t)f->pid, &f->ended, WEXITED | WNOWAIT) < 0)
        ;
    limits_first_exited(f->limits);
    while (cgroup_is_empty(f->cg) != 1)
        ;
    limits_verdict(f->limits, f->ended.si_code, f->ended.si_status, &report);
    assert_int_equal(f->ended.si_code, CLD_EXITED);
    assert_int_equal(report.verdict, SANDBOX_CPU_TIMEOUT);
}

/* A notice may come late: the kernel holds some back for a moment. */
static void a_shortage_that_no_notice_told_of_counts(void **state)
{
    struct fixture *f = *state;
    const struct sandbox_limits limits = {.memory_bytes = 16 * MIB};
    struct sandbox_report report = {0};

    start(f, &limits, use_memory, 40 * MIB);
    assert_int_equal(waitid(P_PID, (id_t)f->pid, &f->ended, WEXITED | WNOWAIT), 0);
    limits_verdict(f->limits, f->ended.si_code, f->ended.si_status, &report);
    assert_int_equal(report.verdict, SANDBOX_OUT_OF_MEMORY);
}

static void memory_beyond_the_limit_ends_it(void **state)
{
    struct fixture *f = *state;
    const struct sandbox_limits limits = {.memory_bytes = 16 * MIB};
    struct sandbox_report report = {0};

    start(f, &limits, use_memory, 40 * MIB);
    assert_int_equal(finish(f, &report), SANDBOX_OUT_OF_MEMORY);
}

static int survive_a_childs_excess(uint64_t bytes)
{
    pid_t pid = fork();

    if (pid == 0)
        _exit(use_memory(bytes));
    wait_status(pid);
    return sleep_on(0);
}

static void a_childs_excess_ends_the_whole(void **state)
{
    struct fixture *f = *state;
    const struct sandbox_limits limits = {.memory_bytes = 16 * MIB,
                                          .wall_time_usec = 15 * USEC_PER_SEC};
    struct sandbox_report report = {0};

    start(f, &limits, survive_a_childs_excess, 40 * MIB);
    assert_int_equal(finish(f, &report), SANDBOX_OUT_OF_MEMORY);
    /* By the memory watch, not by the clock. */
    assert_true(report.wall_usec < 10 * USEC_PER_SEC);
    /* On v2 the kernel ends all of them (memory.oom.group), and the end may be seen first. */
    if (strcmp(cgroup_host_driver(f->host), "hybrid") == 0)
        assert_true(limits_ended_it(f->limits));
}

/* The sandbox's own notice rings then, too. */
static void a_shortage_above_is_not_the_verdict(void **state)
{
    struct fixture *f = *state;
    const struct sandbox_limits limits = {.memory_bytes = 200 * MIB};
    struct sandbox_report report = {0};

    assert_int_equal(limit_everybody(f->host, 16 * MIB), 0);
    start(f, &limits, use_memory, 40 * MIB);
    assert_int_equal(finish(f, &report), SANDBOX_SIGNALLED);
    assert_int_equal(report.signal, SIGKILL);
    assert_false(limits_ended_it(f->limits));
}

static void a_request_to_kill_is_the_verdict(void **state)
{
    struct fixture *f = *state;
    const struct sandbox_limits limits = {.wall_time_usec = 20 * USEC_PER_SEC};
    struct sandbox_report report = {0};

    start(f, &limits, sleep_on, 0);
    limits_kill(f->limits);
    assert_true(limits_ended_it(f->limits));
    assert_int_equal(finish(f, &report), SANDBOX_KILLED);
    assert_true(report.wall_usec < 10 * USEC_PER_SEC);
}

/* The order of verdicts, with everything happening at once: the loop runs only when all is over. */
static void memory_goes_before_time_and_a_request_before_both(void **state)
{
    struct fixture *f = *state;
    const struct sandbox_limits limits = {.memory_bytes = 16 * MIB, .cpu_time_usec = 1};
    struct sandbox_report report = {0};

    start(f, &limits, use_memory, 40 * MIB);
    assert_int_equal(waitid(P_PID, (id_t)f->pid, &f->ended, WEXITED | WNOWAIT), 0);
    assert_int_equal(finish(f, &report), SANDBOX_OUT_OF_MEMORY);
    limits_kill(f->limits);
    limits_verdict(f->limits, f->ended.si_code, f->ended.si_status, &report);
    assert_int_equal(report.verdict, SANDBOX_KILLED);
}

static void the_clock_hit_first_is_the_verdict(void **state)
{
    struct fixture *f = *state;
    const struct sandbox_limits limits = {.cpu_time_usec = 500 * MSEC * time_scale(),
                                          .wall_time_usec = 100 * MSEC};
    struct sandbox_report report = {0};

    start(f, &limits, burn, 0);
    assert_int_equal(finish(f, &report), SANDBOX_WALL_TIMEOUT);
}

static void clocks_stand_still_once_the_program_has_ended(void **state)
{
    struct fixture *f = *state;
    const struct sandbox_limits limits = {.wall_time_usec = 150 * MSEC * time_scale()};
    struct sandbox_report report = {0};

    start(f, &limits, exit_with, 3);
    while (!f->over)
        assert_true(loop_run(f->event, UINT64_MAX) >= 0);
    usleep((useconds_t)(200 * MSEC * time_scale()));
    assert_int_equal(loop_run(f->event, 0), 0);
    limits_verdict(f->limits, f->ended.si_code, f->ended.si_status, &report);
    assert_int_equal(report.verdict, SANDBOX_EXITED);
    assert_int_equal(report.exit_code, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_exit_is_told_as_it_was),
        TEST(limits_beyond_the_end_of_time_are_none),
        TEST(looks_are_as_far_apart_as_the_budget_allows),
        TEST(a_signal_is_told_as_it_was),
        TEST(cpu_time_beyond_the_limit_ends_it),
        TEST(threads_share_one_cpu_budget),
        TEST(short_lived_children_are_counted),
        TEST(sleeping_costs_no_cpu_time),
        TEST(wall_time_beyond_the_limit_ends_it),
        TEST(wall_time_is_that_since_the_start),
        TEST(a_limit_goes_before_what_else_there_is_to_do),
        TEST(nothing_is_watched_after_the_stop),
        TEST(a_cpu_limit_that_cannot_be_looked_at_is_not_waived),
        TEST(a_stopped_program_still_meets_its_wall_limit),
        TEST(a_low_priority_saves_no_cpu_time),
        TEST(a_traced_program_still_meets_its_limits),
        TEST(an_excess_between_two_looks_counts),
        TEST(a_shortage_that_no_notice_told_of_counts),
        TEST(memory_beyond_the_limit_ends_it),
        TEST(a_childs_excess_ends_the_whole),
        TEST(a_shortage_above_is_not_the_verdict),
        TEST(a_request_to_kill_is_the_verdict),
        TEST(memory_goes_before_time_and_a_request_before_both),
        TEST(the_clock_hit_first_is_the_verdict),
        TEST(clocks_stand_still_once_the_program_has_ended),
    };

    if (geteuid() != 0)
        return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
