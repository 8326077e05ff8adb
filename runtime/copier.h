/* A process that copies one task tree, so that the launcher does not wait for a disk. */
#pragma once

#include "mounts.h"

#include "base/loop.h"

struct copier;

/** Called once from the event loop. RESULT: 1 the tree was copied (mount_prepare() takes
 * MOUNT_COPIED then), 0 it needs no copy, negative it failed and E says why. May free the copier.
 */
typedef void (*copier_done_fn)(int result, const struct error *e, void *userdata);

/** What the process does; negative: E says why. */
typedef int (*copier_work_fn)(const void *what, struct error *e);

/** Forks a process that calls FN with WHAT, which need not outlive the call. */
int copier_run(struct loop *event, const struct host *h, copier_work_fn fn, const void *what,
               copier_done_fn done, void *userdata, struct copier **ret, struct error *e);

/** Forks a process that copies the source of mount M, number INDEX; without FORCE only where it has
 * owners that cannot be mapped. */
int copier_start(struct loop *event, const struct mount_source *s, const struct sandbox_mount *m,
                 size_t index, bool force, copier_done_fn done, void *userdata, struct copier **ret,
                 struct error *e);

/** Kills it where it is still at work. */
void copier_free(struct copier *c);
DEFINE_CLEANUP(struct copier, copier_free)
