/* Driver for cgroup v2 (Documentation/admin-guide/cgroup-v2.rst).
 *
 *   BASE                             the cgroup /proc/self/cgroup names
 *     dockless-INSTANCE              memory and pids enabled for its children
 *       SANDBOX...
 *     dockless-INSTANCE-supervisor   launcher and agent, when BASE is not the real root
 *
 * A cgroup that has processes cannot give controllers to its children, the real root excepted ("no
 * internal process constraint"). So whoever lives in BASE must leave first. We move this process
 * and those of its ancestors that run the same program, and nobody else: where others live in BASE
 * (a login session), systemd is asked for a scope of our own; without systemd that is an error. */
#include "cgroup_internal.h"

#include "base/clock.h"
#include "base/fdio.h"
#include "base/text.h"

#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>

/* The launcher, the agent above it, and room for a wrapper or two of the same program. */
#define ANCESTORS_MAX 8
/* More processes than that in our own cgroup are certainly not all ours. */
#define OWN_MAX ANCESTORS_MAX
/* An agent that was killed still ends while the launcher, told by its socket, already leaves: it
 * can neither be moved nor does it let its cgroup go. */
#define LEAVE_WAIT_USEC USEC_PER_SEC
#define LEAVE_STEP      ((struct timespec){.tv_nsec = 1000000})

/* Those that must be there first. */
static const char *const controllers[] = {"memory", "pids", "cpu", "cpuset", "io"};
#define REQUIRED 2
/* Which ability each of the others is; "io" has one only where the kernel has weights. */
static const unsigned ability[] = {0, 0, CGROUP_CPU_SHARE, CGROUP_CPUS, 0};

struct family {
    pid_t pids[ANCESTORS_MAX];
    size_t n;
};

/* This process and CLIENT, which has executed it from a copy of their program (0: nobody has); then
 * the parents of the last as long as they run the same executable as it does. */
static void find_family(struct family *f, pid_t client)
{
    struct stat own, other;
    char path[64];

    f->n = 0;
    f->pids[f->n++] = getpid();
    if (client > 0 && client == getppid()) /* else it is gone, and its id may be another's */
        f->pids[f->n++] = client;
    snprintf(path, sizeof(path), "/proc/%d/exe", (int)f->pids[f->n - 1]);
    if (stat(path, &own) < 0)
        return;
    while (f->n < ANCESTORS_MAX) {
        _cleanup_buffer_ struct buffer b = {0};
        const char *after;
        long parent;

        snprintf(path, sizeof(path), "/proc/%d/stat", (int)f->pids[f->n - 1]);
        if (cgroup_read(AT_FDCWD, path, &b) < 0)
            return;
        /* The name in parentheses may hold anything, a closing one included: proc(5). */
        after = strrchr((const char *)b.data, ')');
        /* NOLINTNEXTLINE(cert-err34-c): the kernel wrote it */
        if (!after || sscanf(after, ") %*c %ld", &parent) != 1 || parent <= 0)
            return;
        snprintf(path, sizeof(path), "/proc/%ld/exe", parent);
        if (stat(path, &other) < 0 || other.st_dev != own.st_dev || other.st_ino != own.st_ino)
            return;
        f->pids[f->n++] = (pid_t)parent;
    }
}

/* Reads the processes of BASE into OWN. Returns 0 when all are of FAMILY, else the id of one that
 * is not (0 in the file: a process outside our pid namespace, told as 1 here since no such process
 * is ever ours), or a negative errno. */
static int find_strangers(const struct cgroup_dir *base, const struct family *family,
                          struct family *own)
{
    _cleanup_buffer_ struct buffer b = {0};
    char *next, *line;
    int r = cgroup_read(base->fd, "cgroup.procs", &b);

