/* The life of a job, one function per transition: see agent_internal.h. */
#include "agent/agent_internal.h"

#include "agent/result.h"
#include "agent/ssh.h"
#include "agent/student.h"
#include "agent/texts.h"
#include "base/clock.h"
#include "base/log.h"

#include <ctype.h>
#include <string.h>

/* A port may be taken by another program between our look and the launcher's. */
#define STARTS_MAX 8

static void job_free(struct job *j)
{
    struct agent *a = j->agent;
    struct job **p = &a->jobs;
    bool last = false;

    while (*p && *p != j)
        p = &(*p)->next;
    if (*p) {
        *p = j->next;
        last = --a->n_jobs == 0;
    }
    while (j->students)
        student_free(j->students);
    if (j->conversation)
        conversation_close(j->conversation);
    job_parameters_clear(&j->parameters);
    backend_message_clear(&j->message);
    buffer_clear(&j->frame);
    buffer_clear(&j->result);
    free(j);
    if (last)
        agent_idle(a);
}

/* Sends AgentJobDone and frees the job: the one way out of every accepted job that still has a
 * backend. */
static void answer(struct job *j, struct job_done *done)
{
    _cleanup_buffer_ struct buffer frame = {.max = 2 * WIRE_FRAME_MAX};
    int r;

    done->job_id = &j->message.job_id;
    r = backend_encode_done(j->agent->protocol, done, &frame);
    if (r < 0) {
        /* What a grader sent does not fit or is no text: the job is answered all the same. */
        struct job_done crash = {.job_id = &j->message.job_id,
                                 .result = "crash",
                                 .text = j->agent->rules->unknown_error,
                                 .state = ""};
        log_error("job %s: the result cannot be encoded: %s", j->message.job_id.text, strerror(-r));
        buffer_clear(&frame);
        r = backend_encode_done(j->agent->protocol, &crash, &frame);
    }
    if (r == 0 && j->agent->link)
        r = link_send(j->agent->link, &frame);
    if (r < 0)
        log_error("job %s: the result cannot be sent: %s", j->message.job_id.text, strerror(-r));
    log_info("job %s: %s after %.3f s", j->message.job_id.text, done->result,
             (double)(clock_monotonic_usec() - j->received_usec) / (double)USEC_PER_SEC);
    job_free(j);
}

bool job_may_log(struct job *j)
{
    if (j->lines >= JOB_LINES_MAX)
        return false;
    if (++j->lines == JOB_LINES_MAX)
        log_info("job %s: what else it asks for in vain is not told here", j->message.job_id.text);
    return true;
}

/* A refusal or failure of the agent itself: no outputs, the state of the submission is handed back.
 */
static void crash(struct job *j, const char *text)
{
    job_end(j, "crash", text);
}

void job_end(struct job *j, const char *kind, const char *text)
{
    struct job_done done = {.result = kind,
                            .text = text,
                            .state = j->message.state,
                            .state_size = j->message.state_size};

    answer(j, &done);
}

void job_abandon(struct job *j)
{
    if (j->state == JOB_RUNNING)
        launcher_kill(j->agent->launcher, j->id);
    job_free(j);
}

static struct job *find(struct agent *a, const struct wire_job_id *job_id)
{
    for (struct job *j = a->jobs; j; j = j->next)
        if (wire_job_id_equals(&j->message.job_id, job_id))
            return j;
    return NULL;
}

/* Upstream refuses to look at such paths at all. */
static bool id_is_acceptable(const char *id)
{
    size_t length = id ? strlen(id) : 0;

    return length > 0 && length < SANDBOX_PATH_MAX / 2 && id[0] != '/' && !strstr(id, "..") &&
           !isspace((unsigned char)id[0]) && !isspace((unsigned char)id[length - 1]);
}

static int send_started(struct job *j)
{
    _cleanup_buffer_ struct buffer frame = {0};
    int r = backend_encode_started(j->agent->protocol, &j->message.job_id, &frame);

    return r < 0 ? r : link_send(j->agent->link, &frame);
}

/* What can be wrong before the file system is asked; NULL when nothing is. */
static const char *refusal(const struct job *j)
{
    const struct backend_message *m = &j->message;

    if (!m->inputdata_is_map)
        return j->agent->rules->unknown_error;
    if (!m->course_id && !m->task_id && j->agent->rules->plain_jobs)
        return NULL;
    if (!environments_find(&j->agent->environments, &j->agent->types, m->environment_type,
                           m->environment)) {
        log_warning("job %s: the store has no environment %s of type %s", m->job_id.text,
                    m->environment, m->environment_type);
        return TEXT_NO_ENVIRONMENT;
    }
    if (!id_is_acceptable(m->course_id) || !id_is_acceptable(m->task_id))
        return j->agent->rules->unknown_error;
    return NULL;
}

