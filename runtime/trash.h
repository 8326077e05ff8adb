/* The janitor: a small process that removes directories the launcher has no more use for, so that
 * a job that leaves 10^5 files behind does not hold up the others. */
#pragma once

#include "base/error.h"

#include <sys/types.h>

struct trash;

/** Forks the janitor for directories below DIR_FD. It ends with the launcher. */
int trash_open(int dir_fd, struct trash **ret, struct error *e);

/** Has NAME removed. Where the janitor has fallen far behind, or is gone, the caller's process does
 * the work: the disk fills no faster than it is emptied. */
void trash_throw(struct trash *t, const char *name);

/** Lets the janitor finish and waits for it. */
void trash_close(struct trash *t);
DEFINE_CLEANUP(struct trash, trash_close)
