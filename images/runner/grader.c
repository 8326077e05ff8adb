#include "grader.h"

#include "archive_file.h"
#include "feedback.h"
#include "prepare.h"
#include "result.h"
#include "run_file.h"
#include "ssh.h"
#include "students.h"

#include "base/fdio.h"
#include "base/text.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define READ_SIZE ((size_t)64 << 10)

#define NO_RUN_FILE "'/task/run' could not be found"
#define NOBODY_CAME "[SSH Debug] Nobody connected to the SSH server."
#define RUN_FAILED                                                                                 \
    "An error occured while running the grading script. It is possible that it is non-executable " \
    "or made a timeout"

enum grader_state { GRADER_WAITING, GRADER_RUNNING, GRADER_DEBUGGING, GRADER_DONE };

struct grader {
    enum grader_state state;
    int root_fd, signal_fd;
    bool stdin_open;
    bool always_debug; /* --debug */
    struct frame_reader reader;
    const char *refusal; /* why the run file was not started; NULL: it was */
    struct result result;
    struct students students;
    int outputs[2]; /* what the run file says, when debugging; -EBADF at its end */
    pid_t run;
    struct ssh_session ssh;
};

static void grader_clear(struct grader *g)
{
    g->root_fd = safe_close(g->root_fd);
    g->signal_fd = safe_close(g->signal_fd);
    g->outputs[0] = safe_close(g->outputs[0]);
    g->outputs[1] = safe_close(g->outputs[1]);
    buffer_clear(&g->result.out);
    buffer_clear(&g->result.err);
    g->result.archive = safe_close(g->result.archive);
    frame_reader_clear(&g->reader);
    students_clear(&g->students);
}

/* Reads once from output I and keeps it up to the bound. Once only: who writes without end must not
 * keep the loop from its other events. Returns whether there was something. */
static bool read_output(struct grader *g, int i)
{
    struct buffer *b = i == 0 ? &g->result.out : &g->result.err;
    char bytes[READ_SIZE];
    ssize_t n;

    if (g->outputs[i] < 0)
        return false;
    n = read(g->outputs[i], bytes, sizeof(bytes));
    if (n > 0)
        buffer_append(b, bytes, MIN((size_t)n, RESULT_OUTPUT_MAX - b->size));
    else if (n == 0 || errno != EAGAIN)
        g->outputs[i] = safe_close(g->outputs[i]);
    return n > 0;
}

/* Feedback that says why the run file was not started. */
static int refuse(struct feedback *f, const char *why)
{
    int k = json_set(&f->pool, &f->map, text_of("result"), json_text(text_of("crash")));

    return k < 0 ? k : json_set(&f->pool, &f->map, text_of("text"), json_text(text_of(why)));
}

/* Adds the feedback and the archive to the result. */
static int collect(struct grader *g, struct feedback *f, struct error *e)
{
    int k = feedback_read(g->root_fd, f, e);

    if (k >= 0 && g->refusal)
        k = refuse(f, g->refusal);
    if (k < 0 || f->map.map.count == 0)
        return k;
    g->result.feedback = &f->map;
    return archive_file_make(g->root_fd, "archive", &g->result.archive, &g->result.archive_size, e);
}

/* Sends the result, or what kept it from being sent. */
static void finish(struct grader *g, int failure, const struct error *why)
{
    _cleanup_feedback_ struct feedback f = FEEDBACK_INIT;
    _cleanup_free_ char *text = NULL;
    struct error e = why ? *why : (struct error)ERROR_INIT;
    int k = failure;

    /* Nobody may change feedback or archive while they are read, or the verdict afterwards. As PID
     * 1 this reaches the container and nothing else. */
    if (getpid() == 1) {
        kill(-1, SIGKILL);
        while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
            continue;
    }
    /* What is left in the pipes: nobody writes any more. */
    for (int i = 0; i < 2; i++)
        while (read_output(g, i))
            continue;
    if (k >= 0)
        k = collect(g, &f, &e);
    if (k >= 0)
        k = result_send(STDOUT_FILENO, &g->result, &e);
    if (k < 0) {
        struct result crash = g->result;
        crash.archive = -EBADF;
        text = text_printf("Exception occured in container (%s)", *e.text ? e.text : strerror(-k));
        crash.crash = text ? text : RUN_FAILED;
        result_send(STDOUT_FILENO, &crash, NULL);
    }
    /* An agent that takes the task directory away without being root needs this. */
    prepare_rights(g->root_fd, "task", NULL);
    g->state = GRADER_DONE;
}