/* The container is killed, and the report of its end is answered with TEXT. */
static void end_with(struct job *j, const char *text)
{
    if (job_may_log(j))
        log_info("job %s: %s", j->message.job_id.text, text);
    j->ending_text = text;
    launcher_kill(j->agent->launcher, j->id);
}

/* R is what decoding MESSAGE said. */
static void on_request(struct job *j, const struct container_message *message, int r)
{
    if (message->type == CONTAINER_RUN_STUDENT && r < 0) {
        /* Malformed, but somebody waits for an answer. */
        if (message->socket_id)
            student_refuse(j, message->socket_id);
    } else if (message->type == CONTAINER_RUN_STUDENT && message->ssh && ssh_student_refusal(j)) {
        end_with(j, ssh_student_refusal(j));
    } else if (message->type == CONTAINER_RUN_STUDENT) {
        student_request(j, message);
    } else if (message->type == CONTAINER_SSH_DEBUG && r == 0) {
        ssh_offer(j, j->id, message);
    } else if (message->type == CONTAINER_SSH_STUDENT && r == 0) {
        const struct student *s = student_of(j, message->container_id);
        if (s)
            ssh_offer(j, s->id, message);
        else
            end_with(j, TEXT_FOREIGN_STUDENT);
    }
}

static int on_body(void *userdata, const uint8_t *body, size_t size)
{
    struct job *j = userdata;
    _cleanup_container_message_ struct container_message message = CONTAINER_MESSAGE_INIT;
    struct error e = ERROR_INIT;
    int r = container_message_decode(j->environment->generation, body, size, &message, &e);

    if (r < 0 && job_may_log(j))
        log_info("job %s: message from the grader: %s", j->message.job_id.text, e.text);
    if (r == 0 && message.type == CONTAINER_RESULT) {
        j->result.max = WIRE_FRAME_MAX;
        j->result.size = 0;
        r = buffer_append(&j->result, body, size);
    }
    if (!j->ended && !j->ending_text && (r == 0 || r == -EINVAL))
        on_request(j, &message, r);
    return r == -EINVAL ? 0 : r;
}

static int send_start(struct job *j, struct error *e)
{
    const struct environment_types *types = &j->agent->types;
    _cleanup_buffer_ struct buffer start = {.max = 2 * WIRE_FRAME_MAX};
    const struct frame_start content = {
        .input = j->message.inputdata,
        .debug = j->message.debug,
        .environment_types = types->names,
        .n_types = types->n,
        .run_cmd = j->parameters.run_cmd,
        .run_as_root = j->environment->run_as_root,
    };
    int r = frame_encode_start(j->environment->generation, &content, &start);

    if (r == 0)
        r = conversation_send(j->conversation, &start);
    return r < 0 ? error_sys(e, r, "sending the submission to the container") : 0;
}

static int submit(struct job *j, struct error *e)
{
    static const struct conversation_callbacks callbacks = {on_body};
    struct sandbox_spec spec = {0};
    int fds[3] = {-1, -1, -1}, r;

    j->starts++;
    job_make_container_id(j->container_id);
    r = job_make_spec(j, &spec, e);
    if (r == 0)
        r = conversation_open(j->agent->event, frame_order_of(j->environment->generation),
                              j->environment->limits.frame, &callbacks, j, fds, &j->conversation,
                              e);
    if (r == 0) {
        r = launcher_submit(j->agent->launcher, j->id, &spec, fds, e);
        safe_close(fds[0]);
        safe_close(fds[1]);
    }
    if (r == 0) {
        j->state = JOB_RUNNING;
        /* The pipe holds it until the container reads; its start need not be waited for. */
        r = send_start(j, e);
        if (r < 0)
            launcher_kill(j->agent->launcher, j->id);
    }
    if (j->state != JOB_RUNNING)
        ports_return(&j->agent->ports, j->id);
    sandbox_spec_clear(&spec);
    return r;
}

/* What a task asks for is cut down to what the configuration allows its environment. */
static void bound_times(struct job_parameters *p, const struct job_limits *limits)
{
    if (limits->time > 0)
        p->time = MIN(p->time, (int64_t)limits->time);
    if (limits->hard_time > 0)
        p->hard_time = MIN(p->hard_time, (int64_t)limits->hard_time);
}

/* Memory that the job may have at most, in MiB. */
static uint64_t memory_bound(const struct job *j)
{
    uint64_t limit =
        j->environment ? j->environment->limits.memory : j->agent->config->limits.memory;

    return limit > 0 ? limit / JOB_MIB : j->agent->memory_per_slot;
}

