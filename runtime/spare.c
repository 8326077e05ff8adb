/* Theory of operation
 *
 * A spare is made by the launcher's own thread: it takes a millisecond or two, as a start does, and
 * happens by a timer of the lowest priority that starts anew with each start of a sandbox, so that
 * neither a start nor the first steps of its program have to share a processor with it.
 *
 * Nothing of the launcher stays open in a spare but stderr, and it dies with the launcher
 * (child_wait()). Its copy of the launcher's mount namespace would keep what is mounted there for
 * other sandboxes, a file system of a disk limit for one, from being let go; so none is made while
 * there is such a mount (host.h, `attached`). */
#include "spare.h"

#include "base/clock.h"
#include "base/fdio.h"
#include "order.h"

#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* After the last start, or the last attempt: a start takes up to ten milliseconds on a slow
 * machine, and making the next one meanwhile would take from it what the last one has saved. A
 * grader's student comes soon after the grader; for that there are two. */
#define REFILL_USEC (25 * USEC_PER_MSEC)
/* After one that could not be made. */
#define RETRY_USEC (1 * USEC_PER_SEC)

struct spares {
    struct host *host;
    struct loop_source *timer;
    size_t want, n;
    struct spare *first;
};

size_t spares_count(const struct spares *s)
{
    return s->n;
}

void spare_free(struct spare *s)
{
    safe_close(s->order_fd);
    if (s->pid > 0) {
        kill(s->pid, SIGKILL);
        while (waitid(P_PIDFD, (id_t)s->pidfd, &(siginfo_t){0}, WEXITED) < 0 && errno == EINTR)
            ;
    }
    safe_close(s->pidfd);
    safe_close(s->mnt_ns_fd);
    if (s->cgroup)
        cgroup_destroy(s->cgroup);
    free(s);
}
DEFINE_CLEANUP(struct spare, spare_free)

static int clone_spare(struct host *h, struct spare *s)
{
    int pair[2];
    char path[32];
    pid_t pid;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    s->order_fd = pair[0];
    pid = child_clone(CLONE_NEWNET, cgroup_clone_fd(s->cgroup), &s->pidfd);
    if (pid == 0)
        child_wait(h, pair[1]);
    safe_close(pair[1]);
    if (pid < 0)
        return pid;
    s->pid = pid;
    snprintf(path, sizeof(path), "%d/ns/mnt", (int)pid);
    s->mnt_ns_fd = openat(h->proc_fd, path, O_RDONLY | O_CLOEXEC);
    return 0;
}

static int make_spare(struct spares *all)
{
    _cleanup_(spare_free_p) struct spare *s = calloc(1, sizeof(*s));
    struct host *h = all->host;
    int r;

    if (!s)
        return -ENOMEM;
    s->pidfd = s->mnt_ns_fd = s->order_fd = -EBADF;
    host_next_name(h, s->name);
    r = cgroup_prepare(h->cgroups, s->name, &s->cgroup, NULL);
    if (r == 0)
        r = clone_spare(h, s);
    if (r < 0)
        return r;
    s->next = all->first;
    all->first = TAKE_PTR(s);
    all->n++;
    return 0;
}

static void rearm(struct spares *s, uint64_t usec)
{
    loop_source_set_time(s->timer, clock_monotonic_usec() + usec);
    (void)loop_source_enable(s->timer, true);
}

/* One at a time, so that whatever has happened meanwhile comes first. */
static int on_timer(struct loop_source *source, uint64_t usec, void *userdata)
{
    struct spares *s = userdata;
    int r = s->host->attached > 0 ? -EBUSY : make_spare(s);

    (void)source, (void)usec;
    if (s->n < s->want)
        rearm(s, r < 0 ? RETRY_USEC : REFILL_USEC);
    return 0;
}

int spares_open(struct host *h, uint32_t want, struct spares **ret, struct error *e)
{
    _cleanup_free_ struct spares *s = calloc(1, sizeof(*s));
    int r;

    if (!s)
        return error_sys(e, -ENOMEM, "spares");
    s->host = h;
    s->want = MIN(want, (uint32_t)SPARES_MAX);
    if (s->want > 0) {
        r = loop_add_time_relative(h->event, &s->timer, REFILL_USEC, on_timer, s);
        if (r < 0)
            return error_sys(e, r, "spares");
        loop_source_set_priority(s->timer, LOOP_IDLE);
    }
    *ret = TAKE_PTR(s);
    return 0;
}

void spares_close(struct spares *s)
{
    struct spare *one;

    loop_source_free(s->timer);
    while ((one = s->first)) {
        s->first = one->next;
        spare_free(one);
    }
    free(s);
}

/* The host's own shortage of memory, or its administrator, may have ended it. */
static bool lives(const struct spare *s)
{
    siginfo_t info = {0};

    return waitid(P_PIDFD, (id_t)s->pidfd, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid == 0;
}

struct spare *spares_take(struct spares *s)
{
    struct spare *one;

    if (s->want == 0)
        return NULL;
    rearm(s, REFILL_USEC);
    while ((one = s->first)) {
        s->first = one->next;
        s->n--;
        one->next = NULL;
        if (lives(one))
            return one;
        spare_free(one);
    }
    return NULL;
}
