#include "image/load_layers.h"

#include "base/fdio.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

/* One layer alone keeps more than one CPU busy: inflating, hashing and writing overlap. */
#define WORKERS_MAX 8
/* What an unpacker may need: windows of a decompressor, names and checksums of a large layer. */
#define WORKER_MEMORY ((uint64_t)1 << 30)
/* How often progress is told. */
#define PROGRESS_MSEC 50

struct worker {
    size_t number; /* of its layer */
    pid_t pid;     /* and process group; 0: free */
    int fd;        /* where its result comes */
};

struct crew {
    const struct layer_work *work;
    struct worker workers[WORKERS_MAX];
    size_t size, next, failed; /* failed: the first layer that did, or work->n */
    struct error error;        /* of that layer */
    uint64_t *done;            /* shared with the workers; one a layer */
};

/* Where the layer of this process tells how far it is. */
static uint64_t *told;
static const struct layer_work *alone;

void layer_work_tell(uint64_t done)
{
    if (told)
        __atomic_store_n(told, done, __ATOMIC_RELAXED);
    else if (alone && alone->progress)
        alone->progress(alone->userdata, done);
}

static size_t crew_size(size_t n)
{
    const uint64_t memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    cpu_set_t set;
    size_t cpus = sched_getaffinity(0, sizeof(set), &set) == 0 ? (size_t)CPU_COUNT(&set) : 1;
    size_t size = MIN(MIN(cpus, n), (size_t)WORKERS_MAX);

    return MAX(MIN(size, (size_t)(memory / WORKER_MEMORY)), (size_t)1);
}

static _Noreturn void run_worker(struct crew *c, size_t number, pid_t parent, int fd)
{
    struct error error = ERROR_INIT;
    int r;

    /* A group of its own, with its unpacker in it: both can be ended and waited for together. */
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(EXIT_FAILURE);
    told = &c->done[number];
    r = c->work->unpack(c->work->userdata, number, &error);
    error.code = r < 0 ? r : 0;
    fd_write_full(fd, &error, sizeof(error));
    _exit(EXIT_SUCCESS);
}

static int start(struct crew *c, struct worker *w, struct error *e)
{
    _cleanup_close_ int theirs = -EBADF;
    pid_t parent = getpid();
    int fds[2];

    if (pipe2(fds, O_CLOEXEC) < 0)
        return error_sys(e, -errno, "pipe");
    w->fd = fds[0];
    theirs = fds[1];
    w->pid = fork();
    if (w->pid < 0) {
        int r = -errno;
        w->pid = 0;
        w->fd = safe_close(w->fd);
        return error_sys(e, r, "fork");
    }
    w->number = c->next;
    if (w->pid == 0)
        run_worker(c, w->number, parent, theirs);
    setpgid(w->pid, w->pid);
    c->next++;
    return 0;
}

/* Its unpacker became our child when it went away before. */
static void end(struct worker *w, bool by_force)
{
    if (by_force)
        kill(-w->pid, SIGKILL);
    while (waitpid(-w->pid, NULL, 0) > 0 || errno == EINTR)
        ;
    w->fd = safe_close(w->fd);
    w->pid = 0;
}

static void take_result(struct crew *c, struct worker *w)
{
    struct error error = ERROR_INIT;
    bool whole = fd_read_full(w->fd, &error, sizeof(error)) == (ssize_t)sizeof(error);

    error.text[sizeof(error.text) - 1] = 0;
    if (!whole)
        error_set(&error, -EIO, "its process died");
    end(w, !whole);
    if (error.code == 0 || w->number >= c->failed)
        return;
    c->failed = w->number;
    c->error = error;
    /* What comes later does not matter any more; what comes before may still fail. */
    for (size_t i = 0; i < c->size; i++)
        if (c->workers[i].pid > 0 && c->workers[i].number > c->failed)
            end(&c->workers[i], true);
}

static void tell(const struct crew *c)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < c->work->n; i++)
        sum += __atomic_load_n(&c->done[i], __ATOMIC_RELAXED);
    if (c->work->progress)
        c->work->progress(c->work->userdata, sum);
}

/* Starts what can be started; how many run. */
static int fill(struct crew *c, struct pollfd *fds, struct error *e)
{
    int running = 0;

    for (size_t i = 0; i < c->size; i++) {
        struct worker *w = &c->workers[i];
        if (w->pid == 0 && c->next < c->work->n && c->failed == c->work->n) {
            int r = start(c, w, e);
            if (r < 0)
                return r;
        }
        fds[i] = (struct pollfd){.fd = w->pid > 0 ? w->fd : -1, .events = POLLIN};
        running += w->pid > 0;
    }
    return running;
}

static int run_crew(struct crew *c, struct error *e)
{
    struct pollfd fds[WORKERS_MAX];
    int r;

    while ((r = fill(c, fds, e)) > 0) {
        if (poll(fds, c->size, c->work->progress ? PROGRESS_MSEC : -1) < 0 && errno != EINTR)
            return error_sys(e, -errno, "poll");
        tell(c);
        for (size_t i = 0; i < c->size; i++)
            if (fds[i].revents && c->workers[i].pid > 0)
                take_result(c, &c->workers[i]);
    }
    if (r < 0)
        return r;
    if (c->failed < c->work->n)
        return error_set(e, c->error.code, "%s", c->error.text);
    return 0;
}

static int run_side_by_side(struct crew *c, struct error *e)
{
    const size_t size = c->work->n * sizeof(*c->done);
    int before = 0, r;

    c->done = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (c->done == MAP_FAILED)
        return error_sys(e, -errno, "mmap");
    /* So that unpackers can be waited for that lose their worker. */
    prctl(PR_GET_CHILD_SUBREAPER, &before);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    r = run_crew(c, e);
    for (size_t i = 0; i < c->size; i++)
        if (c->workers[i].pid > 0)
            end(&c->workers[i], true);
    prctl(PR_SET_CHILD_SUBREAPER, before);
    munmap(c->done, size);
    return r;
}

int layer_work_run(const struct layer_work *work, struct error *e)
{
    struct crew c = {.work = work, .size = crew_size(work->n), .failed = work->n};
    int r = 0;

    if (c.size > 1)
        return run_side_by_side(&c, e);
    alone = work;
    for (size_t i = 0; r >= 0 && i < work->n; i++)
        r = work->unpack(work->userdata, i, e);
    alone = NULL;
    return r;
}
