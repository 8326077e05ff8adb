/* Wire B from inside: what a grading container's PID 1 decodes and encodes. The main generation
 * only: images/runner belongs to images with agent_version 4. Use frame_reader of frame.h with
 * FRAME_BIG_ENDIAN for the stream. */
#pragma once

#include "wire/frame.h"

enum runner_message_type {
    RUNNER_UNKNOWN,
    RUNNER_START,
    RUNNER_STUDENT_STARTED,
    RUNNER_STUDENT_RETVAL
};

/** A message from the agent; spans point into the body it was decoded from. */
struct runner_message {
    enum runner_message_type type;
    /* RUNNER_START */
    struct wire_span input, debug, environment_types;
    char *run_cmd; /* owned, NULL: none */
    bool run_as_root;
    /* RUNNER_STUDENT_* */
    char *socket_id, *container_id; /* owned */
    int retval;
};
#define RUNNER_MESSAGE_INIT                                                                        \
    {                                                                                              \
        RUNNER_UNKNOWN                                                                             \
    }
/** Decodes one body. -EBADMSG: not a msgpack map; -EINVAL: unknown type, missing key, wrong kind;
 * -ENOMEM. */
int runner_message_decode(const void *body, size_t size, struct runner_message *ret,
                          struct error *e);
void runner_message_clear(struct runner_message *m);
#define _cleanup_runner_message_ _cleanup_(runner_message_clear)

/* The encoders append one framed message to OUT; errors as in backend.h. */

/** `result`; RESULT is one encoded map (wire/pack.h makes it). */
int runner_encode_result(struct wire_span result, struct buffer *out);

struct runner_student {
    const char *environment;                           /* NULL: the grader's own */
    int64_t time_limit, hard_time_limit, memory_limit; /* 0: the grader's own */
    bool share_network, ssh, run_as_root;
    const char *socket_id;
};
int runner_encode_run_student(const struct runner_student *student, struct buffer *out);
int runner_encode_ssh_debug(const char *user, const char *key, struct buffer *out);
int runner_encode_ssh_student(const char *user, const char *key, const char *container_id,
                              struct buffer *out);
