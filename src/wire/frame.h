/* Wire B: agent <-> grading container: a four-byte length and one msgpack map, both directions.
 * Used by the agent and, from the other side, by images/runner. */
#pragma once

#include "wire/value.h"

enum frame_order { FRAME_BIG_ENDIAN, FRAME_LITTLE_ENDIAN };

/** Reassembles frames from a stream that is cut anywhere. */
struct frame_reader {
    enum frame_order order;
    size_t max; /* longest body accepted */
    struct buffer pending;
};
/** Takes SIZE more bytes of the stream. -ENOMEM. */
int frame_reader_push(struct frame_reader *r, const void *data, size_t size);
/** The next complete body: 1 and *ret_body (valid until the next push or next), 0 when more bytes
 * are needed, -EMSGSIZE when the length is beyond MAX (the stream is lost). A body of length 0 is
 * skipped. */
int frame_reader_next(struct frame_reader *r, const uint8_t **ret_body, size_t *ret_size);
void frame_reader_clear(struct frame_reader *r);

/** Appends length and BODY to OUT. */
int frame_write(enum frame_order order, const void *body, size_t size, struct buffer *out);

/** `start` for a grading container (protocol.md section 3). INPUT and DEBUG are forwarded as they
 * came; RUN_CMD may be NULL; ENVIRONMENT_TYPES are the keys of envtypes. Framed. */
int frame_encode_start(enum frame_order order, const msgpack_object *input,
                       const msgpack_object *debug, const char *const *environment_types,
                       size_t n_types, const char *run_cmd, bool run_as_root, struct buffer *out);

enum container_message_type {
    CONTAINER_RUN_STUDENT,
    CONTAINER_SSH_DEBUG,
    CONTAINER_SSH_STUDENT,
    CONTAINER_RESULT,
    CONTAINER_UNKNOWN
};

/** A message from a grading container; pointers go into the body it was decoded from. */
struct container_message {
    enum container_message_type type;
    const msgpack_object *result; /* CONTAINER_RESULT: the map */
    /* CONTAINER_RUN_STUDENT */
    char *environment; /* owned, NULL for nil */
    int64_t time_limit, hard_time_limit, memory_limit;
    bool share_network, ssh, run_as_root;
    char *socket_id; /* owned */
    /* CONTAINER_SSH_* */
    char *ssh_user, *ssh_key, *container_id; /* owned */
    struct wire_value value;
};
/** Decodes one body. -EBADMSG: not msgpack, not UTF-8, not a map (the stream is abandoned);
 * -EINVAL: readable, but a key is missing or of a wrong type (logged and skipped, as upstream
 * does). */
int container_message_decode(const void *body, size_t size, struct container_message *ret,
                             struct error *e);
void container_message_clear(struct container_message *m);

int frame_encode_student_started(enum frame_order order, const char *socket_id,
                                 const char *container_id, struct buffer *out);
int frame_encode_student_retval(enum frame_order order, int retval, const char *socket_id,
                                struct buffer *out);
