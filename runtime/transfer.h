/* Files that are copied into a sandbox before its program starts, and out of it after its end. Both
 * may take long and are done in a process of their own (copier.h). */
#pragma once

#include "child.h"

/** What transfer_in() needs. */
struct transfer_in {
    const struct host *host;
    const struct sandbox_spec *spec;
    int root_fd;                      /* the root's detached mount, nothing mounted on it yet */
    const struct child_mount *mounts; /* the other ones, in the spec's order */
    size_t n_mounts;
    uint32_t base; /* host id of container root */
};

/** Carries out the spec's copies into the sandbox; a copier_work_fn of a struct transfer_in. What
 * is made belongs to the program's user. A target is looked up in the mount that its path names
 * (the longest one), with links followed below that mount as their root. */
int transfer_in(const void *what, struct error *e);

/** What transfer_out() needs. */
struct transfer_out {
    const struct host *host;
    const struct sandbox_copy *copies; /* of both directions */
    size_t n_copies;
    int mnt_ns_fd; /* of the sandbox, in which nothing runs any more */
};

/** Carries out the copies out of the sandbox, all that are possible, and fails with the first
 * error; a copier_work_fn of a struct transfer_out. */
int transfer_out(const void *what, struct error *e);
