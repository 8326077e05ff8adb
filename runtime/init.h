/* The first process of a sandbox whose spec asks for an init.
 *
 * The kernel keeps the first process of a pid namespace from dying of signals it has no handler
 * for, even of its own abort(3), and makes it the parent of every orphan. A program that is not
 * written for that behaves otherwise than on the host: Ctrl-C does nothing, a failed assertion ends
 * as SIGSEGV, zombies count against the limit of tasks. So the program may be given a parent: this
 * copy of the launcher, which has lost every descriptor but the status pipe, every capability but
 * CAP_KILL, and cannot be looked into by the container (it is not dumpable, and its memory belongs
 * to the host's user namespace). It hands signals on, collects children, and ends when the program
 * does. */
#pragma once

#include <sys/types.h>

/** Blocks all signals: those that come before init_serve() waits for them stay pending. */
void init_block_signals(void);
/** Takes that back, in the program's process. */
void init_unblock_signals(void);

/** Overwrites the command line, which the container can read: it is the launcher's and names places
 * of the host. */
int init_hide(void);

/** Gives up all capabilities but CAP_KILL, and all system calls but those of init_serve(): a filter
 * of its own, since an administrator's could forbid what it needs. To be called when the program
 * runs, which would inherit both. */
int init_confine(void);

/** Serves until PROGRAM has ended, writes a struct child_status to STATUS_FD and exits. */
_Noreturn void init_serve(pid_t program, int status_fd);
