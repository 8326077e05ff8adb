/* Theory of operation
 *
 * sandbox_start() plans (id range, cgroup, detached mounts), clones the child, writes its id maps
 * and releases it; from then on the event loop has two things to watch: the child's pidfd, and the
 * limits (limits.c). When the child's first process is gone, whatever is left in the cgroup is
 * killed; when the cgroup is empty the counters are final, the verdict is made and reported.
 *
 * Every resource lives in struct sandbox from the moment it exists, so that sandbox_free() is the
 * one way back from everywhere. */
#include "life.h"

#include "base/clock.h"
#include "base/fdio.h"
#include "child.h"
#include "connect.h"
#include "devices.h"
#include "limits.h"
#include "mountfd.h"
#include "mounts.h"
#include "netns.h"
#include "rootfs.h"

#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define SHM_BYTES_DEFAULT (64ULL << 20) /* Docker's */
/* After cgroup.kill a process is gone within a scheduler round or two; one stuck in the kernel (a
 * dead network file system) is not waited for longer than this before the report is made. */
#define ENDING_USEC_MAX (10 * USEC_PER_SEC)

enum sandbox_state {
    SANDBOX_PREPARING, /* nothing runs yet, or the start has failed and the report is due */
    SANDBOX_RUNNING,
    SANDBOX_ENDING, /* the first process is gone, the cgroup is not yet empty */
    SANDBOX_REPORTED,
};

_Static_assert(SANDBOX_MOUNTS_MAX <= 64, "scratch_mounts has 64 bits");

/* An id range and everyone who uses it: a sandbox and its children. */
struct lease {
    struct id_range range;
    unsigned users;
};

struct sandbox {
    struct host *host;
    uint64_t id;
    sandbox_over_fn over;
    void *userdata;
    enum sandbox_state state;

    struct sandbox *parent; /* NULL once it is gone */
    struct sandbox *first_child, *next_sibling;
    struct lease *lease;

    char name[32]; /* of its scratch directory and cgroup */
    int scratch_fd;
    int kept[SANDBOX_MOUNTS_MAX]; /* clones of its mounts, for children */
    size_t n_kept;
    uint64_t scratch_mounts; /* bit N: mount N is a SANDBOX_MOUNT_SCRATCH */
    struct call_watch calls;
    struct cgroup *cgroup;
    struct limits *limits;
    pid_t pid;
    int pidfd;
    int mnt_ns_fd; /* so that the process's end does not have to wait for that of its mounts */
    int status_fd;
    int go_fd;
    sd_event_source *exit_source, *empty_source, *timeout_source, *report_source;
    int wait_code, wait_status; /* si_code, si_status of the first process */
    uint64_t released_usec;
    uint64_t ended_usec;
    struct sandbox_report report;
};

/* Mounts on their way into the child; the launcher closes its fds once the child has its own. */
struct start {
    struct child_plan plan;
    size_t n_mounts;
};

uint64_t sandbox_id(const struct sandbox *s)
{
    return s->id;
}

int sandbox_scratch_mount(const struct sandbox *s, uint32_t index)
{
    if (index >= s->n_kept)
        return -EINVAL;
    return s->scratch_mounts & (1ULL << index) ? s->kept[index] : -EACCES;
}

bool sandbox_is_running(const struct sandbox *s)
{
    return s->state == SANDBOX_RUNNING;
}

static uint32_t base_of(const struct sandbox *s)
{
    return s->lease->range.base;
}

static void lease_drop(struct lease *l)
{
    if (!l || --l->users > 0)
        return;
    id_range_release(&l->range);
    free(l);
}

static int fail(struct sandbox *s, const char *step, int r)
{
    snprintf(s->report.failed_step, sizeof(s->report.failed_step), "%s", step);
    s->report.error_code = r;
    return r;
}

/* ---- the plan ---- */

static int take_ids(struct sandbox *s, struct error *e)
{
    int r;

    if (s->parent) {
        s->lease = s->parent->lease;
        s->lease->users++;
        return 0;
    }
    s->lease = calloc(1, sizeof(*s->lease));
    if (!s->lease)
        return error_sys(e, -ENOMEM, "id range");
    *s->lease = (struct lease){ID_RANGE_INIT, 1};
    r = id_range_lease(s->host->ids, &s->lease->range, e);
    return r;
}

