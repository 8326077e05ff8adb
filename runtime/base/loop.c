#include "base/loop.h"

#include "base/clock.h"

#include <signal.h>
#include <stdbool.h>
#include <string.h>

/* Of one wait. Where more are ready the kernel goes round among them. */
#define READY_MAX 128

enum source_type { SOURCE_IO, SOURCE_SIGNAL, SOURCE_TIME, SOURCE_DEFER, SOURCE_POST };

struct loop_source {
    struct loop *loop;
    enum source_type type;
    enum loop_priority priority;
    bool enabled;
    bool running;  /* its callback has not returned */
    bool freed;    /* by its own callback */
    uint64_t turn; /* its last one */
    union {
        loop_io_fn io;
        loop_time_fn time;
        loop_signal_fn signal;
        loop_fn plain;
    } fn;
    void *userdata;
    int fd;                           /* IO: the caller's; SIGNAL: ours */
    uint32_t events;                  /* IO, SIGNAL */
    uint64_t usec;                    /* TIME */
    bool pending;                     /* POST */
    struct loop_source *next, **link; /* in `others`: all that the kernel does not watch for us */
};

struct loop {
    unsigned refs;
    int epoll_fd;
    uint64_t turn;
    bool exiting;
    int code;
    struct loop_source *others;
};

/* What is to be done next. */
struct choice {
    struct loop_source *source;
    uint32_t revents;
};

int loop_new(struct loop **ret)
{
    struct loop *l = calloc(1, sizeof(*l));

    if (!l)
        return -ENOMEM;
    *l = (struct loop){.refs = 1, .epoll_fd = epoll_create1(EPOLL_CLOEXEC)};
    if (l->epoll_fd < 0) {
        int r = -errno;
        free(l);
        return r;
    }
    *ret = l;
    return 0;
}

struct loop *loop_ref(struct loop *l)
{
    if (l)
        l->refs++;
    return l;
}

struct loop *loop_unref(struct loop *l)
{
    if (l && --l->refs == 0) {
        safe_close(l->epoll_fd);
        free(l);
    }
    return NULL;
}

static bool is_watched(const struct loop_source *s)
{
    return s->type == SOURCE_IO || s->type == SOURCE_SIGNAL;
}

/* ---- sources ---- */

static int watch(struct loop_source *s, int operation)
{
    struct epoll_event event = {.events = s->events, .data = {.ptr = s}};

    return epoll_ctl(s->loop->epoll_fd, operation, s->fd, &event) < 0 ? -errno : 0;
}

static int add(struct loop *l, const struct loop_source *like, struct loop_source **ret)
{
    struct loop_source *s = malloc(sizeof(*s));

    if (!s)
        return -ENOMEM;
    *s = *like;
    s->loop = l;
    s->priority = LOOP_NORMAL;
    s->enabled = true;
    if (is_watched(s)) {
        int r = watch(s, EPOLL_CTL_ADD);
        if (r < 0) {
            free(s);
            return r;
        }
    } else {
        s->link = &l->others;
        s->next = l->others;
        if (s->next)
            s->next->link = &s->next;
        l->others = s;
    }
    loop_ref(l);
    *ret = s;
    return 0;
}

int loop_add_io(struct loop *l, struct loop_source **ret, int fd, uint32_t events, loop_io_fn fn,
                void *userdata)
{
    return add(
        l,
        &(struct loop_source){
            .type = SOURCE_IO, .fn.io = fn, .userdata = userdata, .fd = fd, .events = events},
        ret);
}

int loop_add_time(struct loop *l, struct loop_source **ret, uint64_t usec, loop_time_fn fn,
                  void *userdata)
{
    return add(
        l,
        &(struct loop_source){
            .type = SOURCE_TIME, .fn.time = fn, .userdata = userdata, .fd = -EBADF, .usec = usec},
        ret);
}

int loop_add_time_relative(struct loop *l, struct loop_source **ret, uint64_t usec, loop_time_fn fn,
                           void *userdata)
{
    return loop_add_time(l, ret, clock_monotonic_usec() + usec, fn, userdata);
}

int loop_add_signal(struct loop *l, struct loop_source **ret, int number, loop_signal_fn fn,
                    void *userdata)
{
    sigset_t set;
    int fd, r;

    sigemptyset(&set);
    sigaddset(&set, number);
    fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        return -errno;
    r = add(l,
            &(struct loop_source){.type = SOURCE_SIGNAL,
                                  .fn.signal = fn,
                                  .userdata = userdata,
                                  .fd = fd,
                                  .events = EPOLLIN},
            ret);
    if (r < 0)
        safe_close(fd);
    return r;
}

int loop_add_defer(struct loop *l, struct loop_source **ret, loop_fn fn, void *userdata)
{
    return add(l,
               &(struct loop_source){
                   .type = SOURCE_DEFER, .fn.plain = fn, .userdata = userdata, .fd = -EBADF},
               ret);
}

int loop_add_post(struct loop *l, struct loop_source **ret, loop_fn fn, void *userdata)
{
    return add(l,
               &(struct loop_source){
                   .type = SOURCE_POST, .fn.plain = fn, .userdata = userdata, .fd = -EBADF},
               ret);
}

