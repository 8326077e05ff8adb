/* The network namespace of a sandbox without a network. */
#pragma once

#include "base/error.h"

/** Brings loopback up in the calling process's network namespace (needs CAP_NET_ADMIN over it). */
int netns_loopback_up(void);

/** Sets the sysctls of the calling process's network namespace through PROC_FD, a proc file system
 * mounted in it, as Docker does: any port for any user, ping without a raw socket for every group
 * there is. */
int netns_set_sysctls(int proc_fd, struct error *e);

/** Opens the network namespace of process PID below PROC_FD. */
int netns_open(int proc_fd, int pid, struct error *e);