static int make_scratch(struct sandbox *s, struct error *e)
{
    s->scratch_fd = make_owned_dir(s->host->scratch_fd, s->name, 0700, 0, 0, e);
    return s->scratch_fd < 0 ? s->scratch_fd : 0;
}

static int prepare_mounts(struct sandbox *s, const struct sandbox_spec *spec, int userns_fd,
                          struct start *start, struct error *e)
{
    const struct mount_source source = {
        .host = s->host,
        .scratch_fd = s->scratch_fd,
        .userns_fd = userns_fd,
        .base = base_of(s),
        .memory = spec->limits.memory_bytes,
        .parent = s->parent ? s->parent->kept : NULL,
        .n_parent = s->parent ? s->parent->n_kept : 0,
    };

    for (size_t i = 0; i < spec->n_mounts; i++) {
        char step[SANDBOX_STEP_MAX], name[64];
        int fd = mount_prepare(&source, &spec->mounts[i], i, e);
        int r;
        snprintf(step, sizeof(step), "mount %s", spec->mounts[i].target);
        if (fd < 0)
            return fail(s, step, fd);
        snprintf(name, sizeof(name), "%s-%zu", s->name, i);
        r = mount_keep(s->host, fd, name, e);
        if (r < 0) {
            safe_close(fd);
            return fail(s, step, r);
        }
        if (spec->mounts[i].kind == SANDBOX_MOUNT_SCRATCH)
            s->scratch_mounts |= 1ULL << i;
        s->kept[s->n_kept++] = r;
        /* The child moves a clone of its own; the kept one stays as it is. */
        r = mount_clone(fd, true);
        safe_close(fd);
        if (r < 0) {
            error_sys(e, r, "clone");
            return fail(s, step, r);
        }
        start->plan.mounts[i] = (struct child_mount){r, spec->mounts[i].target};
        start->n_mounts++;
    }
    return 0;
}

static int prepare_devices(struct sandbox *s, const struct sandbox_spec *spec, struct start *start,
                           struct error *e)
{
    const struct mount_tmpfs shm = {
        .size = spec->limits.shm_bytes ? spec->limits.shm_bytes : SHM_BYTES_DEFAULT,
        .owner = base_of(s),
        .mode = 01777,
    };

    start->plan.dev_fd = devices_make(base_of(s), e);
    if (start->plan.dev_fd < 0)
        return start->plan.dev_fd;
    start->plan.shm_fd =
        mount_new_tmpfs(&shm, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, e);
    return start->plan.shm_fd < 0 ? start->plan.shm_fd : 0;
}

static int prepare(struct sandbox *s, const struct sandbox_spec *spec, struct start *start,
                   struct error *e)
{
    int userns_fd, r = take_ids(s, e);

    if (r < 0)
        return fail(s, "id range", r);
    userns_fd = id_range_userns(s->host->ids, base_of(s), e);
    if (userns_fd < 0)
        return fail(s, "user namespace", userns_fd);
    r = cgroup_create(s->host->cgroups, s->name, &spec->limits, &s->cgroup, e);
    if (r < 0)
        return fail(s, "cgroup", r);
    r = make_scratch(s, e);
    if (r < 0)
        return fail(s, "scratch", r);
    start->plan.root_fd = rootfs_make(s->host, spec, s->scratch_fd, userns_fd, base_of(s), e);
    if (start->plan.root_fd < 0)
        return fail(s, "root file system", start->plan.root_fd);
    r = prepare_mounts(s, spec, userns_fd, start, e);
    if (r < 0)
        return r;
    r = prepare_devices(s, spec, start, e);
    return r < 0 ? fail(s, "mount /dev", r) : 0;
}

/* ---- clone ---- */

static int make_pipes(struct sandbox *s, struct start *start, struct error *e)
{
    int status[2], go[2];

    if (pipe2(status, O_CLOEXEC | O_NONBLOCK) < 0)
        return error_sys(e, -errno, "pipe");
    s->status_fd = start->plan.launcher_fds[0] = status[0];
    start->plan.status_fd = status[1];
    if (pipe2(go, O_CLOEXEC) < 0)
        return error_sys(e, -errno, "pipe");
    start->plan.go_fd = go[0];
    s->go_fd = start->plan.launcher_fds[1] = go[1];
    return 0;
}

