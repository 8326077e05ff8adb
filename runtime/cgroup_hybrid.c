/* Driver for hosts whose memory and pids controllers are in cgroup v1 hierarchies with a v2 tree
 * mounted beside them (Documentation/admin-guide/cgroup-v1/).
 *
 * A sandbox has a directory in each: v1 memory and pids limit it, v2 kills it and counts its CPU
 * time. The child is born in the v2 one (CLONE_INTO_CGROUP) and joins the others by itself, through
 * the `tasks` files opened here.
 *
 * Out of memory: the kernel's own killer stays on. Switching it off (memory.oom_control) would
 * freeze the faulting process for us to kill, but a limit hit inside a system call (a write to
 * tmpfs, a pipe, a fork) would then come back as ENOMEM without any notice, and a program could
 * answer it by a result that it would never give on cgroup v2. With it on, every limit hit rings
 * the eventfd before the killer looks for a victim; the watch then kills the rest. That eventfd
 * also rings for the limit of any ancestor, once for each. The same happens to the eventfd of our
 * common parent, so what is ours is the difference of the two counts. */
#include "cgroup_internal.h"

#include "base/clock.h"
#include "base/fdio.h"

#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

/** Registers an eventfd that is signalled when the memory cgroup DIR_FD or one above it is at its
 * limit with nothing left to reclaim (cgroup-v1/memory.rst, 9 and 10). */
static int watch_oom(int dir_fd, int *ret)
{
    _cleanup_close_ int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), control = -EBADF;
    char text[32];
    int r;

    if (event < 0)
        return -errno;
    control = openat(dir_fd, "memory.oom_control", O_RDONLY | O_CLOEXEC);
    if (control < 0)
        return -errno;
    snprintf(text, sizeof(text), "%d %d", event, control);
    r = fd_write_file(dir_fd, "cgroup.event_control", text);
    if (r < 0)
        return r;
    *ret = TAKE_FD(event);
    return 0;
}

static void count_rings(int fd, uint64_t *count)
{
    uint64_t n;

    if (read(fd, &n, sizeof(n)) == (ssize_t)sizeof(n))
        *count += n;
}

/* Finds the v1 place of CONTROLLER and makes our directory there, unless a directory made before is
 * in the same hierarchy. */
static int add_v1(struct cgroup_host *h, const char *controller, size_t *ret_index, struct error *e)
{
    _cleanup_(cgroup_dir_clear) struct cgroup_dir place = CGROUP_DIR_INIT;
    int r = cgroup_place_find(controller, &place, e);

    if (r == -ENOENT)
        return error_set(e, -EOPNOTSUPP,
                         "the memory controller is in cgroup v1, but there is no v1 %s controller; "
                         "boot with systemd.unified_cgroup_hierarchy=1 to have all in cgroup v2",
                         controller);
    if (r < 0)
        return r;
    for (size_t i = 0; i < h->n_dirs; i++) {
        size_t length = strlen(place.path);
        if (strncmp(h->dirs[i].path, place.path, length) == 0 && h->dirs[i].path[length] == '/' &&
            strcmp(h->dirs[i].path + length + 1, h->name) == 0) {
            *ret_index = i;
            return 0;
        }
    }
    *ret_index = h->n_dirs;
    return cgroup_add_dir(h, &place, e);
}

/* A hierarchy that need not be there. */
static int add_optional_v1(struct cgroup_host *h, const char *controller, size_t *ret_index,
                           struct error *e)
{
    int r = add_v1(h, controller, ret_index, NULL);

    if (r != -EOPNOTSUPP && r != -ENODEV)
        return r < 0 ? error_sys(e, r, "v1 controller %s", controller) : 0;
    *ret_index = CGROUP_DIRS_MAX;
    return 0;
}

/* By which file a v1 kernel weighs disk use. */
static const char *const io_weights[] = {"blkio.bfq.weight", "blkio.weight"};

static int add_optional(struct cgroup_host *h, struct error *e)
{
    int r = add_optional_v1(h, "cpu", &h->cpu_dir, e);

    if (r == 0)
        r = add_optional_v1(h, "cpuset", &h->cpuset_dir, e);
    if (r == 0)
        r = add_optional_v1(h, "blkio", &h->blkio_dir, e);
    if (r == 0 && h->cpuset_dir < CGROUP_DIRS_MAX)
        r = cgroup_fill_cpuset(h->parents[h->cpuset_dir], h->dirs[h->cpuset_dir].fd, e);
    if (r < 0)
        return r;
    if (h->cpu_dir < CGROUP_DIRS_MAX &&
        faccessat(h->dirs[h->cpu_dir].fd, "cpu.cfs_quota_us", W_OK, 0) == 0)
        h->abilities |= CGROUP_CPU_SHARE;
    if (h->cpuset_dir < CGROUP_DIRS_MAX)
        h->abilities |= CGROUP_CPUS;
    for (size_t i = 0; h->blkio_dir < CGROUP_DIRS_MAX && i < ARRAY_SIZE(io_weights); i++)
        if (faccessat(h->dirs[h->blkio_dir].fd, io_weights[i], W_OK, 0) == 0)
            h->abilities |= CGROUP_IO_WEIGHT;
    return 0;
}

