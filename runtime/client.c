/* The client's side of the boundary. It needs no privilege once launcher_start() has returned. */
#include "base/clock.h"
#include "base/fdio.h"
#include "request.h"
#include "runtime/launcher.h"
#include "self.h"
#include "startup.h"
#include "takeover.h"

#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* The launcher never waits for its client, so a request that it has not taken for so long never
 * will be. */
#define SEND_MAX_MSEC 30000
/* How long launcher_stop() waits for the launcher to clean up (which gives up before, see
 * launcher.c), and after that for the end of a killed one. */
#define STOP_MAX_MSEC 60000
#define KILL_MAX_MSEC 5000

#define GONE "the launcher is gone"

struct launcher {
    int fd;
    pid_t pid;
    int pidfd;
};

static int check_config(const struct launcher_config *config, struct error *e)
{
    if (geteuid() != 0)
        return error_set(e, -EPERM, "sandboxes need root: run this as root");
    if (config->n_roots > LAUNCHER_ROOTS_MAX)
        return error_set(e, -E2BIG, "more than %d roots", LAUNCHER_ROOTS_MAX);
    if (!config->scratch)
        return error_set(e, -EINVAL, "there is no scratch directory");
    if (config->max_sandboxes > LAUNCHER_SANDBOXES_MAX)
        return error_set(e, -E2BIG, "more than %d sandboxes at once", LAUNCHER_SANDBOXES_MAX);
    return config->network ? launcher_network_validate(config->network, e) : 0;
}

/* Waits until the process has ended and reaps it; 1 when it did, 0 when the time is up. */
static int reap(struct launcher *l, int max_msec, int *ret_status)
{
    struct pollfd p = {l->pidfd, POLLIN, 0};
    uint64_t end = clock_monotonic_usec() + (uint64_t)max_msec * USEC_PER_MSEC;

    /* Without a pidfd (there was no descriptor left for it) the wait has no bound but the
     * launcher's own. */
    while (l->pidfd >= 0) {
        uint64_t now = clock_monotonic_usec();
        int left = now < end ? (int)((end - now) / USEC_PER_MSEC) + 1 : 0;
        int r = poll(&p, 1, left);
        if (r > 0)
            break;
        if (r == 0 || errno != EINTR)
            return 0;
    }
    while (waitpid(l->pid, ret_status, 0) < 0)
        if (errno != EINTR)
            break;
    l->pid = -1;
    return 1;
}

void launcher_stop(struct launcher *l)
{
    int status;

    l->fd = safe_close(l->fd);
    if (l->pid > 0 && !reap(l, STOP_MAX_MSEC, &status)) {
        /* Fails where the caller has dropped its privileges; then the launcher stays. */
        (void)syscall(SYS_pidfd_send_signal, l->pidfd, SIGKILL, NULL, 0);
        reap(l, KILL_MAX_MSEC, &status);
    }
    safe_close(l->pidfd);
    free(l);
}

static int wait_for(int fd, short events, int max_msec)
{
    struct pollfd p = {fd, events, 0};
    int r;

    do
        r = poll(&p, 1, max_msec);
    while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : r;
}

static int send_packet(struct launcher *l, const struct buffer *b, const int *fds, size_t n_fds,
                       struct error *e)
{
    for (;;) {
        ssize_t n = fd_send(l->fd, b->data, b->size, fds, n_fds);
        int r;
        if (n >= 0)
            return 0;
        if (n == -EPIPE || n == -ECONNRESET)
            return error_set(e, -EPIPE, GONE);
        if (n != -EAGAIN)
            return error_sys(e, (int)n, "send to the launcher");
        r = wait_for(l->fd, POLLOUT, SEND_MAX_MSEC);
        if (r < 0)
            return error_sys(e, r, "send to the launcher");
        if (r == 0)
            return error_set(e, -ETIMEDOUT, "the launcher takes no requests");
    }
}

/* As one packet, or in sealed memory where that would be too large. */
static int send_bytes(struct launcher *l, const struct buffer *b, const int *fds, size_t n_fds,
                      struct error *e)
{
    _cleanup_buffer_ struct buffer large = {0};
    _cleanup_close_ int memory = -EBADF;
    int all[4], r;

