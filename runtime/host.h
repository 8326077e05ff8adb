/* What a launcher process prepares once and every sandbox uses: roots, scratch, cgroup place,
 * filter.
 *
 * The launcher's mount namespace after host_open() is a small tmpfs:
 *
 *   /proc, /sys   whole, so that containers may mount their own (the kernel wants to see one)
 *   /roots/N      the configured roots, cloned with what is mounted below them
 *   /scratch      this instance's directory
 *   /new          where a child puts its root before pivot_root(2)
 *   /stage        layers of an overlay being mounted, on kernels that take paths only
 *   /keep         mounts that child sandboxes may take from, on kernels that clone attached ones
 * only
 *
 * Nothing else of the host can be reached from it by path. */
#pragma once

#include "cgroup.h"
#include "disk.h"
#include "janitor.h"
#include "network.h"
#include "registry.h"
#include "runtime/launcher.h"
#include "seccomp.h"
#include "userns.h"

#include "base/loop.h"
#include <signal.h>

/** A sandbox's directory and cgroup: "s" and a number. */
#define SANDBOX_NAME_MAX 32

struct host_root {
    char *name;
    int fd; /* O_PATH, inside the launcher's own mount namespace */
    bool read_only;
};

struct host {
    struct loop *event;
    struct host_root roots[LAUNCHER_ROOTS_MAX];
    size_t n_roots;
    int scratch_fd; /* this instance's own directory, as the launcher's mount namespace has it */
    int lock_fd;    /* the same, from before; holds the lock (flock) for the instance's life */
    int scratch_parent_fd;
    char *instance; /* its name, also that of the cgroup */
    uint64_t made;  /* sandboxes so far: names of their directories and cgroups */
    struct cgroup_host *cgroups;
    struct disk_host disks;
    enum launcher_disk disk; /* how they are to be bounded */
    unsigned abilities;      /* enum launcher_limit: what can be enforced here */
    unsigned waived;
    bool unified; /* cgroup v2 alone: containers see it, read-only */
    struct id_pool *ids;
    struct seccomp_program filter;
    struct janitor *janitor;
    struct spares *spares;
    unsigned attached; /* mounts of sandboxes in the launcher's own mount namespace */
    struct registry *registry;
    struct network *network;  /* NULL: sandboxes may have none */
    int kill_fd;              /* cgroup.kill of the directory that holds all sandboxes */
    int proc_fd;              /* /proc of the launcher's pid namespace, for uid maps */
    int oom_score_adj;        /* the launcher's own */
    sigset_t ignored_signals; /* which the launcher was started with or set before host_open() */
    bool overlay_by_fd;       /* overlayfs takes layers as fds of detached mounts (Linux 6.15) */
    bool clone_detached;      /* open_tree(2) clones from detached mounts (Linux 6.15) */
};

/** Prepares everything: locks and sweeps the scratch (sweep.h), opens cgroups, moves the process
 * into its own mount namespace with few mounts, probes kernel features by trying them, compiles the
 * filter. The caller is the launcher process (root, single-threaded). Errors name what is missing
 * and the remedy. */
int host_open(const struct launcher_config *config, struct loop *event, struct host **ret,
              struct error *e);

/** Writes the name of the next sandbox, never given before, to NAME. */
void host_next_name(struct host *h, char name[SANDBOX_NAME_MAX]);

/** Takes everything down again: no cgroup, mount or file of this instance is left. All sandboxes
 * must be gone. */
void host_close(struct host *h);
DEFINE_CLEANUP(struct host, host_close)
