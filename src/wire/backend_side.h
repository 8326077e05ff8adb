/* Wire A from the other end: what a backend decodes and encodes. For the built-in one-job backend
 * of `dockless grade`; as strict as upstream's load(), so that nothing leaves the agent unnoticed
 * that would kill a real backend. */
#pragma once

#include "wire/backend.h"

enum agent_message_type {
    AGENT_UNKNOWN,
    AGENT_HELLO,
    AGENT_JOB_STARTED,
    AGENT_JOB_DONE,
    AGENT_JOB_SSH_DEBUG,
    AGENT_PONG
};

/** A message from an agent; everything points into the frame. */
struct agent_message {
    enum agent_message_type type;
    struct wire_span job_id;       /* all but AGENT_HELLO and AGENT_PONG */
    struct wire_span environments; /* AGENT_HELLO: available_environments, _containers before 0.7 */
    struct wire_span friendly_name, job_slots; /* AGENT_HELLO */
    /* AGENT_JOB_DONE: result and text are the two elements of `result`. */
    struct wire_span result, text, grade, problems, tests, custom, state, archive, stdout_text,
        stderr_text;
    struct wire_span host, port, user, password; /* AGENT_JOB_SSH_DEBUG */
};

/** -EBADMSG for what upstream's load() refuses: not msgpack, unknown type, a missing or surplus
 * key; also for a job_done whose `result` is no pair of strings. */
int agent_message_decode(enum wire_generation g, const void *frame, size_t size,
                         struct agent_message *ret, struct error *e);

/** What a BackendNewJob carries. Empty spans: {} for maps, False for debug. */
struct backend_new_job {
    const struct wire_job_id *job_id;
    const char *course_id, *task_id; /* NULL: nil */
    struct wire_span task_problems, inputdata, parameters, debug;
    const char *environment_type, *environment;
};
/* The encoders append one frame to OUT; errors as in backend.h. Before 0.7 the parameters are taken
 * apart into the flat fields. */
int backend_encode_new_job(enum wire_generation g, const struct backend_new_job *job,
                           struct buffer *out);
/** STATE is not sent before 0.8. */
int backend_encode_kill(enum wire_generation g, const struct wire_job_id *job_id, const char *state,
                        struct buffer *out);
int backend_encode_ping(enum wire_generation g, struct buffer *out);
