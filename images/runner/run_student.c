/* run_student and ssh_student: a command in a container of its own, which looks from here as if it
 * ran in place. _run_student is the same for the Python module: where the command is to run, and
 * which signals it gets, is said by whoever calls it. See students.h for how PID 1 is asked. What
 * the student container is told, over a socket that is mounted into it, is described in
 * student_link.h. */
#include "commands.h"

#include "student_link.h"
#include "students.h"
#include "words.h"

#include "base/fdio.h"
#include "wire/pack.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* Exit status where the container could not be had, or was lost. */
#define STATUS_ERROR 254
#define SOCKETS_DIR  "/sockets/"
/* Tries to find a name that is not taken. */
#define NAME_TRIES 100

/* What is passed on to the command in the container. */
static const int passed_signals[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGUSR1, SIGUSR2,
                                     SIGALRM, SIGTERM, SIGCONT, SIGTSTP, SIGWINCH};

struct link {
    char socket_id[32];
    char path[64];
    int main_fd, listen_fd, student_fd;
    int signal_fd;  /* signals of this process, for the command */
    int numbers_fd; /* their numbers from somebody else, instead, three digits each */
    char *container_id;
    int retval; /* -1: not yet known */
};

static void link_clear(struct link *l)
{
    if (l->listen_fd >= 0)
        unlink(l->path);
    l->main_fd = safe_close(l->main_fd);
    l->listen_fd = safe_close(l->listen_fd);
    l->student_fd = safe_close(l->student_fd);
    l->signal_fd = safe_close(l->signal_fd);
    l->numbers_fd = safe_close(l->numbers_fd);
    free(l->container_id);
}

static int connect_main(struct link *l, struct error *e)
{
    const struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = STUDENTS_SOCKET};

    l->main_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (l->main_fd < 0 ||
        connect(l->main_fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
        return error_sys(e, -errno, STUDENTS_SOCKET);
    return 0;
}

/* The socket that the agent mounts into the student container, under a name nobody has. */
static int listen_student(struct link *l, struct error *e)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int k = -EEXIST;

    l->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (l->listen_fd < 0)
        return error_sys(e, -errno, "socket");
    for (int i = 0; k == -EEXIST && i < NAME_TRIES; i++) {
        uint64_t number;
        if (getrandom(&number, sizeof(number), 0) != sizeof(number))
            return error_sys(e, -errno, "getrandom");
        snprintf(l->socket_id, sizeof(l->socket_id), "p%016llx", (unsigned long long)number);
        snprintf(l->path, sizeof(l->path), SOCKETS_DIR "%s.sock", l->socket_id);
        memcpy(address.sun_path, l->path, strlen(l->path) + 1);
        k = bind(l->listen_fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
        k = k == -EADDRINUSE ? -EEXIST : k;
    }
    /* Also for an agent that answers for a container which died too early to do so itself. */
    if (k >= 0 && (chmod(l->path, 0777) < 0 || listen(l->listen_fd, 1) < 0))
        k = -errno;
    return k < 0 ? error_sys(e, k, "%s", l->path) : 0;
}

static int watch_signals(struct link *l, struct error *e)
{
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < ARRAY_SIZE(passed_signals); i++)
        sigaddset(&set, passed_signals[i]);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return error_sys(e, -errno, "sigprocmask");
    l->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return l->signal_fd < 0 ? error_sys(e, -errno, "signalfd") : 0;
}

static int ask(struct link *l, const struct runner_student *student, struct error *e)
{
    _cleanup_buffer_ struct buffer b = {.max = STUDENTS_PACKET_MAX};
    struct runner_student s = *student;
    int k;

    s.socket_id = l->socket_id;
    k = runner_encode_run_student(&s, &b);
    if (k < 0)
        return error_sys(e, k, "the request");
    /* Without the length of a frame. */
    if (send(l->main_fd, b.data + 4, b.size - 4, MSG_NOSIGNAL) < 0)
        return error_sys(e, -errno, STUDENTS_SOCKET);
    return 0;
}

