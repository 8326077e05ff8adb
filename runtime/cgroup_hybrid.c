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

/* Memory always, for the peak; pids only for a limit. */
static unsigned hybrid_needs(const struct cgroup_host *h, const struct sandbox_limits *limits)
{
    return 1U << CGROUP_V2 | 1U << h->memory_dir | (limits->pids > 0 ? 1U << h->pids_dir : 0);
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

static int hybrid_memory_peak(struct cgroup *cg, uint64_t *ret)
{
    _cleanup_buffer_ struct buffer b = {0};
    int r = cgroup_read(cg->dirs[cg->host->memory_dir], "memory.max_usage_in_bytes", &b);

    return r < 0 ? r : cgroup_parse_value((const char *)b.data, ret);
}

const struct cgroup_driver cgroup_driver_hybrid = {
    .name = "hybrid",
    .open = hybrid_open,
    .close = hybrid_close,
    .needs = hybrid_needs,
    .limit = hybrid_limit,
    .oom_happened = hybrid_oom_happened,
    .memory_peak = hybrid_memory_peak,
};
