/* Wire A: agent <-> backend, one msgpack map per ZeroMQ frame. One table per protocol generation
 * (codec_*.c) behind this header; everything outside src/wire sees only these structs, which are
 * the same for all generations. */
#pragma once

#include "wire/generation.h"
#include "wire/value.h"

/** A job id is the backend's: a str, in 0.5 and 0.6 an array of the client's address and a str. It
 * is kept as it came and sent back unchanged. */
struct wire_job_id {
    uint8_t *raw; /* owned, one encoded value; NULL: none */
    size_t raw_size;
    char *text; /* owned, for people and log lines; never NULL where raw is not */
};
#define WIRE_JOB_ID_MAX 4096 /* longest accepted, encoded; real ones have 38 to 60 bytes */

void wire_job_id_clear(struct wire_job_id *id);
int wire_job_id_copy(const struct wire_job_id *id, struct wire_job_id *ret);
bool wire_job_id_equals(const struct wire_job_id *a, const struct wire_job_id *b);
/** A job id from a C string, as generations since 0.7 have them. -ENOMEM. */
int wire_job_id_from_text(const char *text, struct wire_job_id *ret);

enum backend_message_type { BACKEND_UNKNOWN, BACKEND_NEW_JOB, BACKEND_KILL_JOB, BACKEND_PING };

/** A message from the backend. Spans point into the frame. */
struct backend_message {
    enum backend_message_type type;
    struct wire_job_id job_id; /* owned; BackendNewJob, BackendKillJob */
    /* BackendNewJob. Ids are NULL for nil. Generations before 0.7 have no environment type
     * ("docker" is filled in) and no problems (an empty span). */
    char *course_id, *task_id, *environment_type, *environment; /* owned */
    struct wire_span task_problems, inputdata, debug;
    struct wire_span parameters; /* environment_parameters; before 0.7 made from the flat fields */
    bool inputdata_is_map;       /* where not, the job can only be answered, never run */
    bool debug_ssh;              /* debug is "ssh" */
    /* What an answer says for a job that never ran: BackendKillJob's state, inputdata's "@state";
     * "" where the generation has none. STATE_SIZE bytes and a NUL. */
    char *state; /* owned; never NULL after a successful decode */
    size_t state_size;
    struct buffer made; /* owned: what was made and not part of the frame */
};
#define BACKEND_MESSAGE_INIT                                                                       \
    {                                                                                              \
        BACKEND_UNKNOWN                                                                            \
    }

/** Decodes one frame. -EBADMSG for a frame that no backend sends: the text says what is wrong; what
 * was readable is filled in all the same: where type is BACKEND_NEW_JOB and job_id.raw is set, the
 * job can and must be answered. -ENOMEM. RET may be read and must be cleared either way. FRAME must
 * outlive RET. */
int backend_message_decode(enum wire_generation g, const void *frame, size_t size,
                           struct backend_message *ret, struct error *e);
void backend_message_clear(struct backend_message *m);
#define _cleanup_backend_message_ _cleanup_(backend_message_clear)

/** What takes the place of a Docker runtime's name. */
#define WIRE_RUNTIME "dockless"

struct wire_environment {
    const char *type; /* "docker" */
    const char *name;
    const char *id; /* image id */
    double created; /* seconds since 1970; sent as an integer since 0.8 */
    const uint16_t *ports;
    size_t n_ports;
    bool advertised;
    const char *runtime; /* NULL: WIRE_RUNTIME */
};

/* The encoders append one frame to OUT: 0, -ENOMEM, -EMSGSIZE beyond OUT's bound (WIRE_FRAME_MAX
 * where it has none), -EINVAL for what no backend could decode. On failure OUT is as it was. Text
 * that is not UTF-8 is sent with U+FFFD in the bad places. */

/** AgentHello. ENVIRONMENTS may come in any order; each of TYPES is announced even when it has
 * none; an environment of another type is -EINVAL. */
int backend_encode_hello(enum wire_generation g, const char *friendly_name, uint32_t job_slots,
                         const char *const *types, size_t n_types,
                         const struct wire_environment *environments, size_t n, struct buffer *out);
int backend_encode_started(enum wire_generation g, const struct wire_job_id *job_id,
                           struct buffer *out);
int backend_encode_pong(enum wire_generation g, struct buffer *out);

/** AgentJobDone. Map fields are encoded msgpack maps (one value each); NULL or an empty buffer
 * means {}. Other texts NULL mean "", but stdout_text and stderr_text NULL mean nil; archive NULL
 * means nil. */
struct job_done {
    const struct wire_job_id *job_id;
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

/** AgentJobSSHDebug. HOST NULL is nil. USER is not sent before 0.7. */
int backend_encode_ssh(enum wire_generation g, const struct wire_job_id *job_id, const char *host,
                       uint16_t port, const char *user, const char *password, struct buffer *out);
