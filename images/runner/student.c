#include "student.h"

#include "prepare.h"
#include "run_file.h"
#include "shell_words.h"
#include "ssh.h"
#include "student_link.h"

#include "base/fdio.h"
#include "base/text.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* Exit status of a container that could not do what it was told, as of upstream's: an exception
 * there. */
#define STATUS_FAILED 1
/* ... and of one that did not get that far. */
#define STATUS_ERROR 254

#define SCRIPTS_DIR "task/student/scripts"
/* What an empty command says, on the student's standard output. */
#define NO_COMMAND "info: student container started with no command set\n"

struct student_container {
    int root_fd, link_fd, signal_fd;
    struct student_order order;
    pid_t command;
};

static void container_clear(struct student_container *s)
{
    s->link_fd = safe_close(s->link_fd);
    s->signal_fd = safe_close(s->signal_fd);
    student_order_clear(&s->order);
}

static int connect_parent(struct student_container *s, struct error *e)
{
    const struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = STUDENT_SOCKET};

    s->link_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s->link_fd < 0 ||
        connect(s->link_fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
        return error_sys(e, -errno, STUDENT_SOCKET);
    return student_link_receive(s->link_fd, &s->order, e);
}

static int watch_children(struct student_container *s, struct error *e)
{
    sigset_t child;

    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    if (sigprocmask(SIG_BLOCK, &child, NULL) < 0)
        return error_sys(e, -errno, "sigprocmask");
    s->signal_fd = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    return s->signal_fd < 0 ? error_sys(e, -errno, "signalfd") : 0;
}

/* Hides the scripts of setup and teardown from the student, or shows them. A container that has
 * none of these has nothing to hide. */
static int show_scripts(const struct student_container *s, bool show, struct error *e)
{
    if (fchmodat(s->root_fd, SCRIPTS_DIR, show ? 0777 : 0, 0) < 0 && errno != ENOENT)
        return error_sys(e, -errno, "/" SCRIPTS_DIR);
    return 0;
}

/* Sends the signals whose numbers have come, three digits each. "---" and nonsense end that. */
static void take_signals(struct student_container *s)
{
    struct buffer *b = &s->order.signals;

    while (b->size >= STUDENT_SIGNAL_SIZE && s->command > 0) {
        char number[STUDENT_SIGNAL_SIZE + 1] = "";
        uint64_t value;
        memcpy(number, b->data, STUDENT_SIGNAL_SIZE);
        buffer_consume(b, STUDENT_SIGNAL_SIZE);
        if (text_parse_uint(number, NSIG - 1, &value) < 0)
            s->link_fd = safe_close(s->link_fd);
        else
            kill(s->command, (int)value);
    }
}

static void read_signals(struct student_container *s)
{
    char bytes[STUDENT_SIGNALS_MAX / 2];
    ssize_t n = recv(s->link_fd, bytes, sizeof(bytes), MSG_DONTWAIT);

    if (n > 0 && buffer_append(&s->order.signals, bytes, (size_t)n) >= 0) {
        take_signals(s);
    } else if (n >= 0 || (errno != EAGAIN && errno != EINTR)) {
        /* Nobody waits for this container any more. */
        s->link_fd = safe_close(s->link_fd);
        if (s->command > 0)
            kill(s->command, SIGKILL);
    }
}

/* Reaps until PID ends; its exit status, or what a shell's own exit would make of a signal: Python
 * calls it -N and exits with that. */
static int wait_for(struct student_container *s, pid_t pid)
{
    for (;;) {
        struct pollfd fds[] = {{.fd = s->signal_fd, .events = POLLIN},
                               {.fd = s->link_fd, .events = POLLIN}};
        struct signalfd_siginfo info;
        pid_t ended;
        int status;

        if (poll(fds, ARRAY_SIZE(fds), -1) < 0 && errno != EINTR)
            return STATUS_ERROR;
        if (fds[1].revents)
            read_signals(s);
        if (fds[0].revents && read(s->signal_fd, &info, sizeof(info)) < 0 && errno != EAGAIN)
            return STATUS_ERROR;
        while ((ended = waitpid(-1, &status, WNOHANG)) > 0)
            if (ended == pid)
                return WIFEXITED(status) ? WEXITSTATUS(status) : (256 - WTERMSIG(status)) & 0xff;
    }
}

