#include "relay.h"

#include "base/fdio.h"

#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* A pipe's whole content at once. */
#define CHUNK   ((size_t)64 << 10)
#define STREAMS 2

/* In memory that the processes share. */
struct counts {
    _Atomic uint64_t taken;     /* read from the sandbox */
    _Atomic uint64_t delivered; /* written to its reader */
};

struct relay {
    struct counts *counts;
    pid_t pids[STREAMS];
    int notice_fd; /* a byte for "exceeded", the end when the last process is gone */
    struct loop_source *source;
    relay_fn fn;
    void *userdata;
};

/* Writes all of it; false when nobody can read it any more. */
static bool deliver(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, data, size);
        if (n < 0 && errno == EAGAIN) {
            struct pollfd p = {fd, POLLOUT, 0};
            if (poll(&p, 1, -1) < 0 && errno != EINTR)
                return false;
            continue;
        }
        if (n < 0 && errno != EINTR)
            return false;
        if (n > 0) {
            data += n;
            size -= (size_t)n;
        }
    }
    return true;
}

/* IN is the sandbox's pipe, OUT where its output goes. */
static _Noreturn void work(struct counts *counts, uint64_t limit, int in, int out, int notice)
{
    static char data[CHUNK];
    const int kept[] = {in, out, notice};
    int fds[ARRAY_SIZE(kept)];

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, "dockless-relay");
    signal(SIGPIPE, SIG_IGN);
    /* Nothing else may stay open, the write end of its own pipe least of all. */
    for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
        fds[i] = fcntl(kept[i], F_DUPFD_CLOEXEC, 2 * (int)ARRAY_SIZE(kept));
        if (fds[i] < 0)
            _exit(1);
    }
    for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
        if (dup2(fds[i], (int)i) < 0)
            _exit(1);
    if (close_range(ARRAY_SIZE(kept), ~0U, 0) < 0)
        _exit(1);
    for (;;) {
        ssize_t n = read(0, data, sizeof(data));
        uint64_t before;
        size_t part;
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            _exit(0);
        before = atomic_fetch_add(&counts->taken, (uint64_t)n);
        part = before >= limit ? 0 : (size_t)MIN((uint64_t)n, limit - before);
        /* Its writers then meet a broken pipe, as they would without us. */
        if (!deliver(1, data, part))
            _exit(0);
        atomic_fetch_add(&counts->delivered, part);
        if (part < (size_t)n)
            _exit(fd_write_full(2, "x", 1) < 0);
    }
}

static void reap(struct relay *r)
{
    for (size_t i = 0; i < STREAMS; i++) {
        while (r->pids[i] > 0 && waitpid(r->pids[i], NULL, 0) < 0 && errno == EINTR)
            ;
        r->pids[i] = 0;
    }
}

static int on_notice(struct loop_source *source, int fd, uint32_t events, void *userdata)
{
    struct relay *r = userdata;
    char byte;
    ssize_t n = read(fd, &byte, 1);

    (void)source, (void)events;
    if (n < 0)
        return 0;
    if (n == 0) {
        r->source = loop_source_free(r->source);
        reap(r);
    }
    /* The callee may free R: nothing of it is touched afterwards. */
    r->fn(n > 0, r->userdata);
    return 0;
}

/* Whether A and B lead to the same place. */
static bool same(int a, int b)
{
    struct stat one, other;

    return fstat(a, &one) == 0 && fstat(b, &other) == 0 && one.st_dev == other.st_dev &&
           one.st_ino == other.st_ino;
}

/* Puts a pipe and a process before STDIO[NUMBER]. */
static int add_stream(struct relay *r, int stdio[3], int number, uint64_t limit, int notice,
                      struct error *e)
{
    int ends[2];
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return error_sys(e, -errno, "output: pipe");
    pid = fork();
    if (pid == 0)
        work(r->counts, limit, ends[0], stdio[number], notice);
    safe_close(ends[0]);
    if (pid < 0) {
        int code = -errno;
        safe_close(ends[1]);
        return error_sys(e, code, "output: fork");
    }
    r->pids[number - 1] = pid;
    stdio[number] = ends[1];
    return 0;
}

static int add_streams(struct relay *r, int stdio[3], uint64_t limit, int notice, struct error *e)
{
    int fds[3] = {stdio[0], stdio[1], stdio[2]};
    int code = fds[1] >= 0 ? add_stream(r, fds, 1, limit, notice, e) : 0;

    if (code == 0 && fds[2] >= 0) {
        if (stdio[1] >= 0 && same(stdio[1], stdio[2])) {
            fds[2] = fcntl(fds[1], F_DUPFD_CLOEXEC, 3);
            code = fds[2] < 0 ? error_sys(e, -errno, "output") : 0;
        } else {
            code = add_stream(r, fds, 2, limit, notice, e);
        }
    }
    if (code < 0) {
        if (fds[1] != stdio[1])
            safe_close(fds[1]);
        return code;
    }
    stdio[1] = fds[1];
    stdio[2] = fds[2];
    return 0;
}

int relay_start(struct loop *event, int stdio[3], uint64_t limit, relay_fn fn, void *userdata,
                struct relay **ret, struct error *e)
{
    struct relay *r = calloc(1, sizeof(*r));
    _cleanup_close_ int notice = -EBADF;
    int ends[2], code;

    if (!r)
        return error_sys(e, -ENOMEM, "output");
    r->notice_fd = -EBADF;
    r->fn = fn;
    r->userdata = userdata;
    r->counts =
        mmap(NULL, sizeof(*r->counts), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (r->counts == MAP_FAILED || pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0) {
        code = error_sys(e, -errno, "output");
        r->counts = r->counts == MAP_FAILED ? NULL : r->counts;
        relay_free(r);
        return code;
    }
    r->notice_fd = ends[0];
    notice = ends[1];
    code = loop_add_io(event, &r->source, r->notice_fd, EPOLLIN, on_notice, r);
    if (code < 0)
        error_sys(e, code, "output");
    else
        code = add_streams(r, stdio, limit, notice, e);
    if (code < 0) {
        relay_free(r);
        return code;
    }
    *ret = r;
    return 0;
}

bool relay_is_over(const struct relay *r)
{
    return !r->source;
}

uint64_t relay_delivered(const struct relay *r)
{
    return atomic_load(&r->counts->delivered);
}

void relay_free(struct relay *r)
{
    if (!r)
        return;
    loop_source_free(r->source);
    for (size_t i = 0; i < STREAMS; i++)
        if (r->pids[i] > 0)
            kill(r->pids[i], SIGKILL);
    reap(r);
    safe_close(r->notice_fd);
    if (r->counts)
        munmap(r->counts, sizeof(*r->counts));
    free(r);
}
