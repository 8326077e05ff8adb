/* A login by ssh into the container, with a password made for it: the student's own container
 * (ssh_student), or the grading container when its task is debugged.
 *
 * The server is the image's: OpenSSH's sshd, else dropbear. Whether somebody is logged in is seen
 * from outside the server: a process of the user's below it. */
#pragma once

#include "base/buffer.h"
#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/** How long PID 1 waits for somebody to log in, and in debugging for them to leave. */
#define SSH_LOGIN_SECONDS 120
#define SSH_STAY_SECONDS  1800
/** How often it looks. */
#define SSH_LOOK_MSEC 250
/** Exit status of a session that nobody came to, or that took too long. */
#define SSH_NOBODY 253

#define SSH_PASSWORD_SIZE 17

struct ssh_session {
    uid_t uid;
    pid_t server;
    char password[SSH_PASSWORD_SIZE];
    uint64_t login_until, stay_until; /* CLOCK_MONOTONIC microseconds */
    unsigned stay;                    /* seconds, 0: no limit */
    bool logged_in;                   /* somebody is or was */
};

/** Gives USER ("worker" or "root") a password and starts the server on port 22. STAY: seconds that
 * a login may last, 0: without limit. */
int ssh_start(int root_fd, const char *user, unsigned stay, struct ssh_session *ret,
              struct error *e);
/** Looks how it stands: -EAGAIN while it goes on, 0 when who was there has left, SSH_NOBODY. */
int ssh_look(struct ssh_session *s, int root_fd);

/** Puts HASH into the line of USER in the shadow file TEXT of SIZE bytes, which is made where it is
 * missing. Appends the new file to OUT. */
int ssh_set_hash(const char *text, size_t size, const char *user, const char *hash,
                 struct buffer *out);
