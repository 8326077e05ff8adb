/* Reading, writing and opening by descriptor. Every fd made here is O_CLOEXEC. */
#pragma once

#include "base/buffer.h"
#include "base/error.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <sys/types.h>

/** What untrusted paths are resolved with: the directory is the root, magic links are refused. */
#define RESOLVE_UNTRUSTED (RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)

/** openat2(2): opens PATH below DIR_FD with O_CLOEXEC. RESOLVE as in openat2(2). Returns the fd or
 * a negative errno. Retries EAGAIN, which the kernel gives when a rename races with "..". */
int fd_openat2(int dir_fd, const char *path, int flags, mode_t mode, uint64_t resolve);

/** Reads until SIZE bytes or the end; returns the bytes read or a negative errno. */
ssize_t fd_read_full(int fd, void *data, size_t size);

/** Writes all of it; 0 or a negative errno. */
int fd_write_full(int fd, const void *data, size_t size);

/** Appends the rest of FD to B, at most MAX bytes: one more is -EFBIG. */
int fd_read_all(int fd, struct buffer *b, size_t max);

/** Reads the file PATH below DIR_FD (AT_FDCWD allowed) into B. */
int fd_read_file(int dir_fd, const char *path, struct buffer *b, size_t max);

/** Writes TEXT to the existing file PATH below DIR_FD by one write(2), as cgroup and proc files
 * want it. */
int fd_write_file(int dir_fd, const char *path, const char *text);

/** Sets or clears O_NONBLOCK. */
int fd_set_nonblock(int fd, bool on);

/** Removes PATH below DIR_FD and all that is below it, by fd, never following links. A missing PATH
 * is no error. Does not cross into other mounts. */
int fd_remove_tree(int dir_fd, const char *path);

/** Receives or sends one SCM_RIGHTS message over a unix socket. SIZE bytes of DATA with up to N fds
 * (at most FD_PASS_MAX); receive sets O_CLOEXEC, returns the byte count (0: peer closed) and sets
 * *ret_n; a message that was cut or has more than N fds is -EMSGSIZE and its fds are closed. */
#define FD_PASS_MAX 96
ssize_t fd_receive(int socket_fd, void *data, size_t size, int *fds, size_t n, size_t *ret_n);
ssize_t fd_send(int socket_fd, const void *data, size_t size, const int *fds, size_t n);