    if (r < 0)
        return r;
    own->n = 0;
    next = (char *)b.data;
    while ((line = strsep(&next, "\n")) && *line) {
        uint64_t pid;
        bool ours = false;
        r = text_parse_uint(line, INT32_MAX, &pid);
        if (r < 0)
            return r;
        for (size_t i = 0; i < family->n; i++)
            ours = ours || (uint64_t)family->pids[i] == pid;
        if (!ours || own->n == OWN_MAX)
            return pid > 0 ? (int)pid : 1;
        own->pids[own->n++] = (pid_t)pid;
    }
    return 0;
}

/* Whether the control file NAME of D lists every controller we need; *ret_missing is the first that
 * it does not. */
static int lists_controllers(const struct cgroup_dir *d, const char *name, const char **ret_missing)
{
    _cleanup_buffer_ struct buffer b = {0};
    int r = cgroup_read(d->fd, name, &b);

    if (r < 0)
        return r;
    for (size_t i = 0; i < REQUIRED; i++) {
        if (!cgroup_has_word((const char *)b.data, controllers[i])) {
            *ret_missing = controllers[i];
            return 0;
        }
    }
    return 1;
}

/* Enables our controllers for the children of D; *RET_ENABLED are those that were not before. One
 * that is not required may be refused: realtime processes keep "cpu" away, for example. */
static int enable(const struct cgroup_dir *d, unsigned *ret_enabled, struct error *e)
{
    _cleanup_buffer_ struct buffer present = {0};
    int r = cgroup_read(d->fd, "cgroup.subtree_control", &present);

    if (r < 0)
        return error_sys(e, r, "%s/cgroup.subtree_control", d->path);
    *ret_enabled = 0;
    for (size_t i = 0; i < ARRAY_SIZE(controllers); i++) {
        char text[16];
        if (cgroup_has_word((const char *)present.data, controllers[i]))
            continue;
        snprintf(text, sizeof(text), "+%s", controllers[i]);
        r = fd_write_file(d->fd, "cgroup.subtree_control", text);
        if (r == 0)
            *ret_enabled |= 1U << i;
        if (i >= REQUIRED)
            continue;
        if (r == -EBUSY)
            return error_set(e, r, "cgroup %s: processes entered it while it was being divided",
                             d->path);
        if (r < 0)
            return error_sys(e, r, "cgroup %s: enable controller %s", d->path, controllers[i]);
    }
    return 0;
}

/* All of them are tried; the first failure is returned. */
static int disable(int dir_fd, unsigned enabled)
{
    int first = 0;

    for (size_t i = 0; i < ARRAY_SIZE(controllers); i++) {
        char text[16];
        int r;
        if (!(enabled & 1U << i))
            continue;
        snprintf(text, sizeof(text), "-%s", controllers[i]);
        r = fd_write_file(dir_fd, "cgroup.subtree_control", text);
        if (first == 0)
            first = r;
    }
    return first;
}

/* Moves the processes of OWN into cgroup DIR_FD; one that has ended meanwhile is no error. */
static int move_family(int dir_fd, const struct family *own)
{
    for (size_t i = 0; i < own->n; i++) {
        int r = cgroup_write_uint(dir_fd, "cgroup.procs", (uint64_t)own->pids[i]);
        if (r < 0 && r != -ESRCH)
            return r;
    }
    return 0;
}

static int move_to_supervisor(struct cgroup_host *h, const struct family *own, struct error *e)
{
    _cleanup_close_ int leaf = -EBADF;
    int r;

    h->supervisor = text_printf("%s%s", h->name, CGROUP_SUPERVISOR);
    if (!h->supervisor)
        return error_sys(e, -ENOMEM, "cgroup");
    r = cgroup_make_dir(h->base.fd, h->supervisor, &leaf);
    if (r < 0)
        return error_sys(e, r, "make cgroup %s/%s", h->base.path, h->supervisor);
    r = move_family(leaf, own);
    if (r < 0)
        return error_sys(e, r, "move to cgroup %s/%s", h->base.path, h->supervisor);
    return 0;
}

struct survey {
    bool is_root; /* the real root, where processes are not in the way */
    bool enabled; /* the controllers are already given to children */
    const char *missing;
    pid_t stranger;
    struct family own;
};

