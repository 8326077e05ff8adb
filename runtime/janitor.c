#include "janitor.h"

#include "base/fdio.h"
#include "base/text.h"

#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* Names are made by the launcher: "s" and a number. */
#define NAME_BYTES_MAX 64
/* Cleaning may wait, jobs may not. */
#define JANITOR_NICE 10
/* Names that its socket (some 280 of them) did not take before it no longer waits: on a machine
 * that has always something better to do it would never catch up. */
#define BEHIND_NAMES 64
/* Fds of one message; the kernel takes 253 (SCM_MAX_FD). */
#define MESSAGE_FDS_MAX 128
/* What it keeps open without a process, above all mounts of one sandbox. */
#define KEPT_MAX 128
/* A message without a name: only the fds are meant. */
#define NO_NAME "."

struct janitor {
    int dir_fd;
    int kill_fd;
    int socket_fd;
    pid_t pid; /* 0: none yet */
    int kept[KEPT_MAX];
    size_t n_kept;
    struct loop *loop;
    struct loop_source *room; /* in its socket; enabled while names wait */
    char **waiting;           /* names that its socket did not take yet */
    bool hurried;             /* as important as a job for now */
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

struct message {
    struct iovec iov;
    struct msghdr header;
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int) * MESSAGE_FDS_MAX)];
    } control;
};

static void close_received(struct msghdr *header)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t i = 0; i < n; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
            close(fd);
        }
    }
}

/* Serves until the other end closes. */
static void serve(void)
{
    char name[NAME_BYTES_MAX];

    for (;;) {
        struct message m = {.iov = {name, sizeof(name) - 1}};
        ssize_t n;
        m.header = (struct msghdr){.msg_iov = &m.iov,
                                   .msg_iovlen = 1,
                                   .msg_control = &m.control,
                                   .msg_controllen = sizeof(m.control)};
        n = recvmsg(JANITOR_SOCKET, &m.header, MSG_CMSG_CLOEXEC);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return;
        close_received(&m.header);
        name[n] = 0;
        if (strcmp(name, NO_NAME) != 0)
            (void)fd_remove_tree(JANITOR_DIR, name);
    }
}

static _Noreturn void work(const int fds[3])
{
    if (keep_fds(fds) < 0)
        _exit(1);
    prctl(PR_SET_NAME, "dockless-clean");
    /* Signals of a terminal are the launcher's business: it closes the socket. */
    for (int number = 1; number < NSIG; number++)
        if (number != SIGSEGV && number != SIGBUS && number != SIGILL && number != SIGFPE)
            signal(number, SIG_IGN);
    serve();
    /* The other end has closed: there is no launcher any more, so there is no sandbox. */
    if (write(JANITOR_KILL, "1", 1) < 0 && errno != ENODEV)
        _exit(1);
    _exit(0);
}

int janitor_open(int dir_fd, int kill_fd, struct loop *loop, struct janitor **ret, struct error *e)
{
    struct janitor *j = calloc(1, sizeof(*j));

    if (!j)
        return error_sys(e, -ENOMEM, "janitor");
    j->dir_fd = dir_fd;
    j->kill_fd = kill_fd;
    j->socket_fd = -EBADF;
    j->loop = loop;
    *ret = j;
    return 0;
}

static void close_kept(struct janitor *j)
{
    for (size_t i = 0; i < j->n_kept; i++)
        safe_close(j->kept[i]);
    j->n_kept = 0;
}

static void hurry(struct janitor *j, bool hurried)
{
    if (j->hurried != hurried)
        (void)setpriority(PRIO_PROCESS, (id_t)j->pid, hurried ? 0 : JANITOR_NICE);
    j->hurried = hurried;
}

