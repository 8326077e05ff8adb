#include "agent/conversation.h"

#include "base/fdio.h"

#include <sys/epoll.h>

/* Bytes read at once; as much as a pipe holds. */
#define READ_CHUNK 65536
/* Chunks read from one container in one round of the event loop. */
#define CHUNKS_PER_ROUND 16
/* What may wait for a grader that does not read: one submission and some small answers. */
#define QUEUE_MAX (WIRE_FRAME_MAX + ((size_t)1 << 20))

struct conversation {
    struct loop *event;
    struct loop_source *in_source, *out_source;
    int in_fd, out_fd; /* we write to in_fd (its stdin), read from out_fd (its stdout) */
    struct buffer queue;
    size_t sent; /* bytes of the queue's front that are gone already */
    struct frame_reader reader;
    struct conversation_callbacks callbacks;
    void *userdata;
    const char *fault;
    bool ended;
};

/* Hands complete bodies on. */
static void deliver(struct conversation *c)
{
    const uint8_t *body;
    size_t size;
    int r = 0;

    while (!c->fault && (r = frame_reader_next(&c->reader, &body, &size)) > 0)
        if (c->callbacks.body(c->userdata, body, size) != 0)
            c->fault = "a message could not be decoded";
    if (r < 0)
        c->fault = "a message is longer than allowed";
    if (c->fault)
        frame_reader_clear(&c->reader);
}

/* Reads one chunk: 1 when there was one, 0 when the pipe is empty for now or ended. */
static int read_chunk(struct conversation *c)
{
    static uint8_t chunk[READ_CHUNK];
    ssize_t n = read(c->out_fd, chunk, sizeof(chunk));

    if (n < 0 && errno == EINTR)
        return 1;
    if (n <= 0) {
        c->ended = n == 0 || errno != EAGAIN;
        return 0;
    }
    if (c->fault)
        return 1;
    if (frame_reader_push(&c->reader, chunk, (size_t)n) < 0)
        c->fault = "its messages need too much memory";
    deliver(c);
    return 1;
}

static int on_readable(struct loop_source *source, int fd, uint32_t revents, void *userdata)
{
    struct conversation *c = userdata;

    (void)fd, (void)revents;
    for (int i = 0; i < CHUNKS_PER_ROUND && read_chunk(c); i++)
        ;
    return c->ended ? loop_source_enable(source, false) : 0;
}

/* Writes what the pipe takes; 0 when the queue is empty or the reader is gone, 1 when something is
 * left. */
static int write_queue(struct conversation *c)
{
    while (c->sent < c->queue.size) {
        ssize_t n = write(c->in_fd, c->queue.data + c->sent, c->queue.size - c->sent);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return 1;
        if (n < 0)
            break; /* EPIPE: it closed its stdin; what it does not want to hear is no fault */
        c->sent += (size_t)n;
    }
    buffer_clear(&c->queue);
    c->sent = 0;
    return 0;
}

static int on_writable(struct loop_source *source, int fd, uint32_t revents, void *userdata)
{
    (void)fd, (void)revents;
    if (write_queue(userdata) > 0)
        return 0;
    return loop_source_enable(source, false);
}

static int watch(struct conversation *c, struct error *e)
{
    int r = loop_add_io(c->event, &c->out_source, c->out_fd, EPOLLIN, on_readable, c);

    if (r >= 0)
        r = loop_add_io(c->event, &c->in_source, c->in_fd, EPOLLOUT, on_writable, c);
    if (r >= 0)
        r = loop_source_enable(c->in_source, false);
    return r < 0 ? error_sys(e, r, "watching the container's pipes") : 0;
}

int conversation_open(struct loop *event, enum frame_order order, size_t frame_max,
                      const struct conversation_callbacks *callbacks, void *userdata,
                      int container_fds[2], struct conversation **ret, struct error *e)
{
    _cleanup_(conversation_close_p) struct conversation *c = calloc(1, sizeof(*c));
    int in[2], out[2], r;

    if (!c)
        return error_sys(e, -ENOMEM, "conversation");
    *c = (struct conversation){.event = event,
                               .in_fd = -EBADF,
                               .out_fd = -EBADF,
                               .queue = {.max = QUEUE_MAX},
                               .reader = {.order = order, .max = frame_max},
                               .callbacks = *callbacks,
                               .userdata = userdata};
    if (pipe2(in, O_CLOEXEC) < 0)
        return error_sys(e, -errno, "pipe2");
    if (pipe2(out, O_CLOEXEC) < 0) {
        r = -errno;
        safe_close(in[0]);
        safe_close(in[1]);
        return error_sys(e, r, "pipe2");
    }
    container_fds[0] = in[0];
    container_fds[1] = out[1];
    c->in_fd = in[1];
    c->out_fd = out[0];
    r = fd_set_nonblock(c->in_fd, true);
    if (r == 0)
        r = fd_set_nonblock(c->out_fd, true);
    r = r < 0 ? error_sys(e, r, "O_NONBLOCK") : watch(c, e);
    if (r < 0) {
        container_fds[0] = safe_close(container_fds[0]);
        container_fds[1] = safe_close(container_fds[1]);
        return r;
    }
    *ret = TAKE_PTR(c);
    return 0;
}

void conversation_close(struct conversation *c)
{
    loop_source_free(c->in_source);
    loop_source_free(c->out_source);
    safe_close(c->in_fd);
    safe_close(c->out_fd);
    buffer_clear(&c->queue);
    frame_reader_clear(&c->reader);
    free(c);
}

int conversation_send(struct conversation *c, const struct buffer *bytes)
{
    int r = buffer_append(&c->queue, bytes->data, bytes->size);

    if (r < 0)
        return r;
    if (write_queue(c) > 0)
        return loop_source_enable(c->in_source, true);
    return 0;
}

void conversation_drain(struct conversation *c)
{
    while (!c->ended && read_chunk(c))
        ;
}

const char *conversation_fault(const struct conversation *c)
{
    return c->fault;
}
