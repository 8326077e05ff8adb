/* What passes between run_student in the grading container and PID 1 of a student container, over
 * a stream socket that is mounted there as /__parent.sock (protocol.md of INGInious' containers,
 * generation "main"; both sides also talk to those of INGInious' own images):
 *
 *   student            "H"
 *   run_student        "S" and three fds: its standard input, output and error
 *   run_student        one msgpack map: run_student_command
 *   student (ssh)      a length of four bytes, big-endian, and one msgpack map: ssh_student
 *   run_student        three digits for each signal to be sent to the command */
#pragma once

#include "base/buffer.h"
#include "base/error.h"

#include <stdbool.h>
#include <sys/types.h>

#define STUDENT_SOCKET      "/__parent.sock"
#define STUDENT_SIGNAL_SIZE 3
/** Signals that have come but not been sent on; there is no reason to keep many. */
#define STUDENT_SIGNALS_MAX ((size_t)64 * STUDENT_SIGNAL_SIZE)
/** Longest command message: a command line may be as long as the kernel takes them (MAX_ARG_STRLEN
 * for one of its words, 128 KiB), and a few of them fit. */
#define STUDENT_COMMAND_MAX ((size_t)1 << 20)
/** Longest message with a password. */
#define STUDENT_PASSWORD_MAX ((size_t)4 << 10)

/** What a student container is to do. */
struct student_command {
    const char *container_id, *command, *teardown, *working_dir, *user;
    bool ssh;
};

/** Waits for the hello on FD and sends FDS and COMMAND. */
int student_link_send(int fd, const struct student_command *command, const int fds[3]);

/** The student's side of it. Strings and fds are owned. */
struct student_order {
    char *container_id, *command, *teardown, *working_dir, *user;
    bool ssh;
    int fds[3];
    struct buffer signals; /* what came behind the message */
};
int student_link_receive(int fd, struct student_order *ret, struct error *e);
void student_order_clear(struct student_order *o);

struct student_password {
    char *user, *password; /* owned */
};
int student_link_send_password(int fd, const char *user, const char *password);
int student_link_receive_password(int fd, struct student_password *ret);
void student_password_clear(struct student_password *p);
