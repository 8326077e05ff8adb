/* Which sandboxes run on this host: a file for each, below the run directory that all launchers
 * share, and a lock that says whether its launcher still lives. What a killed launcher leaves is
 * seen to be its by that, so nothing that is told here is out of date. */
#pragma once

#include "runtime/running.h"

struct registry;

/** Makes RUN_DIR/launchers/INSTANCE and holds its lock. */
int registry_open(const char *run_dir, const char *instance, struct registry **ret,
                  struct error *e);
/** Removes it. */
void registry_close(struct registry *r);
DEFINE_CLEANUP(struct registry, registry_close)

/** Tells that sandbox NAME runs SPEC, its first process PID. A file that cannot be written is one
 * sandbox less in a list, and no reason not to run it. */
void registry_add(struct registry *r, const char *name, const struct sandbox_spec *spec, pid_t pid);
void registry_remove(struct registry *r, const char *name);
