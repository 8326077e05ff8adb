/* What runs between clone3(2) and execve(2). */
#pragma once

#include "host.h"

/** One mount to be moved into place. */
struct child_mount {
    int fd; /* detached */
    const char *target;
};

/** Everything the child needs, prepared by the launcher. The child inherits a copy. */
struct child_plan {
    const struct host *host;
    const struct sandbox_spec *spec;
    int root_fd; /* detached root overlay */
    int dev_fd;  /* detached /dev, see devices.h */
    int shm_fd;  /* detached /dev/shm */
    int sys_fd;  /* detached /sys where there is one already, else negative */
    int proc_fd; /* the same of /proc */
    struct child_mount mounts[SANDBOX_MOUNTS_MAX]; /* in the spec's order */
    int stdio[3];                                  /* negative: /dev/null */
    int join_fds[CGROUP_JOIN_MAX];
    size_t n_join;
    int go_fd;     /* one byte is read from it when the id maps are written */
    int status_fd; /* struct child_status; nothing but the end when the program runs without an init
                    */
    int launcher_fds[2]; /* the launcher's ends of the two, closed first by the child */
};

/** Why the program does not run, or how it ended; one write(2) of less than PIPE_BUF. */
struct child_status {
    int code;                   /* negative errno; 0: the program of an init has ended */
    int wait_code, wait_status; /* its si_code and si_status */
    char step[SANDBOX_STEP_MAX];
    char text[512];
};

/** Clones a child into new namespaces (FLAGS are added) and the cgroup CGROUP_FD. The process id, 0
 * in the child, or a negative errno. */
pid_t child_clone(uint64_t flags, int cgroup_fd, int *ret_pidfd);

/** What a child does that was cloned ahead of its sandbox (spare.h): does what is the same for all,
 * then waits for the order that comes through ORDER_FD and goes on as child_run() would. Ends when
 * the other end closes. */
_Noreturn void child_wait(const struct host *host, int order_fd);

/** Never returns: the program is executed, or the failure is written and the process exits. */
_Noreturn void child_run(const struct child_plan *plan);
