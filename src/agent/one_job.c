#include "agent/one_job.h"

#include "base/clock.h"

#include <string.h>
#include <sys/epoll.h>
#include <zmq.h>

#define JOB_ID "grade"
/* ROUTER prefixes five bytes of its own choice; an agent that chose an identity may have up to 255.
 */
#define ADDRESS_MAX 255

struct one_job_backend {
    const struct one_job *job;
    void *socket;
    struct loop_source *io, *post, *timer;
    uint8_t agent[ADDRESS_MAX];
    size_t agent_size; /* 0 until it has said hello */
    bool given, over;
};

static int send_frame(struct one_job_backend *b, const void *frame, size_t size)
{
    if (zmq_send(b->socket, b->agent, b->agent_size, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0 ||
        zmq_send(b->socket, frame, size, ZMQ_DONTWAIT) < 0)
        return -errno;
    return 0;
}

static int send_job(struct one_job_backend *b)
{
    _cleanup_buffer_ struct buffer frame = {0};
    struct wire_job_id id = {0};
    struct backend_new_job job = b->job->message;
    int r = wire_job_id_from_text(JOB_ID, &id);

    job.job_id = &id;
    if (r == 0)
        r = backend_encode_new_job(b->job->protocol, &job, &frame);
    wire_job_id_clear(&id);
    return r < 0 ? r : send_frame(b, frame.data, frame.size);
}

static void on_frame(struct one_job_backend *b, const void *frame, size_t size)
{
    struct error e = ERROR_INIT;
    struct agent_message message;
    int r = agent_message_decode(b->job->protocol, frame, size, &message, &e);

    if (r == 0 && message.type == AGENT_HELLO && !b->given) {
        b->given = true;
        r = send_job(b);
    }
    if (b->over || (r == 0 && message.type != AGENT_JOB_DONE))
        return;
    b->over = true;
    b->job->done(b->job->userdata, r, &message, &e);
}

/* One message is two frames: the agent's address and the body. */
static bool receive(struct one_job_backend *b)
{
    zmq_msg_t body;
    int n = zmq_recv(b->socket, b->agent, sizeof(b->agent), ZMQ_DONTWAIT);

    if (n < 0)
        return false;
    b->agent_size = (size_t)n;
    zmq_msg_init(&body);
    if (zmq_msg_recv(&body, b->socket, ZMQ_DONTWAIT) >= 0)
        on_frame(b, zmq_msg_data(&body), zmq_msg_size(&body));
    zmq_msg_close(&body);
    return true;
}

static int on_io(struct loop_source *source, int fd, uint32_t revents, void *userdata)
{
    (void)source, (void)fd, (void)revents;
    while (receive(userdata))
        ;
    return 0;
}

static int on_post(struct loop_source *source, void *userdata)
{
    (void)source;
    while (receive(userdata))
        ;
    return 0;
}

static int on_timer(struct loop_source *source, uint64_t usec, void *userdata)
{
    _cleanup_buffer_ struct buffer ping = {0};
    struct one_job_backend *b = userdata;

    (void)usec;
    if (b->agent_size > 0 && backend_encode_ping(b->job->protocol, &ping) == 0)
        send_frame(b, ping.data, ping.size);
    loop_source_set_time(source, clock_monotonic_usec() + USEC_PER_SEC);
    return loop_source_enable(source, true);
}

int one_job_open(struct loop *event, void *context, const char *address, const struct one_job *job,
                 struct one_job_backend **ret, struct error *e)
{
    _cleanup_(one_job_close_p) struct one_job_backend *b = calloc(1, sizeof(*b));
    size_t size = sizeof(int);
    int fd, r;

    if (!b)
        return error_sys(e, -ENOMEM, "backend");
    *b = (struct one_job_backend){.job = job};
    b->socket = zmq_socket(context, ZMQ_ROUTER);
    if (!b->socket || zmq_bind(b->socket, address) < 0 ||
        zmq_getsockopt(b->socket, ZMQ_FD, &fd, &size) < 0)
        return error_set(e, -errno, "cannot bind %s: %s", address, zmq_strerror(errno));
    r = loop_add_io(event, &b->io, fd, EPOLLIN, on_io, b);
    if (r >= 0)
        r = loop_add_post(event, &b->post, on_post, b);
    if (r >= 0)
        r = loop_add_time(event, &b->timer, clock_monotonic_usec() + USEC_PER_SEC, on_timer, b);
    if (r < 0)
        return error_sys(e, r, "watching %s", address);
    *ret = TAKE_PTR(b);
    return 0;
}

void one_job_close(struct one_job_backend *b)
{
    int linger = 0;

    loop_source_free(b->io);
    loop_source_free(b->post);
    loop_source_free(b->timer);
    if (b->socket) {
        zmq_setsockopt(b->socket, ZMQ_LINGER, &linger, sizeof(linger));
        zmq_close(b->socket);
    }
    free(b);
}