static int survey(const struct cgroup_dir *base, pid_t client, struct survey *s, struct error *e)
{
    struct family family;
    const char *not_enabled;
    int r;

    *s = (struct survey){0};
    s->is_root = faccessat(base->fd, "cgroup.type", F_OK, 0) < 0 && errno == ENOENT;
    r = lists_controllers(base, "cgroup.controllers", &s->missing);
    if (r < 0)
        return error_sys(e, r, "%s/cgroup.controllers", base->path);
    r = lists_controllers(base, "cgroup.subtree_control", &not_enabled);
    if (r < 0)
        return error_sys(e, r, "%s/cgroup.subtree_control", base->path);
    s->enabled = r > 0;
    if (s->is_root || s->enabled)
        return 0;
    find_family(&family, client);
    r = find_strangers(base, &family, &s->own);
    if (r < 0)
        return error_sys(e, r, "%s/cgroup.procs", base->path);
    s->stranger = (pid_t)r;
    return 0;
}

/* Says why BASE cannot be used, and what to do about it. */
static int complain(const struct cgroup_dir *base, const struct survey *s, bool systemd,
                    struct error *e)
{
    const char *remedy =
        systemd ? "; start it as: systemd-run --scope -p Delegate=yes dockless ..." : "";

    if (s->missing && s->is_root)
        return error_set(e, -EOPNOTSUPP,
                         "this kernel offers no %s controller in cgroup v2 (boot parameter "
                         "cgroup_enable=%s)",
                         s->missing, s->missing);
    if (s->missing)
        return error_set(e, -EOPNOTSUPP,
                         "cgroup %s has no %s controller: its parent must enable it "
                         "(cgroup.subtree_control)%s",
                         base->path, s->missing, remedy);
    if (systemd)
        return error_set(e, -EBUSY,
                         "cgroup %s cannot be divided: process %d, which is not ours, lives in "
                         "it%s",
                         base->path, (int)s->stranger, remedy);
    return error_set(e, -EBUSY,
                     "cgroup %s cannot be divided: process %d, which is not ours, lives in it; "
                     "give dockless a cgroup of its own: cd %s && mkdir others dockless && "
                     "for p in $(cat cgroup.procs); do echo $p >others/cgroup.procs; done; "
                     "echo +memory +pids >cgroup.subtree_control; "
                     "echo $$ >dockless/cgroup.procs; exec dockless ...",
                     base->path, (int)s->stranger, base->path);
}

/* Finds BASE, where needed after systemd has given us a scope. */
static int find_base(struct cgroup_host *h, struct survey *s, struct error *e)
{
    struct error scope_error = ERROR_INIT;
    bool systemd = cgroup_scope_can_be_asked();
    int r = cgroup_place_find("", &h->base, e);

    if (r == 0)
        r = survey(&h->base, h->client, s, e);
    if (r < 0 || (!s->missing && !s->stranger))
        return r;
    if (!systemd || s->is_root)
        return complain(&h->base, s, systemd, e);
    if (cgroup_scope_enter(h->name, &scope_error) < 0) {
        r = complain(&h->base, s, systemd, e);
        return error_prefix(e, r, "%s", scope_error.text);
    }
    cgroup_dir_clear(&h->base);
    r = cgroup_place_find("", &h->base, e);
    if (r == 0)
        r = survey(&h->base, h->client, s, e);
    if (r < 0 || (!s->missing && !s->stranger))
        return r;
    return complain(&h->base, s, systemd, e);
}

/* io.weight is the cost model's, io.bfq.weight the scheduler's; a kernel has either, both or none.
 */
static const char *const io_weights[] = {"io.weight", "io.bfq.weight"};

