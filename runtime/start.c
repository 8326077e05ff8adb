/* Theory of operation
 *
 * The start of a sandbox, in the launcher: id range, cgroup, detached mounts, clone, id maps,
 * clocks, release. All of it takes about a millisecond and is done at once, with one exception: a
 * task tree that cannot be idmapped is copied, and one with very many entries is looked through for
 * owners, by a process forked for it. The start then continues from the event loop where it
 * stopped. Whatever is made belongs to struct sandbox or struct start from the moment it exists. */
#include "sandbox_internal.h"

#include "abilities.h"
#include "base/clock.h"
#include "base/fdio.h"
#include "copier.h"
#include "devices.h"
#include "mountfd.h"
#include "mounts.h"
#include "netns.h"
#include "order.h"
#include "rootfs.h"
#include "spare.h"
#include "transfer.h"
#include "weaken.h"

#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>

#define SHM_BYTES_DEFAULT (64ULL << 20) /* Docker's */

/* A start under way. The fds are those that the child gets; the launcher closes its own once the
 * child has them. */
struct start {
    struct child_plan plan;
    int userns_fd; /* the pool's */
    size_t n_mounts;
    enum mount_ready ready; /* what is known of the mount that is next */
    struct copier *copier;
    struct sandbox_spec spec; /* own copies, where the start has to wait */
    bool has_copies;
};

static int fail(struct sandbox *s, const char *step, int r)
{
    snprintf(s->report.failed_step, sizeof(s->report.failed_step), "%s", step);
    s->report.error_code = r;
    return r;
}

static uint32_t base_of(const struct sandbox *s)
{
    return s->lease->range.base;
}

static struct start *start_new(void)
{
    struct start *start = calloc(1, sizeof(*start));

    if (!start)
        return NULL;
    start->plan.root_fd = start->plan.dev_fd = start->plan.shm_fd = start->plan.sys_fd = -EBADF;
    start->plan.proc_fd = -EBADF;
    start->plan.go_fd = start->plan.status_fd = -EBADF;
    return start;
}

static void start_free(struct start *start)
{
    for (size_t i = 0; i < start->n_mounts; i++)
        safe_close(start->plan.mounts[i].fd);
    safe_close(start->plan.root_fd);
    safe_close(start->plan.dev_fd);
    safe_close(start->plan.shm_fd);
    safe_close(start->plan.sys_fd);
    safe_close(start->plan.go_fd);
    safe_close(start->plan.status_fd);
    if (start->copier)
        copier_free(start->copier);
    if (start->has_copies) {
        for (size_t i = 0; i < 3; i++)
            safe_close(start->plan.stdio[i]);
        sandbox_spec_clear(&start->spec);
    }
    free(start);
}

/* ---- the plan ---- */

static int take_ids(struct sandbox *s, struct error *e)
{
    if (s->parent) {
        s->lease = s->parent->lease;
        s->lease->users++;
        return 0;
    }
    s->lease = calloc(1, sizeof(*s->lease));
    if (!s->lease)
        return error_sys(e, -ENOMEM, "id range");
    *s->lease = (struct lease){ID_RANGE_INIT, 1};
    return id_range_lease(s->host->ids, &s->lease->range, e);
}

/* Bounds its directory, where it has a limit and the host can. */
static int make_disk(struct sandbox *s, const struct sandbox_limits *limits, struct error *e)
{
    int r;

    if (!(abilities_wanted(limits) & s->host->abilities & LAUNCHER_LIMIT_DISK) ||
        weakened("disk-limit"))
        return 0;
    r = disk_attach(&s->host->disks, &s->scratch_fd, base_of(s), limits, &s->disk, e);
    if (r < 0)
        return fail(s, "scratch", r);
    s->host->attached += s->disk.mounted;
    return 0;
}

/* Who stays behind when we are killed, and closes what has to be waited for; see janitor.h for whom
 * that is worth a process. */
static int want_janitor(struct sandbox *s, struct error *e)
{
    if (s->start->plan.spec->init && s->host->made == 1)
        return 0;
    return janitor_start(s->host->janitor, e);
}

/* A spare's, where there is one, whose name then is the sandbox's. The parent's network cannot be
 * entered later than by the clone (clone_into_network()). */
