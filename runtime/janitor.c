#include "janitor.h"

#include "base/fdio.h"

#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* Names are made by the launcher: "s" and a number. */
#define NAME_BYTES_MAX 64

struct janitor {
    int dir_fd;
    int socket_fd;
    pid_t pid;
};

enum { JANITOR_DIR = 3, JANITOR_SOCKET, JANITOR_KILL, JANITOR_FDS_ };

/* Nothing but its three fds may stay open: locks of the launcher above all. Standard input and the
 * like stay, an agent's log is no loss. */
static int keep_fds(const int fds[3])
{
    int high[3];

    for (int i = 0; i < 3; i++) {
        high[i] = fcntl(fds[i], F_DUPFD, JANITOR_FDS_);
        if (high[i] < 0)
            return -errno;
    }
    for (int i = 0; i < 3; i++)
        if (dup2(high[i], JANITOR_DIR + i) < 0)
            return -errno;
    return close_range(JANITOR_FDS_, ~0U, 0) < 0 ? -errno : 0;
}

static _Noreturn void work(const int fds[3])
{
    char name[NAME_BYTES_MAX];
    ssize_t n;

    if (keep_fds(fds) < 0)
        _exit(1);
    prctl(PR_SET_NAME, "dockless-clean");
    /* Signals of a terminal are the launcher's business: it closes the socket. */
    for (int number = 1; number < NSIG; number++)
        if (number != SIGSEGV && number != SIGBUS && number != SIGILL && number != SIGFPE)
            signal(number, SIG_IGN);
    while ((n = recv(JANITOR_SOCKET, name, sizeof(name) - 1, 0)) > 0) {
        name[n] = 0;
        (void)fd_remove_tree(JANITOR_DIR, name);
    }
    /* The other end has closed: there is no launcher any more, so there is no sandbox. */
    if (write(JANITOR_KILL, "1", 1) < 0 && errno != ENODEV)
        _exit(1);
    _exit(0);
}

int janitor_open(int dir_fd, int kill_fd, struct janitor **ret, struct error *e)
{
    _cleanup_free_ struct janitor *j = calloc(1, sizeof(*j));
    _cleanup_close_ int launcher_end = -EBADF, janitor_end = -EBADF;
    int pair[2];

    if (!j)
        return error_sys(e, -ENOMEM, "janitor");
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return error_sys(e, -errno, "janitor: socketpair");
    launcher_end = pair[0];
    janitor_end = pair[1];
    j->pid = fork();
    if (j->pid < 0)
        return error_sys(e, -errno, "janitor: fork");
    if (j->pid == 0)
        work((const int[3]){dir_fd, janitor_end, kill_fd});
    j->dir_fd = dir_fd;
    j->socket_fd = TAKE_FD(launcher_end);
    *ret = TAKE_PTR(j);
    return 0;
}

void janitor_remove(struct janitor *j, const char *name)
{
    if (send(j->socket_fd, name, strlen(name), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        (void)fd_remove_tree(j->dir_fd, name);
}

void janitor_close(struct janitor *j)
{
    safe_close(j->socket_fd);
    while (waitpid(j->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    free(j);
}