static int clone_child(struct sandbox *s, struct start *start, uint64_t flags)
{
    int pidfd = -EBADF;
    struct clone_args args = {
        .flags = flags | CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_PIDFD |
                 CLONE_INTO_CGROUP,
        .pidfd = (uint64_t)(uintptr_t)&pidfd,
        .exit_signal = SIGCHLD,
        .cgroup = (uint64_t)cgroup_clone_fd(s->cgroup),
    };
    long pid = syscall(SYS_clone3, &args, sizeof(args));

    if (pid < 0)
        return -errno;
    if (pid == 0)
        child_run(&start->plan);
    s->pid = (pid_t)pid;
    s->pidfd = pidfd;
    return 0;
}

/* The parent's network: the launcher enters it for the clone, so that the child starts there. It
 * would have no right to enter by itself: the parent's user namespace is not its own. For the same
 * reason its view of /sys is made here. */
static int clone_into_network(struct sandbox *s, struct start *start, struct error *e)
{
    _cleanup_close_ int own = netns_open(s->host->proc_fd, (int)getpid(), e);
    _cleanup_close_ int theirs = -EBADF;
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
    start->plan.sys_fd =
        mount_new("sysfs", NULL, 0,
                  MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_RDONLY, e);
    r = start->plan.sys_fd < 0 ? start->plan.sys_fd : clone_child(s, start, 0);
    if (r < 0 && start->plan.sys_fd >= 0)
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

static int launch(struct sandbox *s, const struct sandbox_spec *spec, const int stdio[3],
                  struct start *start, struct error *e)
{
    int r;

    start->plan.host = s->host;
    start->plan.spec = spec;
    memcpy(start->plan.stdio, stdio, sizeof(start->plan.stdio));
    start->plan.n_join = cgroup_join_fds(s->cgroup, start->plan.join_fds);
    r = make_pipes(s, start, e);
    if (r < 0)
        return fail(s, "pipe", r);
    if (spec->network == SANDBOX_NETWORK_PARENT) {
        r = clone_into_network(s, start, e);
    } else {
        r = clone_child(s, start, CLONE_NEWNET);
        if (r < 0)
            error_sys(e, r, "clone3");
    }
    if (r < 0)
        return fail(s, "clone3", r);
    hold_mount_namespace(s);
    r = id_range_map(s->host->proc_fd, s->pid, base_of(s), e);
    if (r < 0)
        return fail(s, "id maps", r);
    r = call_watch_start(&s->calls, s->host->proc_fd, s->pid, spec, s->kept, e);
    return r < 0 ? fail(s, "watch the socket", r) : 0;
}

/* ---- the end ---- */

static void report(struct sandbox *s)
{
    struct sandbox_report copy = s->report;

    s->state = SANDBOX_REPORTED;
    /* The callee may free S: nothing of it is touched afterwards. */
    s->over(s, &copy, s->userdata);
}

static void read_usage(struct sandbox *s)
{
    struct cgroup_usage usage;

    s->report.memory_peak = SANDBOX_ABSENT;
    if (!s->cgroup || cgroup_usage(s->cgroup, &usage, NULL) < 0)
        return;
    s->report.user_usec = usage.user_usec;
    s->report.system_usec = usage.system_usec;
    s->report.memory_peak = usage.memory_peak;
}

/* What the child wrote before it gave up, if it did. A kill or a limit that came first explains the
 * end better. */
static void read_failure(struct sandbox *s)
{
    struct child_failure f;

    if (fd_read_full(s->status_fd, &f, sizeof(f)) != (ssize_t)sizeof(f))
        return;
    if (s->report.verdict != SANDBOX_EXITED)
        return;
    f.step[sizeof(f.step) - 1] = f.text[sizeof(f.text) - 1] = 0;
    s->report.verdict = SANDBOX_START_FAILED;
    s->report.exit_code = 0;
    s->report.error_code = f.code;
    snprintf(s->report.failed_step, sizeof(s->report.failed_step), "%s", f.step);
    snprintf(s->report.error, sizeof(s->report.error), "%s", f.text);
}

static void finish(struct sandbox *s)
{
    s->exit_source = sd_event_source_disable_unref(s->exit_source);
    s->empty_source = sd_event_source_disable_unref(s->empty_source);
    s->timeout_source = sd_event_source_disable_unref(s->timeout_source);
    s->report.wall_usec = s->ended_usec - s->released_usec;
    limits_verdict(s->limits, s->wait_code, s->wait_status, &s->report);
    read_usage(s);
    read_failure(s);
    s->report.called = call_watch_saw(&s->calls);
    report(s);
}

static int on_empty(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
    struct sandbox *s = userdata;

    (void)source, (void)fd, (void)events;
    if (cgroup_is_empty(s->cgroup) != 0)
        finish(s);
    return 0;
}

static int on_ending_timeout(sd_event_source *source, uint64_t usec, void *userdata)
{
    (void)source, (void)usec;
    finish(userdata);
    return 0;
}

/* Watches for the cgroup to become empty. */
static int watch_strays(struct sandbox *s)
{
    int r = sd_event_add_io(s->host->event, &s->empty_source, cgroup_events_fd(s->cgroup), EPOLLPRI,
                            on_empty, s);

    if (r >= 0)
        r = sd_event_add_time_relative(s->host->event, &s->timeout_source, CLOCK_MONOTONIC,
                                       ENDING_USEC_MAX, 0, on_ending_timeout, s);
    return r;
}

/* NOLINTNEXTLINE(misc-no-recursion): bounded by max_sandboxes */
static void kill_children(struct sandbox *s)
{
    for (struct sandbox *child = s->first_child; child; child = child->next_sibling)
        sandbox_kill(child);
}

static int on_exit_of_first(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
    struct sandbox *s = userdata;
    siginfo_t info = {0};

    (void)source, (void)fd, (void)events;
    if (waitid(P_PIDFD, (id_t)s->pidfd, &info, WEXITED | WNOHANG) < 0 || info.si_pid == 0)
        return 0;
    s->ended_usec = clock_monotonic_usec();
    s->wait_code = info.si_code;
    s->wait_status = info.si_status;
    s->pid = 0;
    s->state = SANDBOX_ENDING;
    s->exit_source = sd_event_source_disable_unref(s->exit_source);
    limits_first_exited(s->limits);
    kill_children(s);
    /* With the first process its pid namespace is dead: as a rule nothing is left. */
    if (cgroup_is_empty(s->cgroup) == 1) {
        finish(s);
        return 0;
    }
    if (watch_strays(s) < 0 || cgroup_kill(s->cgroup) < 0 || cgroup_is_empty(s->cgroup) == 1)
        finish(s);
    return 0;
}

static int on_start_failed(sd_event_source *source, void *userdata)
{
    struct sandbox *s = userdata;

    (void)source;
    s->report_source = sd_event_source_disable_unref(s->report_source);
    report(s);
    return 0;
}

/* ---- start ---- */

static void start_init(struct start *start)
{
    memset(start, 0, sizeof(*start));
    start->plan.root_fd = start->plan.dev_fd = start->plan.shm_fd = start->plan.sys_fd = -EBADF;
    start->plan.go_fd = start->plan.status_fd = -EBADF;
}

static void start_clear(struct start *start)
{
    for (size_t i = 0; i < start->n_mounts; i++)
        safe_close(start->plan.mounts[i].fd);
    safe_close(start->plan.root_fd);
    safe_close(start->plan.dev_fd);
    safe_close(start->plan.shm_fd);
    safe_close(start->plan.sys_fd);
    safe_close(start->plan.go_fd);
    safe_close(start->plan.status_fd);
}

/* Starts the clocks and lets the child go. */
static int release(struct sandbox *s, const struct sandbox_spec *spec, struct error *e)
{
    int r =
        sd_event_add_io(s->host->event, &s->exit_source, s->pidfd, EPOLLIN, on_exit_of_first, s);

    if (r < 0) {
        error_sys(e, r, "watch the process");
        return fail(s, "release", r);
    }
    s->released_usec = clock_monotonic_usec();
    r = limits_start(s->host->event, s->cgroup, &spec->limits, s->released_usec, &s->limits, e);
    if (r < 0)
        return fail(s, "limits", r);
    r = fd_write_full(s->go_fd, "", 1);
    if (r < 0) {
        error_sys(e, r, "release the process");
        return fail(s, "release", r);
    }
    s->go_fd = safe_close(s->go_fd);
    s->state = SANDBOX_RUNNING;
    return 0;
}

/* The child that was never released goes at once: its end of the go pipe closes. */
static void abandon(struct sandbox *s)
{
    s->exit_source = sd_event_source_disable_unref(s->exit_source);
    if (s->pid <= 0)
        return;
    kill(s->pid, SIGKILL);
    while (waitid(P_PIDFD, (id_t)s->pidfd, &(siginfo_t){0}, WEXITED) < 0 && errno == EINTR)
        ;
    s->pid = 0;
}

static struct sandbox *sandbox_new(struct host *h, uint64_t id, struct sandbox *parent,
                                   sandbox_over_fn over, void *userdata)
{
    struct sandbox *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    s->host = h;
    s->id = id;
    s->over = over;
    s->userdata = userdata;
    s->calls = (struct call_watch)CALL_WATCH_INIT;
    s->scratch_fd = s->pidfd = s->mnt_ns_fd = s->status_fd = s->go_fd = -EBADF;
    snprintf(s->name, sizeof(s->name), "s%llu", (unsigned long long)++h->made);
    if (parent) {
        s->parent = parent;
        s->next_sibling = parent->first_child;
        parent->first_child = s;
    }
    return s;
}

int sandbox_start(struct host *h, uint64_t id, const struct sandbox_spec *spec, const int stdio[3],
                  struct sandbox *parent, sandbox_over_fn over, void *userdata,
                  struct sandbox **ret)
{
    struct sandbox *s = sandbox_new(h, id, parent, over, userdata);
    struct error e = ERROR_INIT;
    struct start start;
    int r;

    if (!s)
        return -ENOMEM;
    start_init(&start);
    r = prepare(s, spec, &start, &e);
    if (r == 0)
        r = launch(s, spec, stdio, &start, &e);
    start_clear(&start);
    if (r == 0)
        r = release(s, spec, &e);
    if (r < 0) {
        abandon(s);
        s->report.verdict = SANDBOX_START_FAILED;
        s->report.memory_peak = SANDBOX_ABSENT;
        memcpy(s->report.error, e.text, sizeof(s->report.error));
        r = sd_event_add_defer(h->event, &s->report_source, on_start_failed, s);
        if (r < 0) {
            sandbox_free(s);
            return r;
        }
    }
    *ret = s;
    return 0;
}

/* NOLINTNEXTLINE(misc-no-recursion): as kill_children() */
void sandbox_kill(struct sandbox *s)
{
    kill_children(s);
    if (s->state == SANDBOX_RUNNING)
        limits_kill(s->limits);
}

static void unlink_from_family(struct sandbox *s)
{
    for (struct sandbox *child = s->first_child, *next; child; child = next) {
        next = child->next_sibling;
        child->parent = child->next_sibling = NULL;
    }
    if (!s->parent)
        return;
    for (struct sandbox **link = &s->parent->first_child; *link; link = &(*link)->next_sibling) {
        if (*link == s) {
            *link = s->next_sibling;
            break;
        }
    }
}

void sandbox_free(struct sandbox *s)
{
    if (s->state == SANDBOX_RUNNING)
        sandbox_kill(s);
    kill_children(s);
    abandon(s);
    unlink_from_family(s);
    sd_event_source_disable_unref(s->exit_source);
    sd_event_source_disable_unref(s->empty_source);
    sd_event_source_disable_unref(s->timeout_source);
    sd_event_source_disable_unref(s->report_source);
    if (s->limits)
        limits_stop(s->limits);
    for (size_t i = 0; i < s->n_kept; i++) {
        char name[64];
        snprintf(name, sizeof(name), "%s-%zu", s->name, i);
        mount_unkeep(s->host, s->kept[i], name);
    }
    call_watch_clear(&s->calls);
    if (s->cgroup)
        cgroup_destroy(s->cgroup);
    if (s->mnt_ns_fd >= 0)
        janitor_close_fds(s->host->janitor, &s->mnt_ns_fd, 1);
    safe_close(s->pidfd);
    safe_close(s->status_fd);
    safe_close(s->go_fd);
    if (s->scratch_fd >= 0) {
        safe_close(s->scratch_fd);
        janitor_remove(s->host->janitor, s->name);
    }
    lease_drop(s->lease);
    free(s);
}
