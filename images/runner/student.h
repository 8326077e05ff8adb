/* PID 1 of a student container, the command _run_student_intern: gets its order over
 * /__parent.sock, runs the command as the worker with the grader's standard files, passes signals
 * on, and exits as the command did. Where the grader's side goes away, the container ends. */
#pragma once

#include "commands.h"

int command_run_student_intern(const struct invocation *c);
