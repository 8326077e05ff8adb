/* The life of a student container: see student.h. */
#include "agent/student.h"

#include "agent/ssh.h"
#include "base/clock.h"
#include "base/fdio.h"
#include "base/log.h"
#include "weaken.h"

#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

/* What run_student returns for ends that are no exit status of a command. */
#define RETVAL_OVERFLOW 252
#define RETVAL_TIMEOUT  253
#define RETVAL_FAILED   254
/* Docker's exit status of a container whose first process died of a signal: this and its number. */
#define RETVAL_SIGNAL 128

/* Docker refuses to make a container with less, in MiB. */
#define STUDENT_MEMORY_MIN 6

/* How long a grader in Python may take from its last word to the student until it asks for the
 * status. Measured on a busy machine: with 50 ms no answer was lost. */
#define ASKS_USEC (75 * USEC_PER_MSEC)
/* How long it may take to answer our call. It is in accept() already, or on its way there. */
#define CALL_USEC (3 * USEC_PER_SEC)

void student_free(struct student *s)
{
    struct student **p = &s->job->students;

    while (*p && *p != s)
        p = &(*p)->next;
    if (*p) {
        *p = s->next;
        s->job->n_students--;
        s->job->agent->n_students--;
    }
    loop_source_free(s->io);
    loop_source_free(s->timer);
    safe_close(s->fd);
    free(s->socket_id);
    free(s);
}

struct student *student_find(struct agent *a, uint64_t id)
{
    for (struct job *j = a->jobs; j; j = j->next)
        for (struct student *s = j->students; s; s = s->next)
            if (s->id == id)
                return s;
    return NULL;
}

struct student *student_of(struct job *j, const char *container_id)
{
    for (struct student *s = j->students; s; s = s->next)
        if (strcmp(s->container_id, container_id) == 0)
            return s;
    return NULL;
}

/* ---- answers ---- */

/* A grader that does not read what it asked for loses it in the end. */
static void send_to_grader(struct job *j, int r, const struct buffer *frame)
{
    if (r == 0)
        r = conversation_send(j->conversation, frame);
    if (r < 0 && job_may_log(j))
        log_warning("job %s: an answer to run_student is lost: %s", j->message.job_id.text,
                    strerror(-r));
}

static void send_retval(struct job *j, const char *socket_id, int retval)
{
    _cleanup_buffer_ struct buffer frame = {0};
    int r = frame_encode_student_retval(j->environment->generation, retval, socket_id, &frame);

    send_to_grader(j, r, &frame);
}

void student_refuse(struct job *j, const char *socket_id)
{
    send_retval(j, socket_id, RETVAL_FAILED);
}

static void answer(struct student *s)
{
    log_debug("job %s: student container %.12s: %d", s->job->message.job_id.text, s->container_id,
              s->retval);
    send_retval(s->job, s->socket_id, s->retval);
    student_free(s);
}

static int on_timer(struct loop_source *source, uint64_t usec, void *userdata)
{
    (void)source, (void)usec;
    answer(userdata);
    return 0;
}

/* Answers at USEC; a timer that cannot be had is one that has gone off. */
static void answer_at(struct student *s, uint64_t usec)
{
    if (s->timer)
        loop_source_set_time(s->timer, usec);
    else if (loop_add_time(s->job->agent->event, &s->timer, usec, on_timer, s) < 0)
        answer(s);
}

/* ---- the request ---- */

/* min(asked or ours, ours), where 0 is not asked. */
static int64_t limit(int64_t asked, int64_t ours)
{
    return asked == 0 ? ours : MIN(asked, ours);
}

/* Why the request is refused; NULL when it is not. */
static const char *refusal(const struct job *j, const struct container_message *m,
                           const struct environment *environment)
{
    if (!environment)
        return "the environment is unknown";
    /* INGInious' own student program gives up when it is to be root. */
    if (m->run_as_root && !environment->native)
        return "this environment cannot run commands as root";
    if (limit(m->memory_limit, j->parameters.memory) < STUDENT_MEMORY_MIN)
        return "less memory than a container can have";
    if (j->n_students >= j->environment->limits.students ||
        j->agent->n_students >= j->agent->config->students)
        return "too many student containers are running";
    return NULL;
}

static struct student *student_new(struct job *j, const struct container_message *m,
                                   const struct environment *environment)
{
    struct student *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    *s = (struct student){
        .job = j,
        .next = j->students,
        .socket_id = strdup(m->socket_id),
        .environment = environment,
        .time = limit(m->time_limit, j->parameters.time),
        .hard_time = limit(m->hard_time_limit, j->parameters.hard_time),
        .memory = limit(m->memory_limit, j->parameters.memory),
        .share_network = m->share_network,
        .ssh = m->ssh,
        .fd = -EBADF,
    };
    if (!s->socket_id) {
        free(s);
        return NULL;
    }
    s->id = ++j->agent->last_id;
    job_make_container_id(s->container_id);
    j->students = s;
    j->n_students++;
    j->agent->n_students++;
    return s;
}

static int submit(struct student *s, struct error *e)
{
    static const int no_stdio[3] = {-1, -1, -1};
    static const uint16_t port = SSH_PORT;
    _cleanup_buffer_ struct buffer started = {0};
    struct agent *a = s->job->agent;
    struct sandbox_spec spec = {0};
    int r = ports_lend(&a->ports, s->id, &port, s->ssh ? 1 : 0);

    r = r < 0 ? error_sys(e, r, "a port of the host for ssh") : student_make_spec(s, &spec, e);

    if (r == 0) {
        r = frame_encode_student_started(s->job->environment->generation, s->socket_id,
                                         s->container_id, &started);
        send_to_grader(s->job, r, &started);
        r = launcher_submit(a->launcher, s->id, &spec, no_stdio, e);
    }
    if (r < 0)
        ports_return(&a->ports, s->id);
    sandbox_spec_clear(&spec);
    return r;
}

