/* Clocks and watches of one sandbox. All looks go to the kernel's own counters from outside:
 * nothing the sandbox does (stopping itself, many threads, short-lived children) is seen by them
 * otherwise than as time used.
 *
 * CPU time cannot be waited for, so it is looked at. With N usable CPUs a budget of B left cannot
 * be used up before B/N from now; that is when the next look is due. Looks get closer as the budget
 * shrinks, down to one a millisecond. */
#include "limits.h"

#include "base/clock.h"
#include "weaken.h"

#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/syscall.h>

/* Looks are not closer than this; the kernel itself accounts a running thread once a tick (1 to 4
 * ms). */
#define LOOK_USEC_MIN USEC_PER_MSEC
/* Before requests and other traffic: a limit hit is acted on first. */
#define LIMITS_PRIORITY LOOP_IMPORTANT

struct limits {
    struct cgroup *cg;
    uint64_t cpu_limit;
    uint64_t cpus;
    struct loop_source *cpu, *wall, *oom;
    bool killed;
    bool out_of_memory;
    enum sandbox_verdict
        first; /* CPU_TIMEOUT, WALL_TIMEOUT, OUTPUT_LIMIT; EXITED while none was hit
                */
};

/* sched_setattr(2); glibc 2.36 has neither wrapper nor type, and the kernel's header clashes with
 * <sched.h>. */
struct scheduling {
    uint32_t size;
    uint32_t policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
};
#define FLAG_RESET_ON_FORK 1

int limits_take_precedence(void)
{
    struct scheduling s = {
        .size = sizeof(s), .policy = SCHED_FIFO, .flags = FLAG_RESET_ON_FORK, .priority = 1};

    if (syscall(SYS_sched_setattr, 0, &s, 0) == 0)
        return 0;
    /* A cgroup may have no real-time budget (CONFIG_RT_GROUP_SCHED). */
    s.policy = SCHED_OTHER;
    s.priority = 0;
    s.nice = -20;
    return syscall(SYS_sched_setattr, 0, &s, 0) == 0 ? 0 : -errno;
}

uint64_t limits_cpus(const struct sandbox_limits *limits, uint64_t online)
{
    uint64_t own = 0;

    for (size_t i = 0; i < SANDBOX_CPU_WORDS; i++)
        own += (uint64_t)__builtin_popcountll(limits->cpus[i]);
    if (own == 0)
        own = online;
    return limits->pids > 0 ? MIN(limits->pids, own) : own;
}

static uint64_t online_cpus(void)
{
    static long online; /* asked once: it reads a file of sysfs */

    if (online <= 0)
        online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (uint64_t)online : 1;
}

uint64_t limits_next_look(uint64_t left, uint64_t cpus)
{
    return MAX(left / cpus, LOOK_USEC_MIN);
}

/* Remembers the first of clocks and output, and ends the sandbox. */
static void hit(struct limits *l, enum sandbox_verdict verdict)
{
    if (l->first == SANDBOX_EXITED)
        l->first = verdict;
    cgroup_kill(l->cg);
}

static int on_cpu(struct loop_source *source, uint64_t due, void *userdata)
{
    struct limits *l = userdata;
    uint64_t used;
    int r = cgroup_cpu_usage(l->cg, &used);

    (void)due;
    /* A limit that cannot be looked at any more is not waived. */
    if (r < 0 || used > l->cpu_limit) {
        hit(l, SANDBOX_CPU_TIMEOUT);
        return 0;
    }
    loop_source_set_time(source,
                         clock_monotonic_usec() + limits_next_look(l->cpu_limit - used, l->cpus));
    if (loop_source_enable(source, true) < 0)
        hit(l, SANDBOX_CPU_TIMEOUT);
    return 0;
}

static int on_wall(struct loop_source *source, uint64_t due, void *userdata)
{
    (void)source;
    (void)due;
    hit(userdata, SANDBOX_WALL_TIMEOUT);
    return 0;
}

