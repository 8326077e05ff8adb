/* The boundary between the unprivileged client and the launcher, the only privileged process.
 *
 * launcher_start() starts the launcher: the same program, executed anew from a sealed copy; what
 * the caller gets is the client's end of a SOCK_SEQPACKET pair. Requests and stdio fds go down,
 * events come up. The launcher validates every request again, resolves sources only below the roots
 * it was started with, and kills everything when its socket closes. */
#pragma once

#include "runtime/sandbox.h"

#include <sys/types.h>

#define LAUNCHER_ROOTS_MAX     40   /* one for images, and what one run is given of the host */
#define LAUNCHER_SANDBOXES_MAX 4096 /* what one host can run at once, with room to spare */

/** A directory of the host (or one file, for a SANDBOX_MOUNT_BIND) that sandboxes may be given
 * parts of. */
struct launcher_root {
    const char *name; /* for messages: "store", "tasks" */
    const char *path; /* resolved once, at start */
    bool read_only;   /* nothing of it is ever mounted writable (an overlay's lower is fine) */
};

#define LAUNCHER_POOL4_DEFAULT "10.213.0.0/16"
#define LAUNCHER_POOL6_DEFAULT "fd6f:cc1e:55d0::/48"

/** The network that sandboxes may ask for (SANDBOX_NETWORK_NAT). Nothing is made on the host until
 * the first of them does. docs/networking.md says what they can reach. */
struct launcher_network {
    const char *pool4; /* IPv4 range that each launcher takes a /22 of; NULL: the default */
    const char *pool6; /* IPv6 range, a /64 each; NULL: the default; "": no IPv6 */
    const char *const *allowed; /* private ranges that may be reached: "10.1.0.0/16" */
    size_t n_allowed;
    const char *const *resolvers; /* name servers, at most 3; none: those of the host */
    size_t n_resolvers;
    uint16_t first_port, last_port; /* of the host, that may be published; 0: none */
};

/** Whether a launcher would take NETWORK: -EINVAL, -E2BIG with a text that names the value. */
int launcher_network_validate(const struct launcher_network *network, struct error *e);

/** Limits that not every host can enforce; memory, pids, time and output always can be. */
enum launcher_limit {
    LAUNCHER_LIMIT_DISK = 1 << 0,      /* "disk": disk_bytes, disk_inodes */
    LAUNCHER_LIMIT_CPU_SHARE = 1 << 1, /* "cpu": cpu_share */
    LAUNCHER_LIMIT_CPUS = 1 << 2,      /* "cpus" */
    LAUNCHER_LIMIT_IO_WEIGHT = 1 << 3, /* "io": io_weight */
};

/** How a limit on disk is enforced. */
enum launcher_disk {
    LAUNCHER_DISK_AUTO,  /* by quotas where the scratch has them, else by images */
    LAUNCHER_DISK_QUOTA, /* project quotas of the file system that the scratch is on */
    LAUNCHER_DISK_IMAGE, /* a file system of its own for each sandbox, on a loop device */
};

/** "auto", "quota", "image", in their order; ends with NULL. */
extern const char *const launcher_disk_names[];
/** -ENOENT: there is no such way. */
int launcher_disk_by_name(const char *name, enum launcher_disk *ret);

#define LAUNCHER_PROJECT_DEFAULT 0x40000000U
/** Project ids of 32,768 ranges follow, 4096 each. */
#define LAUNCHER_PROJECT_MAX (UINT32_MAX - 32768U * 4096U)

/** -ENOENT: there is no such limit. */
int launcher_limit_by_name(const char *name, unsigned *ret);

struct seccomp_program;

struct launcher_config {
    const struct launcher_root *roots;
    size_t n_roots;
    const char
        *scratch; /* directory below which the launcher makes its own (upper layers, volumes) */
    const char *run_dir;    /* locks shared by all launchers of the host; NULL: /run/dockless */
    uint32_t first_id;      /* start of the pool of id ranges; 0: 0x80000 */
    uint32_t ranges;        /* how many ranges of SANDBOX_ID_RANGE the pool has; 0: 4096 */
    uint32_t max_sandboxes; /* running at once; 0: 256 */
    uint32_t spares;        /* first processes of sandboxes made ahead, at most 16; 0: none */
    unsigned needed; /* enum launcher_limit: the start fails where the host cannot enforce these */
    unsigned waived; /* these are left out where the host cannot enforce them; any other limit of a
                        spec that it cannot enforce fails the sandbox */
    enum launcher_disk disk;
    uint32_t first_project; /* start of the project ids; 0: LAUNCHER_PROJECT_DEFAULT */
    const struct launcher_network *network; /* NULL: no sandbox may have one */
    const struct seccomp_program *filter;   /* of system calls (profile/profile.h); NULL: Docker's
                                               default. Not the client's to choose: what the launcher
                                               was started with holds for all sandboxes. */
    pid_t client; /* launcher_start() sets it, to its caller, which may be moved into a cgroup of
                     ours; 0: there is none, the sandboxes are this process's */
};