/* A pipe whose end for writing, *RET_WRITE, the worker may open again as /dev/stdout. */
static int open_output(struct grader *g, int i, int *ret_write, struct error *e)
{
    int fds[2];

    if (pipe2(fds, O_CLOEXEC) < 0)
        return error_sys(e, -errno, "pipe2");
    g->outputs[i] = fds[0];
    *ret_write = fds[1];
    if (fchown(fds[1], WORKER_ID, WORKER_ID) < 0)
        return error_sys(e, -errno, "fchown");
    return fd_set_nonblock(fds[0], true);
}

/* Starts the run file; where that is not possible the student is told. */
static int start_run_file(struct grader *g, const struct runner_message *start, struct error *e)
{
    _cleanup_strv_ char **argv = NULL;
    _cleanup_close_ int out = -EBADF, err = -EBADF;
    struct run_process p = {.in = -EBADF, .as_root = start->run_as_root};
    struct error why = ERROR_INIT;
    int k = run_file_find(g->root_fd, start->run_cmd, &argv);

    if (k < 0)
        return k;
    if (k == 0) {
        g->refusal = NO_RUN_FILE;
        return 0;
    }
    if (chdir("/task") < 0)
        return error_sys(e, -errno, "/task");
    if (g->result.debug) {
        k = open_output(g, 0, &out, e);
        if (k >= 0)
            k = open_output(g, 1, &err, e);
        if (k < 0)
            return k;
    }
    p.argv = (const char *const *)argv;
    p.out = out;
    p.err = err;
    k = strchr(argv[0], '/') ? run_file_make_executable(g->root_fd, argv[0]) : 0;
    if (k >= 0)
        k = run_process_start(&p, &g->run, &why);
    if (k < 0) {
        fprintf(stderr, "INGInious: %s: %s\n", argv[0], *why.text ? why.text : strerror(-k));
        g->refusal = RUN_FAILED;
        return 0;
    }
    g->state = GRADER_RUNNING;
    return 0;
}

/* Instead of the run file, somebody logs in. */
static int start_debugging(struct grader *g, const struct runner_message *start, struct error *e)
{
    const char *user = start->run_as_root ? "root" : "worker";
    _cleanup_buffer_ struct buffer b = {.max = STUDENTS_PACKET_MAX};
    int k = ssh_start(g->root_fd, user, SSH_STAY_SECONDS, &g->ssh, e);

    if (k < 0)
        return error_prefix(e, k, "ssh");
    k = runner_encode_ssh_debug(user, g->ssh.password, &b);
    if (k >= 0)
        k = fd_write_full(STDOUT_FILENO, b.data, b.size);
    if (k < 0)
        return error_sys(e, k, "send the password");
    g->state = GRADER_DEBUGGING;
    return 0;
}

/* Ends when who debugged has left. */
static void look_after_login(struct grader *g)
{
    int k = ssh_look(&g->ssh, g->root_fd);

    if (k == -EAGAIN)
        return;
    if (k == SSH_NOBODY)
        g->refusal = NOBODY_CAME;
    finish(g, 0, NULL);
}

static bool wants_login(const struct runner_message *start)
{
    struct wire_value debug;

    return wire_read(start->debug, &debug) && wire_is_text(&debug, "ssh");
}

static bool wants_debug(const struct grader *g, const struct runner_message *start)
{
    struct wire_value debug;

    return g->always_debug || (wire_read(start->debug, &debug) && wire_truthy(&debug));
}

static void handle_start(struct grader *g, const struct runner_message *start)
{
    struct error e = ERROR_INIT;
    int k;

    g->result.debug = wants_debug(g, start);
    k = prepare(g->root_fd, start, &g->refusal, &e);
    if (k >= 0 && !g->refusal)
        k = wants_login(start) ? start_debugging(g, start, &e) : start_run_file(g, start, &e);
    if (g->state == GRADER_WAITING)
        finish(g, k, &e);
}

static int handle_message(struct grader *g, const uint8_t *body, size_t size, struct error *e)
{
    _cleanup_runner_message_ struct runner_message m = RUNNER_MESSAGE_INIT;
    int k = runner_message_decode(body, size, &m, e);

    if (k < 0)
        return k;
    if (m.type == RUNNER_START && g->state == GRADER_WAITING)
        handle_start(g, &m);
    else if (m.type == RUNNER_STUDENT_STARTED || m.type == RUNNER_STUDENT_RETVAL)
        students_answer(&g->students, m.socket_id, body, size, m.type == RUNNER_STUDENT_RETVAL);
    return 0;
}

/* Reads what there is. The frame of `start` can be large: its memory is given back before the run
 * file starts to use the container's. */
