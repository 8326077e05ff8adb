/* How far beyond its limit a sandbox gets, as a histogram: CPU time used beyond the limit (one
 * thread, eight threads, short children), and wall time from the limit to the report.
 *
 *   limit_overshoot [RUNS]
 *
 * Run it as root on an idle machine; docs/benchmarks.md has results. */
#include "cgroup.h"
#include "limits.h"

#include "base/clock.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "../runtime/cgroup_child.h"

#define RUNS_DEFAULT 50
#define RUNS_MAX     10000
#define LIMIT_USEC   (100 * USEC_PER_MSEC)
#define THREADS      8

struct run {
    struct loop *event;
    struct limits *limits;
    uint64_t ended;
};

static void *burn_thread(void *arg)
{
    (void)arg;
    burn(0);
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

static int burn_in_children(uint64_t usec)
{
    for (;;) {
        pid_t pid = fork();
        if (pid == 0)
            _exit(burn(usec));
        wait_status(pid);
    }
    return 0;
}

static int on_end(struct loop_source *source, int fd, uint32_t revents, void *userdata)
{
    struct run *r = userdata;

    (void)source, (void)revents;
    (void)waitid(P_PIDFD, (id_t)fd, &(siginfo_t){0}, WEXITED);
    r->ended = clock_monotonic_usec();
    limits_first_exited(r->limits);
    loop_exit(r->event, 0);
    return 0;
}

/* Microseconds beyond the limit: of CPU time, or of wall time where WALL. */
static int measure(struct cgroup_host *h, child_fn fn, uint64_t arg, bool wall, uint64_t *ret)
{
    const struct sandbox_limits limits = {.cpu_time_usec = wall ? 0 : LIMIT_USEC,
                                          .wall_time_usec = wall ? LIMIT_USEC : 0};
    struct run r = {0};
    struct cgroup *cg = NULL;
    struct error e = ERROR_INIT;
    uint64_t started, used = 0;
    struct loop_source *end = NULL;
    pid_t pid;
    int pidfd, code = cgroup_create(h, "s1", &limits, &cg, &e);

    if (code == 0)
        code = loop_new(&r.event);
    if (code < 0) {
        fprintf(stderr, "limit_overshoot: %s\n", e.text);
        return code;
    }
    pid = spawn_in(cg, fn, arg);
    started = clock_monotonic_usec();
    code = limits_start(r.event, cg, &limits, started, &r.limits, &e);
    pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (code == 0)
        code = loop_add_io(r.event, &end, pidfd, EPOLLIN, on_end, &r);
    if (code >= 0)
        code = loop_serve(r.event);
    while (cgroup_is_empty(cg) != 1)
        ;
    if (code == 0)
        code = cgroup_cpu_usage(cg, &used);
    *ret = wall ? r.ended - started - LIMIT_USEC : used > LIMIT_USEC ? used - LIMIT_USEC : 0;
    limits_stop(r.limits);
    loop_source_free(end);
    safe_close(pidfd);
    cgroup_destroy(cg);
    loop_unref(r.event);
    return code;
}

static int compare(const void *a, const void *b)
{
    uint64_t one = *(const uint64_t *)a, other = *(const uint64_t *)b;

    return (one > other) - (one < other);
}

/* Classes double: below 0.125 ms, below 0.25 ms ... */
static void print_histogram(const uint64_t *usec, size_t n)
{
    for (uint64_t edge = 125, from = 0; from <= usec[n - 1]; from = edge, edge *= 2) {
        size_t count = 0;
        for (size_t i = 0; i < n; i++)
            count += usec[i] >= from && usec[i] < edge;
        printf("    < %8.3f ms %5zu ", (double)edge / 1000, count);
        for (size_t i = 0; i < count * 50 / n; i++)
            putchar('#');
        putchar('\n');
    }
}

static int series(struct cgroup_host *h, const char *name, child_fn fn, uint64_t arg, bool wall,
                  size_t n)
{
    uint64_t *usec = calloc(n, sizeof(*usec));
    size_t middle = n / 2, late = n * 95 / 100;
    int r = usec ? 0 : -ENOMEM;

    for (size_t i = 0; r == 0 && i < n; i++)
        r = measure(h, fn, arg, wall, &usec[i]);
    if (r == 0) {
        qsort(usec, n, sizeof(*usec), compare);
        printf("%s: median %.2f ms, 95 %% %.2f ms, maximum %.2f ms\n", name,
               (double)usec[middle] / 1000, (double)usec[late] / 1000, (double)usec[n - 1] / 1000);
        print_histogram(usec, n);
    }
    free(usec);
    return r;
}

int main(int argc, char **argv)
{
    long runs = argc > 1 ? strtol(argv[1], NULL, 10) : RUNS_DEFAULT;
    size_t n = (size_t)MIN(MAX(runs, 1L), (long)RUNS_MAX);
    struct cgroup_host *h = NULL;
    struct error e = ERROR_INIT;
    sigset_t mask;
    int r;

    sigemptyset(&mask);
    sigaddset(&mask, SIGCHLD);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    limits_take_precedence();
    if (cgroup_host_open("overshoot", 0, &h, &e) < 0) {
        fprintf(stderr, "limit_overshoot: %s\n", e.text);
        return 1;
    }
    printf("%zu runs each, %s cgroups, limit %llu ms\n", n, cgroup_host_driver(h),
           (unsigned long long)(LIMIT_USEC / USEC_PER_MSEC));
    r = series(h, "CPU time, one thread", burn, 0, false, n);
    if (r == 0)
        r = series(h, "CPU time, eight threads", burn_threads, THREADS, false, n);
    if (r == 0)
        r = series(h, "CPU time, short children", burn_in_children, 500, false, n);
    if (r == 0)
        r = series(h, "wall time", sleep_on, 0, true, n);
    cgroup_host_close(h);
    return r < 0;
}
