/* Id ranges. A lease is a lock on one small file below the run directory; the user namespace for
 * idmapped mounts is made once for each range and kept. */
#include "userns.h"

#include "base/fdio.h"
#include "runtime/sandbox.h"
#include "weaken.h"

#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

struct range_state {
    int userns_fd; /* -EBADF until it is needed */
    bool leased;   /* by this process */
};

struct id_pool {
    int lock_dir_fd;
    uint32_t first_id;
    uint32_t count;
    struct range_state *ranges;
};

static int make_lock_dir(const char *run_dir, struct error *e)
{
    _cleanup_close_ int fd = -EBADF;
    int ids_fd;

    if (mkdir(run_dir, 0755) < 0 && errno != EEXIST)
        return error_sys(e, -errno, "make %s", run_dir);
    fd = open(run_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_sys(e, -errno, "open %s", run_dir);
    if (mkdirat(fd, "ids", 0700) < 0 && errno != EEXIST)
        return error_sys(e, -errno, "make %s/ids", run_dir);
    ids_fd = openat(fd, "ids", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (ids_fd < 0)
        return error_sys(e, -errno, "open %s/ids", run_dir);
    return ids_fd;
}

int id_pool_open(const char *run_dir, uint32_t first_id, uint32_t count, struct id_pool **ret,
                 struct error *e)
{
    struct id_pool *p;
    int fd;

    if (first_id < SANDBOX_ID_RANGE || count == 0 ||
        (uint64_t)first_id + (uint64_t)count * SANDBOX_ID_RANGE > INT32_MAX)
        return error_set(e, -ERANGE, "id pool: %u ranges from %u on do not fit into %d..%d", count,
                         first_id, SANDBOX_ID_RANGE, INT32_MAX);
    fd = make_lock_dir(run_dir, e);
    if (fd < 0)
        return fd;
    p = calloc(1, sizeof(*p));
    if (p)
        p->ranges = calloc(count, sizeof(*p->ranges));
    if (!p || !p->ranges) {
        safe_close(fd);
        free(p);
        return error_sys(e, -ENOMEM, "id pool");
    }
    *p = (struct id_pool){fd, first_id, count, p->ranges};
    for (uint32_t i = 0; i < count; i++)
        p->ranges[i].userns_fd = -EBADF;
    *ret = p;
    return 0;
}

void id_pool_close(struct id_pool *p)
{
    for (uint32_t i = 0; i < p->count; i++)
        safe_close(p->ranges[i].userns_fd);
    safe_close(p->lock_dir_fd);
    free(p->ranges);
    free(p);
}

/* Locks the range's file. -EWOULDBLOCK: another launcher holds it. */
static int lock_range(struct id_pool *p, uint32_t base)
{
    char name[16];
    int fd;

    snprintf(name, sizeof(name), "%u", base);
    fd = openat(p->lock_dir_fd, name, O_RDONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    if (!weakened("own-ids") && flock(fd, LOCK_EX | LOCK_NB) < 0) {
        int r = -errno;
        safe_close(fd);
        return r;
    }
    return fd;
}

int id_range_lease(struct id_pool *p, struct id_range *ret, struct error *e)
{
    /* The lowest free one first: its user namespace is likely to be there already. */
    for (uint32_t i = 0; i < p->count; i++) {
        uint32_t base = p->first_id + i * SANDBOX_ID_RANGE;
        int fd;
        if (p->ranges[i].leased && !weakened("own-ids"))
            continue;
        fd = lock_range(p, base);
        if (fd == -EWOULDBLOCK)
            continue;
        if (fd < 0)
            return error_sys(e, fd, "lock id range %u", base);
        p->ranges[i].leased = true;
        *ret = (struct id_range){.base = base, .lock_fd = fd, .pool = p};
        return 0;
    }
    return error_set(e, -EAGAIN, "all %u id ranges are in use", p->count);
}

void id_range_release(struct id_range *r)
{
    if (r->base != 0 && r->pool)
        r->pool->ranges[(r->base - r->pool->first_id) / SANDBOX_ID_RANGE].leased = false;
    safe_close(r->lock_fd);
    *r = (struct id_range)ID_RANGE_INIT;
}

static int write_map(int proc_fd, pid_t pid, const char *map, struct error *e)
{
    static const char *const files[] = {"uid_map", "gid_map"};
    char path[32];

    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        int r;
        snprintf(path, sizeof(path), "%d/%s", pid, files[i]);
        r = fd_write_file(proc_fd, path, map);
        if (r < 0)
            return error_sys(e, r, "write %s", files[i]);
    }
    return 0;
}

int id_range_map(int proc_fd, pid_t pid, uint32_t base, struct error *e)
{
    char map[64];

    snprintf(map, sizeof(map), "0 %u %u", base, SANDBOX_ID_RANGE);
    return write_map(proc_fd, pid, map, e);
}

/* What the holder has of its own; it makes a handful of system calls. */
#define HOLDER_STACK ((size_t)16 << 10)

static int hold(void *launcher)
{
    sigset_t all;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    /* The launcher may have died before that. Its sockets must end with it, so they are not kept
     * either. */
    if (getppid() != (pid_t)(intptr_t)launcher || close_range(0, ~0U, 0) < 0)
        _exit(1);
    sigfillset(&all);
    for (;;)
        sigsuspend(&all);
}

/* A process in a new user namespace that waits to be killed: the namespace needs one while it is
 * mapped and opened. A copy of the launcher's memory would take ten times as long to make and to
 * take down as all the rest, so it runs in the launcher's own, on STACK; it runs nothing but the
 * above, and is gone before STACK is. */
static int clone_holder(char *stack, int *ret_pidfd)
{
    int pidfd = -EBADF;
    int pid = clone(hold, stack + HOLDER_STACK, CLONE_VM | CLONE_NEWUSER | CLONE_PIDFD | SIGCHLD,
                    (void *)(intptr_t)getpid(), &pidfd);

    if (pid < 0)
        return -errno;
    *ret_pidfd = pidfd;
    return pid;
}

static int make_userns(const char *map, struct error *e)
{
    _cleanup_close_ int proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    _Alignas(16) char stack[HOLDER_STACK];
    _cleanup_close_ int pidfd = -EBADF;
    char path[32];
    int pid, fd, r;

    if (proc_fd < 0)
        return error_sys(e, -errno, "open /proc");
    pid = clone_holder(stack, &pidfd);
    if (pid < 0)
        return error_sys(e, pid, "make a user namespace");
    r = write_map(proc_fd, pid, map, e);
    if (r == 0) {
        snprintf(path, sizeof(path), "%d/ns/user", pid);
        fd = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
        r = fd >= 0 ? fd : error_sys(e, -errno, "open the user namespace");
    }
    kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    return r;
}

int id_range_userns(struct id_pool *p, uint32_t base, struct error *e)
{
    struct range_state *range = &p->ranges[(base - p->first_id) / SANDBOX_ID_RANGE];

    if (range->userns_fd < 0) {
        char map[64];
        int fd;
        snprintf(map, sizeof(map), "0 %u %u", base, SANDBOX_ID_RANGE);
        fd = make_userns(map, e);
        if (fd < 0)
            return fd;
        range->userns_fd = fd;
    }
    return range->userns_fd;
}

int id_range_userns_with_root(uint32_t base, struct error *e)
{
    char map[64];

    snprintf(map, sizeof(map), "0 %u %u\n%u 0 1", base, SANDBOX_ID_RANGE, SANDBOX_ID_RANGE);
    return make_userns(map, e);
}