/* Starts COMMAND with the given standard files. */
static int start_command(struct student_container *s, const char *command, const int fds[3],
                         pid_t *ret, struct error *e)
{
    _cleanup_strv_ char **argv = NULL;
    struct run_process p = {.in = fds[0],
                            .out = fds[1],
                            .err = fds[2],
                            .as_root = strcmp(s->order.user, "root") == 0,
                            .no_new_privs = true};
    int k = shell_words(command, &argv, e);

    if (k < 0)
        return k;
    if (!argv)
        return error_set(e, -EINVAL, "the command is empty");
    p.argv = (const char *const *)argv;
    return run_process_start(&p, ret, e);
}

/* The command, from its start to its end. Returns its exit status. */
static int run_command(struct student_container *s, struct error *e)
{
    struct student_order *o = &s->order;
    int k, status;

    if (strspn(o->command, " \t\r\n") == strlen(o->command))
        return fd_write_full(o->fds[1], NO_COMMAND, strlen(NO_COMMAND)) < 0 ? STATUS_FAILED : 0;
    k = start_command(s, o->command, o->fds, &s->command, e);
    if (k < 0) {
        /* The grader sees no more than the status; whoever wrote the command wants to know why. */
        dprintf(o->fds[2], "run_student: %s\n", *e->text ? e->text : strerror(-k));
        return STATUS_FAILED;
    }
    /* The command's own ends of pipes must be the only ones. */
    for (size_t i = 0; i < ARRAY_SIZE(o->fds); i++)
        o->fds[i] = safe_close(o->fds[i]);
    take_signals(s);
    status = wait_for(s, s->command);
    s->command = -1;
    return status;
}

/* Lets the student log in, and waits until they have left. Returns the exit status. */
static int serve_login(struct student_container *s, struct error *e)
{
    struct ssh_session session;
    int k = ssh_start(s->root_fd, s->order.user, 0, &session, e), status = -EAGAIN;

    if (k >= 0)
        k = student_link_send_password(s->link_fd, s->order.user, session.password);
    if (k < 0)
        return STATUS_ERROR;
    while (status == -EAGAIN && s->link_fd >= 0) {
        struct pollfd fds[] = {{.fd = s->signal_fd, .events = POLLIN},
                               {.fd = s->link_fd, .events = POLLIN}};
        struct signalfd_siginfo info;
        if (poll(fds, ARRAY_SIZE(fds), SSH_LOOK_MSEC) < 0 && errno != EINTR)
            return STATUS_ERROR;
        if (fds[1].revents)
            read_signals(s);
        while (read(s->signal_fd, &info, sizeof(info)) == sizeof(info))
            continue;
        while (waitpid(-1, NULL, WNOHANG) > 0)
            continue;
        status = ssh_look(&session, s->root_fd);
    }
    return status < 0 ? STATUS_ERROR : status;
}

/* The teardown script has no input, and nobody sees its output. */
static int run_teardown(struct student_container *s, struct error *e)
{
    const int none[3] = {-EBADF, -EBADF, -EBADF};
    pid_t pid = -1;
    int k = show_scripts(s, true, e);

    if (k >= 0)
        k = start_command(s, s->order.teardown, none, &pid, e);
    if (k < 0)
        return error_prefix(e, k, "teardown script");
    wait_for(s, pid);
    return 0;
}

static int obey(struct student_container *s, struct error *e)
{
    const char *refusal = NULL;
    int status;

    if (prepare_system_files(s->root_fd, &refusal) < 0) {
        error_set(e, -EIO, "%s", refusal);
        return STATUS_ERROR;
    }
    /* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): an order has all its texts */
    if (chdir(s->order.working_dir) < 0) {
        error_sys(e, -errno, "%s", s->order.working_dir);
        dprintf(s->order.fds[2], "run_student: %s\n", e->text);
        return STATUS_FAILED;
    }
    status = run_command(s, e);
    if (show_scripts(s, false, e) < 0)
        return STATUS_FAILED;
    if (s->order.ssh)
        status = serve_login(s, e);
    if (*s->order.teardown && run_teardown(s, e) < 0)
        return STATUS_FAILED;
    return status;
}

int command_run_student_intern(const struct invocation *c)
{
    struct student_container s = {.root_fd = c->root_fd,
                                  .link_fd = -EBADF,
                                  .signal_fd = -EBADF,
                                  .order = {.fds = {-EBADF, -EBADF, -EBADF}},
                                  .command = -1};
    struct error e = ERROR_INIT;
    int k, status = STATUS_ERROR;

    umask(022);
    signal(SIGPIPE, SIG_IGN);
    k = watch_children(&s, &e);
    if (k >= 0)
        k = connect_parent(&s, &e);
    if (k >= 0)
        status = obey(&s, &e);
    if (*e.text)
        fprintf(stderr, "%s: %s\n", c->name, e.text);
    container_clear(&s);
    return status;
}