void student_request(struct job *j, const struct container_message *m)
{
    const char *name =
        m->environment && m->environment[0] ? m->environment : j->message.environment;
    const struct environment *environment = environments_find(
        &j->agent->environments, &j->agent->types, j->message.environment_type, name);
    const char *why = refusal(j, m, environment);
    struct error e = ERROR_INIT;
    struct student *s;

    if (why) {
        if (job_may_log(j))
            log_info("job %s: run_student: %s", j->message.job_id.text, why);
        student_refuse(j, m->socket_id);
        return;
    }
    s = student_new(j, m, environment);
    if (!s) {
        student_refuse(j, m->socket_id);
        return;
    }
    if (submit(s, &e) < 0) {
        if (job_may_log(j))
            log_error("job %s: student container: %s", j->message.job_id.text, e.text);
        s->retval = RETVAL_FAILED;
        answer(s);
    }
}

/* ---- the end ---- */

static int retval_of(const struct sandbox_report *report)
{
    switch (report->verdict) {
    case SANDBOX_EXITED:
        return report->exit_code;
    case SANDBOX_SIGNALLED:
        return RETVAL_SIGNAL + report->signal;
    case SANDBOX_OUT_OF_MEMORY:
    case SANDBOX_OUTPUT_LIMIT:
        return RETVAL_OVERFLOW;
    case SANDBOX_CPU_TIMEOUT:
    case SANDBOX_WALL_TIMEOUT:
        return RETVAL_TIMEOUT;
    case SANDBOX_KILLED: /* with its grader, who will not read it */
        return RETVAL_SIGNAL + SIGKILL;
    default:
        return RETVAL_FAILED;
    }
}

static void hold(struct student *s)
{
    s->state = STUDENT_HELD;
    answer_at(s, clock_monotonic_usec() + ASKS_USEC);
}

/* Asks the launcher to call the grader in the student's place. */
static void call(struct student *s)
{
    _cleanup_free_ char *path = text_printf("%s.sock", s->socket_id);
    struct job *j = s->job;
    struct error e = ERROR_INIT;

    s->state = STUDENT_CALLING;
    if (!path || launcher_connect(j->agent->launcher, s->id, j->id, MOUNT_SOCKETS, path, &e) < 0) {
        if (job_may_log(j))
            log_error("job %s: calling the grader: %s", j->message.job_id.text, e.text);
        answer(s);
    }
}

void student_exited(struct student *s, const struct sandbox_report *report)
{
    if (s->state != STUDENT_RUNNING)
        return;
    log_debug("job %s: student container %.12s %s, %.3f s cpu, %.3f s wall",
              s->job->message.job_id.text, s->container_id, sandbox_verdict_name(report->verdict),
              (double)(report->user_usec + report->system_usec) / (double)USEC_PER_SEC,
              (double)report->wall_usec / (double)USEC_PER_SEC);
    if (report->verdict == SANDBOX_START_FAILED && job_may_log(s->job))
        log_warning("job %s: student container: %s: %s", s->job->message.job_id.text,
                    report->failed_step, report->error);
    s->retval = retval_of(report);
    if (s->job->environment->native)
        answer(s);
    else if (report->called)
        hold(s);
    else
        call(s);
}

/* ---- in the student's place ---- */

/* What the grader says is foreign, and of no interest but that it was said: nothing of it is kept.
 * The descriptors that come with it are dropped by the kernel, since we offer no room for them
 * (unix(7)). How much is read is bounded by the deadline. */
static int on_readable(struct loop_source *source, int fd, uint32_t revents, void *userdata)
{
    struct student *s = userdata;
    uint8_t data[4096];
    int taken[1];
    size_t n_taken = 0;
    ssize_t n = weakened("no-descriptors")
                    ? fd_receive(fd, data, sizeof(data), taken, ARRAY_SIZE(taken), &n_taken)
                    : recv(fd, data, sizeof(data), MSG_DONTWAIT);

    (void)source, (void)revents;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n <= 0) {
        answer(s);
        return 0;
    }
    s->heard += MIN((size_t)n, SIZE_MAX - s->heard);
    /* 'S', then the command: it goes on to ask when it has sent all of that. */
    if (s->heard > 1)
        answer_at(s, MIN(clock_monotonic_usec() + ASKS_USEC, s->deadline_usec));
    return 0;
}

static int listen_to_grader(struct student *s)
{
    int r;

    s->state = STUDENT_LISTENING;
    if (send(s->fd, "H", 1, MSG_DONTWAIT | MSG_NOSIGNAL) != 1)
        return -errno;
    s->deadline_usec = clock_monotonic_usec() + CALL_USEC;
    r = loop_add_io(s->job->agent->event, &s->io, s->fd, EPOLLIN, on_readable, s);
    return r < 0 ? r : 0;
}

void student_connected(struct student *s, int result, int fd)
{
    if (s->state != STUDENT_CALLING) {
        safe_close(fd);
        return;
    }
    s->fd = fd;
    if (result == -EAGAIN)
        hold(s); /* somebody is about to be let in; the grader does not wait for us */
    else if (result < 0 || listen_to_grader(s) < 0)
        answer(s); /* nobody waits for a student */
    else
        answer_at(s, s->deadline_usec);
}