    if (b->size <= REQUEST_PACKET_MAX)
        return send_packet(l, b, fds, n_fds, e);
    memory = request_seal(b->data, b->size);
    if (memory < 0)
        return error_sys(e, memory, "request of %zu bytes", b->size);
    r = request_encode_large(&large);
    if (r < 0)
        return error_sys(e, r, "request");
    all[0] = memory;
    for (size_t i = 0; i < n_fds; i++)
        all[1 + i] = fds[i];
    return send_packet(l, &large, all, 1 + n_fds, e);
}

/* The launcher's first event says whether it could prepare the host. */
static int wait_ready(struct launcher *l, struct error *e)
{
    uint8_t data[EVENT_MAX];
    struct event event;
    int status = 0, r;
    ssize_t n;

    r = wait_for(l->fd, POLLIN, -1);
    if (r < 0)
        return error_sys(e, r, "wait for the launcher");
    n = fd_receive(l->fd, data, sizeof(data), NULL, 0, NULL);
    if (n > 0) {
        r = event_decode(data, (size_t)n, &event, e);
        if (r < 0)
            return r;
        if (event.type == EVENT_READY)
            return 0;
        if (event.type == EVENT_FAILED && event.result < 0)
            return error_set(e, event.result, "%s", event.report.error);
        return error_set(e, -EBADMSG, "the launcher did not say that it is ready");
    }
    l->fd = safe_close(l->fd);
    if (reap(l, STOP_MAX_MSEC, &status) && WIFSIGNALED(status))
        return error_set(e, -EPIPE, "the launcher died at its start of signal %d",
                         WTERMSIG(status));
    return error_set(e, -EPIPE, "the launcher ended at its start with status %d",
                     WEXITSTATUS(status));
}

/* Executes PROGRAM with SOCKET. Signals stay blocked until the launcher has its own handlers: a
 * Ctrl-C in between would end it. */
static int spawn(int program, int socket, pid_t *ret, struct error *e)
{
    char *const argv[] = {(char[]){LAUNCHER_NAME}, NULL};
    char path[32];
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t all;
    int r;

    sigfillset(&all);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", program);
    r = posix_spawn_file_actions_init(&actions);
    if (r != 0)
        return error_sys(e, -r, "start the launcher");
    r = posix_spawnattr_init(&attributes);
    if (r == 0) {
        r = posix_spawn_file_actions_adddup2(&actions, socket, LAUNCHER_SOCKET);
        if (r == 0)
            r = posix_spawnattr_setsigmask(&attributes, &all);
        if (r == 0)
            r = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
        if (r == 0)
            r = posix_spawn(ret, path, &actions, &attributes, argv, environ);
        (void)posix_spawnattr_destroy(&attributes);
    }
    (void)posix_spawn_file_actions_destroy(&actions);
    return r == 0 ? 0 : error_sys(e, -r, "start the launcher");
}

static int execute(struct launcher *l, struct error *e)
{
    _cleanup_close_ int ours = -EBADF, theirs = -EBADF, program = self_copy(e);
    int pair[2], r;

    if (program < 0)
        return program;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
        return error_sys(e, -errno, "socketpair");
    ours = pair[0], theirs = pair[1];
    r = spawn(program, theirs, &l->pid, e);
    if (r < 0)
        return r;
    l->fd = TAKE_FD(ours);
    l->pidfd = (int)syscall(SYS_pidfd_open, l->pid, 0);
    return l->pidfd < 0 ? error_sys(e, -errno, "pidfd_open") : 0;
}

int launcher_start(const struct launcher_config *config, struct launcher **ret, struct error *e)
{
    _cleanup_(launcher_stop_p) struct launcher *l = NULL;
    _cleanup_buffer_ struct buffer b = {.max = REQUEST_MAX};
    struct launcher_config own = *config;
    int r = check_config(config, e);

    if (r < 0)
        return r;
    own.client = getpid();
    r = startup_encode(&own, &b);
    if (r < 0)
        return error_sys(e, r, "configuration of the launcher");
    l = calloc(1, sizeof(*l));
    if (!l)
        return error_sys(e, -ENOMEM, "launcher");
    *l = (struct launcher){-EBADF, -1, -EBADF};
    r = execute(l, e);
    if (r == 0)
        r = send_bytes(l, &b, NULL, 0, e);
    if (r == 0)
        r = wait_ready(l, e);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(l);
    return 0;
}

int launcher_fd(const struct launcher *l)
{
    return l->fd;
}

pid_t launcher_pid(const struct launcher *l)
{
    return l->pid;
}