static void find_abilities(struct cgroup_host *h)
{
    _cleanup_buffer_ struct buffer b = {0};

    if (cgroup_read(h->dirs[CGROUP_V2].fd, "cgroup.subtree_control", &b) < 0)
        return;
    for (size_t i = REQUIRED; i < ARRAY_SIZE(controllers); i++)
        if (cgroup_has_word((const char *)b.data, controllers[i]))
            h->abilities |= ability[i];
    for (size_t i = 0; i < ARRAY_SIZE(io_weights); i++)
        if (faccessat(h->dirs[CGROUP_V2].fd, io_weights[i], W_OK, 0) == 0)
            h->abilities |= CGROUP_IO_WEIGHT;
}

static int unified_open(struct cgroup_host *h, struct error *e)
{
    struct survey s = {0};
    unsigned enabled = 0;
    int r = find_base(h, &s, e);

    if (r == 0)
        r = cgroup_add_dir(h, &h->base, e);
    if (r < 0)
        return r;
    if (!s.is_root && !s.enabled) {
        r = move_to_supervisor(h, &s.own, e);
        if (r < 0)
            return r;
    }
    r = enable(&h->base, &enabled, e);
    /* At the real root it stays enabled: others may have come to rely on it by the time we leave.
     */
    h->enabled = s.is_root ? 0 : enabled;
    if (r == 0)
        r = enable(&h->dirs[CGROUP_V2], &enabled, e);
    if (r < 0)
        return r;
    find_abilities(h);
    if (faccessat(h->dirs[CGROUP_V2].fd, "memory.swap.max", W_OK, 0) < 0) {
        r = cgroup_host_has_swap();
        if (r < 0)
            return error_sys(e, r, "/proc/swaps");
        if (r > 0)
            return error_set(e, -EOPNOTSUPP,
                             "this host has swap, which memory limits cannot bound without "
                             "memory.swap.max: boot with the kernel parameter swapaccount=1, or "
                             "swapoff -a");
    }
    return 0;
}

/* Moves everybody in cgroup FROM_FD, children that the agent has made since included. */
static void move_all(int from_fd, int to_fd)
{
    _cleanup_buffer_ struct buffer b = {0};
    char *next, *line;

    if (cgroup_read(from_fd, "cgroup.procs", &b) < 0)
        return;
    next = (char *)b.data;
    while ((line = strsep(&next, "\n")) && *line)
        fd_write_file(to_fd, "cgroup.procs", line);
}

/* Gives base back as it was found: no controllers for children, its processes inside. Where that
 * fails because others divide base too, we stay in the leaf, which is removed with the service, the
 * scope, or by the next life's sweep. */
