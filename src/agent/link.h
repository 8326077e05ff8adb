/* The link to the backend: one DEALER, its heartbeat, its return after a loss.
 *
 *   CONNECTED --10 s of silence, or the connection breaks--> LOST --back-off--> CONNECTED (hello
 * again)
 *
 * zmq_socket(3), zmq_getsockopt(3) ZMQ_FD: the descriptor is edge-triggered and only says "look
 * again", so the socket is looked at after every round of the event loop. */
#pragma once

#include "base/buffer.h"
#include "base/error.h"

#include "base/loop.h"
#include <stdbool.h>
#include <stdint.h>

/** Silence after which the backend counts as gone (it pings every second). Time in which the agent
 * or its machine stood still is not the backend's silence. */
#define LINK_SILENCE_USEC (10 * 1000000ULL)
/** Pause before a new connection after a loss: doubled each time nothing is heard, from the first
 * to the longest. */
#define LINK_BACKOFF_FIRST_USEC   (100 * 1000ULL)
#define LINK_BACKOFF_LONGEST_USEC (30 * 1000000ULL)

struct link;

struct link_callbacks {
    /** Appends the hello frame to OUT; called on every new connection. */
    int (*hello)(void *userdata, struct buffer *out);
    /** One frame from the backend; valid during the call. Whether it is a sign of life. */
    bool (*message)(void *userdata, const void *frame, size_t size);
    /** The backend is gone and has given up its jobs here. */
    void (*lost)(void *userdata);
};

/** Connects to ADDRESS with sockets of CONTEXT (zmq_ctx_new(3), the caller's, outlives the link).
 * Connecting is asynchronous: an error here is a malformed address. */
int link_open(struct loop *event, void *context, const char *address,
              const struct link_callbacks *callbacks, void *userdata, struct link **ret,
              struct error *e);
/** Closes; what was sent is given up to LINGER_MSEC to leave. */
void link_close(struct link *l, int linger_msec);

/** Says hello once more on the present connection; the next one says it anyway. */
int link_hello(struct link *l);

/** Sends one frame. Frames sent while the link is lost are dropped: nobody waits for them any more.
 */
int link_send(struct link *l, const struct buffer *frame);
