/* Children of a test inside a sandbox's cgroup: born in the v2 directory, joined to the v1 ones by
 * themselves, as the launcher's children are. And things for them to do. */
#pragma once

#include "cgroup_internal.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB (1024ULL * 1024)

/** What a child does; its return value is its exit status. */
typedef int (*child_fn)(uint64_t arg);

/** Starts FN(ARG) in a new process inside CG; it dies with the test. Returns its id or -1. */
static inline pid_t spawn_in(struct cgroup *cg, child_fn fn, uint64_t arg)
{
    struct clone_args args = {
        .flags = CLONE_INTO_CGROUP,
        .exit_signal = SIGCHLD,
        .cgroup = (uint64_t)cgroup_clone_fd(cg),
    };
    int fds[CGROUP_JOIN_MAX];
    size_t n = cgroup_join_fds(cg, fds);
    long pid = syscall(SYS_clone3, &args, sizeof(args));

    if (pid != 0)
        return (pid_t)pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (size_t i = 0; i < n; i++)
        if (write(fds[i], "0", 1) != 1)
            _exit(120);
    _exit(fn(arg));
}

/** Waits for PID; 0..255 it exited so, 256 + n signal n ended it. */
static inline int wait_status(pid_t pid)
{
    int status;

    if (waitpid(pid, &status, 0) != pid)
        return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}

/** Sets the memory limit of all sandboxes of H together. */
static inline int limit_everybody(struct cgroup_host *h, uint64_t bytes)
{
    bool v2 = h->memory_dir == CGROUP_V2;

    return cgroup_write_uint(h->dirs[h->memory_dir].fd, v2 ? "memory.max" : "memory.limit_in_bytes",
                             bytes);
}

/** How much longer than an idle machine a slow one may take (scripts/test). */
static inline uint64_t time_scale(void)
{
    const char *text = getenv("DOCKLESS_TIME_SCALE");
    long scale = text ? strtol(text, NULL, 10) : 1;

    return scale > 0 ? (uint64_t)scale : 1;
}

/* Touches BYTES of anonymous memory; 0, or 3 when the kernel refused some. */
static inline int use_memory(uint64_t bytes)
{
    volatile char *p =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED)
        return 3;
    for (uint64_t at = 0; at < bytes; at += 4096)
        p[at] = 1;
    return 0;
}

/** After this many seconds what a failed test left running ends by itself. */
#define CHILD_SECONDS_MAX 300

/* Sleeps until it is killed. */
static inline int sleep_on(uint64_t unused)
{
    (void)unused;
    alarm(CHILD_SECONDS_MAX);
    while (pause() < 0)
        ;
    return 0;
}

/* Uses CPU time for USEC microseconds of it, or for ever where that is 0. */
static inline int burn(uint64_t usec)
{
    struct timespec ts;
    volatile uint64_t n = 0;

    alarm(CHILD_SECONDS_MAX);
    do {
        for (int i = 0; i < 20000; i++)
            n = n + 1;
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    } while (usec == 0 ||
             (uint64_t)ts.tv_sec * USEC_PER_SEC + (uint64_t)ts.tv_nsec / NSEC_PER_USEC < usec);
    return 0;
}
