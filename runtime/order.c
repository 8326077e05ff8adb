#include "order.h"

#include "base/fdio.h"

#include <string.h>

struct order {
    uint32_t n_mounts;
    uint32_t n_join;
    uint32_t stdio; /* bit N: there is a fd for the container's N */
};

/* root, dev, shm, go, status */
#define FIXED_FDS 5

/* Where the order's fds are in a plan, the same at both ends. -EMSGSIZE: there are too many. */
static int list_fds(struct child_plan *plan, const struct order *o, int *ret[FD_PASS_MAX])
{
    int *const fixed[FIXED_FDS] = {&plan->root_fd, &plan->dev_fd, &plan->shm_fd, &plan->go_fd,
                                   &plan->status_fd};
    int n = 0;

    if (o->n_join > CGROUP_JOIN_MAX || o->n_mounts > SANDBOX_MOUNTS_MAX ||
        FIXED_FDS + o->n_join + o->n_mounts + ARRAY_SIZE(plan->stdio) > FD_PASS_MAX)
        return -EMSGSIZE;
    for (size_t i = 0; i < FIXED_FDS; i++)
        ret[n++] = fixed[i];
    for (size_t i = 0; i < o->n_join; i++)
        ret[n++] = &plan->join_fds[i];
    for (size_t i = 0; i < o->n_mounts; i++)
        ret[n++] = &plan->mounts[i].fd;
    for (size_t i = 0; i < ARRAY_SIZE(plan->stdio); i++)
        if (o->stdio & 1U << i)
            ret[n++] = &plan->stdio[i];
    return n;
}

int order_send(int socket, const struct child_plan *plan)
{
    struct request request = {.type = REQUEST_SUBMIT, .id = 1, .spec = *plan->spec};
    struct order order = {.n_join = (uint32_t)plan->n_join,
                          .n_mounts = (uint32_t)plan->spec->n_mounts};
    _cleanup_buffer_ struct buffer b = {.max = sizeof(order) + REQUEST_PACKET_MAX};
    struct child_plan copy = *plan;
    int *places[FD_PASS_MAX], fds[FD_PASS_MAX];
    int n, r;

    for (size_t i = 0; i < ARRAY_SIZE(plan->stdio); i++)
        if (plan->stdio[i] >= 0)
            order.stdio |= 1U << i;
    n = list_fds(&copy, &order, places);
    if (n < 0)
        return n;
    for (int i = 0; i < n; i++)
        fds[i] = *places[i];
    r = buffer_append(&b, &order, sizeof(order));
    if (r == 0)
        r = request_encode(&request, &b); /* borrows the spec: nothing of it is cleared */
    if (r < 0)
        return r;
    r = (int)fd_send(socket, b.data, b.size, fds, (size_t)n);
    return MIN(r, 0);
}

int order_receive(int socket, struct child_plan *plan, struct request *ret_request)
{
    static uint8_t packet[sizeof(struct order) + REQUEST_PACKET_MAX];
    struct order order;
    int *places[FD_PASS_MAX], fds[FD_PASS_MAX];
    size_t n_fds = 0;
    ssize_t size = fd_receive(socket, packet, sizeof(packet), fds, FD_PASS_MAX, &n_fds);
    int n, r;

    if (size <= 0)
        return size < 0 ? (int)size : -EPIPE;
    if ((size_t)size < sizeof(order))
        return -EBADMSG;
    memcpy(&order, packet, sizeof(order));
    n = list_fds(plan, &order, places);
    if (n < 0 || (size_t)n != n_fds)
        return -EBADMSG;
    r = request_decode(packet + sizeof(order), (size_t)size - sizeof(order), ret_request, NULL);
    if (r < 0)
        return r;
    if (ret_request->spec.n_mounts != order.n_mounts)
        return -EBADMSG;
    for (size_t i = 0; i < ARRAY_SIZE(plan->stdio); i++)
        plan->stdio[i] = -EBADF;
    for (int i = 0; i < n; i++)
        *places[i] = fds[i];
    plan->n_join = order.n_join;
    plan->spec = &ret_request->spec;
    for (size_t i = 0; i < order.n_mounts; i++)
        plan->mounts[i].target = ret_request->spec.mounts[i].target;
    for (size_t i = 0; i < ARRAY_SIZE(plan->launcher_fds); i++)
        plan->launcher_fds[i] = -EBADF;
    return 0;
}