/* Asks for the container; J may be gone afterwards. */
static void make_container(struct job *j)
{
    uint16_t ports[SANDBOX_PORTS_MAX];
    size_t n = ssh_ports_needed(j, ports);
    struct error e = ERROR_INIT;
    int r;

    j->state = JOB_PREPARING;
    j->id = ++j->agent->last_id;
    r = ports_lend(&j->agent->ports, j->id, ports, n);
    if (r < 0) {
        log_warning("job %s: %zu ports of the host: %s", j->message.job_id.text, n, strerror(-r));
        crash(j, r == -EBUSY ? j->agent->rules->no_ssh_port : TEXT_NOT_CREATED);
        return;
    }
    if (n > 0)
        j->parameters.time = j->parameters.hard_time = PORTS_SECONDS;
    bound_times(&j->parameters, &j->environment->limits);
    if (submit(j, &e) < 0) {
        log_error("job %s: %s", j->message.job_id.text, e.text);
        if (j->state != JOB_RUNNING)
            crash(j, TEXT_NOT_CREATED);
    }
}

/* Everything about the task is known: parameters, memory, environment, in upstream's order. */
static void start(struct job *j)
{
    struct agent *a = j->agent;
    char text[sizeof(TEXT_NO_MEMORY) + 32], host[SSH_HOST_SIZE];

    j->environment = environments_find(&a->environments, &a->types, j->message.environment_type,
                                       j->message.environment);
    if (job_parameters_parse(j->message.parameters, &j->parameters) < 0) {
        crash(j, TEXT_BAD_PARAMETERS);
        return;
    }
    if (j->parameters.memory > 0 && (uint64_t)j->parameters.memory > memory_bound(j)) {
        snprintf(text, sizeof(text), TEXT_NO_MEMORY, (unsigned long long)memory_bound(j));
        crash(j, text);
        return;
    }
    if (!j->environment) {
        crash(j, TEXT_NO_CONTAINER);
        return;
    }
    if (j->message.debug_ssh && ssh_host(a, host) < 0)
        crash(j, TEXT_NO_SSH_HOST);
    else
        make_container(j);
}

static void prepare(struct job *j)
{
    _cleanup_free_ char *path = NULL;
    struct error e = ERROR_INIT;

    if (!j->message.course_id && !j->message.task_id) {
        start(j);
        return;
    }
    path = text_printf("%s/%s", j->message.course_id, j->message.task_id);
    j->id = ++j->agent->last_id;
    j->state = JOB_PREPARING;
    if (!path || launcher_probe(j->agent->launcher, j->id, ROOT_TASKS, path, &e) < 0) {
        log_error("job %s: %s", j->message.job_id.text, e.text);
        crash(j, j->agent->rules->unknown_error);
    }
}

void job_probed(struct job *j, int result)
{
    if (result == -ENOENT)
        crash(j, TEXT_NO_TASK);
    else if (result < 0)
        crash(j, j->agent->rules->unknown_error);
    else
        start(j);
}

/* A backend that keeps to the announced slots finds one that nobody uses. */
static size_t least_used_slot(const struct agent *a)
{
    size_t best = 0, best_users = SIZE_MAX;

    for (size_t slot = 0; slot < a->n_slot_cpus; slot++) {
        size_t users = 0;
        for (const struct job *j = a->jobs; j; j = j->next)
            users += j->slot == slot;
        if (users < best_users) {
            best = slot;
            best_users = users;
        }
    }
    return best;
}

void job_receive(struct agent *a, const void *frame, size_t size)
{
    struct job *j = calloc(1, sizeof(*j));
    struct error e = ERROR_INIT;
    const char *why;
    int r;

    if (!j)
        return;
    j->agent = a;
    j->received_usec = clock_monotonic_usec();
    j->frame.max = WIRE_FRAME_MAX;
    r = buffer_append(&j->frame, frame, size);
    if (r == 0)
        r = backend_message_decode(a->protocol, j->frame.data, j->frame.size, &j->message, &e);
    if (!j->message.job_id.raw || find(a, &j->message.job_id)) {
        log_warning("%s", j->message.job_id.raw ? "a job with the id of a running one was refused"
                                                : e.text);
        job_free(j);
        return;
    }
    j->slot = least_used_slot(a);
    j->next = a->jobs;
    a->jobs = j;
    a->n_jobs++;
    log_info("job %s: %s/%s in %s", j->message.job_id.text,
             j->message.course_id ? j->message.course_id : "-",
             j->message.task_id ? j->message.task_id : "-",
             j->message.environment ? j->message.environment : "-");
    send_started(j);
    if (a->stopping || a->draining)
        why = TEXT_RESTARTED;
    else
        why = r < 0 || a->n_jobs > a->config->jobs ? j->agent->rules->unknown_error : refusal(j);
    if (r < 0)
        log_warning("job %s: %s", j->message.job_id.text, e.text);
    if (why)
        crash(j, why);
    else
        prepare(j);
}

