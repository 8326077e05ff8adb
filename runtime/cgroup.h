/* Control groups: one interface, two drivers.
 *
 * unified: the host has cgroup v2 only. hybrid: limits live in the v1 hierarchies (memory, pids,
 * cpuacct...) while cgroup.kill, cgroup.events and cpu.stat come from the v2 tree beside them
 * (cgroups(7), Documentation/admin-guide/ cgroup-v2.rst and cgroup-v1/). Everything is made below
 * the cgroup that /proc/self/cgroup names, in one directory `dockless-INSTANCE` for the launcher's
 * life and one child of it per sandbox. */
#pragma once

#include "runtime/sandbox.h"

/** v1 hierarchies that a child joins by itself, at most. */
#define CGROUP_JOIN_MAX 6

struct cgroup_host;
struct cgroup;

/** Finds driver and place, makes the directory of INSTANCE, enables controllers. Where v2 demands
 * it (a cgroup with processes gives no controllers to children, the real root excepted), this
 * process, its parent where that is CLIENT (0: no client), and those of the last's ancestors that
 * run the same program as it does, move to a leaf
 * `dockless-INSTANCE-supervisor` beside that directory; where others live in our cgroup, systemd is
 * asked for a transient scope for this process alone. A controller that the limits need and the
 * host lacks is an error naming the cgroup and the remedy. Call before the mount namespace is
 * changed: all later work goes by fd. */
int cgroup_host_open(const char *instance, pid_t client, struct cgroup_host **ret, struct error *e);
/** Removes the directories, moves whoever was moved back, and frees. Sandboxes' cgroups must be
 * destroyed; those that the kernel still held then are waited for, at most two seconds. */
void cgroup_host_close(struct cgroup_host *h);
DEFINE_CLEANUP(struct cgroup_host, cgroup_host_close)

/** "unified" or "hybrid". */
const char *cgroup_host_driver(const struct cgroup_host *h);
/** Appends to LIST (text.h) the absolute paths of the directories made for this instance, for the
 * sweep of a later life. */
int cgroup_host_paths(const struct cgroup_host *h, char ***list);

/** What a host can do beside memory and pids, which it must. */
enum cgroup_ability {
    CGROUP_CPU_SHARE = 1 << 0,
    CGROUP_CPUS = 1 << 1,
    CGROUP_IO_WEIGHT = 1 << 2,
};
/** Bit mask of enum cgroup_ability. */
unsigned cgroup_host_abilities(const struct cgroup_host *h);

/** Makes the cgroup NAME with LIMITS (memory, pids, cpu_share, cpus, io_weight; those that the host
 * is not able to are left out) in force before any process is in it. */
int cgroup_create(struct cgroup_host *h, const char *name, const struct sandbox_limits *limits,
                  struct cgroup **ret, struct error *e);
/** The same in two steps, for a cgroup that is made before its sandbox is known: prepared, it has
 * no limits. What is in it by then must be ours: the limits do not hold what came before them. */
int cgroup_prepare(struct cgroup_host *h, const char *name, struct cgroup **ret, struct error *e);
int cgroup_limit(struct cgroup *cg, const struct sandbox_limits *limits, struct error *e);
/** Kills what is left, removes the directories and frees. Never waits: what the kernel still holds
 * is tried again by the next cgroup_create() and by cgroup_host_close(). */
void cgroup_destroy(struct cgroup *cg);
DEFINE_CLEANUP(struct cgroup, cgroup_destroy)

/** The v2 directory, for CLONE_INTO_CGROUP. Owned by CG. */
int cgroup_clone_fd(const struct cgroup *cg);
/** The v1 `tasks` files, opened for writing, into which the new child writes "0" (35 us instead of
 * 11 ms for a write by its parent). Owned by CG; returns how many (0 on unified). */
size_t cgroup_join_fds(const struct cgroup *cg, int ret_fds[CGROUP_JOIN_MAX]);

/** SIGKILL to every process in it, at once and atomically (cgroup.kill). */
int cgroup_kill(struct cgroup *cg);
/** 1 when no process is left in it, 0 when there is one. */
int cgroup_is_empty(struct cgroup *cg);
/** cgroup.events opened for poll: EPOLLPRI when it may have changed to empty. Owned by CG. */
int cgroup_events_fd(const struct cgroup *cg);

/** An fd that becomes ready (with the epoll events *ret_events) when the limit may have been hit;
 * cgroup_oom_happened() tells and rearms. Owned by CG; negative where there is no memory limit. */
int cgroup_oom_fd(const struct cgroup *cg, uint32_t *ret_events);
/** Whether this cgroup's own limit killed or stopped a process (not a host-wide shortage). */
bool cgroup_oom_happened(struct cgroup *cg);

struct cgroup_usage {
    uint64_t usage_usec; /* user + system */
    uint64_t user_usec;
    uint64_t system_usec;
    /* Each of the following is SANDBOX_ABSENT where this kernel does not tell. */
    uint64_t memory_peak;
    uint64_t pids_peak;
    uint64_t read_bytes; /* from and to disks; loop devices, whose disks are counted, left out */
    uint64_t write_bytes;
    uint64_t oom_kills;
    uint64_t throttled_periods;
    uint64_t throttled_usec;
    struct sandbox_pressure cpu_pressure, memory_pressure, io_pressure;
};

/** CPU time so far in microseconds; negative errno in the return value. */
int cgroup_cpu_usage(struct cgroup *cg, uint64_t *ret_usec);
/** All counters; call it when the cgroup is empty for final figures. */
int cgroup_usage(struct cgroup *cg, struct cgroup_usage *ret, struct error *e);
