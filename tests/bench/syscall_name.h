/* Names of system calls. Apart because <seccomp.h> and runtime/seccomp.h both have a
 * seccomp_load().
 */
#pragma once

/** The name of system call NUMBER of this architecture; the caller frees it; NULL: unknown. */
char *syscall_name(int number);