static int on_oom(struct loop_source *source, int fd, uint32_t revents, void *userdata)
{
    struct limits *l = userdata;

    (void)source;
    (void)fd;
    (void)revents;
    if (cgroup_oom_happened(l->cg)) {
        l->out_of_memory = true;
        cgroup_kill(l->cg);
    }
    return 0;
}

static int add_timer(struct limits *l, struct loop *event, struct loop_source **ret, uint64_t when,
                     loop_time_fn handler)
{
    int r = loop_add_time(event, ret, when, handler, l);

    if (r == 0)
        loop_source_set_priority(*ret, LIMITS_PRIORITY);
    return r;
}

/* The sum, or the end of time. */
static uint64_t later(uint64_t from, uint64_t by)
{
    return by > UINT64_MAX - 1 - from ? UINT64_MAX - 1 : from + by;
}

int limits_start(struct loop *event, struct cgroup *cg, const struct sandbox_limits *limits,
                 uint64_t started_usec, struct limits **ret, struct error *e)
{
    _cleanup_(limits_stop_p) struct limits *l = calloc(1, sizeof(*l));
    uint32_t oom_events;
    int r = 0, oom_fd;

    if (!l)
        return error_sys(e, -ENOMEM, "limits");
    l->cg = cg;
    l->cpu_limit = limits->cpu_time_usec;
    l->cpus = limits_cpus(limits, online_cpus());
    l->first = SANDBOX_EXITED;
    if (l->cpu_limit > 0)
        r = add_timer(l, event, &l->cpu,
                      later(started_usec, limits_next_look(l->cpu_limit, l->cpus)), on_cpu);
    if (r >= 0 && limits->wall_time_usec > 0 && !weakened("wall-clock"))
        r = add_timer(l, event, &l->wall, later(started_usec, limits->wall_time_usec), on_wall);
    if (r < 0)
        return error_sys(e, r, "time limits");
    oom_fd = cgroup_oom_fd(cg, &oom_events);
    if (oom_fd >= 0) {
        r = loop_add_io(event, &l->oom, oom_fd, oom_events, on_oom, l);
        if (r < 0)
            return error_sys(e, r, "memory watch");
        loop_source_set_priority(l->oom, LIMITS_PRIORITY);
    }
    *ret = TAKE_PTR(l);
    return 0;
}

static void stop_clocks(struct limits *l)
{
    l->cpu = loop_source_free(l->cpu);
    l->wall = loop_source_free(l->wall);
}

void limits_stop(struct limits *l)
{
    if (!l)
        return;
    stop_clocks(l);
    loop_source_free(l->oom);
    free(l);
}

void limits_first_exited(struct limits *l)
{
    stop_clocks(l);
}

bool limits_ended_it(const struct limits *l)
{
    return l->killed || l->out_of_memory || l->first != SANDBOX_EXITED;
}

void limits_output_exceeded(struct limits *l)
{
    hit(l, SANDBOX_OUTPUT_LIMIT);
}

void limits_kill(struct limits *l)
{
    l->killed = true;
    cgroup_kill(l->cg);
}

/* What ended the sandbox, by design the first of this list that applies. */
static enum sandbox_verdict judge(struct limits *l, int code)
{
    uint64_t used;

    if (l->killed)
        return SANDBOX_KILLED;
    if (l->out_of_memory || cgroup_oom_happened(l->cg))
        return SANDBOX_OUT_OF_MEMORY;
    if (l->first != SANDBOX_EXITED)
        return l->first;
    if (l->cpu_limit > 0 && cgroup_cpu_usage(l->cg, &used) == 0 && used > l->cpu_limit)
        return SANDBOX_CPU_TIMEOUT;
    return code == CLD_EXITED ? SANDBOX_EXITED : SANDBOX_SIGNALLED;
}

void limits_verdict(struct limits *l, int code, int status, struct sandbox_report *report)
{
    report->verdict = judge(l, code);
    report->exit_code = report->verdict == SANDBOX_EXITED ? status : 0;
    report->signal = report->verdict == SANDBOX_SIGNALLED ? status : 0;
}