static int check_swap(struct cgroup_host *h, struct error *e)
{
    int r;

    h->memsw = faccessat(h->dirs[h->memory_dir].fd, "memory.memsw.limit_in_bytes", W_OK, 0) == 0;
    if (h->memsw)
        return 0;
    r = cgroup_host_has_swap();
    if (r < 0)
        return error_sys(e, r, "/proc/swaps");
    if (r > 0)
        return error_set(e, -EOPNOTSUPP,
                         "this host has swap, which memory limits cannot bound without "
                         "memory.memsw.limit_in_bytes: boot with the kernel parameter "
                         "swapaccount=1, or swapoff -a");
    return 0;
}

static int hybrid_open(struct cgroup_host *h, struct error *e)
{
    _cleanup_(cgroup_dir_clear) struct cgroup_dir v2 = CGROUP_DIR_INIT;
    int r = cgroup_place_find("", &v2, e);

    if (r < 0)
        return error_prefix(e, r,
                            "the memory controller is in cgroup v1 and no cgroup v2 tree is beside "
                            "it (mount -t cgroup2 none /sys/fs/cgroup/unified)");
    r = cgroup_add_dir(h, &v2, e);
    if (r == 0)
        r = add_v1(h, "memory", &h->memory_dir, e);
    if (r == 0)
        r = add_v1(h, "pids", &h->pids_dir, e);
    if (r == 0)
        r = check_swap(h, e);
    if (r == 0)
        r = add_optional(h, e);
    if (r < 0)
        return r;
    r = watch_oom(h->dirs[h->memory_dir].fd, &h->oom_fd);
    if (r < 0)
        return error_sys(e, r, "%s: watch memory.oom_control", h->dirs[h->memory_dir].path);
    return 0;
}

static void hybrid_close(struct cgroup_host *h)
{
    (void)h;
}

/* Memory, pids and blkio always, for the counters; the others only for a limit. */
static unsigned hybrid_needs(const struct cgroup_host *h, const struct sandbox_limits *limits)
{
    unsigned needs = 1U << CGROUP_V2 | 1U << h->memory_dir | 1U << h->pids_dir;

    if (h->blkio_dir < CGROUP_DIRS_MAX)
        needs |= 1U << h->blkio_dir;
    if (limits->cpu_share > 0 && h->abilities & CGROUP_CPU_SHARE)
        needs |= 1U << h->cpu_dir;
    if (cgroup_wants_cpus(limits) && h->abilities & CGROUP_CPUS)
        needs |= 1U << h->cpuset_dir;
    return needs;
}

static int limit_memory(struct cgroup *cg, uint64_t bytes, struct error *e)
{
    int fd = cg->dirs[cg->host->memory_dir], r;

    /* Swappiness 0 keeps the cgroup's own reclaim from swapping within memsw. */
    r = cgroup_write_uint(fd, "memory.swappiness", 0);
    if (r < 0 && r != -ENOENT)
        return error_sys(e, r, "memory.swappiness");
    r = cgroup_write_uint(fd, "memory.limit_in_bytes", bytes);
    if (r < 0)
        return error_sys(e, r, "memory.limit_in_bytes");
    r = cg->host->memsw ? cgroup_write_uint(fd, "memory.memsw.limit_in_bytes", bytes) : 0;
    if (r < 0)
        return error_sys(e, r, "memory.memsw.limit_in_bytes");
    /* Buffers of TCP sockets are charged apart from the rest, and only where they have a limit. */
    r = cgroup_write_uint(fd, "memory.kmem.tcp.limit_in_bytes", bytes);
    if (r < 0 && r != -ENOENT)
        return error_sys(e, r, "memory.kmem.tcp.limit_in_bytes");
    r = watch_oom(fd, &cg->oom_fd);
    if (r < 0)
        return error_sys(e, r, "watch memory.oom_control");
    cg->oom_events = EPOLLIN;
    count_rings(cg->host->oom_fd, &cg->host->oom_count);
    cg->oom_base = cg->host->oom_count;
    /* Nobody is inside yet: what rang ours so far came from above and is in the base. */
    count_rings(cg->oom_fd, &cg->oom_count);
    cg->oom_count = 0;
    return 0;
}