static void release(struct loop_source *s)
{
    struct loop *l = s->loop;

    if (!is_watched(s)) {
        *s->link = s->next;
        if (s->next)
            s->next->link = s->link;
    }
    if (s->type == SOURCE_SIGNAL)
        safe_close(s->fd);
    free(s);
    loop_unref(l);
}

struct loop_source *loop_source_free(struct loop_source *s)
{
    if (!s)
        return NULL;
    (void)loop_source_enable(s, false);
    if (s->running)
        s->freed = true;
    else
        release(s);
    return NULL;
}

int loop_source_enable(struct loop_source *s, bool enabled)
{
    int r = 0;

    if (s->enabled == enabled)
        return 0;
    /* Leaving fails only where the descriptor was closed before: see loop_add_io(). */
    if (is_watched(s))
        r = watch(s, enabled ? EPOLL_CTL_ADD : EPOLL_CTL_DEL);
    if (r < 0 && enabled)
        return r;
    s->enabled = enabled;
    s->pending = false;
    return 0;
}

int loop_source_set_io_events(struct loop_source *s, uint32_t events)
{
    uint32_t before = s->events;
    int r;

    s->events = events;
    if (!s->enabled || before == events)
        return 0;
    r = watch(s, EPOLL_CTL_MOD);
    if (r < 0)
        s->events = before;
    return r;
}

void loop_source_set_time(struct loop_source *s, uint64_t usec)
{
    s->usec = usec;
}

void loop_source_set_priority(struct loop_source *s, enum loop_priority priority)
{
    s->priority = priority;
}

/* ---- turns ---- */

static void consider(struct choice *c, struct loop_source *s, uint32_t revents)
{
    if (!c->source || s->priority < c->source->priority ||
        (s->priority == c->source->priority && s->turn < c->source->turn))
        *c = (struct choice){s, revents};
}

/* The best of those that the kernel does not watch; *RET_USEC is when the next of them is due. */
static void consider_others(struct loop *l, struct choice *c, uint64_t *ret_usec)
{
    uint64_t now = clock_monotonic_usec();

    *ret_usec = UINT64_MAX;
    for (struct loop_source *s = l->others; s; s = s->next) {
        if (!s->enabled || s->freed)
            continue;
        if (s->type == SOURCE_TIME && s->usec > now)
            *ret_usec = MIN(*ret_usec, s->usec - now);
        else if (s->type != SOURCE_POST || s->pending)
            consider(c, s, 0);
    }
}

static int wait_ready(struct loop *l, uint64_t usec, struct epoll_event *events)
{
    const struct timespec timeout = {(time_t)(usec / USEC_PER_SEC),
                                     (long)(usec % USEC_PER_SEC * NSEC_PER_USEC)};
    int n =
        epoll_pwait2(l->epoll_fd, events, READY_MAX, usec == UINT64_MAX ? NULL : &timeout, NULL);

    if (n < 0)
        return errno == EINTR ? 0 : -errno;
    return n;
}

static int call_signal(struct loop_source *s)
{
    struct signalfd_siginfo info;

    if (read(s->fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
        return 0;
    return s->fn.signal(s, &info, s->userdata);
}

static int call(const struct choice *c)
{
    struct loop_source *s = c->source;

    switch (s->type) {
    case SOURCE_IO:
        return s->fn.io(s, s->fd, c->revents, s->userdata);
    case SOURCE_SIGNAL:
        return call_signal(s);
    case SOURCE_TIME:
        return s->fn.time(s, s->usec, s->userdata);
    default:
        return s->fn.plain(s, s->userdata);
    }
}

static void dispatch(struct loop *l, const struct choice *c)
{
    struct loop_source *s = c->source;

    s->turn = ++l->turn;
    if (s->type == SOURCE_TIME || s->type == SOURCE_DEFER)
        s->enabled = false;
    if (s->type == SOURCE_POST)
        s->pending = false;
    else
        for (struct loop_source *post = l->others; post; post = post->next)
            post->pending = post->type == SOURCE_POST;
    s->running = true;
    if (call(c) < 0 && !s->freed)
        (void)loop_source_enable(s, false);
    s->running = false;
    if (s->freed)
        release(s);
}

int loop_run(struct loop *l, uint64_t usec)
{
    struct epoll_event events[READY_MAX];
    struct choice choice = {NULL, 0};
    uint64_t due;
    bool waited;
    int n;

    if (l->exiting)
        return -ESTALE;
    consider_others(l, &choice, &due);
    waited = !choice.source;
    n = wait_ready(l, choice.source ? 0 : MIN(due, usec), events);
    if (n < 0)
        return n;
    for (int i = 0; i < n; i++)
        consider(&choice, events[i].data.ptr, events[i].events);
    if (waited) /* a time has come, perhaps */
        consider_others(l, &choice, &due);
    if (!choice.source)
        return 0;
    loop_ref(l);
    dispatch(l, &choice);
    loop_unref(l);
    return 1;
}

int loop_serve(struct loop *l)
{
    while (!l->exiting) {
        int r = loop_run(l, UINT64_MAX);
        if (r < 0)
            return r;
    }
    return l->code;
}

void loop_exit(struct loop *l, int code)
{
    l->exiting = true;
    l->code = code;
}
