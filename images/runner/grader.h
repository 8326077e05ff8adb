/* PID 1 of a grading container, the command INGInious.
 *
 * State       Left when                               Then
 * WAITING     `start` came on stdin                   everything is prepared, the run file starts
 * RUNNING     the run file's process ended            its leftovers are killed, the result is sent
 * DEBUGGING   who logged in by ssh has left           the same
 * DONE                                                exit
 *
 * Whatever goes wrong behind `start` is told in the result ("Exception occured in container (...)")
 * so that there always is one; before it the only answer is the exit status. */
#pragma once

#include "commands.h"

int command_inginious(const struct invocation *c);
