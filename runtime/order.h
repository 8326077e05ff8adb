/* What a child that was cloned ahead of its sandbox (spare.h) is told: the plan of child.h, as one
 * packet. Both ends are one program, and the one that reads has nothing to lose to the other, so
 * this is a copy of a struct; the spec travels as in request.h. */
#pragma once

#include "child.h"
#include "request.h"

/** Sends PLAN. -EMSGSIZE: it is larger than a packet or has more fds (rare; a child is then cloned
 * for it), -EPIPE: the child is gone. */
int order_send(int socket, const struct child_plan *plan);

/** Waits for an order and fills PLAN with it; the spec in it belongs to *RET_REQUEST. -EPIPE: the
 * other end has closed. */
int order_receive(int socket, struct child_plan *plan, struct request *ret_request);
