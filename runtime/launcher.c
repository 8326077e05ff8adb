/* The loop of the privileged process.
 *
 * Theory of operation. One thread, one event loop. The client is not trusted: it parses foreign
 * bytes and may be somebody else by now. What it can do is exactly the five requests of request.h,
 * each with its safety argument below. Two kinds of bad requests are told apart. One that is well
 * formed but not possible (an unknown root, a parent that has just ended) may come from an honest
 * client and is answered. One that does not decode cannot: both ends are one program. It means that
 * the client is broken or taken over, and the launcher ends.
 *
 * The life of every sandbox is bound to the client's end of the socket: when it closes, whatever
 * the reason, everything is killed and this process takes the host down again and ends. Signals do
 * not do that: the Ctrl-C of a terminal reaches the whole process group, and a launcher that died
 * of it would leave its cgroups and mounts to the next start.
 *
 * The launcher never waits for its client. Events that the socket does not take are queued; while
 * too many are, no request is read, so that a client which never reads cannot fill our memory. */
#include "admission.h"
#include "base/clock.h"
#include "base/fdio.h"
#include "connect.h"
#include "life.h"
#include "limits.h"
#include "request.h"
#include "self.h"
#include "startup.h"
#include "takeover.h"
#include "weaken.h"

#include <poll.h>
#include <string.h>
#include <sys/stat.h>

#define SANDBOXES_DEFAULT 256
/* Events queued before no more requests are read, beside two of each sandbox that there may be: a
 * client that kills all it has reads none of them meanwhile, and would wait for us while we waited
 * for it. */
#define OUTGOING_MAX 256
/* Killed sandboxes are gone within milliseconds, unless a process hangs in the kernel (a dead
 * network file system). After so long the launcher leaves what remains to the sweep of the next
 * start. */
#define ENDING_MAX_USEC (30 * USEC_PER_SEC)

/* A request's fds: the memory of a large one and three for stdio. */
#define REQUEST_FDS_MAX 4

#define SIGRTMAX_KERNEL 64 /* _NSIG of the kernel; glibc keeps two to itself */

struct outgoing {
    struct outgoing *next;
    int fd; /* that goes with it, or negative */
    size_t size;
    uint8_t data[];
};

struct process {
    int socket;
    struct loop *event;
    struct loop_source *io;
    struct loop_source *deadline;
    struct launcher_config *config;
    struct host *host;
    struct sandbox **sandboxes; /* those not over yet; NULL where a place is free */
    size_t max_sandboxes;
    size_t n_sandboxes;
    struct outgoing *first, **end;
    size_t n_outgoing;
    bool ending;
    int status;
    uint8_t packet[REQUEST_PACKET_MAX];
};

static void start_ending(struct process *p, int status);

/* --- events up ------------------------------------------------------------------------------ */

/* Sends what the socket takes. */
static void flush(struct process *p)
{
    while (p->first) {
        struct outgoing *o = p->first;
        ssize_t n = fd_send(p->socket, o->data, o->size, &o->fd, o->fd >= 0);
        if (n == -EAGAIN)
            return;
        if (n < 0) {
            start_ending(p, 0); /* the client is gone */
            return;
        }
        p->first = o->next;
        if (!p->first)
            p->end = &p->first;
        p->n_outgoing--;
        safe_close(o->fd);
        free(o);
    }
}

static bool takes_requests(const struct process *p)
{
    return p->n_outgoing < OUTGOING_MAX + 2 * p->max_sandboxes;
}

static void update_watch(struct process *p)
{
    uint32_t events = 0;

    if (!p->io)
        return;
    if (p->n_outgoing > 0)
        events |= EPOLLOUT;
    if (takes_requests(p))
        events |= EPOLLIN;
    if (loop_source_set_io_events(p->io, events) < 0)
        start_ending(p, 1);
}

