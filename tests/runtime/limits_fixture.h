/* Limits on the real kernel: an event loop as the launcher's, one child in a real cgroup. */
#pragma once

#include "cgroup_child.h"
#include "limits.h"

#include <sched.h>
#include <stdio.h>
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

static inline int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct error e = ERROR_INIT;
    char instance[32];

    snprintf(instance, sizeof(instance), "t-%d", (int)getpid());
    if (loop_new(&f->event) < 0 || cgroup_host_open(instance, 0, &f->host, &e) < 0) {
        print_error("%s\n", e.text);
        return -1;
    }
    *state = f;
    return 0;
}

/* What start() made. */
static inline void clear(struct fixture *f)
{
    limits_stop(TAKE_PTR(f->limits));
    if (f->end) {
        f->end = loop_source_free(f->end);
        safe_close(f->pidfd);
    }
    cgroup_destroy(TAKE_PTR(f->cg));
    f->over = false;
}

static inline int tear_down(void **state)
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

static inline int on_end(struct loop_source *source, int fd, uint32_t revents, void *userdata)
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
static inline void start(struct fixture *f, const struct sandbox_limits *limits, child_fn fn,
                         uint64_t arg)
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
static inline void be_ordinary(void)
{
    const struct sched_param ordinary = {0};

    sched_setscheduler(0, SCHED_OTHER, &ordinary);
    setpriority(PRIO_PROCESS, 0, 0);
}

/* Runs the loop as a launcher does until the first process has ended and the cgroup is empty;
 * returns the verdict. */
static inline enum sandbox_verdict finish(struct fixture *f, struct sandbox_report *report)
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

static inline uint64_t cpu_used(struct fixture *f)
{
    struct cgroup_usage usage;

    assert_int_equal(cgroup_usage(f->cg, &usage, NULL), 0);
    return usage.usage_usec;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
