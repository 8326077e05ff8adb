/* The cage around whatever reads a foreign archive. */
#pragma once

#include "base/error.h"

#include <sys/types.h>

/** In the parent: gives the child PID, which has called confine_enter_namespaces(), its ids:
 * 0..65535 of its own user namespace are those of the caller's. */
int confine_map_ids(pid_t pid, struct error *e);

/** In the child, single-threaded: DIRECTORY_FD becomes the working directory, then come new user,
 * mount, network, IPC, UTS and cgroup namespaces. The ids are unmapped until the parent has called
 * confine_map_ids(). */
int confine_enter_namespaces(int directory_fd, struct error *e);

/** In the child, after that: the working directory becomes the root of everything it can name, all
 * capabilities but those for writing files of any owner go, and so do all system calls but those of
 * the unpacker. Threads may be made afterwards. *ret_root_fd is the new root. */
int confine_to_directory(int *ret_root_fd, struct error *e);
