#include "run/pump.h"

#include "base/cleanup.h"

void pump_close(struct pump *p)
{
    p->from = safe_close(p->from);
    p->to = safe_close(p->to);
    free(p->data);
    p->data = NULL;
    p->start = p->end = 0;
}

bool pump_is_over(const struct pump *p)
{
    return p->to < 0;
}

void pump_wait(const struct pump *p, struct pollfd fds[2])
{
    bool full = p->end > p->start;

    /* No FROM, TO open: the last byte was given to us to be written. */
    fds[0] = (struct pollfd){.fd = full ? -1 : p->from, .events = POLLIN};
    /* Without events the end of a reader is still told (POLLERR): a program that has closed its
     * input must not let us go on eating the caller's. */
    fds[1] = (struct pollfd){.fd = p->to, .events = (short)(full ? POLLOUT : 0)};
}

static bool is_passing(int r)
{
    return r == EAGAIN || r == EINTR;
}

static void fill(struct pump *p)
{
    ssize_t n;

    if (!p->data)
        p->data = malloc(PUMP_BUFFER);
    if (!p->data) {
        pump_close(p);
        return;
    }
    n = read(p->from, p->data, PUMP_BUFFER);
    if (n > 0) {
        p->start = 0;
        p->end = (size_t)n;
        p->moved += (uint64_t)n;
    } else if (n == 0 && p->last) {
        p->data[0] = (uint8_t)p->last;
        p->start = 0;
        p->end = 1;
        p->from = safe_close(p->from);
    } else if (n == 0 || !is_passing(errno)) {
        /* The end; a terminal whose other side is gone gives EIO. */
        pump_close(p);
    }
}

static void drain(struct pump *p)
{
    ssize_t n = write(p->to, p->data + p->start, p->end - p->start);

    if (n >= 0) {
        p->start += (size_t)n;
        if (p->from < 0 && p->start == p->end)
            pump_close(p);
    } else if (!is_passing(errno))
        pump_close(p);
}

void pump_move(struct pump *p, const struct pollfd fds[2])
{
    if (pump_is_over(p))
        return;
    if (fds[0].fd >= 0 && fds[0].revents)
        fill(p);
    else if (fds[1].revents & POLLOUT)
        drain(p);
    else if (fds[1].revents & (POLLERR | POLLNVAL))
        pump_close(p);
    /* What was just read can as a rule be written at once. */
    if (!pump_is_over(p) && fds[0].revents && p->end > p->start) {
        struct pollfd ready = {.fd = p->to, .events = POLLOUT};
        if (poll(&ready, 1, 0) > 0 && (ready.revents & POLLOUT))
            drain(p);
    }
}