/* A message from PID 1. */
static int read_main(struct link *l, struct error *e)
{
    _cleanup_runner_message_ struct runner_message m = RUNNER_MESSAGE_INIT;
    char packet[STUDENTS_PACKET_MAX];
    ssize_t n = recv(l->main_fd, packet, sizeof(packet), 0);
    int k;

    if (n < 0 && errno == EINTR)
        return 0;
    if (n <= 0)
        return error_set(e, -EPIPE, "the grading container does not answer");
    k = runner_message_decode(packet, (size_t)n, &m, e);
    if (k < 0)
        return k;
    if (m.type == RUNNER_STUDENT_STARTED && !l->container_id)
        l->container_id = TAKE_PTR(m.container_id);
    else if (m.type == RUNNER_STUDENT_RETVAL)
        l->retval = m.retval & 0xff;
    return 0;
}

static int pass_signals(struct link *l)
{
    struct signalfd_siginfo info;
    char number[STUDENT_SIGNAL_SIZE + 1];

    while (read(l->signal_fd, &info, sizeof(info)) == sizeof(info)) {
        snprintf(number, sizeof(number), "%03u", info.ssi_signo % 1000);
        /* A container that is gone has no use for it. */
        send(l->student_fd, number, STUDENT_SIGNAL_SIZE, MSG_NOSIGNAL);
    }
    return 0;
}

/* Numbers come as they go on; a pipe keeps the few bytes of one together. */
static int pass_numbers(struct link *l)
{
    char numbers[STUDENT_SIGNALS_MAX];
    ssize_t n = read(l->numbers_fd, numbers, sizeof(numbers));

    if (n < 0)
        return errno == EINTR || errno == EAGAIN ? 0 : -errno;
    if (n == 0)
        l->numbers_fd = safe_close(l->numbers_fd);
    else
        send(l->student_fd, numbers, (size_t)n, MSG_NOSIGNAL);
    return 0;
}

/* The student container has connected: says hello, is given the fds and told what to do. */
static int greet(struct link *l, const struct student_command *command, struct error *e)
{
    l->student_fd = accept4(l->listen_fd, NULL, NULL, SOCK_CLOEXEC);
    if (l->student_fd < 0)
        return errno == EAGAIN ? 0 : error_sys(e, -errno, "accept");
    /* Whoever says nothing or goes away is no student container; its end is told by PID 1. */
    if (student_link_send(l->student_fd, command, (int[]){0, 1, 2}) == -EMSGSIZE)
        return error_set(e, -EMSGSIZE, "the command is longer than %zu KiB",
                         STUDENT_COMMAND_MAX >> 10);
    l->listen_fd = safe_close(l->listen_fd);
    unlink(l->path);
    return 0;
}

