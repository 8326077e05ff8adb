/* Theory of operation
 *
 * start.c brings a sandbox to life. From then on the event loop has two things to watch: the pidfd
 * of its first process, and the limits (limits.c). When the first process is gone, whatever is left
 * in the cgroup is killed; when the cgroup is empty the counters are final, the verdict is made and
 * reported.
 *
 * Every resource lives in struct sandbox from the moment it exists, so that sandbox_free() is the
 * one way back from everywhere. */
#include "sandbox_internal.h"

#include "base/clock.h"
#include "base/fdio.h"
#include "copier.h"
#include "mounts.h"
#include "spare.h"
#include "transfer.h"

#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* After cgroup.kill a process is gone within a scheduler round or two; one stuck in the kernel (a
 * dead network file system) is not waited for longer than this before the report is made. */
#define ENDING_USEC_MAX (10 * USEC_PER_SEC)

/* A child that was cloned while a port was held has it, too, until it closes what is not its own:
 * one of its first steps, but it may have to wait for a processor. */
#define PORTS_LOOK_USEC (1 * USEC_PER_MSEC)
#define PORTS_USEC_MAX  (2 * USEC_PER_SEC)

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

const struct network_place *sandbox_place(const struct sandbox *s)
{
    return s->place;
}

bool sandbox_is_running(const struct sandbox *s)
{
    return s->state == SANDBOX_RUNNING;
}

static void lease_drop(struct lease *l)
{
    if (!l || --l->users > 0)
        return;
    id_range_release(&l->range);
    free(l);
}

/* ---- the end ---- */

static void report(struct sandbox *s);

static int on_ports_timer(struct loop_source *source, uint64_t usec, void *userdata)
{
    struct sandbox *s = userdata;

    (void)source, (void)usec;
    s->report_source = loop_source_free(s->report_source);
    report(s);
    return 0;
}

/* Who reads the report may give the ports to the next one at once, so it waits until they can be
 * had. */
static bool wait_for_ports(struct sandbox *s)
{
    const uint64_t now = clock_monotonic_usec();

    if (!s->place || network_withdraw(s->place) == 0)
        return false;
    if (s->ports_until_usec == 0)
        s->ports_until_usec = now + PORTS_USEC_MAX;
    s->report_source = loop_source_free(s->report_source);
    return now < s->ports_until_usec &&
           loop_add_time_relative(s->host->event, &s->report_source, PORTS_LOOK_USEC,
                                  on_ports_timer, s) >= 0;
}

static void report(struct sandbox *s)
{
    struct sandbox_report copy = s->report;

    if (wait_for_ports(s))
        return;
    s->state = SANDBOX_REPORTED;
    /* The callee may free S: nothing of it is touched afterwards. */
    s->over(s, &copy, s->userdata);
}

static void finish(struct sandbox *s);

static int on_report_due(struct loop_source *source, void *userdata)
{
    struct sandbox *s = userdata;

    (void)source;
    s->report_source = loop_source_free(s->report_source);
    if (s->emptied && !s->finished)
        finish(s);
    else
        report(s);
    return 0;
}

/* Whoever ends S from outside is told from the event loop, like of every other end: the callee may
 * free S and others of its family, which the caller still goes through. */
static int report_soon(struct sandbox *s)
{
    return s->report_source ? 0
                            : loop_add_defer(s->host->event, &s->report_source, on_report_due, s);
}

/* The same where nobody could be told of a failure. */
static void report_soon_or_end(struct sandbox *s)
{
    if (report_soon(s) < 0)
        loop_exit(s->host->event, -ENOMEM);
}

static void read_usage(struct sandbox *s)
{
    struct cgroup_usage usage;

    if (!s->cgroup || cgroup_usage(s->cgroup, &usage, NULL) < 0)
        return;
    s->report.user_usec = usage.user_usec;
    s->report.system_usec = usage.system_usec;
    s->report.memory_peak = usage.memory_peak;
    s->report.pids_peak = usage.pids_peak;
    s->report.read_bytes = usage.read_bytes;
    s->report.write_bytes = usage.write_bytes;
    s->report.oom_kills = usage.oom_kills;
    s->report.throttled_periods = usage.throttled_periods;
    s->report.throttled_usec = usage.throttled_usec;
    s->report.cpu_pressure = usage.cpu_pressure;
    s->report.memory_pressure = usage.memory_pressure;
    s->report.io_pressure = usage.io_pressure;
}

