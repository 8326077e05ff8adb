/* The system call filter: Docker's default semantics, compiled once into a BPF program that every
 * child loads. */
#pragma once

#include "base/error.h"

#include <linux/filter.h>

/** A compiled program. Plain data: it is inherited by the forked child, which loads it with one
 * system call. */
struct seccomp_program {
    struct sock_filter *filter; /* owned */
    unsigned short length;
};

/** Compiles the default profile for the capabilities of capabilities.h. */
int seccomp_compile_default(struct seccomp_program *ret, struct error *e);
void seccomp_program_clear(struct seccomp_program *p);
/** A copy of its own; -ENOMEM leaves *RET untouched. */
int seccomp_program_copy(const struct seccomp_program *p, struct seccomp_program *ret);

/** Loads P for the calling thread; needs CAP_SYS_ADMIN in its user namespace or no_new_privs.
 * Async-signal-safe; returns 0 or a negative errno. */
int seccomp_load(const struct seccomp_program *p);
