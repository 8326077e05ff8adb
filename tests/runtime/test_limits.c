/* links: runtime */
/* Limits on the real kernel: an event loop as the launcher's, children in real cgroups. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cgroup_child.h"
#include "limits.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/resource.h>

#define MSEC USEC_PER_MSEC

struct fixture {
    struct loop *event;
    struct cgroup_host *host;
    struct cgroup *cg;
    struct limits *limits;
    pid_t pid;
    int pidfd;
    struct loop_source *end;
    uint64_t started;
    siginfo_t ended;
    bool over;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct error e = ERROR_INIT;
    char instance[32];

    snprintf(instance, sizeof(instance), "t-%d", (int)getpid());
    if (loop_new(&f->event) < 0 || cgroup_host_open(instance, &f->host, &e) < 0) {
        print_error("%s\n", e.text);
        return -1;
    }
    *state = f;
    return 0;
}

/* What start() made. */
static void clear(struct fixture *f)
{
    limits_stop(TAKE_PTR(f->limits));
    if (f->end) {
        f->end = loop_source_free(f->end);
        safe_close(f->pidfd);
    }
    cgroup_destroy(TAKE_PTR(f->cg));
    f->over = false;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    clear(f);
    cgroup_host_close(f->host);
    loop_unref(f->event);
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
    free(f);
    return 0;
}

static int on_end(struct loop_source *source, int fd, uint32_t revents, void *userdata)
{
    struct fixture *f = userdata;

    (void)revents;
    assert_int_equal(waitid(P_PIDFD, (id_t)fd, &f->ended, WEXITED), 0);
    (void)loop_source_enable(source, false);
    f->over = true;
    limits_first_exited(f->limits);
    return 0;
}

/* Starts FN(ARG) under LIMITS. */
static void start(struct fixture *f, const struct sandbox_limits *limits, child_fn fn, uint64_t arg)
{
    struct error e = ERROR_INIT;

    if (cgroup_create(f->host, "s1", limits, &f->cg, &e) < 0)
        fail_msg("%s", e.text);
    f->pid = spawn_in(f->cg, fn, arg);
    assert_true(f->pid > 0);
    f->started = clock_monotonic_usec();
    if (limits_start(f->event, f->cg, limits, f->started, &f->limits, &e) < 0)
        fail_msg("%s", e.text);
    f->pidfd = (int)syscall(SYS_pidfd_open, f->pid, 0);
    assert_int_equal(loop_add_io(f->event, &f->end, f->pidfd, EPOLLIN, on_end, f), 0);
}

/* After limits_take_precedence(): nobody who waits busily may be before those it waits for. */
static void be_ordinary(void)
{
    const struct sched_param ordinary = {0};

    sched_setscheduler(0, SCHED_OTHER, &ordinary);
    setpriority(PRIO_PROCESS, 0, 0);
}

/* Runs the loop as a launcher does until the first process has ended and the cgroup is empty;
 * returns the verdict. */
static enum sandbox_verdict finish(struct fixture *f, struct sandbox_report *report)
{
    uint64_t end = clock_monotonic_usec() + 20 * USEC_PER_SEC * time_scale();

    limits_take_precedence();
    while (!f->over)
        assert_true(loop_run(f->event, UINT64_MAX) >= 0);
    report->wall_usec = clock_monotonic_usec() - f->started;
    cgroup_kill(f->cg);
    be_ordinary();
    while (cgroup_is_empty(f->cg) != 1)
        assert_true(clock_monotonic_usec() < end);
    limits_verdict(f->limits, f->ended.si_code, f->ended.si_status, report);
    return report->verdict;
}

static uint64_t cpu_used(struct fixture *f)
{
    struct cgroup_usage usage;

    assert_int_equal(cgroup_usage(f->cg, &usage, NULL), 0);
    return usage.usage_usec;
}

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
    assert_int_equal(finish(f, &report), SANDBOX_WALL_TIMEOUT);
    assert_in_range(report.wall_usec, 300 * MSEC, (300 + 25 * time_scale()) * MSEC);
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
}

static void a_request_to_kill_is_the_verdict(void **state)
{
    struct fixture *f = *state;
    const struct sandbox_limits limits = {.wall_time_usec = 20 * USEC_PER_SEC};
    struct sandbox_report report = {0};

    start(f, &limits, sleep_on, 0);
    limits_kill(f->limits);
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_exit_is_told_as_it_was),
        TEST(a_signal_is_told_as_it_was),
        TEST(cpu_time_beyond_the_limit_ends_it),
        TEST(threads_share_one_cpu_budget),
        TEST(short_lived_children_are_counted),
        TEST(sleeping_costs_no_cpu_time),
        TEST(wall_time_beyond_the_limit_ends_it),
        TEST(a_stopped_program_still_meets_its_wall_limit),
        TEST(a_low_priority_saves_no_cpu_time),
        TEST(a_traced_program_still_meets_its_limits),
        TEST(an_excess_between_two_looks_counts),
        TEST(memory_beyond_the_limit_ends_it),
        TEST(a_childs_excess_ends_the_whole),
        TEST(a_request_to_kill_is_the_verdict),
        TEST(memory_goes_before_time_and_a_request_before_both),
        TEST(the_clock_hit_first_is_the_verdict),
        TEST(clocks_stand_still_once_the_program_has_ended),
        TEST(precedence_is_not_inherited),
        TEST(hogs_on_every_cpu_delay_no_limit),
        TEST(hogs_on_every_cpu_cost_no_cpu_time),
    };

    if (geteuid() != 0)
        return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
