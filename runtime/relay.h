/* The output limit: what a sandbox writes to its stdout and stderr goes through a pipe of ours, and
 * a process forked for it passes it on and counts.
 *
 * A process of its own, because whoever reads the output may be slow or never read at all, and the
 * launcher must not wait for anybody. It knows the two ends and nothing else of the launcher's. */
#pragma once

#include "base/error.h"

#include "base/loop.h"
#include <stdbool.h>
#include <stdint.h>

struct relay;

/** EXCEEDED: more than the limit was written; the part beyond is not delivered. Otherwise all
 * writers are gone and what they wrote is delivered, or can never be; called once, last. */
typedef void (*relay_fn)(bool exceeded, void *userdata);

/** Puts pipes before STDIO[1] and STDIO[2], where these are not negative: they are replaced by the
 * pipes' write ends, the caller's to close once the sandbox has them. Where both lead to the same
 * pipe, file or terminal they share one, so that their bytes keep their order. */
int relay_start(struct loop *event, int stdio[3], uint64_t limit, relay_fn fn, void *userdata,
                struct relay **ret, struct error *e);

/** Whether it is over: FN was called for the end. */
bool relay_is_over(const struct relay *r);
/** Bytes delivered so far. */
uint64_t relay_delivered(const struct relay *r);
/** Ends it, whatever is left to deliver, and frees. FN is not called any more. */
void relay_free(struct relay *r);
