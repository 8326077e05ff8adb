#include "agent/link.h"

#include "base/clock.h"
#include "base/log.h"
#include "wire/value.h"

#include <string.h>
#include <sys/epoll.h>
#include <zmq.h>

#define HEARTBEAT_USEC USEC_PER_SEC
/* What one heartbeat counts as silence at most: a machine, or an agent, that stood still for a
 * while has heard nothing for reasons of its own. */
#define BEAT_LONGEST_USEC (2 * HEARTBEAT_USEC)
/* ZeroMQ connects again by itself, and sends on the new connection what was left of the old one, in
 * front of any hello. It must not do so before we have noticed the break and closed the socket. */
#define RECONNECT_MSEC 1000
/* Frames handled in one round of the event loop, so that a flood does not starve timers and
 * containers. */
#define FRAMES_PER_ROUND 64

struct link {
    struct loop *event;
    void *context, *socket; /* socket NULL while lost */
    char *address;
    struct link_callbacks callbacks;
    void *userdata;
    struct loop_source *io, *monitor_io, *post, *timer;
    void *monitor;       /* PAIR that tells of the connection (zmq_socket_monitor(3)) */
    unsigned generation; /* of the monitor's address */
    uint64_t last_beat;  /* when the silence was added to */
    uint64_t silence;    /* since a frame was heard, see BEAT_LONGEST_USEC */
    uint64_t backoff;
    bool heard;  /* anything since the connection was made */
    bool broken; /* it has to be given up */
};

static void disconnect(struct link *l, int linger_msec)
{
    int none = 0;

    l->io = loop_source_free(l->io);
    l->monitor_io = loop_source_free(l->monitor_io);
    /* The monitor is stopped before its reader goes: ZeroMQ's thread would wait for one for ever.
     */
    if (l->socket)
        zmq_socket_monitor(l->socket, NULL, 0);
    if (l->monitor) {
        zmq_setsockopt(l->monitor, ZMQ_LINGER, &none, sizeof(none));
        zmq_close(l->monitor);
        l->monitor = NULL;
    }
    if (!l->socket)
        return;
    zmq_setsockopt(l->socket, ZMQ_LINGER, &linger_msec, sizeof(linger_msec));
    zmq_close(l->socket);
    l->socket = NULL;
}

static void look(struct link *l)
{
    for (int frames = 0; l->socket && frames < FRAMES_PER_ROUND; frames++) {
        zmq_msg_t part;
        int more;

        zmq_msg_init(&part);
        if (zmq_msg_recv(&part, l->socket, ZMQ_DONTWAIT) < 0) {
            zmq_msg_close(&part);
            return;
        }
        more = zmq_msg_more(&part);
        while (more && l->socket) {
            /* The backend sends one frame; what follows the first is dropped, as upstream's agent
             * does. */
            zmq_msg_t rest;
            zmq_msg_init(&rest);
            more = zmq_msg_recv(&rest, l->socket, ZMQ_DONTWAIT) >= 0 && zmq_msg_more(&rest);
            zmq_msg_close(&rest);
        }
        if (l->callbacks.message(l->userdata, zmq_msg_data(&part), zmq_msg_size(&part))) {
            l->silence = 0;
            l->heard = true;
        }
        zmq_msg_close(&part);
    }
}

static int on_io(struct loop_source *source, int fd, uint32_t revents, void *userdata)
{
    (void)source, (void)fd, (void)revents;
    look(userdata);
    return 0;
}

/* Whether a frame waits. Asking also makes ZeroMQ ring the descriptor for the next one: a reader
 * that was never told "nothing there" counts as awake. */
static bool is_readable(struct link *l)
{
    int events = 0;
    size_t size = sizeof(events);

    return l->socket && zmq_getsockopt(l->socket, ZMQ_EVENTS, &events, &size) == 0 &&
           (events & ZMQ_POLLIN);
}

