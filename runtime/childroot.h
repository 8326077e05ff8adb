/* The child's half of the file system: mounts moved into place, own proc and sysfs, masks, pivot.
 */
#pragma once

#include "child.h"

/** Builds the container's root below PLAN's overlay and makes it the process's root; the working
 * directory is then "/". Returns 0, or a negative errno with the step's name in STEP. */
int childroot_enter(const struct child_plan *plan, char step[SANDBOX_STEP_MAX], struct error *e);