/* Hands over what waits, as far as it goes; false where nobody takes it any more. */
static bool hand_over(struct janitor *j)
{
    size_t sent = 0, n = strv_length(j->waiting);
    bool gone = false;

    while (sent < n && !gone) {
        const char *name = j->waiting[sent];
        if (send(j->socket_fd, name, strlen(name), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
            free(j->waiting[sent++]);
        else if (errno == EAGAIN || errno == EINTR)
            break;
        else
            gone = true;
    }
    if (sent > 0)
        memmove(j->waiting, j->waiting + sent, (n - sent + 1) * sizeof(char *));
    (void)loop_source_enable(j->room, sent < n && !gone);
    hurry(j, n - sent > (j->hurried ? 0 : BEHIND_NAMES));
    return !gone;
}

static int on_room(struct loop_source *source, int fd, uint32_t revents, void *userdata)
{
    (void)source, (void)fd, (void)revents;
    (void)hand_over(userdata);
    return 0;
}

int janitor_start(struct janitor *j, struct error *e)
{
    _cleanup_close_ int launcher_end = -EBADF, janitor_end = -EBADF;
    int pair[2], r;
    pid_t pid;

    if (j->pid > 0)
        return 0;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return error_sys(e, -errno, "janitor: socketpair");
    launcher_end = pair[0];
    janitor_end = pair[1];
    r = loop_add_io(j->loop, &j->room, launcher_end, EPOLLOUT, on_room, j);
    if (r < 0)
        return error_sys(e, r, "janitor: event loop");
    (void)loop_source_enable(j->room, false);
    close_kept(j);
    pid = fork();
    if (pid < 0) {
        r = -errno;
        j->room = loop_source_free(j->room);
        return error_sys(e, r, "janitor: fork");
    }
    if (pid == 0)
        work((const int[3]){j->dir_fd, janitor_end, j->kill_fd});
    (void)setpriority(PRIO_PROCESS, (id_t)pid, JANITOR_NICE);
    j->pid = pid;
    j->socket_fd = TAKE_FD(launcher_end);
    return 0;
}

void janitor_remove(struct janitor *j, const char *name)
{
    if (j->pid > 0 && hand_over(j) && strv_length(j->waiting) < JANITOR_WAITING_MAX &&
        strv_append(&j->waiting, name) == 0)
        (void)hand_over(j);
    else
        (void)fd_remove_tree(j->dir_fd, name);
}

static void keep(struct janitor *j, const int *fds, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (fds[i] >= 0 && j->n_kept < KEPT_MAX)
            j->kept[j->n_kept++] = fds[i];
        else
            safe_close(fds[i]);
    }
}

void janitor_close_fds(struct janitor *j, const int *fds, size_t n)
{
    if (j->pid == 0) {
        keep(j, fds, n);
        return;
    }
    (void)hand_over(j);
    for (size_t at = 0; at < n; at += MESSAGE_FDS_MAX) {
        size_t count = MIN(n - at, (size_t)MESSAGE_FDS_MAX);
        struct message m = {.iov = {(void *)(uintptr_t)NO_NAME, strlen(NO_NAME)}};
        struct cmsghdr *c;
        m.header = (struct msghdr){.msg_iov = &m.iov,
                                   .msg_iovlen = 1,
                                   .msg_control = &m.control,
                                   .msg_controllen = CMSG_SPACE(sizeof(int) * count)};
        c = CMSG_FIRSTHDR(&m.header);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * count);
        memcpy(CMSG_DATA(c), fds + at, sizeof(int) * count);
        /* Where it is not taken, our own close is the last one: slower, not wrong. */
        (void)sendmsg(j->socket_fd, &m.header, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    for (size_t i = 0; i < n; i++)
        safe_close(fds[i]);
}

void janitor_close(struct janitor *j)
{
    j->room = loop_source_free(j->room);
    if (j->pid > 0)
        hurry(j, true); /* somebody waits for it now */
    for (char **name = j->waiting; name && *name; name++)
        if (send(j->socket_fd, *name, strlen(*name), MSG_NOSIGNAL) < 0)
            (void)fd_remove_tree(j->dir_fd, *name);
    safe_close(j->socket_fd);
    close_kept(j);
    while (j->pid > 0 && waitpid(j->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    j->waiting = strv_free(j->waiting);
    free(j);
}
