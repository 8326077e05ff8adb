#include "run/streams.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* The kernel's number of /dev/null (Documentation/admin-guide/devices.txt). */
#define NULL_MAJOR 1
#define NULL_MINOR 3

/* Whether the program may have FD itself as its number I. */
static bool is_plain_stream(int fd, int i)
{
    int wanted = i == 0 ? O_RDONLY : O_WRONLY;
    int flags = fcntl(fd, F_GETFL);
    struct stat st;

    if (flags < 0 || fstat(fd, &st) < 0)
        return false;
    if (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode))
        return true;
    if (S_ISCHR(st.st_mode))
        return st.st_rdev == makedev(NULL_MAJOR, NULL_MINOR);
    return S_ISREG(st.st_mode) && (flags & O_ACCMODE) == wanted;
}

/* Our end of a pumped stream: a terminal is opened anew without blocking, since writing to one that
 * was stopped (Ctrl-S) would hold up everything; the flag must not be set for whoever shares ours.
 */
int run_streams_own_end(int fd)
{
    char path[32];
    int own = -1;

    if (isatty(fd)) {
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        own = open(path, (fd == 0 ? O_RDONLY : O_WRONLY) | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    }
    return own >= 0 ? own : fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

static int open_pumped(struct run_streams *s, int i)
{
    int pair[2], own = run_streams_own_end(i), inside = i == 0 ? 0 : 1;

    if (own < 0)
        return -errno;
    if (pipe2(pair, O_CLOEXEC) < 0) {
        safe_close(own);
        return -errno;
    }
    s->stdio[i] = pair[inside];
    s->owned[i] = true;
    s->pumps[i].from = i == 0 ? own : pair[0];
    s->pumps[i].to = i == 0 ? pair[1] : own;
    /* Only our end: it is an open file of its own. */
    return fcntl(pair[!inside], F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
}

int run_streams_open(struct run_streams *s, bool interactive, struct error *e)
{
    *s = (struct run_streams){
        .stdio = {-1, -1, -1},
        .pumps = {PUMP_INIT, PUMP_INIT, PUMP_INIT},
    };
    for (int i = 0; i < 3; i++) {
        int r;
        if ((i == 0 && !interactive) || fcntl(i, F_GETFD) < 0)
            continue;
        if (is_plain_stream(i, i)) {
            s->stdio[i] = i;
            continue;
        }
        r = open_pumped(s, i);
        if (r < 0) {
            run_streams_close(s);
            return error_sys(e, r, "standard streams");
        }
    }
    return 0;
}

void run_streams_given(struct run_streams *s)
{
    for (int i = 0; i < 3; i++) {
        if (s->owned[i])
            safe_close(s->stdio[i]);
        s->owned[i] = false;
        s->stdio[i] = -1;
    }
}

void run_streams_close(struct run_streams *s)
{
    run_streams_given(s);
    for (int i = 0; i < 3; i++)
        pump_close(&s->pumps[i]);
}