static int read_messages(struct grader *g, struct error *e)
{
    uint8_t bytes[READ_SIZE];
    const uint8_t *body;
    size_t size;
    ssize_t n = read(STDIN_FILENO, bytes, sizeof(bytes));
    int k = n < 0 ? -errno : frame_reader_push(&g->reader, bytes, (size_t)n);

    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return 0;
    if (n == 0)
        g->stdin_open = false;
    if (n == 0 && g->state == GRADER_WAITING)
        return error_set(e, -EPIPE, "the agent went away before it sent a start");
    while (k >= 0 && g->state != GRADER_DONE &&
           (k = frame_reader_next(&g->reader, &body, &size)) > 0)
        k = handle_message(g, body, size, e);
    return k < 0 && !*e->text ? error_sys(e, k, "standard input") : k;
}

/* PID 1 is the parent of everything that lost its own. */
static void reap(struct grader *g)
{
    struct signalfd_siginfo info;
    pid_t pid;
    bool ended = false;

    if (read(g->signal_fd, &info, sizeof(info)) < 0 && errno != EAGAIN)
        return;
    while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
        if (pid == g->run)
            ended = true;
    if (ended)
        finish(g, 0, NULL);
}

/* What run_student asks for goes to the agent. */
static int serve_students(struct grader *g, const struct pollfd *fds, size_t n, struct error *e)
{
    _cleanup_buffer_ struct buffer out = {.max = STUDENTS_MAX * 2 * STUDENTS_PACKET_MAX};
    int k = students_handle(&g->students, fds, n, &out);

    if (k >= 0 && out.size)
        k = fd_write_full(STDOUT_FILENO, out.data, out.size);
    return k < 0 ? error_sys(e, k, "pass on a run_student") : 0;
}

static int serve(struct grader *g, struct error *e)
{
    enum { SIGNALS, MESSAGES, OUTPUTS, STUDENTS = OUTPUTS + 2 };
    struct pollfd fds[STUDENTS + STUDENTS_MAX + 1];

    while (g->state != GRADER_DONE) {
        size_t n = students_poll(&g->students, fds + STUDENTS);
        int k = 0;
        fds[SIGNALS] = (struct pollfd){.fd = g->signal_fd, .events = POLLIN};
        fds[MESSAGES] = (struct pollfd){.fd = g->stdin_open ? STDIN_FILENO : -1, .events = POLLIN};
        for (int i = 0; i < 2; i++)
            fds[OUTPUTS + i] = (struct pollfd){.fd = g->outputs[i], .events = POLLIN};
        if (poll(fds, STUDENTS + n, g->state == GRADER_DEBUGGING ? SSH_LOOK_MSEC : -1) < 0) {
            if (errno != EINTR)
                return error_sys(e, -errno, "poll");
            continue;
        }
        for (int i = 0; i < 2; i++)
            if (fds[OUTPUTS + i].revents)
                read_output(g, i);
        k = serve_students(g, fds + STUDENTS, n, e);
        if (fds[SIGNALS].revents)
            reap(g);
        if (k >= 0 && fds[MESSAGES].revents && g->state != GRADER_DONE)
            k = read_messages(g, e);
        if (g->state == GRADER_DEBUGGING)
            look_after_login(g);
        if (k < 0 && g->state == GRADER_WAITING)
            return k;
        if (k < 0) /* no more students, but the job goes on */
            g->stdin_open = false;
    }
    return 0;
}

static int watch_children(struct grader *g, struct error *e)
{
    sigset_t child;

    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    if (sigprocmask(SIG_BLOCK, &child, NULL) < 0)
        return error_sys(e, -errno, "sigprocmask");
    g->signal_fd = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    return g->signal_fd < 0 ? error_sys(e, -errno, "signalfd") : 0;
}

int command_inginious(const struct invocation *c)
{
    struct grader g = {.root_fd = -EBADF,
                       .signal_fd = -EBADF,
                       .stdin_open = true,
                       .reader = {.order = FRAME_BIG_ENDIAN, .max = WIRE_FRAME_MAX},
                       .result = {.out = {.max = RESULT_OUTPUT_MAX},
                                  .err = {.max = RESULT_OUTPUT_MAX},
                                  .archive = -EBADF},
                       .students = STUDENTS_INIT,
                       .outputs = {-EBADF, -EBADF},
                       .run = -1};
    struct error e = ERROR_INIT;
    int k = watch_children(&g, &e);

    g.root_fd = fcntl(c->root_fd, F_DUPFD_CLOEXEC, 3);
    g.always_debug = c->argv[0] && strcmp(c->argv[0], "--debug") == 0;
    umask(022);
    signal(SIGPIPE, SIG_IGN);
    /* Without /sockets there are no student containers, and all else works. */
    if (k >= 0 && students_open(&g.students, &e) < 0)
        fprintf(stderr, "%s: %s\n", c->name, e.text);
    e = (struct error)ERROR_INIT;
    if (k >= 0)
        k = serve(&g, &e);
    grader_clear(&g);
    return k < 0 ? command_failed(c, k, &e) : 0;
}