static void lose(struct link *l, const char *why)
{
    disconnect(l, 0);
    l->broken = false;
    l->backoff =
        l->heard ? LINK_BACKOFF_FIRST_USEC : MIN(l->backoff * 2, LINK_BACKOFF_LONGEST_USEC);
    log_warning("backend %s: %s; connecting again in %.1f s", l->address, why,
                (double)l->backoff / (double)USEC_PER_SEC);
    loop_source_set_time(l->timer, clock_monotonic_usec() + l->backoff);
    l->callbacks.lost(l->userdata);
}

/* Whether an established connection has broken. The backend keeps no queue for us beyond it: what
 * ran here is lost to it, and a new connection is a new agent. Failed attempts to connect are no
 * news: ZeroMQ tries again by itself. */
static bool has_broken(struct link *l)
{
    bool broken = false;
    uint8_t event[6]; /* u16 event, u32 value */

    while (l->monitor && zmq_recv(l->monitor, event, sizeof(event), ZMQ_DONTWAIT) >= 0) {
        zmq_msg_t address;
        zmq_msg_init(&address);
        zmq_msg_recv(&address, l->monitor, ZMQ_DONTWAIT);
        zmq_msg_close(&address);
        broken = true; /* the only event asked for */
    }
    return broken;
}

static int on_post(struct loop_source *source, void *userdata)
{
    struct link *l = userdata;

    (void)source;
    if (l->broken || has_broken(l))
        lose(l, "the connection to it broke");
    if (is_readable(l))
        look(l);
    /* Frames left over wait for no edge of the descriptor: come back by the timer at once. */
    if (is_readable(l))
        loop_source_set_time(l->timer, clock_monotonic_usec());
    return 0;
}

/* What the monitor says is looked at after every round of the loop. */
static int on_monitor(struct loop_source *source, int fd, uint32_t revents, void *userdata)
{
    (void)source, (void)fd, (void)revents, (void)userdata;
    return 0;
}

static int watch_connection(struct link *l)
{
    char address[64];
    size_t size = sizeof(int);
    int fd;

    snprintf(address, sizeof(address), "inproc://link-%p-%u", (void *)l, l->generation++);
    if (zmq_socket_monitor(l->socket, address, ZMQ_EVENT_DISCONNECTED) < 0)
        return -errno;
    l->monitor = zmq_socket(l->context, ZMQ_PAIR);
    if (!l->monitor || zmq_connect(l->monitor, address) < 0 ||
        zmq_getsockopt(l->monitor, ZMQ_FD, &fd, &size) < 0)
        return -errno;
    /* Reading until there is nothing is what makes it ring. */
    l->broken = has_broken(l);
    return loop_add_io(l->event, &l->monitor_io, fd, EPOLLIN, on_monitor, l);
}

static int set_options(void *socket)
{
    int ipv6 = 1, high_water = 0, linger = 0, ivl = RECONNECT_MSEC, ivl_max = 5000;
    int64_t max = (int64_t)WIRE_FRAME_MAX;

    /* No high-water mark: a dropped AgentJobDone would lose a job; what can queue up is bounded by
     * the number of jobs. */
    if (zmq_setsockopt(socket, ZMQ_IPV6, &ipv6, sizeof(ipv6)) < 0 ||
        zmq_setsockopt(socket, ZMQ_SNDHWM, &high_water, sizeof(high_water)) < 0 ||
        zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof(linger)) < 0 ||
        zmq_setsockopt(socket, ZMQ_RECONNECT_IVL, &ivl, sizeof(ivl)) < 0 ||
        zmq_setsockopt(socket, ZMQ_RECONNECT_IVL_MAX, &ivl_max, sizeof(ivl_max)) < 0 ||
        zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &max, sizeof(max)) < 0)
        return -errno;
    return 0;
}

/* ZeroMQ tries a socket that we may not write to for ever and says nothing. One that is not there
 * may come yet. */
static int check_permission(const struct link *l, struct error *e)
{
    if (strncmp(l->address, "ipc:///", strlen("ipc:///")) != 0 ||
        access(l->address + strlen("ipc://"), W_OK) == 0 || errno != EACCES)
        return 0;
    return error_set(
        e, -EACCES,
        "backend %s: user %u, which the agent runs as, may not write to this socket (see --user)",
        l->address, geteuid());
}