void job_kill(struct agent *a, const struct backend_message *m)
{
    struct job *j = find(a, &m->job_id);
    struct job_done done = {
        .result = "killed", .text = "", .state = m->state, .state_size = m->state_size};

    if (!j)
        return; /* upstream sends nothing either: the backend has an answer or never had the job */
    j->kill_requested = true;
    if (j->state == JOB_RUNNING)
        launcher_kill(a->launcher, j->id);
    else
        answer(j, &done);
}

static void answer_with_result(struct job *j)
{
    _cleanup_container_message_ struct container_message message = CONTAINER_MESSAGE_INIT;
    struct grading_result result = {0};
    struct job_done done;

    if (j->result.size > 0)
        container_message_decode(j->environment->generation, j->result.data, j->result.size,
                                 &message, NULL);
    if (grading_result_check(j->agent->rules, j->environment->limits.archive, message.result,
                             &result) < 0) {
        done = (struct job_done){
            .result = "crash", .text = j->agent->rules->unknown_error, .state = ""};
    } else {
        done = (struct job_done){
            .result = result.result,
            .text = result.text,
            .grade = result.grade,
            .problems = &result.problems,
            .tests = &result.tests,
            .custom = &result.custom,
            .state = result.state,
            .archive = result.has_archive ? &result.archive : NULL,
            .stdout_text = result.stdout_text,
            .stderr_text = result.stderr_text,
            .result_size = result.result_size,
            .text_size = result.text_size,
            .state_size = result.state_size,
            .stdout_size = result.stdout_size,
            .stderr_size = result.stderr_size,
        };
    }
    if (result.keeps_state) {
        done.state = j->message.state;
        done.state_size = j->message.state_size;
    }
    answer(j, &done);
    grading_result_clear(&result);
}

/* Killed by whomever: no text, empty outputs, the submission's own state. */
static void answer_killed(struct job *j, const char *kind)
{
    struct job_done done = {.result = kind,
                            .text = "",
                            .state = j->message.state,
                            .state_size = j->message.state_size,
                            .stdout_text = "",
                            .stderr_text = ""};

    answer(j, &done);
}

static void answer_ended(struct job *j)
{
    struct job_done done = {.result = "crash",
                            .text = j->ending_text,
                            .state = j->message.state,
                            .state_size = j->message.state_size,
                            .stdout_text = "",
                            .stderr_text = ""};

    answer(j, &done);
}

void job_exited(struct job *j, const struct sandbox_report *report)
{
    log_debug("job %s: container %s, %.3f s cpu, %.3f s wall, %.1f MiB", j->message.job_id.text,
              sandbox_verdict_name(report->verdict),
              (double)(report->user_usec + report->system_usec) / (double)USEC_PER_SEC,
              (double)report->wall_usec / (double)USEC_PER_SEC,
              report->memory_peak == SANDBOX_ABSENT ? 0.0
                                                    : (double)report->memory_peak / 1048576.0);
    if (report->error_code == -EADDRINUSE && j->starts < STARTS_MAX && !j->kill_requested) {
        conversation_close(j->conversation);
        j->conversation = NULL;
        make_container(j);
        return;
    }
    j->ended = true;
    if (j->ending_text) {
        answer_ended(j);
        return;
    }
    switch (report->verdict) {
    case SANDBOX_KILLED:
        answer_killed(j, "killed");
        return;
    case SANDBOX_OUT_OF_MEMORY:
    case SANDBOX_OUTPUT_LIMIT:
        answer_killed(j, "overflow");
        return;
    case SANDBOX_CPU_TIMEOUT:
    case SANDBOX_WALL_TIMEOUT:
        answer_killed(j, "timeout");
        return;
    case SANDBOX_START_FAILED:
        if (j->kill_requested) {
            answer_killed(j, "killed");
            return;
        }
        log_error("job %s: %s: %s", j->message.job_id.text, report->failed_step, report->error);
        crash(j, strcmp(report->failed_step, "execve") == 0 ? TEXT_NOT_STARTED : TEXT_NOT_CREATED);
        return;
    default:
        conversation_drain(j->conversation);
        if (conversation_fault(j->conversation))
            log_info("job %s: the grader's output was not read to its end: %s",
                     j->message.job_id.text, conversation_fault(j->conversation));
        answer_with_result(j);
    }
}
