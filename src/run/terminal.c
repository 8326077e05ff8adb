#include "run/terminal.h"

#include "base/fdio.h"

#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define ROWS_DEFAULT    24
#define COLUMNS_DEFAULT 80
/* What a terminal's reader takes for the end of input (VEOF), as termios(3) has it by default. */
#define END_OF_INPUT 4

static struct winsize own_size(void)
{
    struct winsize size = {0};

    for (int fd = 0; fd < 3; fd++)
        if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0)
            return size;
    return (struct winsize){.ws_row = ROWS_DEFAULT, .ws_col = COLUMNS_DEFAULT};
}

int run_terminal_open(struct run_terminal *t, struct sandbox_spec *spec, struct run_streams *s,
                      bool interactive, struct error *e)
{
    struct winsize size = own_size();
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return error_sys(e, -errno, "terminal");
    t->socket = pair[0];
    t->inside = pair[1];
    t->interactive = interactive;
    *s = (struct run_streams){
        .stdio = {t->inside, -1, -1},
        .pumps = {PUMP_INIT, PUMP_INIT, PUMP_INIT},
    };
    spec->terminal = true;
    spec->terminal_rows = size.ws_row;
    spec->terminal_columns = size.ws_col;
    return 0;
}

int run_terminal_take(struct run_terminal *t, struct run_streams *s, struct error *e)
{
    size_t n = 0;
    char byte = 0;
    ssize_t size;

    t->inside = safe_close(t->inside);
    size = fd_receive(t->socket, &byte, 1, &t->master, 1, &n);
    t->socket = safe_close(t->socket);
    if (size < 0)
        return error_sys(e, (int)size, "terminal");
    if (n != 1) {
        t->master = -1;
        return 0; /* the start has failed: the report says why */
    }
    if (fd_set_nonblock(t->master, true) < 0)
        return error_sys(e, -errno, "terminal");
    run_terminal_resize(t); /* it may have changed in between */
    s->pumps[STDOUT_FILENO].from = fcntl(t->master, F_DUPFD_CLOEXEC, 3);
    s->pumps[STDOUT_FILENO].to = run_streams_own_end(STDOUT_FILENO);
    run_terminal_set_raw(t, true);
    if (!t->interactive)
        return 0;
    s->pumps[STDIN_FILENO].from = run_streams_own_end(STDIN_FILENO);
    s->pumps[STDIN_FILENO].to = fcntl(t->master, F_DUPFD_CLOEXEC, 3);
    s->pumps[STDIN_FILENO].last = END_OF_INPUT;
    return 0;
}

void run_terminal_resize(const struct run_terminal *t)
{
    struct winsize size = own_size();

    if (t->master >= 0)
        (void)ioctl(t->master, TIOCSWINSZ, &size);
}

void run_terminal_set_raw(struct run_terminal *t, bool raw)
{
    int fd = t->interactive ? STDIN_FILENO : STDOUT_FILENO;
    struct termios mode;

    if (t->raw == raw || t->master < 0)
        return;
    if (!raw) {
        (void)tcsetattr(fd, TCSADRAIN, &t->saved);
        t->raw = false;
    } else if (tcgetattr(fd, &t->saved) == 0) {
        mode = t->saved;
        /* Lines were ended by the sandbox's terminal already. */
        mode.c_oflag &= ~(tcflag_t)OPOST;
        if (t->interactive)
            cfmakeraw(&mode);
        t->raw = tcsetattr(fd, TCSADRAIN, &mode) == 0;
    }
}

void run_terminal_close(struct run_terminal *t)
{
    run_terminal_set_raw(t, false);
    t->socket = safe_close(t->socket);
    t->inside = safe_close(t->inside);
    t->master = safe_close(t->master);
}
