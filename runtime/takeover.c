#include "takeover.h"

#include "base/fdio.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static void ignore_signal(int number)
{
    (void)number;
}

/* All signals as a new program finds them, then those that must not end us go to a function that
 * does nothing. SIG_IGN would do here, but it would survive execve(2) into the containers. */
static void take_signals(void)
{
    static const int harmless[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE, SIGUSR1, SIGUSR2};
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigset_t none;

    for (int i = 1; i < NSIG; i++)
        sigaction(i, &action, NULL);
    action = (struct sigaction){.sa_handler = ignore_signal, .sa_flags = SA_RESTART};
    for (size_t i = 0; i < ARRAY_SIZE(harmless); i++)
        sigaction(harmless[i], &action, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Keeps the socket and stderr, nothing else of the caller: not its listening sockets, not another
 * launcher's, not its terminal's input. Returns the socket's new number. */
static int take_descriptors(int socket)
{
    int kept = fcntl(socket, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (kept < 0 || null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0)
        return -errno;
    if ((socket == STDERR_FILENO || fcntl(STDERR_FILENO, F_GETFD) < 0) &&
        dup2(null, STDERR_FILENO) < 0)
        return -errno;
    if (kept > STDERR_FILENO + 1 && syscall(SYS_close_range, STDERR_FILENO + 1, kept - 1, 0) < 0)
        return -errno;
    if (syscall(SYS_close_range, kept + 1, ~0U, 0) < 0)
        return -errno;
    return kept;
}

int takeover(int socket, struct error *e)
{
    struct rlimit files;
    int r = take_descriptors(socket);

    if (r < 0)
        return error_sys(e, r, "start of the launcher");
    take_signals();
    setsid(); /* no controlling terminal; fails only where we lead a group, which a child does not
               */
    umask(022);
    prctl(PR_SET_NAME, LAUNCHER_NAME, 0, 0, 0);
    /* Our memory knows descriptors of the whole host: no core file, no /proc/PID/mem. */
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return error_sys(e, -errno, "start of the launcher");
    /* Each sandbox holds a good dozen of descriptors; nothing here uses select(2). */
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    return r;
}