/* Takes FD, which may be negative. */
static int enqueue(struct process *p, const struct event *event, int fd)
{
    _cleanup_buffer_ struct buffer b = {.max = EVENT_MAX};
    _cleanup_close_ int taken = fd;
    struct outgoing *o;
    int r = event_encode(event, &b);

    if (r < 0)
        return r;
    o = malloc(sizeof(*o) + b.size);
    if (!o)
        return -ENOMEM;
    o->next = NULL;
    o->fd = TAKE_FD(taken);
    o->size = b.size;
    memcpy(o->data, b.data, b.size);
    *p->end = o;
    p->end = &o->next;
    p->n_outgoing++;
    return 0;
}

/* An event that cannot be told is a sandbox the client would wait for for ever: then rather none at
 * all. */
static void tell_with_fd(struct process *p, const struct event *event, int fd)
{
    if (p->ending) {
        safe_close(fd);
        return;
    }
    if (enqueue(p, event, fd) < 0) {
        start_ending(p, 1);
        return;
    }
    flush(p);
    update_watch(p);
}

static void tell(struct process *p, const struct event *event)
{
    tell_with_fd(p, event, -EBADF);
}

static void tell_failure(struct process *p, const struct error *e)
{
    struct event event = {.type = EVENT_FAILED, .result = e->code};

    memcpy(event.report.error, e->text, sizeof(event.report.error));
    tell(p, &event);
}

/* --- the end --------------------------------------------------------------------------------- */

static int on_deadline(struct loop_source *source, uint64_t usec, void *userdata)
{
    struct process *p = userdata;

    (void)source, (void)usec;
    loop_exit(p->event, 1);
    return 0;
}

static void leave_if_empty(struct process *p)
{
    if (p->ending && p->n_sandboxes == 0)
        loop_exit(p->event, p->status);
}

static void start_ending(struct process *p, int status)
{
    if (p->ending || !p->event) /* without an event loop nothing has begun */
        return;
    p->ending = true;
    p->status = status;
    p->io = loop_source_free(p->io);
    for (size_t i = 0; i < p->max_sandboxes; i++)
        if (p->sandboxes[i])
            sandbox_kill(p->sandboxes[i]);
    if (loop_add_time_relative(p->event, &p->deadline, ENDING_MAX_USEC, on_deadline, p) < 0)
        loop_exit(p->event, 1);
    leave_if_empty(p);
}

/* The client broke the protocol: see the theory of operation. */
static void give_up(struct process *p, const struct error *e)
{
    tell_failure(p, e);
    start_ending(p, 1);
}

/* --- requests -------------------------------------------------------------------------------- */

static struct sandbox *find(struct process *p, uint64_t id)
{
    for (size_t i = 0; i < p->max_sandboxes; i++)
        if (p->sandboxes[i] && sandbox_id(p->sandboxes[i]) == id)
            return p->sandboxes[i];
    return NULL;
}

static void on_over(struct sandbox *s, const struct sandbox_report *report, void *userdata)
{
    struct process *p = userdata;
    struct event event = {.type = EVENT_EXITED, .id = sandbox_id(s), .report = *report};

    for (size_t i = 0; i < p->max_sandboxes; i++) {
        if (p->sandboxes[i] == s) {
            p->sandboxes[i] = NULL;
            p->n_sandboxes--;
        }
    }
    tell(p, &event); /* first the answer, then the cleaning */
    sandbox_free(s);
    leave_if_empty(p);
}

/* A sandbox that could not run at once does now. */
static void on_released(struct sandbox *s, void *userdata)
{
    struct event started = {.type = EVENT_STARTED, .id = sandbox_id(s)};

    tell(userdata, &started);
}

static void refuse(struct process *p, uint64_t id, const struct error *e)
{
    struct event event = {.type = EVENT_EXITED, .id = id};

    sandbox_report_init(&event.report);
    event.report.verdict = SANDBOX_START_FAILED;
    event.report.error_code = e->code;
    memcpy(event.report.error, e->text, sizeof(event.report.error));
    snprintf(event.report.failed_step, sizeof(event.report.failed_step), "request");
    tell(p, &event);
}

static int admit(struct process *p, const struct request *r, const int stdio[3],
                 struct sandbox **ret_parent, struct error *e)
{
    int code = admission_check(p->host, &r->spec, stdio, e);

