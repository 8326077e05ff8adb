/* System call profiles in the JSON of the OCI runtime specification (linux.seccomp) and of Docker
 * (--security-opt seccomp=FILE, whose "includes", "excludes" and "archMap" are understood), made
 * into a filter.
 *
 * Differences from what runc makes of the same file, all to the strict side: a foreign architecture
 * is always killed, calls newer than we know are always ENOSYS, arguments that the kernel takes as
 * 32-bit numbers are compared as such, and rules are tried in the order of the file. */
#pragma once

#include "seccomp_policy.h"

/* Bounds on a profile; Docker's own has 40 rules, 400 names in the longest, 15 KB. */
#define PROFILE_BYTES_MAX ((size_t)1 << 20)
#define PROFILE_RULES_MAX 4096
#define PROFILE_NAMES_MAX 2048
#define PROFILE_ARGS_MAX  32

/** Reads SIZE bytes of JSON into rules for this architecture, this kernel and the capabilities of
 * capabilities.h. -EBADMSG with a line that names the rule: `syscalls[3] ("socket"): args[0].op:
 * ...`; -ENOMEM. */
int profile_parse(const void *data, size_t size, struct seccomp_policy *ret, struct error *e);

/** Reads, compiles and tries the profile in file PATH. Errors begin with the path. */
int profile_load(const char *path, struct seccomp_program *ret, struct error *e);

/** The number of the call NAME on this architecture, negative where it has none. */
int syscall_number(const char *name);
