/* Wire A: agent <-> backend, one msgpack map per ZeroMQ frame. One codec per protocol generation
 * behind this header; everything outside src/wire sees only these structs. */
#pragma once

#include "wire/value.h"

enum wire_generation { WIRE_MAIN }; /* later: 0.9 ... 0.5 */

enum backend_message_type { BACKEND_NEW_JOB, BACKEND_KILL_JOB, BACKEND_PING, BACKEND_UNKNOWN };

/** A message from the backend. Pointers go into the frame and the value that was loaded from it. */
struct backend_message {
    enum backend_message_type type;
    char *job_id; /* owned; BackendNewJob, BackendKillJob */
    /* BackendNewJob; course_id and task_id NULL for nil. */
    char *course_id, *task_id, *environment_type, *environment; /* owned */
    const msgpack_object *task_problems, *inputdata, *parameters, *debug;
    char *state;             /* owned, BackendKillJob; "" where the message has none */
    struct wire_value value; /* owns what the pointers above point to */
};
#define BACKEND_MESSAGE_INIT                                                                       \
    {                                                                                              \
        BACKEND_UNKNOWN                                                                            \
    }

/** Decodes one frame. -EBADMSG for a frame that no backend sends: the text says what is wrong;
 * where the frame was readable enough to know its job, ret->job_id is set all the same so that the
 * job can be answered. FRAME must outlive RET. */
int backend_message_decode(enum wire_generation g, const void *frame, size_t size,
                           struct backend_message *ret, struct error *e);
void backend_message_clear(struct backend_message *m);

struct wire_environment {
    const char *type; /* "docker" */
    const char *name;
    const char *id; /* image id */
    int64_t created;
    const uint16_t *ports;
    size_t n_ports;
    bool advertised;
};

/** AgentHello. ENVIRONMENTS may come in any order; TYPES are announced even when they have none. */
int backend_encode_hello(enum wire_generation g, const char *friendly_name, uint32_t job_slots,
                         const char *const *types, size_t n_types,
                         const struct wire_environment *environments, size_t n, struct buffer *out);
int backend_encode_started(enum wire_generation g, const char *job_id, struct buffer *out);
int backend_encode_pong(enum wire_generation g, struct buffer *out);

/** AgentJobDone. Map fields are encoded msgpack maps (one value each), NULL means {}; stdout_text
 * and stderr_text NULL mean nil; archive NULL means nil. */
struct job_done {
    const char *job_id;
    const char *result; /* kind: "success", "failed", "crash"... */
    const char *text;
    double grade;
    const struct buffer *problems, *tests, *custom;
    const char *state;
    const struct buffer *archive;
    const char *stdout_text, *stderr_text;
    size_t result_size, text_size, state_size, stdout_size,
        stderr_size; /* where the strings hold NULs: byte counts, 0 means strlen */
};
int backend_encode_done(enum wire_generation g, const struct job_done *done, struct buffer *out);
