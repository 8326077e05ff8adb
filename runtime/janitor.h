/* The janitor: a small process beside the launcher with three duties.
 *
 * It removes directories the launcher has no more use for, so that a job that leaves 10^5 files
 * behind does not hold up the others. It is the last to close mounts and mount namespaces: whoever
 * is, waits for an RCU grace period (0.1 to 1 ms). And it outlives the launcher by a moment: when
 * the launcher is gone, however it went, it kills what is left in the instance's cgroup. The
 * parent-death signal alone would not do: a container may clear its own (prctl(2)), and executing a
 * set-uid program clears it too. */
#pragma once

#include "base/error.h"
#include "base/loop.h"

struct janitor;

/** Makes a janitor that has no process yet: until janitor_start() the caller does what it is for,
 * and closes at the very end what would have to be waited for. Enough where there is one sandbox,
 * after which the caller ends, and its first process is an init, which clears no parent-death
 * signal. DIR_FD: the directory the names are in. KILL_FD: cgroup.kill of the
 * instance's v2 cgroup, which holds nothing but sandboxes. Both stay the caller's; DIR_FD and LOOP
 * must outlive the result. In LOOP it is seen when a busy janitor can take more. */
int janitor_open(int dir_fd, int kill_fd, struct loop *loop, struct janitor **ret, struct error *e);

/** Forks its process, where it has none. */
int janitor_start(struct janitor *j, struct error *e);

/** Names that wait while the janitor is busy. The caller keeps the time of running sandboxes, and
 * would not while it removes the 10^6 files that one of them has left. */
#define JANITOR_WAITING_MAX 4096

/** Has directory NAME removed. The janitor's process gives way to all others until it has fallen
 * behind. Where it has fallen JANITOR_WAITING_MAX names behind, or is gone, the caller does the
 * work itself: the disk fills no faster than it is emptied. */
void janitor_remove(struct janitor *j, const char *name);

/** Closes the N fds here, after handing them to the janitor, whose close is the last one. One that
 * has no process keeps them until janitor_close(). */
void janitor_close_fds(struct janitor *j, const int *fds, size_t n);

/** Lets the janitor finish and waits for it. */
void janitor_close(struct janitor *j);
DEFINE_CLEANUP(struct janitor, janitor_close)
