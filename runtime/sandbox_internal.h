/* What sandbox.c (the life) and start.c (its beginning) share. */
#pragma once

#include "child.h"
#include "connect.h"
#include "life.h"
#include "limits.h"
#include "relay.h"

#include <sys/types.h>

enum sandbox_state {
    SANDBOX_PREPARING, /* nothing runs yet, or the start has failed and the report is due */
    SANDBOX_RUNNING,
    SANDBOX_ENDING, /* the first process is gone, the cgroup is not yet empty */
    SANDBOX_REPORTED,
};

_Static_assert(SANDBOX_MOUNTS_MAX <= 64, "scratch_mounts has 64 bits");

/* An id range and everyone who uses it: a sandbox and its children. */
struct lease {
    struct id_range range;
    unsigned users;
};

struct start;

struct sandbox {
    struct host *host;
    uint64_t id;
    sandbox_over_fn over;
    sandbox_released_fn released;
    void *userdata;
    enum sandbox_state state;
    bool kill_requested; /* before it was running */

    struct sandbox *parent; /* NULL once it is gone */
    struct sandbox *first_child, *next_sibling;
    struct lease *lease;

    uint64_t ports_until_usec;   /* its report waits for its ports no longer; 0: it does not */
    struct network_place *place; /* NULL without a network to the outside */
    char name[SANDBOX_NAME_MAX]; /* of its scratch directory and cgroup */
    int scratch_fd;
    struct disk disk;             /* what bounds the scratch, where something does */
    int kept[SANDBOX_MOUNTS_MAX]; /* clones of its mounts, for children */
    size_t n_kept;
    uint64_t scratch_mounts; /* bit N: mount N is a SANDBOX_MOUNT_SCRATCH */
    struct call_watch calls;
    struct cgroup *cgroup;
    struct limits *limits;
    bool emptied;               /* no process is left; its output may still have to be delivered */
    bool finished;              /* the report is made; it may still wait for copies and ports */
    struct relay *relay;        /* with a limit on output */
    struct start *start;        /* while PREPARING */
    struct sandbox_spec copies; /* only its copies, for its end */
    struct copier *copier;      /* that brings them out */
    struct spare *spare; /* that becomes its first process; NULL: there was none, or it has */
    pid_t pid;
    int pidfd;
    int mnt_ns_fd; /* so that the process's end does not have to wait for that of its mounts */
    int status_fd;
    int go_fd;
    struct loop_source *exit_source, *empty_source, *timeout_source, *report_source;
    int wait_code, wait_status; /* si_code, si_status of the first process */
    uint64_t released_usec;
    uint64_t ended_usec;
    struct sandbox_report report;
};

/** Begins the start: plans, clones, releases. 1: the sandbox runs; 0: a copy of a task tree is
 * being made first, start_over() will be called from the event loop; negative: it failed, S->report
 * says why. */
int start_begin(struct sandbox *s, const struct sandbox_spec *spec, const int stdio[3]);

/** Ends a start that is waiting for its copy. Safe without one. */
void start_cancel(struct sandbox *s);

/** Implemented by sandbox.c: a start that had to wait has ended, as start_begin() returns it. */
void start_over(struct sandbox *s, int r);

/** Implemented by sandbox.c: keeps SPEC's copies for the end of S, where some lead out; -ENOMEM. */
int sandbox_keep_copies(struct sandbox *s, const struct sandbox_spec *spec);

/** Implemented by sandbox.c: a relay_fn. */
void sandbox_on_output(bool exceeded, void *userdata);

/** Implemented by sandbox.c: the first process of S has ended (event handler of its pidfd). */
int sandbox_on_exit(struct loop_source *source, int fd, uint32_t events, void *userdata);