    if (code < 0)
        return code;
    if (p->n_sandboxes >= p->max_sandboxes)
        return error_set(e, -EAGAIN, "%zu sandboxes are running already", p->n_sandboxes);
    if (find(p, r->id))
        return error_set(e, -EEXIST, "id %llu is that of a running sandbox",
                         (unsigned long long)r->id);
    *ret_parent = r->spec.parent ? find(p, r->spec.parent) : NULL;
    if (r->spec.parent && !*ret_parent)
        return error_set(e, -ESRCH, "the parent %llu is not running",
                         (unsigned long long)r->spec.parent);
    return 0;
}

/* Submit: runs a program of the client's choice in a sandbox.
 *
 * Why this gives the client nothing it does not have: the program runs in namespaces of its own,
 * with ids that own nothing on the host and below the filter, and none of this is the client's to
 * choose; limits are, but not how many run. It names files only as paths below the roots that root
 * chose at start; these are resolved inside the root (openat2, RESOLVE_IN_ROOT) at the moment of
 * the mount, and the sources of a read-only root are never writable. Its fds are its own, so they
 * can do no more than before; those that would lead out of the container's root are refused. A
 * parent is named by id and can only be a sandbox of this same client. Sizes and counts were
 * bounded by the decoder, the number of sandboxes here. */
static void handle_submit(struct process *p, const struct request *r, const int stdio[3])
{
    struct event started = {.type = EVENT_STARTED, .id = r->id};
    struct sandbox *parent = NULL, *s;
    struct error e = ERROR_INIT;
    int code = admit(p, r, stdio, &parent, &e);

    if (code < 0) {
        refuse(p, r->id, &e);
        return;
    }
    code = sandbox_start(p->host, r->id, &r->spec, stdio, parent, on_over, p, &s);
    if (code < 0) {
        error_sys(&e, code, "sandbox");
        refuse(p, r->id, &e);
        return;
    }
    for (size_t i = 0; i < p->max_sandboxes; i++) {
        if (!p->sandboxes[i]) {
            p->sandboxes[i] = s;
            p->n_sandboxes++;
            break;
        }
    }
    if (sandbox_is_running(s))
        tell(p, &started);
    else
        sandbox_on_released(s, on_released);
}

/* Kill: ends a sandbox.
 *
 * The client names it by id, so it reaches only sandboxes of its own; a process id never crosses
 * the boundary. Without such a sandbox nothing happens: it may have ended a moment ago. */
static void handle_kill(struct process *p, const struct request *r)
{
    struct sandbox *s = find(p, r->id);

    if (s)
        sandbox_kill(s);
}

/* Signal: sends a signal to the program of a sandbox.
 *
 * The client names the sandbox by id, so it is one of its own, and the signal goes to its first
 * process by pidfd, so it reaches nobody else. A program that may be killed may be signalled. */
static void handle_signal(struct process *p, const struct request *r)
{
    struct sandbox *s = find(p, r->id);

    if (s && r->signal >= 1 && r->signal <= SIGRTMAX_KERNEL)
        sandbox_signal(s, (int)r->signal);
}

/* Probe: tells whether a path below a root is a directory.
 *
 * Roots may be readable by root only, so this tells the client something it could not see: whether
 * a directory of this name exists below a root that it may mount from anyway. Nothing outside
 * can be asked for: the path is resolved with the root as "/", so neither ".." nor an absolute link
 * leaves it, and links of /proc are refused. Only a place is opened (O_PATH), never a file, so no
 * device or fifo notices. */
static int probe(const struct process *p, const struct request *r)
{
    int fd;

    if (r->root >= p->host->n_roots || (r->path[0] && sandbox_relative_fault(r->path)))
        return -EINVAL;
    fd = fd_openat2(p->host->roots[r->root].fd, r->path[0] ? r->path : ".", O_PATH | O_DIRECTORY, 0,
                    RESOLVE_UNTRUSTED);
    if (fd < 0)
        return fd;
    safe_close(fd);
    return 0;
}