static int connect_backend(struct link *l, struct error *e)
{
    size_t size = sizeof(int);
    int fd, r;

    r = check_permission(l, e);
    if (r < 0)
        return r;
    l->socket = zmq_socket(l->context, ZMQ_DEALER);
    if (!l->socket)
        return error_set(e, -errno, "zmq_socket: %s", zmq_strerror(errno));
    r = set_options(l->socket);
    if (r < 0)
        return error_set(e, r, "zmq_setsockopt: %s", zmq_strerror(-r));
    if (zmq_connect(l->socket, l->address) < 0)
        return error_set(e, -errno, "cannot connect to backend \"%s\": %s", l->address,
                         zmq_strerror(errno));
    if (zmq_getsockopt(l->socket, ZMQ_FD, &fd, &size) < 0)
        return error_set(e, -errno, "zmq_getsockopt: %s", zmq_strerror(errno));
    r = loop_add_io(l->event, &l->io, fd, EPOLLIN, on_io, l);
    if (r < 0)
        return error_sys(e, r, "watching the backend's socket");
    r = watch_connection(l);
    if (r < 0)
        return error_set(e, r, "zmq_socket_monitor: %s", zmq_strerror(-r));
    l->last_beat = clock_monotonic_usec();
    l->silence = 0;
    l->heard = false;
    r = link_hello(l);
    if (r < 0)
        return error_sys(e, r, "saying hello");
    (void)is_readable(l);
    return 0;
}

static int on_timer(struct loop_source *source, uint64_t usec, void *userdata)
{
    struct link *l = userdata;
    struct error e = ERROR_INIT;
    uint64_t now = clock_monotonic_usec();

    (void)usec;
    loop_source_set_time(source, now + HEARTBEAT_USEC);
    l->silence += MIN(now - l->last_beat, BEAT_LONGEST_USEC);
    l->last_beat = now;
    if (l->silence > LINK_SILENCE_USEC && is_readable(l))
        look(l); /* what waits was said in time */
    if (l->socket && l->silence > LINK_SILENCE_USEC) {
        lose(l, "nothing heard for 10 s");
    } else if (!l->socket && connect_backend(l, &e) < 0) {
        log_error("%s", e.text);
        disconnect(l, 0);
    }
    return loop_source_enable(source, true);
}

int link_open(struct loop *event, void *context, const char *address,
              const struct link_callbacks *callbacks, void *userdata, struct link **ret,
              struct error *e)
{
    struct link *l = calloc(1, sizeof(*l));
    int r;

    if (!l)
        return error_sys(e, -ENOMEM, "link");
    *l = (struct link){.event = event,
                       .context = context,
                       .address = strdup(address),
                       .callbacks = *callbacks,
                       .userdata = userdata,
                       .backoff = LINK_BACKOFF_FIRST_USEC};
    if (!l->address) {
        free(l);
        return error_sys(e, -ENOMEM, "link");
    }
    r = connect_backend(l, e);
    if (r == 0) {
        r = loop_add_post(event, &l->post, on_post, l);
        if (r >= 0)
            r = loop_add_time(event, &l->timer, clock_monotonic_usec() + HEARTBEAT_USEC, on_timer,
                              l);
        if (r < 0)
            error_sys(e, r, "timer of the link");
    }
    if (r < 0) {
        link_close(l, 0);
        return r;
    }
    *ret = l;
    return 0;
}

void link_close(struct link *l, int linger_msec)
{
    disconnect(l, linger_msec);
    loop_source_free(l->post);
    loop_source_free(l->timer);
    free(l->address);
    free(l);
}

int link_hello(struct link *l)
{
    _cleanup_buffer_ struct buffer hello = {0};
    int r = l->socket ? l->callbacks.hello(l->userdata, &hello) : -ENOTCONN;

    return r < 0 ? r : link_send(l, &hello);
}

int link_send(struct link *l, const struct buffer *frame)
{
    /* The backend has given up all that a broken connection was about. */
    l->broken = l->broken || has_broken(l);
    if (!l->socket || l->broken)
        return 0;
    while (zmq_send(l->socket, frame->data, frame->size, ZMQ_DONTWAIT) < 0)
        if (errno != EINTR)
            return -errno;
    return 0;
}