/* What the child wrote before it gave up, and how the program of an init ended. Both come from our
 * own code: the program has no such descriptor. Returns whether there was a failure. */
static bool read_status(struct sandbox *s, struct child_status *ret_failure)
{
    struct child_status status;
    bool failed = false;

    while (fd_read_full(s->status_fd, &status, sizeof(status)) == (ssize_t)sizeof(status)) {
        if (status.code < 0) {
            *ret_failure = status;
            failed = true;
        } else if (s->wait_code == CLD_EXITED) {
            s->wait_code = status.wait_code;
            s->wait_status = status.wait_status;
        }
    }
    return failed;
}

/* A kill or a limit that came first explains the end better. */
static void note_failure(struct sandbox *s, struct child_status *f)
{
    if (s->report.verdict != SANDBOX_EXITED)
        return;
    f->step[sizeof(f->step) - 1] = f->text[sizeof(f->text) - 1] = 0;
    s->report.verdict = SANDBOX_START_FAILED;
    s->report.exit_code = 0;
    s->report.error_code = f->code;
    snprintf(s->report.failed_step, sizeof(s->report.failed_step), "%s", f->step);
    snprintf(s->report.error, sizeof(s->report.error), "%s", f->text);
}

int sandbox_keep_copies(struct sandbox *s, const struct sandbox_spec *spec)
{
    bool out = false;
    int r = 0;

    for (size_t i = 0; i < spec->n_copies; i++)
        out = out || spec->copies[i].out;
    for (size_t i = 0; out && r == 0 && i < spec->n_copies; i++)
        r = sandbox_spec_add_copy(&s->copies, spec->copies[i].out, spec->copies[i].root,
                                  spec->copies[i].name, spec->copies[i].path);
    return r;
}

static void note_copies(struct sandbox *s, const struct error *e)
{
    snprintf(s->report.copy_error, sizeof(s->report.copy_error), "%s", e->text);
}

static void on_brought_out(int result, const struct error *e, void *userdata)
{
    struct sandbox *s = userdata;

    copier_free(s->copier);
    s->copier = NULL;
    if (result < 0)
        note_copies(s, e);
    report(s);
}

/* Has what is to be copied out of the sandbox copied; returns whether the report waits for that. */
static bool bring_out(struct sandbox *s)
{
    const struct transfer_out what = {
        .host = s->host,
        .copies = s->copies.copies,
        .n_copies = s->copies.n_copies,
        .mnt_ns_fd = s->mnt_ns_fd,
    };
    struct error e = ERROR_INIT;

    if (s->copies.n_copies == 0 || s->report.verdict == SANDBOX_START_FAILED)
        return false;
    if (copier_run(s->host->event, s->host, transfer_out, &what, on_brought_out, s, &s->copier,
                   &e) == 0)
        return true;
    note_copies(s, &e);
    return false;
}

/* Nobody shall wait for the copies any more. */
static void give_up_copies(struct sandbox *s)
{
    struct error e = ERROR_INIT;

    copier_free(s->copier);
    s->copier = NULL;
    error_set(&e, -ECANCELED, "copying out was broken off");
    note_copies(s, &e);
    report_soon_or_end(s);
}

static void finish(struct sandbox *s)
{
    struct child_status failure;
    bool failed = read_status(s, &failure);

    s->finished = true;
    s->exit_source = loop_source_free(s->exit_source);
    s->empty_source = loop_source_free(s->empty_source);
    s->timeout_source = loop_source_free(s->timeout_source);
    s->report.wall_usec = s->ended_usec - s->released_usec;
    limits_verdict(s->limits, s->wait_code, s->wait_status, &s->report);
    read_usage(s);
    if (failed)
        note_failure(s, &failure);
    if (s->relay)
        s->report.output_bytes = relay_delivered(s->relay);
    s->report.called = call_watch_saw(&s->calls);
    if (!bring_out(s))
        report(s);
}