struct launcher;

/** Becomes the launcher, and does not return, where launcher_start() has executed this program for
 * that. First of all in main() of every program that calls launcher_start(). */
void launcher_begin(char **argv);

/** Starts the launcher: this program once more, executed from a sealed copy (self.h), with nothing
 * of the caller's but its standard error, working directory and environment. Must be called by
 * root. Waits until the launcher is ready: a host that cannot enforce limits is an error here. The
 * caller may drop all privileges afterwards. */
int launcher_start(const struct launcher_config *config, struct launcher **ret, struct error *e);

/** Closes the socket: the launcher kills all its sandboxes, cleans up and exits. Waits for it. */
void launcher_stop(struct launcher *l);
DEFINE_CLEANUP(struct launcher, launcher_stop)

/** The client's socket, for an event loop: readable means launcher_dispatch() has work. */
int launcher_fd(const struct launcher *l);
/** Process id of the launcher, for a supervisor. */
pid_t launcher_pid(const struct launcher *l);

/** Asks for sandbox ID (chosen by the client, not 0, unused among the running ones). STDIO are the
 * container's 0, 1, 2; -1 is /dev/null. The fds stay the caller's (they are duplicated into the
 * message). -EINVAL or -E2BIG where the spec does not validate, -EMSGSIZE beyond 12 MiB, -EPIPE
 * when the launcher is gone, -ETIMEDOUT when it takes nothing. What only the launcher can tell (an
 * unknown root, a parent that has ended, a running id, too many sandboxes, stdio that is a
 * directory) comes as a LAUNCHER_EXITED event: SANDBOX_START_FAILED with the step "request". */
int launcher_submit(struct launcher *l, uint64_t id, const struct sandbox_spec *spec,
                    const int stdio[3], struct error *e);

/** Asks to kill sandbox ID. An unknown id is no error: it may have ended a moment ago. */
int launcher_kill(struct launcher *l, uint64_t id);

/** Asks to send signal NUMBER (1..64) to the program of sandbox ID, which must have been asked for
 * with `init`, and to its process group, as a terminal does; SIGTSTP stops it whatever it does
 * about it. Without `init` the signal goes to the first process alone, which takes only what it has
 * a handler for (pid_namespaces(7)). A sandbox whose program does not run yet is killed. An unknown
 * id is no error. */
int launcher_signal(struct launcher *l, uint64_t id, int number);

/** Asks whether PATH (below root number ROOT; "" is the root itself) is a directory; the answer is
 * a LAUNCHER_PROBED event with ID. Links are followed as if the root were "/". -EINVAL where PATH
 * is not relative and plain; else as launcher_submit(). */
int launcher_probe(struct launcher *l, uint64_t id, uint32_t root, const char *path,
                   struct error *e);

/** Asks for a connection to the stream socket PATH below mount number MOUNT (a scratch one) of the
 * running sandbox SANDBOX, as if one of its children had called; the answer is a LAUNCHER_CONNECTED
 * event with ID. -EINVAL where PATH is not relative and plain; else as launcher_submit(). */
int launcher_connect(struct launcher *l, uint64_t id, uint64_t sandbox, uint32_t mount,
                     const char *path, struct error *e);

enum launcher_event_type {
    LAUNCHER_STARTED, /* the program of sandbox `id` was released */
    LAUNCHER_EXITED,  /* last event of sandbox `id`; `report` is set. Exactly one for each accepted
                         submit. */
    LAUNCHER_PROBED,  /* `result`: 0 it is a directory, else a negative errno */
    LAUNCHER_CONNECTED, /* `result`: 0 and `fd` is the connection (non-blocking), else -ESRCH (no
                           such sandbox), -EINVAL (no such mount), -EACCES (not
                           a scratch one), -ELOOP, -EXDEV (links and other
                           mounts are not followed), -ENOTSOCK, -ECONNREFUSED (nobody listens),
                           -EAGAIN (its queue is full) or another negative errno */
};

struct launcher_event {
    enum launcher_event_type type;
    uint64_t id;
    int result;
    int fd; /* CONNECTED with result 0: the receiver's to close; else negative */
    struct sandbox_report report;
};

/** Reads one event, never waits. 1: *ret_event is set; 0: none is waiting; -EPIPE: the launcher is
 * gone, with the reason where it told one (all its sandboxes are dead: each running one is over
 * without a report). */
int launcher_dispatch(struct launcher *l, struct launcher_event *ret_event, struct error *e);