/* Connect: gives the client a connection to a socket that a sandbox of its own has made.
 *
 * It is what a program in one of the sandbox's children could do, which the same directory can be
 * mounted into, and the sandbox is named by id, so it is one of this client's. Only a socket below
 * one of its scratch mounts can be reached: the path is resolved with the mount as its root, no
 * link is followed, no other mount entered, and the connection is made by the descriptor which that
 * lookup found. A socket answers to whoever bound it, and in a directory that only the sandbox and
 * its children can write to, that is one of them, never a service of the host that would take our
 * connection for root's. What the listener learns of us is a process and a user that its namespaces
 * do not know. Nothing is read or written here and no connect waits (a full queue is an error), so
 * nobody inside can hold the launcher up; the client gets a descriptor from us, none from a
 * container. */
static int connect_to(struct process *p, const struct request *r)
{
    struct sandbox *s = find(p, r->sandbox);
    int mount_fd;

    if (sandbox_relative_fault(r->path))
        return -EINVAL;
    if (!s)
        return -ESRCH;
    mount_fd = sandbox_scratch_mount(s, r->root);
    return mount_fd < 0 ? mount_fd : connect_below(mount_fd, r->path);
}

static void handle_connect(struct process *p, const struct request *r)
{
    struct event connected = {.type = EVENT_CONNECTED, .id = r->id};
    int fd = connect_to(p, r);

    connected.result = MIN(fd, 0);
    tell_with_fd(p, &connected, fd);
}

/* How many of the fds belong to R: stdio[] gets them in their places. */
static size_t place_stdio(const struct request *r, const int *fds, size_t n, int stdio[3])
{
    size_t used = 0;

    for (int i = 0; i < 3; i++) {
        stdio[i] = -EBADF;
        if (!(r->stdio & (1U << i)))
            continue;
        if (used < n)
            stdio[i] = fds[used];
        used++;
    }
    return used;
}

static void handle(struct process *p, const void *data, size_t size, const int *fds, size_t n)
{
    struct error e = ERROR_INIT;
    struct request r;
    int stdio[3];

    if (request_decode(data, size, &r, &e) < 0) {
        error_prefix(&e, e.code, "request");
        give_up(p, &e);
        return;
    }
    if (place_stdio(&r, fds, n, stdio) != n) {
        error_set(&e, -EBADMSG, "request: %zu fds are not those it announces", n);
        give_up(p, &e);
    } else if (r.type == REQUEST_SUBMIT) {
        handle_submit(p, &r, stdio);
    } else if (r.type == REQUEST_KILL) {
        handle_kill(p, &r);
    } else if (r.type == REQUEST_SIGNAL) {
        handle_signal(p, &r);
    } else if (r.type == REQUEST_CONNECT) {
        handle_connect(p, &r);
    } else {
        struct event probed = {.type = EVENT_PROBED, .id = r.id, .result = probe(p, &r)};
        tell(p, &probed);
    }
    request_clear(&r);
}

static void handle_large(struct process *p, const int *fds, size_t n)
{
    _cleanup_buffer_ struct buffer b = {.max = REQUEST_MAX};
    struct error e = ERROR_INIT;

    if (n == 0)
        error_set(&e, -EBADMSG, "request: its memory is missing");
    if (n == 0 || request_unseal(fds[0], &b, &e) < 0)
        give_up(p, &e);
    else
        handle(p, b.data, b.size, fds + 1, n - 1);
}

static void receive(struct process *p)
{
    int fds[REQUEST_FDS_MAX];
    struct error e = ERROR_INIT;
    size_t n_fds = 0;
    ssize_t n = fd_receive(p->socket, p->packet, sizeof(p->packet), fds, REQUEST_FDS_MAX, &n_fds);

    if (n == -EAGAIN)
        return;
    if (n == -EMSGSIZE) {
        error_set(&e, -EBADMSG, "request: a packet is too large or has too many fds");
        give_up(p, &e);
        return;
    }
    if (n <= 0)
        start_ending(p, 0);
    else if (request_is_large(p->packet, (size_t)n))
        handle_large(p, fds, n_fds);
    else
        handle(p, p->packet, (size_t)n, fds, n_fds);
    for (size_t i = 0; i < n_fds; i++)
        safe_close(fds[i]);
}

