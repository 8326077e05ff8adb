/* The side of PID 1 that commands of the grading container ask for student containers.
 *
 *   run_student --(sockets/main.sock)--> PID 1 --(frames)--> agent
 *
 * The socket is SOCK_SEQPACKET; each packet is one message, encoded as in frames but without a
 * length before it: `run_student` and `ssh_student` from the command, `run_student_started` and
 * `run_student_retval` back. One connection asks for one student container. */
#pragma once

#include "wire/frame_runner.h"

#include <poll.h>

#define STUDENTS_SOCKET "/sockets/main.sock"
/** Student containers of one job that are waited for at a time. */
#define STUDENTS_MAX 256
/** Longest packet: ids, names and numbers. */
#define STUDENTS_PACKET_MAX ((size_t)16 << 10)

struct student {
    int fd;          /* to the command */
    char *socket_id; /* NULL until it asked */
};

struct students {
    int listen_fd; /* -EBADF: none can be had */
    struct student list[STUDENTS_MAX];
    size_t n;
};
#define STUDENTS_INIT                                                                              \
    {                                                                                              \
        .listen_fd = -EBADF                                                                        \
    }

/** Makes the socket, for the worker's use. */
int students_open(struct students *s, struct error *e);
void students_clear(struct students *s);

/** Fills FDS, of at least STUDENTS_MAX + 1, with what to wait for; returns how many. */
size_t students_poll(const struct students *s, struct pollfd *fds);
/** Does what FDS, filled by students_poll() and poll(2), ask for. Appends frames for the agent to
 * OUT. -ENOMEM, -EMSGSIZE. */
int students_handle(struct students *s, const struct pollfd *fds, size_t n, struct buffer *out);
/** Passes BODY, a message from the agent for SOCKET_ID, on to the command that waits for it. LAST:
 * it is the last one. */
void students_answer(struct students *s, const char *socket_id, const void *body, size_t size,
                     bool last);