static int pass_password(struct link *l)
{
    _cleanup_buffer_ struct buffer b = {.max = STUDENTS_PACKET_MAX};
    struct student_password p = {.user = NULL};
    int k = student_link_receive_password(l->student_fd, &p);

    if (k < 0)
        return k;
    k = runner_encode_ssh_student(p.user, p.password, l->container_id, &b);
    student_password_clear(&p);
    if (k < 0)
        return k;
    return send(l->main_fd, b.data + 4, b.size - 4, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* From the request to the end of the container. */
static int serve(struct link *l, struct student_command *command, struct error *e)
{
    bool password = command->ssh;
    int k = 0;

    while (k >= 0 && l->retval < 0) {
        struct pollfd fds[] = {
            {.fd = l->main_fd, .events = POLLIN},
            {.fd = l->container_id ? l->listen_fd : -EBADF, .events = POLLIN},
            {.fd = l->student_fd >= 0 ? l->signal_fd : -EBADF, .events = POLLIN},
            {.fd = password ? l->student_fd : -EBADF, .events = POLLIN},
            {.fd = l->student_fd >= 0 ? l->numbers_fd : -EBADF, .events = POLLIN},
        };
        if (poll(fds, ARRAY_SIZE(fds), -1) < 0 && errno != EINTR)
            return error_sys(e, -errno, "poll");
        if (fds[0].revents)
            k = read_main(l, e);
        command->container_id = l->container_id;
        if (k >= 0 && fds[1].revents)
            k = greet(l, command, e);
        if (k >= 0 && fds[2].revents)
            k = pass_signals(l);
        if (k >= 0 && fds[3].revents) {
            pass_password(l);
            password = false;
        }
        if (k >= 0 && fds[4].revents)
            k = pass_numbers(l);
    }
    return k;
}

/* NUMBERS_FD: -EBADF, or instead of this process's signals; owned. */
static int run(const struct invocation *c, const struct runner_student *student,
               struct student_command *command, int numbers_fd)
{
    struct link l = {.main_fd = -EBADF,
                     .listen_fd = -EBADF,
                     .student_fd = -EBADF,
                     .signal_fd = -EBADF,
                     .numbers_fd = numbers_fd,
                     .retval = -1};
    struct error e = ERROR_INIT;
    int k = numbers_fd < 0 ? watch_signals(&l, &e) : 0, status;

    if (k >= 0)
        k = listen_student(&l, &e);
    if (k >= 0)
        k = connect_main(&l, &e);
    if (k >= 0)
        k = ask(&l, student, &e);
    if (k >= 0)
        k = serve(&l, command, &e);
    if (k < 0)
        command_failed(c, k, &e);
    status = k < 0 ? STATUS_ERROR : l.retval;
    link_clear(&l);
    return status;
}

/* 0, 1 and 2 must be there to be passed. */
static void open_stdio(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    while (fd >= 0 && fd <= STDERR_FILENO);
    safe_close(fd);
}

static int join(struct pool *pool, char *const *words, size_t n, char **ret)
{
    size_t size = 1;
    char *out;

    for (size_t i = 0; i < n; i++)
        size += strlen(words[i]) + 1;
    *ret = out = pool_alloc(pool, size);
    if (!out)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            *out++ = ' ';
        out = stpcpy(out, words[i]);
    }
    *out = 0;
    return 0;
}

/* The options that both commands have, in this order. */
enum { CONTAINER, TIME, HARD_TIME, MEMORY, AS_ROOT, TEARDOWN, COMMON_OPTIONS };
#define COMMON                                                                                     \
    {0, "container", "CONTAINER", "environment (default: that of the task)"},                      \
        {0, "time", "TIME", "seconds of CPU time (default: as the task's)"},                       \
        {0, "hard-time", "HARD_TIME", "seconds (default: as the task's)"},                         \
        {0, "memory", "MEMORY", "megabytes (default: as the task's)"},                             \
        {0, "run-as-root", NULL, "as the container's root"},                                       \
    {                                                                                              \
        0, "teardown-script", "TEARDOWN_SCRIPT", "command to run at the end"                       \
    }

static int read_limits(const struct invocation *c, const struct args *a, struct runner_student *s)
{
    static const char *const names[] = {"time", "hard-time", "memory"};
    long values[3] = {0, 0, 0};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (a->value[TIME + i] &&
            args_integer(c->name, names[i], a->value[TIME + i], &values[i]) < 0)
            return -EINVAL;
    s->time_limit = values[0];
    s->hard_time_limit = values[1];
    s->memory_limit = values[2];
    s->environment = a->value[CONTAINER];
    s->run_as_root = a->value[AS_ROOT] != NULL;
    return 0;
}

/* What only _run_student can say otherwise: WORKING_DIR (NULL: the present one) and NUMBERS_FD. */
static int start(const struct invocation *c, const struct args *a, struct runner_student *s,
                 const char *command_line, const char *working_dir, int numbers_fd)
{
    struct student_command command = {
        .command = command_line, .teardown = args_value(a, TEARDOWN), .ssh = s->ssh};
    _cleanup_free_ char *cwd = NULL;

    if (read_limits(c, a, s) < 0)
        return 2;
    open_stdio();
    if (!working_dir) {
        working_dir = cwd = getcwd(NULL, 0);
        if (!cwd) {
            fprintf(stderr, "%s: the working directory: %s\n", c->name, strerror(errno));
            return STATUS_ERROR;
        }
    }
    command.working_dir = working_dir;
    command.user = s->run_as_root ? "root" : "worker";
    return run(c, s, &command, numbers_fd);
}

int command_run_student(const struct invocation *c)
{
    enum { SHARE_NETWORK = COMMON_OPTIONS };
    static const struct args_spec spec = {
        .summary = "Run a command in a container of its own, with this one's input and outputs; "
                   "signals are passed on.\nExit status: the command's; 252: out of memory, 253: "
                   "out of time, 254: no container.",
        .options = {COMMON, {0, "share-network", NULL, "in the network of this container"}},
        .rest = ARGS_REST_COMMAND,
        .rest_name = "cmd",
    };
    _cleanup_args_ struct args a;
    _cleanup_pool_ struct pool pool = {NULL};
    const struct error none = ERROR_INIT;
    struct runner_student s = {.ssh = false};
    char *line;
    int k = args_parse(&spec, c->name, c->argv, &a);

    if (k >= 0)
        return k;
    k = join(&pool, a.positional, a.n_positional, &line);
    if (k < 0)
        return command_failed(c, k, &none);
    s.share_network = a.value[SHARE_NETWORK] != NULL;
    return start(c, &a, &s, line, NULL, -EBADF);
}

int command_run_student_module(const struct invocation *c)
{
    enum { SHARE_NETWORK = COMMON_OPTIONS, WORKING_DIR, SIGNALS, SSH };
    static const struct args_spec spec = {
        .summary = "run_student for the Python module of run scripts.",
        .options = {COMMON,
                    {0, "share-network", NULL, "in the network of this container"},
                    {0, "working-dir", "DIR", "where the command runs"},
                    {0, "signals", "FD", "where numbers of signals for it come from"},
                    {0, "ssh", NULL, "the student may log in afterwards"}},
        .rest = ARGS_REST_COMMAND,
        .rest_name = "cmd",
    };
    _cleanup_args_ struct args a;
    struct runner_student s = {.ssh = false};
    long numbers_fd = -EBADF;
    int k = args_parse(&spec, c->name, c->argv, &a);

    if (k >= 0)
        return k;
    if (a.value[SIGNALS] && args_integer(c->name, "signals", a.value[SIGNALS], &numbers_fd) < 0)
        return 2;
    if (numbers_fd >= 0 && fd_set_nonblock((int)numbers_fd, true) < 0) {
        fprintf(stderr, "%s: --signals: %s\n", c->name, strerror(EBADF));
        return STATUS_ERROR;
    }
    s.share_network = a.value[SHARE_NETWORK] != NULL;
    s.ssh = a.value[SSH] != NULL;
    return start(c, &a, &s, a.n_positional ? a.positional[0] : "", a.value[WORKING_DIR],
                 (int)numbers_fd);
}

int command_ssh_student(const struct invocation *c)
{
    enum { SETUP = COMMON_OPTIONS };
    static const struct args_spec spec = {
        .summary = "Give the student a shell in a container of its own, by ssh.\nExit status 0: "
                   "the student was there and left; 252: out of memory, 253: out of time or "
                   "nobody came, 254: no container.",
        .options = {COMMON, {0, "setup-script", "SETUP_SCRIPT", "command to run before"}},
    };
    _cleanup_args_ struct args a;
    struct runner_student s = {.ssh = true};
    int k = args_parse(&spec, c->name, c->argv, &a);

    return k >= 0 ? k : start(c, &a, &s, args_value(&a, SETUP), NULL, -EBADF);
}