static int make_cgroup(struct sandbox *s, const struct sandbox_limits *limits, struct error *e)
{
    if (s->start->plan.spec->network != SANDBOX_NETWORK_PARENT)
        s->spare = spares_take(s->host->spares);
    if (!s->spare)
        return cgroup_create(s->host->cgroups, s->name, limits, &s->cgroup, e);
    memcpy(s->name, s->spare->name, sizeof(s->name));
    s->cgroup = TAKE_PTR(s->spare->cgroup);
    return cgroup_limit(s->cgroup, limits, e);
}

static int make_places(struct sandbox *s, struct error *e)
{
    const struct sandbox_limits *limits = &s->start->plan.spec->limits;
    int r = abilities_check(abilities_wanted(limits), s->host, e);

    if (r < 0)
        return fail(s, "limits", r);
    r = want_janitor(s, e);
    if (r < 0)
        return fail(s, "janitor", r);
    r = take_ids(s, e);
    if (r < 0)
        return fail(s, "id range", r);
    s->start->userns_fd = id_range_userns(s->host->ids, base_of(s), e);
    if (s->start->userns_fd < 0)
        return fail(s, "user namespace", s->start->userns_fd);
    r = make_cgroup(s, limits, e);
    if (r < 0)
        return fail(s, "cgroup", r);
    s->scratch_fd = make_owned_dir(s->host->scratch_fd, s->name, 0700, 0, 0, e);
    if (s->scratch_fd < 0)
        return fail(s, "scratch", s->scratch_fd);
    return make_disk(s, limits, e);
}

static struct mount_source source_of(const struct sandbox *s)
{
    return (struct mount_source){
        .host = s->host,
        .scratch_fd = s->scratch_fd,
        .userns_fd = s->start->userns_fd,
        .base = base_of(s),
        .memory = s->start->plan.spec->limits.memory_bytes,
        .parent = s->parent ? s->parent->kept : NULL,
        .n_parent = s->parent ? s->parent->n_kept : 0,
    };
}

/* Takes over the detached mount FD as the sandbox's next: one clone stays, one goes to the child.
 */
static int add_mount(struct sandbox *s, int fd, struct error *e)
{
    _cleanup_close_ int mount_fd = fd;
    struct start *start = s->start;
    char name[64];
    int r;

    snprintf(name, sizeof(name), "%s-%zu", s->name, s->n_kept);
    r = mount_keep(s->host, mount_fd, name, e);
    if (r < 0)
        return r;
    if (start->plan.spec->mounts[s->n_kept].kind == SANDBOX_MOUNT_SCRATCH)
        s->scratch_mounts |= 1ULL << s->n_kept;
    s->kept[s->n_kept++] = r;
    s->host->attached += !s->host->clone_detached;
    r = mount_clone(mount_fd, true);
    if (r < 0)
        return error_sys(e, r, "clone");
    start->plan.mounts[start->n_mounts].fd = r;
    start->plan.mounts[start->n_mounts].target = start->plan.spec->mounts[start->n_mounts].target;
    start->n_mounts++;
    return 0;
}

static void on_copied(int result, const struct error *e, void *userdata);

static int wait_for_copier(struct sandbox *s, enum mount_wants wants, struct error *e)
{
    const struct mount_source source = source_of(s);
    size_t index = s->start->n_mounts;

    return copier_start(s->host->event, &source, &s->start->plan.spec->mounts[index], index,
                        wants == MOUNT_WANTS_COPY, on_copied, s, &s->start->copier, e);
}

/* 1: all are there; 0: the copier is at work. */
static int prepare_mounts(struct sandbox *s, struct error *e)
{
    const struct mount_source source = source_of(s);
    const struct sandbox_spec *spec = s->start->plan.spec;

    while (s->start->n_mounts < spec->n_mounts) {
        const struct sandbox_mount *m = &spec->mounts[s->start->n_mounts];
        enum mount_wants wants = MOUNT_WANTS_NOTHING;
        char step[SANDBOX_STEP_MAX];
        int r = mount_prepare(&source, m, s->start->n_mounts, s->start->ready, &wants, e);
        if (r == 0 && wants != MOUNT_WANTS_NOTHING)
            r = wait_for_copier(s, wants, e);
        else if (r >= 0)
            r = add_mount(s, r, e);
        snprintf(step, sizeof(step), "mount %s", m->target);
        if (r < 0)
            return fail(s, step, r);
        if (s->start->copier)
            return 0;
        s->start->ready = MOUNT_FRESH;
    }
    return 1;
}