static void unified_close(struct cgroup_host *h)
{
    uint64_t end = clock_monotonic_usec() + LEAVE_WAIT_USEC;
    _cleanup_close_ int leaf = -EBADF;

    if (h->n_dirs == 0)
        return;
    disable(h->dirs[CGROUP_V2].fd, ~0U);
    if (disable(h->base.fd, h->enabled) < 0 || !h->supervisor)
        return;
    leaf = openat(h->base.fd, h->supervisor, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (leaf < 0)
        return;
    move_all(leaf, h->base.fd);
    while (unlinkat(h->base.fd, h->supervisor, AT_REMOVEDIR) < 0 && errno == EBUSY &&
           clock_monotonic_usec() < end) {
        nanosleep(&LEAVE_STEP, NULL);
        move_all(leaf, h->base.fd);
    }
}

static unsigned unified_needs(const struct cgroup_host *h, const struct sandbox_limits *limits)
{
    (void)h;
    (void)limits;
    return 1U << CGROUP_V2;
}

static int limit_io(int fd, uint64_t weight, struct error *e)
{
    int r = -ENOENT;

    for (size_t i = 0; i < ARRAY_SIZE(io_weights); i++) {
        bool bfq = i > 0;
        int one = cgroup_write_uint(fd, io_weights[i], bfq ? MIN(weight, BFQ_WEIGHT_MAX) : weight);
        if (one < 0 && one != -ENOENT)
            return error_sys(e, one, "%s", io_weights[i]);
        if (one == 0)
            r = 0;
    }
    return r < 0 ? error_sys(e, r, "io.weight") : 0;
}

/* Processors and disks. */
static int limit_work(struct cgroup *cg, const struct sandbox_limits *limits, struct error *e)
{
    unsigned able = cg->host->abilities;
    int fd = cg->dirs[CGROUP_V2], r = 0;
    char text[64];

    if (limits->cpu_share > 0 && able & CGROUP_CPU_SHARE) {
        snprintf(text, sizeof(text), "%llu %d",
                 (unsigned long long)(limits->cpu_share * CGROUP_CPU_PERIOD_USEC / 1000),
                 CGROUP_CPU_PERIOD_USEC);
        r = fd_write_file(fd, "cpu.max", text);
        if (r < 0)
            return error_sys(e, r, "cpu.max");
    }
    if (cgroup_wants_cpus(limits) && able & CGROUP_CPUS)
        r = cgroup_limit_cpus(fd, limits->cpus, e);
    if (r == 0 && limits->io_weight > 0 && able & CGROUP_IO_WEIGHT)
        r = limit_io(fd, limits->io_weight, e);
    return r;
}

static int unified_limit(struct cgroup *cg, const struct sandbox_limits *limits, struct error *e)
{
    int fd = cg->dirs[CGROUP_V2], r;
    char text[256];

    /* One process over the limit ends all of them; grading images check that it reads 1. */
    r = fd_write_file(fd, "memory.oom.group", "1");
    if (r < 0)
        return error_sys(e, r, "memory.oom.group");
    r = fd_write_file(fd, "memory.swap.max", "0");
    if (r < 0 && r != -ENOENT)
        return error_sys(e, r, "memory.swap.max");
    if (limits->memory_bytes > 0) {
        r = cgroup_write_uint(fd, "memory.max", limits->memory_bytes);
        if (r < 0)
            return error_sys(e, r, "memory.max");
        cg->oom_fd = openat(fd, "memory.events.local", O_RDONLY | O_CLOEXEC);
        if (cg->oom_fd < 0)
            return error_sys(e, -errno, "memory.events.local");
        cg->oom_events = EPOLLPRI;
        /* The first read arms the poll. */
        r = cgroup_read_again(cg->oom_fd, text, sizeof(text));
        if (r < 0)
            return error_sys(e, r, "memory.events.local");
    }
    if (limits->pids > 0) {
        r = cgroup_write_uint(fd, "pids.max", MIN(limits->pids, CGROUP_PIDS_MAX));
        if (r < 0)
            return error_sys(e, r, "pids.max");
    }
    return limit_work(cg, limits, e);
}

/* "oom": this cgroup was the one at its limit, not an ancestor or the host. "oom_kill": somebody
 * died of it; without that, memory was freed just in time. */
static bool unified_oom_happened(struct cgroup *cg)
{
    char text[256];
    uint64_t at_limit, kills;

    return cgroup_read_again(cg->oom_fd, text, sizeof(text)) == 0 &&
           cgroup_parse_key(text, "oom", &at_limit) == 0 &&
           cgroup_parse_key(text, "oom_kill", &kills) == 0 && at_limit > 0 && kills > 0;
}

static void unified_usage(struct cgroup *cg, struct cgroup_usage *u)
{
    int fd = cg->dirs[CGROUP_V2];

    u->memory_peak = cgroup_value_of(fd, "memory.peak");
    u->pids_peak = cgroup_value_of(fd, "pids.peak");
    u->oom_kills = cgroup_key_of(fd, "memory.events.local", "oom_kill");
    u->throttled_periods = cgroup_key_of(fd, "cpu.stat", "nr_throttled");
    u->throttled_usec = cgroup_key_of(fd, "cpu.stat", "throttled_usec");
    cgroup_disks_of(fd, "io.stat", "rbytes=", "wbytes=", u);
}

const struct cgroup_driver cgroup_driver_unified = {
    .name = "unified",
    .open = unified_open,
    .close = unified_close,
    .needs = unified_needs,
    .limit = unified_limit,
    .oom_happened = unified_oom_happened,
    .usage = unified_usage,
};