/* All is gone that can be: now the counters are final. What was written on the way to an ordinary
 * exit is delivered first, however slowly it is read; what a limit or a kill has cut off is not
 * waited for. */
static void finish_if_delivered(struct sandbox *s)
{
    s->empty_source = loop_source_free(s->empty_source);
    s->timeout_source = loop_source_free(s->timeout_source);
    s->emptied = true;
    if (s->relay && !relay_is_over(s->relay) && !limits_ended_it(s->limits))
        return;
    finish(s);
}

void sandbox_on_output(bool exceeded, void *userdata)
{
    struct sandbox *s = userdata;

    if (s->state == SANDBOX_REPORTED)
        return;
    if (exceeded && s->limits)
        limits_output_exceeded(s->limits);
    if (s->emptied && !s->finished)
        finish(s);
}

static int on_empty(struct loop_source *source, int fd, uint32_t events, void *userdata)
{
    struct sandbox *s = userdata;

    (void)source, (void)fd, (void)events;
    if (cgroup_is_empty(s->cgroup) != 0)
        finish_if_delivered(s);
    return 0;
}

static int on_ending_timeout(struct loop_source *source, uint64_t usec, void *userdata)
{
    (void)source, (void)usec;
    finish_if_delivered(userdata);
    return 0;
}

/* Watches for the cgroup to become empty. */
static int watch_strays(struct sandbox *s)
{
    int r = loop_add_io(s->host->event, &s->empty_source, cgroup_events_fd(s->cgroup), EPOLLPRI,
                        on_empty, s);

    if (r >= 0)
        r = loop_add_time_relative(s->host->event, &s->timeout_source, ENDING_USEC_MAX,
                                   on_ending_timeout, s);
    return r;
}

/* The child that was never released goes at once: its end of the go pipe closes. */
static void abandon(struct sandbox *s)
{
    s->exit_source = loop_source_free(s->exit_source);
    if (s->pid <= 0)
        return;
    kill(s->pid, SIGKILL);
    while (waitid(P_PIDFD, (id_t)s->pidfd, &(siginfo_t){0}, WEXITED) < 0 && errno == EINTR)
        ;
    s->pid = 0;
}

static int report_failed_start(struct sandbox *s)
{
    abandon(s);
    s->report.verdict = s->kill_requested ? SANDBOX_KILLED : SANDBOX_START_FAILED;
    return report_soon(s);
}

/* Without the children: theirs ends when it is seen to have ended. Never reports by itself. */
static void kill_one(struct sandbox *s)
{
    if (s->state == SANDBOX_RUNNING) {
        limits_kill(s->limits);
    } else if (s->copier) {
        give_up_copies(s);
    } else if (s->emptied && !s->finished) {
        report_soon_or_end(s); /* nobody shall wait any more for its output to be read */
    } else if (s->state == SANDBOX_PREPARING && s->start) {
        /* It waits for a copy: nothing runs yet. */
        s->kill_requested = true;
        start_cancel(s);
        if (report_failed_start(s) < 0)
            loop_exit(s->host->event, -ENOMEM);
    }
}

static void kill_children(struct sandbox *s)
{
    for (struct sandbox *child = s->first_child; child; child = child->next_sibling)
        kill_one(child);
}

void sandbox_kill(struct sandbox *s)
{
    kill_children(s);
    kill_one(s);
}

void sandbox_signal(struct sandbox *s, int number)
{
    if (s->state == SANDBOX_PREPARING)
        sandbox_kill(s);
    else if (s->state == SANDBOX_RUNNING)
        (void)syscall(SYS_pidfd_send_signal, s->pidfd, number, NULL, 0);
}