static int join_network(struct sandbox *s, const struct sandbox_spec *spec, struct error *e)
{
    int r;

    if (spec->network != SANDBOX_NETWORK_NAT)
        return 0;
    r = network_join(s->host->network, s->host->proc_fd, spec, &s->place, e);
    return r < 0 ? fail(s, "network", r) : 0;
}

/* Whose addresses its /etc tells. */
static const struct network_place *place_of(const struct sandbox *s,
                                            const struct sandbox_spec *spec)
{
    return spec->network == SANDBOX_NETWORK_PARENT && s->parent ? s->parent->place : s->place;
}

static int prepare_root(struct sandbox *s, struct error *e)
{
    const struct sandbox_limits *limits = &s->start->plan.spec->limits;
    struct child_plan *plan = &s->start->plan;
    const struct mount_tmpfs shm = {
        .size = limits->shm_bytes ? limits->shm_bytes : SHM_BYTES_DEFAULT,
        .owner = base_of(s),
        .mode = 01777,
    };

    plan->root_fd = rootfs_make(s->host, plan->spec, place_of(s, plan->spec), s->scratch_fd,
                                s->start->userns_fd, base_of(s), e);
    if (plan->root_fd < 0)
        return fail(s, "root file system", plan->root_fd);
    plan->dev_fd = devices_make(base_of(s), e);
    if (plan->dev_fd < 0)
        return fail(s, "mount /dev", plan->dev_fd);
    plan->shm_fd =
        mount_new_tmpfs(&shm, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, e);
    return plan->shm_fd < 0 ? fail(s, "mount /dev/shm", plan->shm_fd) : 0;
}

/* ---- clone ---- */

static int make_pipes(struct sandbox *s, struct error *e)
{
    struct child_plan *plan = &s->start->plan;
    int status[2], go[2];

    if (pipe2(status, O_CLOEXEC | O_NONBLOCK) < 0)
        return error_sys(e, -errno, "pipe");
    s->status_fd = plan->launcher_fds[0] = status[0];
    plan->status_fd = status[1];
    if (pipe2(go, O_CLOEXEC) < 0)
        return error_sys(e, -errno, "pipe");
    plan->go_fd = go[0];
    s->go_fd = plan->launcher_fds[1] = go[1];
    return 0;
}

static int clone_child(struct sandbox *s, uint64_t flags)
{
    pid_t pid = child_clone(flags, cgroup_clone_fd(s->cgroup), &s->pidfd);

    if (pid == 0)
        child_run(&s->start->plan);
    if (pid < 0)
        return pid;
    s->pid = pid;
    return 0;
}

/* The spare becomes the sandbox's first process. 1: it did; 0: the order is too large for it, or it
 * is no more, so that another has to be cloned into its cgroup. */
static int order_spare(struct sandbox *s)
{
    struct spare *spare = s->spare;
    int r = spare ? order_send(spare->order_fd, &s->start->plan) : 0;

    if (!spare)
        return 0;
    if (r == 0) {
        s->pid = spare->pid;
        spare->pid = 0;
        s->pidfd = TAKE_FD(spare->pidfd);
        s->mnt_ns_fd = TAKE_FD(spare->mnt_ns_fd);
    }
    s->spare = NULL;
    spare_free(spare);
    return r == 0;
}

/* The parent's network: the launcher enters it for the clone, so that the child starts there. It
 * would have no right to enter by itself: the parent's user namespace is not its own. For the same
 * reason its view of /sys is made here. */
static int clone_into_network(struct sandbox *s, struct error *e)
{
    _cleanup_close_ int own = netns_open(s->host->proc_fd, (int)getpid(), e);
    _cleanup_close_ int theirs = -EBADF;
    struct child_plan *plan = &s->start->plan;
    int r;

    if (own < 0)
        return own;
    if (!s->parent || s->parent->pid <= 0)
        return error_set(e, -ESRCH, "the parent is gone");
    theirs = netns_open(s->host->proc_fd, (int)s->parent->pid, e);
    if (theirs < 0)
        return theirs;
    if (setns(theirs, CLONE_NEWNET) < 0)
        return error_sys(e, -errno, "enter the parent's network namespace");
    plan->sys_fd =
        mount_new("sysfs", NULL, 0,
                  MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_RDONLY, e);
    r = plan->sys_fd < 0 ? plan->sys_fd : clone_child(s, 0);
    if (r < 0 && plan->sys_fd >= 0)
        error_sys(e, r, "clone3");
    if (setns(own, CLONE_NEWNET) < 0)
        return error_sys(e, -errno, "leave the parent's network namespace");
    return r;
}

