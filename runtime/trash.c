#include "trash.h"

#include "base/fdio.h"

#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* Names are made by the launcher: "s" and a number. */
#define TRASH_NAME_MAX 64

struct trash {
    int dir_fd;
    int socket_fd;
    pid_t pid;
};

static _Noreturn void janitor(int dir_fd, int socket_fd, pid_t launcher)
{
    char name[TRASH_NAME_MAX];
    ssize_t n;

    /* Fds of the launcher (locks above all) must not outlive it here. */
    if (dup2(dir_fd, 3) < 0 || dup2(socket_fd, 4) < 0 || close_range(5, ~0U, 0) < 0)
        _exit(1);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != launcher)
        _exit(1);
    prctl(PR_SET_NAME, "dockless-trash");
    while ((n = recv(4, name, sizeof(name) - 1, 0)) > 0) {
        name[n] = 0;
        (void)fd_remove_tree(3, name);
    }
    _exit(0);
}

int trash_open(int dir_fd, struct trash **ret, struct error *e)
{
    _cleanup_free_ struct trash *t = calloc(1, sizeof(*t));
    int pair[2];
    pid_t launcher = getpid();

    if (!t)
        return error_sys(e, -ENOMEM, "janitor");
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return error_sys(e, -errno, "janitor: socketpair");
    *t = (struct trash){dir_fd, pair[0], fork()};
    if (t->pid == 0) {
        int dir = fcntl(dir_fd, F_DUPFD, 10);
        int socket_fd = fcntl(pair[1], F_DUPFD, 10);
        janitor(dir, socket_fd, launcher);
    }
    safe_close(pair[1]);
    if (t->pid < 0) {
        int r = -errno;
        safe_close(pair[0]);
        return error_sys(e, r, "janitor: fork");
    }
    *ret = TAKE_PTR(t);
    return 0;
}

void trash_throw(struct trash *t, const char *name)
{
    if (send(t->socket_fd, name, strlen(name), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        (void)fd_remove_tree(t->dir_fd, name);
}

void trash_close(struct trash *t)
{
    safe_close(t->socket_fd);
    while (waitpid(t->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    free(t);
}
