/* Theory of operation
 *
 * One poll(2) loop over the launcher's socket, the signals and what has to be pumped. Streams that
 * the program has itself (see streams.h) are not in it: as a rule there is nothing to do but wait.
 *
 * The program's end is the launcher's report. By then every process of the sandbox is gone, so the
 * pumps that carry its output reach their end by themselves, with all that was written. */
#include "run/execute.h"

#include "run/streams.h"
#include "run/terminal.h"

#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>

/* What is not handed on: what tells of an error or a child of our own, and what a terminal tells us
 * alone, that we are in the background. SIGKILL and SIGSTOP cannot be. */
static const int own_signals[] = {SIGILL, SIGTRAP, SIGABRT, SIGBUS,  SIGFPE, SIGSEGV,
                                  SIGSYS, SIGPIPE, SIGCHLD, SIGTTIN, SIGTTOU};

struct execution {
    struct launcher *launcher;
    uint64_t id;
    struct run_streams streams;
    struct run_terminal terminal;
    struct sandbox_report *report;
    bool with_terminal; /* -t: the program hears of a new size by its own */
    bool over;
    bool given_up; /* told to end while handing on the rest of the output */
};

int run_block_signals(struct error *e)
{
    sigset_t set;
    int fd;

    sigfillset(&set);
    for (size_t i = 0; i < ARRAY_SIZE(own_signals); i++)
        sigdelset(&set, own_signals[i]);
    signal(SIGPIPE, SIG_IGN);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return error_sys(e, -errno, "signals");
    fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return fd < 0 ? error_sys(e, -errno, "signals") : fd;
}

/* As a shell's job does: the program stops first, then we do; going on is told again by SIGCONT. */
static void stop_ourselves(struct execution *x)
{
    run_terminal_set_raw(&x->terminal, false);
    (void)raise(SIGSTOP);
    run_terminal_set_raw(&x->terminal, true);
    run_terminal_resize(&x->terminal);
}

static void on_signal(struct execution *x, int number)
{
    if (x->over) {
        x->given_up = number == SIGINT || number == SIGTERM || number == SIGHUP;
        return;
    }
    if (number == SIGWINCH && x->with_terminal) {
        run_terminal_resize(&x->terminal);
        return;
    }
    (void)launcher_signal(x->launcher, x->id, number);
    if (number == SIGTSTP)
        stop_ourselves(x);
}

static void read_signals(struct execution *x, int fd)
{
    struct signalfd_siginfo info;

    while (read(fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
        on_signal(x, (int)info.ssi_signo);
}

static int read_events(struct execution *x, struct error *e)
{
    struct launcher_event event;
    int r;

    while ((r = launcher_dispatch(x->launcher, &event, e)) > 0) {
        safe_close(event.fd);
        if (event.type != LAUNCHER_EXITED || event.id != x->id)
            continue;
        *x->report = event.report;
        x->over = true;
        pump_close(&x->streams.pumps[STDIN_FILENO]);
        return 0;
    }
    return r;
}

static bool is_finished(const struct execution *x)
{
    return x->over && (x->given_up || (pump_is_over(&x->streams.pumps[STDOUT_FILENO]) &&
                                       pump_is_over(&x->streams.pumps[STDERR_FILENO])));
}

static int loop(struct execution *x, int signal_fd, struct error *e)
{
    int r = 0;

    while (r == 0 && !is_finished(x)) {
        struct pollfd fds[9] = {
            {.fd = x->over ? -1 : launcher_fd(x->launcher), .events = POLLIN},
            {.fd = signal_fd, .events = POLLIN},
            {.fd = x->terminal.socket, .events = POLLIN},
        };
        for (size_t i = 0; i < 3; i++)
            pump_wait(&x->streams.pumps[i], fds + 3 + 2 * i);
        if (poll(fds, ARRAY_SIZE(fds), -1) < 0) {
            if (errno == EINTR)
                continue;
            return error_sys(e, -errno, "poll");
        }
        if (fds[1].revents)
            read_signals(x, signal_fd);
        for (size_t i = 0; i < 3; i++)
            pump_move(&x->streams.pumps[i], fds + 3 + 2 * i);
        if (fds[2].revents)
            r = run_terminal_take(&x->terminal, &x->streams, e);
        if (r == 0 && fds[0].revents)
            r = read_events(x, e);
    }
    return r;
}

int run_execute(const struct run_plan *p, struct sandbox_spec *spec, struct launcher *l,
                uint64_t id, int signal_fd, struct sandbox_report *ret, struct error *e)
{
    const struct run_options *o = p->options;
    struct execution x = {
        .launcher = l,
        .id = id,
        .report = ret,
        .terminal = RUN_TERMINAL_INIT,
        .with_terminal = o->terminal,
    };
    int r = o->terminal ? run_terminal_open(&x.terminal, spec, &x.streams, o->interactive, e)
                        : run_streams_open(&x.streams, o->interactive, e);

    if (r < 0)
        return r;
    r = launcher_submit(l, id, spec, x.streams.stdio, e);
    run_streams_given(&x.streams);
    x.terminal.inside = safe_close(x.terminal.inside);
    if (r == 0)
        r = loop(&x, signal_fd, e);
    run_terminal_close(&x.terminal);
    run_streams_close(&x.streams);
    return r;
}

int run_sandbox(const struct sandbox_spec *spec, struct launcher *l, uint64_t id,
                const int stdio[3], struct sandbox_report *ret, struct error *e)
{
    struct launcher_event event;
    int r = launcher_submit(l, id, spec, stdio, e);

    while (r == 0) {
        struct pollfd p = {.fd = launcher_fd(l), .events = POLLIN};
        if (poll(&p, 1, -1) < 0 && errno != EINTR)
            return error_sys(e, -errno, "poll");
        while ((r = launcher_dispatch(l, &event, e)) > 0) {
            safe_close(event.fd);
            if (event.type == LAUNCHER_EXITED && event.id == id) {
                *ret = event.report;
                return 0;
            }
        }
    }
    return r;
}

static int start_failed_status(const struct sandbox_report *report)
{
    if (strcmp(report->failed_step, "execve") != 0)
        return RUN_EXIT_OWN_ERROR;
    return report->error_code == -ENOENT ? RUN_EXIT_NOT_FOUND : RUN_EXIT_NOT_INVOKED;
}

int run_exit_status(const struct sandbox_report *report)
{
    switch (report->verdict) {
    case SANDBOX_EXITED:
        /* Results that are missing are no success. What the command says itself goes first. */
        if (report->exit_code == 0 && report->copy_error[0])
            return RUN_EXIT_OWN_ERROR;
        return report->exit_code;
    case SANDBOX_SIGNALLED:
        return RUN_EXIT_SIGNAL + report->signal;
    case SANDBOX_KILLED:
        return RUN_EXIT_SIGNAL + SIGKILL;
    case SANDBOX_START_FAILED:
        return start_failed_status(report);
    default:
        return run_limit_name(report) ? RUN_EXIT_LIMIT : RUN_EXIT_OWN_ERROR;
    }
}

const char *run_limit_name(const struct sandbox_report *report)
{
    switch (report->verdict) {
    case SANDBOX_CPU_TIMEOUT:
        return "cpu-time";
    case SANDBOX_WALL_TIMEOUT:
        return "wall-time";
    case SANDBOX_OUT_OF_MEMORY:
        return "memory";
    case SANDBOX_OUTPUT_LIMIT:
        return "output";
    default:
        return NULL;
    }
}
