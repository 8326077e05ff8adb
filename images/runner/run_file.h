/* The run file: which one it is, and starting it as the worker. */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <sys/types.h>

/** Processes and threads the worker may have at a time. */
#define RUN_PROCESSES_MAX 1000

/** The command of this job as a NULL-terminated list: RUN_CMD (may be NULL) cut at spaces, else the
 * first of run, run.py, run.py3, run.sh in /task, /course/common, /course. Returns 1, or 0 where
 * there is none; -ENOMEM. */
int run_file_find(int root_fd, const char *run_cmd, char ***ret);

/** What a process of the job starts with. */
struct run_process {
    const char *const *argv;
    int in, out, err; /* become 0, 1, 2; themselves above 2, or -EBADF for /dev/null */
    bool as_root;
    bool no_new_privs; /* no set-user-id program gives it more than it has */
};
/** Starts it in the present directory: as the worker (or container root), HOME=/task, at most
 * RUN_PROCESSES_MAX processes, no signal blocked or ignored. A name without "/" is looked up in
 * $PATH. -errno of the step that failed, execve(2) included. */
int run_process_start(const struct run_process *p, pid_t *ret, struct error *e);

/** Sets the owner's execute bit of a run file, which a web upload may have lost. Not below
 * /course/common, which is read-only. -errno where there is no such file. */
int run_file_make_executable(int root_fd, const char *path);
