/* What PID 1 makes ready before the run file starts, and puts right after it ended. */
#pragma once

#include "base/error.h"
#include "wire/frame_runner.h"

/** The user and group that run files and student code run as. */
#define WORKER_ID 4242

/** Everything up to the start of the run file: input, directories, rights, /etc/hosts. *ret_refusal
 * is set to a text (static) where the run file must not be started but the student is to be told
 * why. Errors end the job as a crash with their text. */
int prepare(int root_fd, const struct runner_message *start, const char **ret_refusal,
            struct error *e);

/** Applies /task/systemfiles/{hosts,resolv.conf}. -errno, and *ret_refusal says which failed. */
int prepare_system_files(int root_fd, const char **ret_refusal);

/** Gives DIR below ROOT_FD and all in it to the worker, mode 0777, never following links. */
int prepare_rights(int root_fd, const char *dir, struct error *e);
