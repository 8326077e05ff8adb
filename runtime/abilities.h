/* Which limits a host can enforce. Memory, pids, time and output it must and can; the others depend
 * on kernel, cgroup layout and file system (enum launcher_limit). */
#pragma once

#include "host.h"

/** Bit mask of those that L sets. */
unsigned abilities_wanted(const struct sandbox_limits *l);

/** 0 where H can enforce everything in WANTED, or it is waived; else -EOPNOTSUPP naming the first
 * that is not, and what to do about it. */
int abilities_check(unsigned wanted, const struct host *h, struct error *e);
