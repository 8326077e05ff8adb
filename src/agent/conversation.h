/* The agent's ends of a grading container's stdin and stdout: a queue of frames down, reassembled
 * frames up.
 *
 * Nothing that comes up is trusted: a frame longer than the bound, or a stream that is no frames at
 * all, ends the reading (what follows is drained and dropped, so that the grader is not blocked on
 * a full pipe), and the result so far counts. */
#pragma once

#include "wire/frame.h"

#include "base/loop.h"

struct conversation;

struct conversation_callbacks {
    /** One body from the container; valid during the call. Nonzero: the rest of the stream is to be
     * dropped. */
    int (*body)(void *userdata, const uint8_t *body, size_t size);
};

/** Makes the pipes. CONTAINER_FDS get the container's ends (0, 1), the caller's to close; they are
 * plain blocking pipes. A frame longer than FRAME_MAX from the container is refused. */
int conversation_open(struct loop *event, enum frame_order order, size_t frame_max,
                      const struct conversation_callbacks *callbacks, void *userdata,
                      int container_fds[2], struct conversation **ret, struct error *e);
void conversation_close(struct conversation *c);
DEFINE_CLEANUP(struct conversation, conversation_close)

/** Queues BYTES (framed already) for the container's stdin. -EMSGSIZE when the grader does not read
 * and the queue's bound is reached. */
int conversation_send(struct conversation *c, const struct buffer *bytes);

/** Reads what is left in the pipe after the container has ended. */
void conversation_drain(struct conversation *c);

/** What ended the reading early: NULL, or a line for the log. */
const char *conversation_fault(const struct conversation *c);
