/* The program itself, as a copy that nothing can change. */
#pragma once

#include "base/error.h"

/** Makes this process run from a sealed copy of its own program in memory: where it does not yet,
 * the copy is made and executed with ARGV and the present environment (the process id stays).
 *
 * A process of ours that enters a container is, until it executes the container's program, one of
 * ours: whoever gets hold of its /proc/PID/exe, or makes it execute "/proc/self/exe", gets hold of
 * our program's file (CVE-2019-5736). This way that is a piece of memory which the kernel lets
 * nobody write to, not a file of the host. Call first of all in main() of what starts a launcher.
 *
 * Returns 0 in the copy, a negative errno where it cannot be made. */
int self_seal(char **argv, struct error *e);

/** Whether this process runs from a sealed copy. */
int self_is_sealed(void);