static int send_request(struct launcher *l, const struct request *request, const int *stdio,
                        struct error *e)
{
    _cleanup_buffer_ struct buffer b = {.max = REQUEST_MAX};
    int fds[3], r = request_encode(request, &b);
    size_t n = 0;

    if (r < 0)
        return error_sys(e, r, "request");
    for (int i = 0; stdio && i < 3; i++)
        if (stdio[i] >= 0)
            fds[n++] = stdio[i];
    return send_bytes(l, &b, fds, n, e);
}

int launcher_submit(struct launcher *l, uint64_t id, const struct sandbox_spec *spec,
                    const int stdio[3], struct error *e)
{
    /* The spec is only borrowed for the encoder: this request is never cleared. */
    struct request request = {.type = REQUEST_SUBMIT, .id = id, .spec = *spec};
    int r;

    if (id == 0)
        return error_set(e, -EINVAL, "id is 0");
    r = sandbox_spec_validate(spec, e);
    if (r < 0)
        return r;
    for (int i = 0; i < 3; i++)
        if (stdio[i] >= 0)
            request.stdio |= 1U << i;
    return send_request(l, &request, stdio, e);
}

int launcher_kill(struct launcher *l, uint64_t id)
{
    const struct request request = {.type = REQUEST_KILL, .id = id};

    return id == 0 ? 0 : send_request(l, &request, NULL, NULL);
}

int launcher_signal(struct launcher *l, uint64_t id, int number)
{
    const struct request request = {.type = REQUEST_SIGNAL, .id = id, .signal = (uint32_t)number};

    return id == 0 ? 0 : send_request(l, &request, NULL, NULL);
}

int launcher_probe(struct launcher *l, uint64_t id, uint32_t root, const char *path,
                   struct error *e)
{
    const char *fault = path[0] ? sandbox_relative_fault(path) : NULL;
    struct request request = {.type = REQUEST_PROBE, .id = id, .root = root};
    int r;

    if (id == 0)
        return error_set(e, -EINVAL, "id is 0");
    if (fault)
        return error_set(e, -EINVAL, "path %s", fault);
    request.path = strdup(path);
    if (!request.path)
        return error_sys(e, -ENOMEM, "probe");
    r = send_request(l, &request, NULL, e);
    request_clear(&request);
    return r;
}

int launcher_connect(struct launcher *l, uint64_t id, uint64_t sandbox, uint32_t mount,
                     const char *path, struct error *e)
{
    const char *fault = sandbox_relative_fault(path);
    struct request request = {.type = REQUEST_CONNECT, .id = id, .sandbox = sandbox, .root = mount};
    int r;

    if (id == 0)
        return error_set(e, -EINVAL, "id is 0");
    if (fault)
        return error_set(e, -EINVAL, "path %s", fault);
    request.path = strdup(path);
    if (!request.path)
        return error_sys(e, -ENOMEM, "connect");
    r = send_request(l, &request, NULL, e);
    request_clear(&request);
    return r;
}

int launcher_dispatch(struct launcher *l, struct launcher_event *ret_event, struct error *e)
{
    static const enum launcher_event_type types[] = {
        [EVENT_STARTED] = LAUNCHER_STARTED,
        [EVENT_EXITED] = LAUNCHER_EXITED,
        [EVENT_PROBED] = LAUNCHER_PROBED,
        [EVENT_CONNECTED] = LAUNCHER_CONNECTED,
    };
    uint8_t data[EVENT_MAX];
    _cleanup_close_ int fd = -EBADF;
    size_t n_fds = 0;
    struct event event;
    ssize_t n = fd_receive(l->fd, data, sizeof(data), &fd, 1, &n_fds);

    if (n == -EAGAIN)
        return 0;
    if (n <= 0)
        return error_set(e, -EPIPE, GONE);
    if (event_decode(data, (size_t)n, &event, e) < 0)
        return error_prefix(e, -EPIPE, "event of the launcher");
    if ((event.type == EVENT_CONNECTED && event.result == 0) != (n_fds == 1))
        return error_set(e, -EPIPE, "event of the launcher: %zu fds", n_fds);
    if (event.type == EVENT_FAILED)
        return error_set(e, -EPIPE, GONE ": %s", event.report.error);
    if (event.type == EVENT_READY)
        return error_set(e, -EPIPE, "the launcher says twice that it is ready");
    *ret_event = (struct launcher_event){.type = types[event.type],
                                         .id = event.id,
                                         .result = event.result,
                                         .fd = TAKE_FD(fd),
                                         .report = event.report};
    return 1;
}