int sandbox_on_exit(struct loop_source *source, int fd, uint32_t events, void *userdata)
{
    struct sandbox *s = userdata;
    struct rusage used = {0};
    siginfo_t info = {0};

    (void)source, (void)fd, (void)events;
    /* The library's waitid(3) lacks the last parameter of the system call. */
    if (syscall(SYS_waitid, P_PIDFD, s->pidfd, &info, WEXITED | WNOHANG, &used) < 0 ||
        info.si_pid == 0)
        return 0;
    s->report.voluntary_switches = (uint64_t)used.ru_nvcsw;
    s->report.involuntary_switches = (uint64_t)used.ru_nivcsw;
    s->ended_usec = clock_monotonic_usec();
    registry_remove(s->host->registry, s->name);
    s->wait_code = info.si_code;
    s->wait_status = info.si_status;
    s->pid = 0;
    s->state = SANDBOX_ENDING;
    s->exit_source = loop_source_free(s->exit_source);
    limits_first_exited(s->limits);
    kill_children(s);
    /* With the first process its pid namespace is dead: as a rule nothing is left. */
    if (cgroup_is_empty(s->cgroup) == 1) {
        finish_if_delivered(s);
        return 0;
    }
    if (watch_strays(s) < 0 || cgroup_kill(s->cgroup) < 0 || cgroup_is_empty(s->cgroup) == 1)
        finish_if_delivered(s);
    return 0;
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
    sandbox_report_init(&s->report);
    s->calls = (struct call_watch)CALL_WATCH_INIT;
    s->scratch_fd = s->pidfd = s->mnt_ns_fd = s->status_fd = s->go_fd = -EBADF;
    host_next_name(h, s->name);
    if (parent) {
        s->parent = parent;
        s->next_sibling = parent->first_child;
        parent->first_child = s;
    }
    return s;
}

void start_over(struct sandbox *s, int r)
{
    if (r >= 0) {
        if (s->released)
            s->released(s, s->userdata);
    } else if (report_failed_start(s) < 0) {
        report(s); /* we are in the event loop: the callee may free S here, too */
    }
}

int sandbox_start(struct host *h, uint64_t id, const struct sandbox_spec *spec, const int stdio[3],
                  struct sandbox *parent, sandbox_over_fn over, void *userdata,
                  struct sandbox **ret)
{
    struct sandbox *s = sandbox_new(h, id, parent, over, userdata);
    int r;

    if (!s)
        return -ENOMEM;
    r = start_begin(s, spec, stdio);
    if (r < 0) {
        r = report_failed_start(s);
        if (r < 0) {
            sandbox_free(s);
            return r;
        }
    }
    *ret = s;
    return 0;
}

void sandbox_on_released(struct sandbox *s, sandbox_released_fn fn)
{
    s->released = fn;
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

/* The last of its fds is closed by the janitor: the end of a file system waits for its device. */
static void drop_disk(struct sandbox *s)
{
    char path[64];

    disk_end(&s->disk, s->scratch_fd);
    if (!s->disk.mounted)
        return;
    snprintf(path, sizeof(path), "/scratch/%s", s->name);
    umount2(path, MNT_DETACH);
    s->host->attached--;
    janitor_close_fds(s->host->janitor, &s->scratch_fd, 1);
}

void sandbox_free(struct sandbox *s)
{
    if (s->state == SANDBOX_RUNNING)
        sandbox_kill(s);
    kill_children(s);
    registry_remove(s->host->registry, s->name);
    start_cancel(s);
    abandon(s);
    if (s->spare)
        spare_free(s->spare);
    unlink_from_family(s);
    loop_source_free(s->exit_source);
    loop_source_free(s->empty_source);
    loop_source_free(s->timeout_source);
    loop_source_free(s->report_source);
    relay_free(s->relay);
    if (s->copier)
        copier_free(s->copier);
    sandbox_spec_clear(&s->copies);
    if (s->limits)
        limits_stop(s->limits);
    for (size_t i = 0; i < s->n_kept; i++) {
        char name[64];
        snprintf(name, sizeof(name), "%s-%zu", s->name, i);
        mount_unkeep(s->host, s->kept[i], name);
        s->host->attached -= !s->host->clone_detached;
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
        drop_disk(s);
        safe_close(s->scratch_fd);
        janitor_remove(s->host->janitor, s->name);
    }
    if (s->place)
        network_leave(s->place);
    lease_drop(s->lease);
    free(s);
}
