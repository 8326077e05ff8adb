/* The clocks and watches of one running sandbox: CPU time, wall time, memory. They live in the
 * launcher, never inside. Whoever hits first is remembered and the whole cgroup is killed; the
 * verdict is told at the end. */
#pragma once

#include "cgroup.h"

#include "base/loop.h"

struct limits;

/** Puts the calling process (the launcher) before everything it watches, so that its looks and its
 * kills are on time however busy the host is: measured with ten runnable processes on two CPUs, a
 * kill is sent 0.2 ms after it is due instead of up to 35 ms. Real-time priority 1, else nice -20;
 * children start as ordinary processes (SCHED_FLAG_RESET_ON_FORK, sched(7)). Where neither is
 * allowed: a negative errno, nothing is changed and limits are as exact as the load lets them be.
 * The caller sleeps when it has nothing to do and never waits by spinning. */
int limits_take_precedence(void);

/** Starts watching CG from STARTED_USEC (clock.h) on EVENT. The CPU limit is looked at when it can
 * be reached at the earliest (budget left / usable CPUs, at least 1 ms); the wall limit by one
 * exact timer; memory by the cgroup's out-of-memory notice. A limit hit kills the cgroup at once.
 * CG stays the caller's and must outlive the watch. */
int limits_start(struct loop *event, struct cgroup *cg, const struct sandbox_limits *limits,
                 uint64_t started_usec, struct limits **ret, struct error *e);
void limits_stop(struct limits *l);
DEFINE_CLEANUP(struct limits, limits_stop)

/** How many CPUs of the ONLINE ones can work for a sandbox at once. Not the affinity mask of this
 * process: any process may widen its own (sched_setaffinity(2)). */
uint64_t limits_cpus(const struct sandbox_limits *limits, uint64_t online);

/** When LEFT microseconds of CPU time can be used up by CPUS at the earliest, from now; not sooner
 * than the kernel's own accounting makes sense of. */
uint64_t limits_next_look(uint64_t left, uint64_t cpus);

/** The first process has ended: the clocks stop (what still dies now is not the program's time);
 * memory stays watched until the verdict. */
void limits_first_exited(struct limits *l);

/** Notes a kill by request and kills the cgroup. */
void limits_kill(struct limits *l);

/** Whether a limit or a kill has ended it so far. */
bool limits_ended_it(const struct limits *l);

/** More was written than limits.output_bytes: ends the sandbox. */
void limits_output_exceeded(struct limits *l);

/** The verdict for the first process's wait status (waitid(2): CODE is si_code, STATUS si_status),
 * in the order killed by request, out of memory, time or output (whichever was first), the exit
 * itself. Sets verdict, exit_code and signal of REPORT. To be called when the cgroup is empty: it
 * looks at the memory events once more, and at the CPU used, so that nothing is missed that
 * happened between two looks. */
void limits_verdict(struct limits *l, int code, int status, struct sandbox_report *report);
