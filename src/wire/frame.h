/* Wire B: agent <-> grading container: a four-byte length and one msgpack map, both directions.
 * This is the agent's side; frame_runner.h is the container's. The generation here is the image's,
 * not the backend's. */
#pragma once

#include "wire/generation.h"
#include "wire/value.h"

enum frame_order { FRAME_BIG_ENDIAN, FRAME_LITTLE_ENDIAN };

/** How lengths are written by images of G: little-endian up to 0.7, big-endian since. */
enum frame_order frame_order_of(enum wire_generation g);

/** Reassembles frames from a stream that is cut anywhere. */
struct frame_reader {
    enum frame_order order;
    size_t max; /* longest body accepted */
    struct buffer pending;
    size_t consumed; /* bytes of pending that were handed out already */
};
/** Takes SIZE more bytes of the stream. -ENOMEM; -EMSGSIZE when more is pending than one frame and
 * one push: call next until it says 0 before pushing again. */
int frame_reader_push(struct frame_reader *r, const void *data, size_t size);
/** The next complete body: 1 and *ret_body (valid until the next push or clear), 0 when more bytes
 * are needed, -EMSGSIZE when the length is beyond MAX (the stream is lost). A body of length 0 is
 * skipped. */
int frame_reader_next(struct frame_reader *r, const uint8_t **ret_body, size_t *ret_size);
void frame_reader_clear(struct frame_reader *r);

/** Appends length and BODY to OUT. -EMSGSIZE, -ENOMEM. */
int frame_write(enum frame_order order, const void *body, size_t size, struct buffer *out);

/** What `start` tells a grading container. */
struct frame_start {
    struct wire_span input, debug;        /* forwarded as they came */
    const char *const *environment_types; /* keys of envtypes; 0.5 and 0.6 have none */
    size_t n_types;
    const char *run_cmd; /* NULL: none; 0.5 has none */
    bool run_as_root;
};
/* The encoders append one framed message to OUT; errors as in backend.h. */
int frame_encode_start(enum wire_generation g, const struct frame_start *start, struct buffer *out);
/** CONTAINER_ID is sent since 0.8. */
int frame_encode_student_started(enum wire_generation g, const char *socket_id,
                                 const char *container_id, struct buffer *out);
int frame_encode_student_retval(enum wire_generation g, int retval, const char *socket_id,
                                struct buffer *out);

enum container_message_type {
    CONTAINER_UNKNOWN,
    CONTAINER_RUN_STUDENT,
    CONTAINER_SSH_DEBUG, /* before 0.8 it is called ssh_key */
    CONTAINER_SSH_STUDENT,
    CONTAINER_RESULT
};

/** Longest socket id: with ".sock" behind it is a file name. */
#define CONTAINER_SOCKET_ID_MAX 250

/** A message from a grading container; spans point into the body it was decoded from. */
struct container_message {
    enum container_message_type type;
    struct wire_span result; /* CONTAINER_RESULT: what came under "result", of any kind */
    /* CONTAINER_RUN_STUDENT; limits 0 and environment NULL mean the grader's own. */
    char *environment;                                 /* owned */
    int64_t time_limit, hard_time_limit, memory_limit; /* seconds, seconds, MiB */
    bool share_network, ssh, run_as_root;
    char *socket_id; /* owned; a plain file name */
    /* CONTAINER_SSH_*; ssh_user NULL where the image sends none (0.5, 0.6) */
    char *ssh_user, *ssh_key, *container_id; /* owned */
};
#define CONTAINER_MESSAGE_INIT                                                                     \
    {                                                                                              \
        CONTAINER_UNKNOWN                                                                          \
    }
/** Decodes one body. -EBADMSG: not msgpack, not UTF-8, keys that are no strings, not a map (the
 * stream is abandoned); -EINVAL: readable, but the type is unknown, a key is missing or of a wrong
 * type (upstream logs and skips it; a run_student whose socket_id is set can still be answered with
 * retval 254); -ENOMEM. RET may be read and must be cleared either way. */
int container_message_decode(enum wire_generation g, const void *body, size_t size,
                             struct container_message *ret, struct error *e);
void container_message_clear(struct container_message *m);
#define _cleanup_container_message_ _cleanup_(container_message_clear)
