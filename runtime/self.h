/* The program itself, as a copy that nothing can change. */
#pragma once

#include "base/error.h"

/** An fd of a sealed copy of the program that this process runs, in memory, close-on-exec; for
 * execveat(2). A process that runs from such a copy needs no other: it is that file.
 *
 * A process of ours that enters a container is, until it executes the container's program, one of
 * ours: whoever gets hold of its /proc/PID/exe, or makes it execute "/proc/self/exe", gets hold of
 * our program's file (CVE-2019-5736). This way that is a piece of memory which the kernel lets
 * nobody write to, not a file of the host.
 *
 * A negative errno where it cannot be made. */
int self_copy(struct error *e);

/** Seals the memory file FD against every change. Whatever looks at memory, as DAMON and compaction
 * do, holds pages for a moment, and those cannot be sealed (fcntl(2), EBUSY): that is waited for, 3
 * s at most. 0, or a negative errno. */
int self_seal(int fd);

/** Whether this process runs from a sealed copy; a negative errno where that cannot be told. */
int self_is_sealed(void);