/* Only a matter of speed: without it the last process's exit does the work. */
static void hold_mount_namespace(struct sandbox *s)
{
    char path[32];

    snprintf(path, sizeof(path), "%d/ns/mnt", (int)s->pid);
    s->mnt_ns_fd = openat(s->host->proc_fd, path, O_RDONLY | O_CLOEXEC);
}

static int launch(struct sandbox *s, struct error *e)
{
    struct child_plan *plan = &s->start->plan;
    int stdio[3], r;

    plan->n_join = cgroup_join_fds(s->cgroup, plan->join_fds);
    r = make_pipes(s, e);
    if (r < 0)
        return fail(s, "pipe", r);
    memcpy(stdio, plan->stdio, sizeof(stdio));
    if (plan->spec->limits.output_bytes > 0) {
        r = relay_start(s->host->event, plan->stdio, plan->spec->limits.output_bytes,
                        sandbox_on_output, s, &s->relay, e);
        if (r < 0)
            return fail(s, "output", r);
    }
    if (plan->spec->network == SANDBOX_NETWORK_PARENT) {
        r = clone_into_network(s, e);
    } else if (order_spare(s) == 0) {
        r = clone_child(s, CLONE_NEWNET);
        if (r < 0)
            error_sys(e, r, "clone3");
    }
    /* The child has the pipes' ends now, and must be the only one. */
    for (size_t i = 0; i < ARRAY_SIZE(stdio); i++)
        if (plan->stdio[i] != stdio[i])
            safe_close(plan->stdio[i]);
    memcpy(plan->stdio, stdio, sizeof(stdio));
    if (r < 0)
        return fail(s, "clone3", r);
    if (s->mnt_ns_fd < 0)
        hold_mount_namespace(s);
    r = id_range_map(s->host->proc_fd, s->pid, base_of(s), e);
    if (r < 0)
        return fail(s, "id maps", r);
    r = s->place ? network_attach(s->place, s->host->proc_fd, s->pid, e) : 0;
    if (r < 0)
        return fail(s, "network", r);
    r = call_watch_start(&s->calls, s->host->proc_fd, s->pid, plan->spec, s->kept, e);
    return r < 0 ? fail(s, "watch the socket", r) : 0;
}

/* Starts the clocks and lets the child go. */
static int release(struct sandbox *s, struct error *e)
{
    int r = loop_add_io(s->host->event, &s->exit_source, s->pidfd, EPOLLIN, sandbox_on_exit, s);

    if (r < 0) {
        error_sys(e, r, "watch the process");
        return fail(s, "release", r);
    }
    s->released_usec = clock_monotonic_usec();
    r = limits_start(s->host->event, s->cgroup, &s->start->plan.spec->limits, s->released_usec,
                     &s->limits, e);
    if (r < 0)
        return fail(s, "limits", r);
    r = fd_write_full(s->go_fd, "", 1);
    if (r < 0) {
        error_sys(e, r, "release the process");
        return fail(s, "release", r);
    }
    s->go_fd = safe_close(s->go_fd);
    s->state = SANDBOX_RUNNING;
    registry_add(s->host->registry, s->name, s->start->plan.spec, s->pid);
    return 0;
}

/* ---- from one to the next ---- */

/* Copies of what the caller keeps only until start_begin() returns. */
static int copy_request(struct start *start, struct error *e)
{
    int stdio[3] = {-EBADF, -EBADF, -EBADF};
    int r;

    if (start->has_copies)
        return 0;
    r = sandbox_spec_copy(start->plan.spec, &start->spec);
    for (size_t i = 0; r == 0 && i < 3; i++) {
        if (start->plan.stdio[i] < 0)
            continue;
        stdio[i] = fcntl(start->plan.stdio[i], F_DUPFD_CLOEXEC, 3);
        r = stdio[i] < 0 ? -errno : 0;
    }
    if (r < 0) {
        for (size_t i = 0; i < 3; i++)
            safe_close(stdio[i]);
        sandbox_spec_clear(&start->spec);
        return error_sys(e, r, "keep the request");
    }
    memcpy(start->plan.stdio, stdio, sizeof(stdio));
    start->plan.spec = &start->spec;
    start->has_copies = true;
    for (size_t i = 0; i < start->n_mounts; i++)
        start->plan.mounts[i].target = start->spec.mounts[i].target;
    return 0;
}

