/* Sockets of a parent sandbox: whether a child has called on one, and calling on one in a child's
 * place. */
#pragma once

#include "base/error.h"
#include "runtime/sandbox.h"

#include <stdbool.h>
#include <sys/types.h>

/** What tells later whether a sandbox has called on the socket that it was given. */
struct call_watch {
    int table_fd; /* the sandbox's /proc/PID/net/unix; negative: there is no such socket */
    char *name;   /* the socket's file name; owned */
};
#define CALL_WATCH_INIT                                                                            \
    {                                                                                              \
        .table_fd = -EBADF                                                                         \
    }

/** Starts to watch for process PID (alive, in its own network namespace by now) whose mounts MOUNTS
 * are. The first SANDBOX_MOUNT_PARENT among them that is a socket is watched; none is no error. */
int call_watch_start(struct call_watch *w, int proc_fd, pid_t pid, const struct sandbox_spec *spec,
                     const int *mounts, struct error *e);

/** Whether somebody in the sandbox's network namespace has connected to the socket and the other
 * side still holds that connection. False where it cannot be told. */
bool call_watch_saw(const struct call_watch *w);
void call_watch_clear(struct call_watch *w);

/** Whether TABLE, the text of a /proc/PID/net/unix, has a connected socket whose address has the
 * file name NAME. */
bool unix_table_has(const char *table, const char *name);

/** Connects a new non-blocking stream socket to the socket PATH below the directory MOUNT_FD. The
 * fd, or a negative errno: -ENOENT, -ELOOP, -EXDEV of the lookup, -ENOTSOCK, -ECONNREFUSED when
 * nobody listens, -EAGAIN when the listener's queue is full. */
int connect_below(int mount_fd, const char *path);
