#include "agent/one_job.h"

#include "base/clock.h"
#include "wire/value.h"

#include <string.h>
#include <sys/epoll.h>
#include <zmq.h>

#define JOB_ID "grade"
/* ROUTER prefixes five bytes of its own choice; an agent that chose an identity may have up to 255. */
#define ADDRESS_MAX 255

struct one_job_backend {
    const struct one_job *job;
    void *socket;
    sd_event_source *io, *post, *timer;
    one_job_done_fn done;
    void *userdata;
    uint8_t agent[ADDRESS_MAX];
    size_t agent_size; /* 0 until it has said hello */
    bool over;
};

static int send_frame(struct one_job_backend *b, const void *frame, size_t size)
{
    if (zmq_send(b->socket, b->agent, b->agent_size, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0 ||
        zmq_send(b->socket, frame, size, ZMQ_DONTWAIT) < 0)
        return -errno;
    return 0;
}

static void pack_text(msgpack_packer *p, const char *text)
{
    if (text)
        msgpack_pack_str_with_body(p, text, strlen(text));
    else
        msgpack_pack_nil(p);
}

static void pack_field(msgpack_packer *p, const char *key, const char *value)
{
    pack_text(p, key);
    pack_text(p, value);
}

static void pack_raw(msgpack_packer *p, const char *key, const struct buffer *value)
{
    pack_text(p, key);
    p->callback(p->data, (const char *)value->data, value->size);
}

static int send_job(struct one_job_backend *b)
{
    const struct one_job *job = b->job;
    msgpack_sbuffer out;
    msgpack_packer p;
    int r;

    msgpack_sbuffer_init(&out);
    msgpack_packer_init(&p, &out, msgpack_sbuffer_write);
    msgpack_pack_map(&p, 10);
    pack_field(&p, "job_id", JOB_ID);
    pack_field(&p, "course_id", job->course_id);
    pack_field(&p, "task_id", job->task_id);
    pack_raw(&p, "task_problems", job->problems);
    pack_raw(&p, "inputdata", job->inputdata);
    pack_field(&p, "environment_type", job->environment_type);
    pack_field(&p, "environment", job->environment);
    pack_raw(&p, "environment_parameters", job->parameters);
    pack_text(&p, "debug");
    job->debug ? msgpack_pack_true(&p) : msgpack_pack_false(&p);
    pack_field(&p, "@type", "BackendNewJob");
    r = send_frame(b, out.data, out.size);
    msgpack_sbuffer_destroy(&out);
    return r;
}

static void on_frame(struct one_job_backend *b, const void *frame, size_t size)
{
    _cleanup_wire_value_ struct wire_value value = {0};
    const msgpack_object *type;

    if (wire_value_load(&value, frame, size, NULL) < 0)
        return;
    type = wire_map_get(&value.unpacked.data, "@type");
    if (!type)
        return;
    if (wire_str_equals(type, "AgentHello")) {
        send_job(b);
    } else if (wire_str_equals(type, "AgentJobDone") && !b->over) {
        b->over = true;
        b->done(b->userdata, frame, size);
    }
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

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    (void)source, (void)fd, (void)revents;
    while (receive(userdata))
        ;
    return 0;
}

static int on_post(sd_event_source *source, void *userdata)
{
    (void)source;
    while (receive(userdata))
        ;
    return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
    static const uint8_t ping[] = "\x81\xa5@type\xa4Ping";
    struct one_job_backend *b = userdata;

    (void)usec;
    if (b->agent_size > 0)
        send_frame(b, ping, sizeof(ping) - 1);
    sd_event_source_set_time(source, clock_monotonic_usec() + USEC_PER_SEC);
    return sd_event_source_set_enabled(source, SD_EVENT_ON);
}

int one_job_open(sd_event *event, void *context, const char *address, const struct one_job *job, one_job_done_fn done,
                 void *userdata, struct one_job_backend **ret, struct error *e)
{
    _cleanup_(one_job_close_p) struct one_job_backend *b = calloc(1, sizeof(*b));
    size_t size = sizeof(int);
    int fd, r;

    if (!b)
        return error_sys(e, -ENOMEM, "backend");
    *b = (struct one_job_backend){.job = job, .done = done, .userdata = userdata};
    b->socket = zmq_socket(context, ZMQ_ROUTER);
    if (!b->socket || zmq_bind(b->socket, address) < 0 || zmq_getsockopt(b->socket, ZMQ_FD, &fd, &size) < 0)
        return error_set(e, -errno, "cannot bind %s: %s", address, zmq_strerror(errno));
    r = sd_event_add_io(event, &b->io, fd, EPOLLIN, on_io, b);
    if (r >= 0)
        r = sd_event_add_post(event, &b->post, on_post, b);
    if (r >= 0)
        r = sd_event_add_time(event, &b->timer, CLOCK_MONOTONIC, clock_monotonic_usec() + USEC_PER_SEC, 0, on_timer, b);
    if (r < 0)
        return error_sys(e, r, "watching %s", address);
    *ret = TAKE_PTR(b);
    return 0;
}

void one_job_close(struct one_job_backend *b)
{
    int linger = 0;

    sd_event_source_disable_unref(b->io);
    sd_event_source_disable_unref(b->post);
    sd_event_source_disable_unref(b->timer);
    if (b->socket) {
        zmq_setsockopt(b->socket, ZMQ_LINGER, &linger, sizeof(linger));
        zmq_close(b->socket);
    }
    free(b);
}
