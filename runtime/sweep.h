/* Leftovers of an earlier life: instances whose launcher was killed. */
#pragma once

#include "base/error.h"

/** Makes the directory of a new instance `i-XXXXXXXX` below SCRATCH_FD, holds its lock, and returns
 * its fd; NAME gets its name. Its file `cgroups` names (one a line) the cgroup directories of the
 * instance: sweep_note_cgroups(). */
int sweep_new_instance(int scratch_fd, char **ret_name, struct error *e);
int sweep_note_cgroups(int instance_fd, char *const *paths, struct error *e);

/** Removes the instances below SCRATCH_FD that nobody holds a lock on: kills and removes their
 * cgroups (only directories named dockless-INSTANCE) and their network, then their files. Returns
 * how many were swept. What cannot be removed is skipped. */
int sweep_instances(int scratch_fd, struct error *e);

/** Removes the instance's directory while still holding its lock. */
void sweep_remove_instance(int scratch_fd, int instance_fd, const char *name);
