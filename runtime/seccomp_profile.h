/* Which system calls a container may make: the data that seccomp.c compiles.
 *
 * The semantics are those of Docker's default profile (moby/profiles, seccomp/default.json) for
 * Docker's default capabilities:
 *
 *   - what is named below is allowed, some of it only with certain arguments;
 *   - every other number up to the newest call the profile knows is EPERM;
 *   - newer numbers are ENOSYS, as runc has it, so that a libc which tries a new call falls back to
 *     the old one instead of reporting a failure;
 *   - clone3 is ENOSYS too: its flags lie in memory, out of a filter's reach.
 *
 * Two things are stricter than there. Arguments that the kernel takes as 32-bit numbers are
 * compared in their low 32 bits: comparing all 64 lets socket(AF_VSOCK | 1 << 32) pass, and the
 * kernel sees AF_VSOCK. And ioctl refuses TIOCSTI and TIOCLINUX, which put characters into the
 * input of a terminal that somebody else reads. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/** The newest call the profile has an opinion on: removexattrat, Linux 6.13. */
#define SECCOMP_NEWEST 466

#define SECCOMP_VALUES_MAX 5

/** A call that any process may make. */
extern const int seccomp_allowed[];
extern const size_t seccomp_n_allowed;

/** A call that the holder of a capability may make (linux/capability.h). */
struct seccomp_privileged {
    int capability;
    int number;
};
extern const struct seccomp_privileged seccomp_privileged[];
extern const size_t seccomp_n_privileged;

enum seccomp_test {
    SECCOMP_ONE_OF,  /* allowed where the argument is one of the values */
    SECCOMP_NONE_OF, /* allowed where it is none of them */
    SECCOMP_NO_BITS, /* allowed where it has none of the bits of the only value */
};

/** A call that depends on the low 32 bits of one argument; EPERM otherwise. */
struct seccomp_conditional {
    int number;
    unsigned argument;
    enum seccomp_test test;
    uint32_t n_values;
    uint32_t values[SECCOMP_VALUES_MAX];
};
extern const struct seccomp_conditional seccomp_conditional[];
extern const size_t seccomp_n_conditional;

/** Calls that do not exist, whatever the kernel says (unless they are privileged and the capability
 * is there). */
extern const int seccomp_absent[];
extern const size_t seccomp_n_absent;