static void on_brought_in(int result, const struct error *e, void *userdata);

/* Has what is to be copied into the sandbox copied. 1: there is nothing; 0: the copier is at work.
 */
static int bring_in(struct sandbox *s, struct error *e)
{
    struct start *start = s->start;
    const struct sandbox_spec *spec = start->plan.spec;
    const struct transfer_in what = {.host = s->host,
                                     .spec = spec,
                                     .root_fd = start->plan.root_fd,
                                     .mounts = start->plan.mounts,
                                     .n_mounts = start->n_mounts,
                                     .base = base_of(s)};
    size_t n = 0;
    int r;

    for (size_t i = 0; i < spec->n_copies; i++)
        n += !spec->copies[i].out;
    if (n == 0)
        return 1;
    r = copier_run(s->host->event, s->host, transfer_in, &what, on_brought_in, s, &start->copier,
                   e);
    if (r == 0)
        r = copy_request(start, e);
    return r < 0 ? fail(s, "copy in", r) : 0;
}

/* What comes when everything is in place, or the failure R; as start_begin(). */
static int complete(struct sandbox *s, int r, struct error *e)
{
    if (r >= 0)
        r = sandbox_keep_copies(s, s->start->plan.spec);
    if (r < 0 && !s->report.failed_step[0])
        fail(s, "memory", r);
    if (r == 0)
        r = launch(s, e);
    if (r == 0)
        r = release(s, e);
    start_cancel(s);
    if (r < 0) {
        memcpy(s->report.error, e->text, sizeof(s->report.error));
        return r;
    }
    return 1;
}

static void on_brought_in(int result, const struct error *e, void *userdata)
{
    struct sandbox *s = userdata;
    struct error why = *e;

    copier_free(s->start->copier);
    s->start->copier = NULL;
    if (result < 0)
        fail(s, "copy in", result);
    result = complete(s, result, &why);
    start_over(s, result);
}

/* From the mounts on; as start_begin(). */
static int proceed(struct sandbox *s)
{
    struct error e = ERROR_INIT;
    int r = prepare_mounts(s, &e);

    if (r == 0) {
        r = copy_request(s->start, &e);
        if (r == 0)
            return 0;
        fail(s, "memory", r);
    }
    if (r > 0)
        r = join_network(s, s->start->plan.spec, &e);
    if (r == 0)
        r = prepare_root(s, &e);
    if (r == 0)
        r = bring_in(s, &e);
    return r == 0 ? 0 : complete(s, r, &e);
}

/* RESULT: 0 the tree may be mapped, 1 it was copied. */
static void on_copied(int result, const struct error *e, void *userdata)
{
    struct sandbox *s = userdata;
    struct start *start = s->start;

    copier_free(start->copier);
    start->copier = NULL;
    if (result < 0) {
        char step[SANDBOX_STEP_MAX];
        snprintf(step, sizeof(step), "mount %s", start->spec.mounts[start->n_mounts].target);
        fail(s, step, result);
        memcpy(s->report.error, e->text, sizeof(s->report.error));
        start_cancel(s);
        start_over(s, result);
        return;
    }
    start->ready = result > 0 ? MOUNT_COPIED : MOUNT_LOOKED_AT;
    result = proceed(s);
    if (result != 0)
        start_over(s, result);
}

void start_cancel(struct sandbox *s)
{
    if (s->start)
        start_free(s->start);
    s->start = NULL;
}

int start_begin(struct sandbox *s, const struct sandbox_spec *spec, const int stdio[3])
{
    struct error e = ERROR_INIT;
    int r;

    s->start = start_new();
    if (!s->start)
        return fail(s, "memory", -ENOMEM);
    s->start->plan.host = s->host;
    s->start->plan.spec = spec;
    memcpy(s->start->plan.stdio, stdio, sizeof(s->start->plan.stdio));
    r = make_places(s, &e);
    if (r < 0) {
        memcpy(s->report.error, e.text, sizeof(s->report.error));
        start_cancel(s);
        return r;
    }
    return proceed(s);
}