static int on_socket(struct loop_source *source, int fd, uint32_t revents, void *userdata)
{
    struct process *p = userdata;

    (void)source, (void)fd;
    flush(p);
    if (!p->ending && takes_requests(p) && (revents & ~(uint32_t)EPOLLOUT))
        receive(p);
    update_watch(p);
    return 0;
}

/* --- begin and end ---------------------------------------------------------------------------- */

static int prepare(struct process *p, const struct launcher_config *config, struct error *e)
{
    int r;

    p->max_sandboxes = config->max_sandboxes ? config->max_sandboxes : SANDBOXES_DEFAULT;
    p->sandboxes = calloc(p->max_sandboxes, sizeof(struct sandbox *));
    if (!p->sandboxes)
        return error_sys(e, -ENOMEM, "start of the launcher");
    r = loop_new(&p->event);
    if (r < 0)
        return error_sys(e, r, "event loop");
    r = host_open(config, p->event, &p->host, e);
    if (r < 0)
        return r;
    /* Only now: the configuration's paths may be relative ones. */
    if (chdir("/") < 0)
        return error_sys(e, -errno, "chdir");
    r = loop_add_io(p->event, &p->io, p->socket, EPOLLIN, on_socket, p);
    if (r < 0)
        return error_sys(e, r, "event loop");
    /* Where it is refused, limits are as exact as the host's load lets them be. */
    (void)limits_take_precedence();
    return 0;
}

/* The first message on the socket: whoever executed us sends it at once. */
static int receive_config(struct process *p, struct error *e)
{
    struct pollfd wait = {.fd = p->socket, .events = POLLIN};
    _cleanup_buffer_ struct buffer large = {.max = REQUEST_MAX};
    _cleanup_close_ int memory = -EBADF;
    size_t n_fds = 0;
    ssize_t n;

    while (poll(&wait, 1, -1) < 0)
        if (errno != EINTR)
            return error_sys(e, -errno, "poll");
    n = fd_receive(p->socket, p->packet, sizeof(p->packet), &memory, 1, &n_fds);
    if (n <= 0)
        return error_sys(e, n < 0 ? (int)n : -EPIPE, "configuration of the launcher");
    if (n_fds == 0)
        return startup_decode(p->packet, (size_t)n, &p->config, e);
    if (request_unseal(memory, &large, e) < 0)
        return e->code;
    return startup_decode(large.data, large.size, &p->config, e);
}

/* Whoever enters a container must not lead out of it to our program's file (self.h). */
static int check_program(struct error *e)
{
    int r = weakened("sealed-program") ? 1 : self_is_sealed();

    if (r < 0)
        return error_sys(e, r, "open /proc/self/exe");
    return r ? 0 : error_set(e, -EPERM, "the launcher does not run from a sealed copy (self.h)");
}

static int begin(struct process *p, struct error *e)
{
    int r = takeover(p->socket, e);

    if (r < 0)
        return r;
    p->socket = r;
    r = check_program(e);
    if (r == 0)
        r = receive_config(p, e);
    return r < 0 ? r : prepare(p, p->config, e);
}

/* The whole life of the process: takes it over, prepares the host, tells the client over SOCKET
 * that it is ready or why not, serves requests until the client closes or breaks the protocol,
 * kills all sandboxes and takes the host down again. The exit status: 0, or 1 after a failure that
 * the client was told. */
static int serve(int socket)
{
    static struct process process;
    struct process *p = &process;
    const struct event ready = {.type = EVENT_READY};
    struct error e = ERROR_INIT;
    int status = 1;

    p->socket = socket;
    p->end = &p->first;
    if (begin(p, &e) < 0) {
        tell_failure(p, &e);
    } else {
        tell(p, &ready);
        status = loop_serve(p->event);
    }
    for (size_t i = 0; i < p->max_sandboxes; i++)
        if (p->sandboxes && p->sandboxes[i])
            sandbox_free(p->sandboxes[i]);
    if (p->host)
        host_close(p->host);
    startup_free(p->config);
    return status < 0 ? 1 : status;
}

void launcher_begin(char **argv)
{
    /* No atexit function and no flush: there is nothing of either. */
    if (argv[0] && strcmp(argv[0], LAUNCHER_NAME) == 0)
        _exit(serve(LAUNCHER_SOCKET));
}