static int limit_io(struct cgroup *cg, uint64_t weight, struct error *e)
{
    int fd = cg->dirs[cg->host->blkio_dir];

    for (size_t i = 0; i < ARRAY_SIZE(io_weights); i++) {
        int r = cgroup_write_uint(fd, io_weights[i], MAX(MIN(weight, BFQ_WEIGHT_MAX), i * 10));
        if (r == 0)
            return 0;
        if (r != -ENOENT)
            return error_sys(e, r, "%s", io_weights[i]);
    }
    return error_sys(e, -ENOENT, "%s", io_weights[0]);
}

/* Processors and disks. */
static int limit_work(struct cgroup *cg, const struct sandbox_limits *limits, struct error *e)
{
    const struct cgroup_host *h = cg->host;
    int r = 0;

    if (limits->cpu_share > 0 && h->abilities & CGROUP_CPU_SHARE) {
        int fd = cg->dirs[h->cpu_dir];
        r = cgroup_write_uint(fd, "cpu.cfs_period_us", CGROUP_CPU_PERIOD_USEC);
        if (r == 0)
            r = cgroup_write_uint(fd, "cpu.cfs_quota_us",
                                  limits->cpu_share * CGROUP_CPU_PERIOD_USEC / 1000);
        if (r < 0)
            return error_sys(e, r, "cpu.cfs_quota_us");
    }
    if (cgroup_wants_cpus(limits) && h->abilities & CGROUP_CPUS)
        r = cgroup_limit_cpus(cg->dirs[h->cpuset_dir], limits->cpus, e);
    if (r == 0 && limits->io_weight > 0 && h->abilities & CGROUP_IO_WEIGHT)
        r = limit_io(cg, limits->io_weight, e);
    return r;
}

static int hybrid_limit(struct cgroup *cg, const struct sandbox_limits *limits, struct error *e)
{
    int r;

    if (limits->memory_bytes > 0) {
        r = limit_memory(cg, limits->memory_bytes, e);
        if (r < 0)
            return r;
    }
    if (limits->pids > 0) {
        r = cgroup_write_uint(cg->dirs[cg->host->pids_dir], "pids.max",
                              MIN(limits->pids, CGROUP_PIDS_MAX));
        if (r < 0)
            return error_sys(e, r, "pids.max");
    }
    r = limit_work(cg, limits, e);
    if (r < 0)
        return r;
    for (size_t i = 0; i < CGROUP_DIRS_MAX; i++) {
        int fd;
        if (i == CGROUP_V2 || cg->dirs[i] < 0)
            continue;
        fd = openat(cg->dirs[i], "tasks", O_WRONLY | O_CLOEXEC);
        if (fd < 0)
            return error_sys(e, -errno, "open tasks");
        cg->join_fds[cg->n_join++] = fd;
    }
    return 0;
}

static bool hybrid_oom_happened(struct cgroup *cg)
{
    struct cgroup_host *h = cg->host;

    /* The kernel rings top down: what rang ours from above has rung the host's before, so reading
     * ours first never takes an ancestor's shortage for our own. */
    count_rings(cg->oom_fd, &cg->oom_count);
    count_rings(h->oom_fd, &h->oom_count);
    return cg->oom_count > h->oom_count - cg->oom_base;
}

static void hybrid_usage(struct cgroup *cg, struct cgroup_usage *u)
{
    const struct cgroup_host *h = cg->host;
    int memory = cg->dirs[h->memory_dir];

    u->memory_peak = cgroup_value_of(memory, "memory.max_usage_in_bytes");
    u->oom_kills = cgroup_key_of(memory, "memory.oom_control", "oom_kill");
    u->pids_peak = cgroup_value_of(cg->dirs[h->pids_dir], "pids.peak");
    if (h->cpu_dir < CGROUP_DIRS_MAX && cg->dirs[h->cpu_dir] >= 0) {
        uint64_t nsec = cgroup_key_of(cg->dirs[h->cpu_dir], "cpu.stat", "throttled_time");
        u->throttled_periods = cgroup_key_of(cg->dirs[h->cpu_dir], "cpu.stat", "nr_throttled");
        u->throttled_usec = nsec == SANDBOX_ABSENT ? nsec : nsec / NSEC_PER_USEC;
    }
    if (h->blkio_dir < CGROUP_DIRS_MAX)
        cgroup_disks_of(cg->dirs[h->blkio_dir], "blkio.throttle.io_service_bytes_recursive",
                        " Read ", " Write ", u);
    /* Kernels since 6.10 or so count here only while something is throttled on the disk (block/
     * blk-throttle.c); until then they say zero, which is not to be told from idleness. */
    if (u->read_bytes == 0 && u->write_bytes == 0)
        u->read_bytes = u->write_bytes = SANDBOX_ABSENT;
}

const struct cgroup_driver cgroup_driver_hybrid = {
    .name = "hybrid",
    .open = hybrid_open,
    .close = hybrid_close,
    .needs = hybrid_needs,
    .limit = hybrid_limit,
    .oom_happened = hybrid_oom_happened,
    .usage = hybrid_usage,
};
