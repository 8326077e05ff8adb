/* Runs a plan's sandbox to its end: streams, signals, report. */
#pragma once

#include "run/plan.h"

/** Blocks the signals that are handed on to the program and returns a signalfd(2) of them. To be
 * called before the launcher is started, so that none is lost. Dies by SIGPIPE no more. */
int run_block_signals(struct error *e);

/** Runs SPEC in launcher L as its sandbox number ID, with this process's standard streams, and
 * waits until it is over and everything it wrote has been handed on. Signals of SIGNAL_FD are
 * forwarded. With -t SPEC is given a
 * terminal. Negative errno: there is no report (the launcher is gone). */
int run_execute(const struct run_plan *p, struct sandbox_spec *spec, struct launcher *l,
                uint64_t id, int signal_fd, struct sandbox_report *ret, struct error *e);

/** Runs SPEC with the given streams (negative: /dev/null) and waits for its report, handing on
 * nothing: what a benchmark wants. */
int run_sandbox(const struct sandbox_spec *spec, struct launcher *l, uint64_t id,
                const int stdio[3], struct sandbox_report *ret, struct error *e);

/* Exit statuses, as docker and podman have them; 124 as timeout(1) has it. */
#define RUN_EXIT_LIMIT       124
#define RUN_EXIT_OWN_ERROR   125
#define RUN_EXIT_NOT_INVOKED 126
#define RUN_EXIT_NOT_FOUND   127
#define RUN_EXIT_SIGNAL      128 /* plus its number */

/** The exit status that stands for REPORT. */
int run_exit_status(const struct sandbox_report *report);

/** Which limit ended the sandbox ("cpu-time", "wall-time", "memory", "output"), NULL: none. */
const char *run_limit_name(const struct sandbox_report *report);
