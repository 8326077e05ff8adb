#include "netlink.h"

#include <linux/netlink.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

/* One read: more than the kernel puts into an answer (it fills at most 32 KiB of a dump). */
#define ANSWER_MAX ((size_t)32 << 10)
/* Only dumps are waited for, and those only for as long as a broken kernel would take. */
#define ANSWER_WAIT_SEC 5

int netlink_open(int protocol, struct netlink *ret, struct error *e)
{
    struct netlink n = NETLINK_INIT;
    const struct timeval wait = {ANSWER_WAIT_SEC, 0};
    const int on = 1;
    int r = netlink_load(e);

    if (r < 0)
        return r;
    n.fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
    if (n.fd < 0)
        return error_sys(e, -errno, "netlink socket");
    /* Neither is needed for correctness: shorter answers, and what is wrong in words. */
    (void)setsockopt(n.fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
    (void)setsockopt(n.fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
    if (setsockopt(n.fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) < 0) {
        safe_close(n.fd);
        return error_sys(e, -errno, "netlink socket");
    }
    n.data = calloc(1, NETLINK_BATCH_MAX);
    if (!n.data) {
        safe_close(n.fd);
        return error_sys(e, -ENOMEM, "netlink socket");
    }
    *ret = n;
    return 0;
}

void netlink_close(struct netlink *n)
{
    n->fd = safe_close(n->fd);
    free(n->data);
    n->data = NULL;
    netlink_reset(n);
}

void netlink_reset(struct netlink *n)
{
    n->used = 0;
    n->open = NULL;
    n->awaited = 0;
    n->fault = 0;
}

static void end_message(struct netlink *n)
{
    if (n->open)
        n->used += NLMSG_ALIGN(n->open->nlmsg_len);
    n->open = NULL;
}

struct nlmsghdr *netlink_begin(struct netlink *n, uint16_t type, uint16_t flags)
{
    end_message(n);
    if (n->used + NETLINK_MESSAGE_MAX > NETLINK_BATCH_MAX) {
        n->fault = -EMSGSIZE;
        n->used = 0;
    }
    n->open = mnl_nlmsg_put_header(n->data + n->used);
    n->open->nlmsg_type = type;
    n->open->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
    n->open->nlmsg_seq = ++n->sequence;
    return n->open;
}

void netlink_await(struct netlink *n)
{
    n->open->nlmsg_flags |= NLM_F_ACK;
    n->awaited = n->open->nlmsg_seq;
}

static int send_all(struct netlink *n)
{
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    ssize_t r;

    do
        r = sendto(n->fd, n->data, n->used, 0, (struct sockaddr *)&kernel, sizeof(kernel));
    while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : 0;
}

/* The kernel's words about an error: attribute NLMSGERR_ATTR_MSG behind the quoted header. */
static const char *words_of(const struct nlmsghdr *h)
{
    const struct nlattr *attribute;

    if (!(h->nlmsg_flags & NLM_F_ACK_TLVS))
        return NULL;
    mnl_attr_for_each(attribute, h,
                      sizeof(struct nlmsgerr) +
                          (h->nlmsg_flags & NLM_F_CAPPED ? 0 : sizeof(struct nlmsghdr)))
    {
        if (mnl_attr_get_type(attribute) == NLMSGERR_ATTR_MSG &&
            mnl_attr_validate(attribute, MNL_TYPE_NUL_STRING) >= 0)
            return mnl_attr_get_str(attribute);
    }
    return NULL;
}

static ssize_t receive(struct netlink *n, void *data, size_t size, int flags)
{
    ssize_t r;

    do
        r = recv(n->fd, data, size, flags);
    while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : r;
}

/* What is left of an earlier dump or batch must not answer the next one. */
static void drain(struct netlink *n)
{
    uint8_t data[256];

    while (receive(n, data, sizeof(data), MSG_DONTWAIT) > 0)
        ;
}

static int read_answers(struct netlink *n, const char *what, struct error *e)
{
    uint8_t data[ANSWER_MAX] __attribute__((aligned(NLMSG_ALIGNTO)));
    bool last = false;
    int first = 0;

    while (!last) {
        ssize_t size = receive(n, data, sizeof(data), MSG_DONTWAIT);
        int left = (int)size;
        if (size == -EAGAIN) /* a transaction that failed early answers for what failed only */
            return first < 0 ? first : error_sys(e, -EPROTO, "%s: no answer", what);
        if (size < 0)
            return first < 0 ? first : error_sys(e, (int)size, "%s", what);
        for (const struct nlmsghdr *h = (const void *)data; mnl_nlmsg_ok(h, left);
             h = mnl_nlmsg_next(h, &left)) {
            const struct nlmsgerr *answer = mnl_nlmsg_get_payload(h);
            const char *words;
            if (h->nlmsg_type != NLMSG_ERROR)
                continue;
            last = last || h->nlmsg_seq == n->awaited;
            if (answer->error == 0 || first < 0)
                continue;
            first = answer->error;
            words = words_of(h);
            if (words)
                error_sys(e, first, "%s: %s", what, words);
            else
                error_sys(e, first, "%s", what);
        }
    }
    return first;
}

int netlink_commit(struct netlink *n, const char *what, struct error *e)
{
    int r = n->fault;

    if (!n->open && r == 0)
        return 0;
    if (r == 0) {
        /* Errors are told of every message; that all went well, of the last is enough. */
        if (n->awaited == 0)
            netlink_await(n);
        end_message(n);
        drain(n);
        r = send_all(n);
    }
    if (r < 0)
        error_sys(e, r, "%s", what);
    else
        r = read_answers(n, what, e);
    netlink_reset(n);
    return r;
}

/* 1: go on, 0: the end. */
static int read_part(struct netlink *n, int (*callback)(const struct nlmsghdr *, void *),
                     void *userdata)
{
    uint8_t data[ANSWER_MAX] __attribute__((aligned(NLMSG_ALIGNTO)));
    ssize_t size = receive(n, data, sizeof(data), 0);
    int left = (int)size;

    if (size < 0)
        return (int)size;
    for (const struct nlmsghdr *h = (const void *)data; mnl_nlmsg_ok(h, left);
         h = mnl_nlmsg_next(h, &left)) {
        const struct nlmsgerr *answer = mnl_nlmsg_get_payload(h);
        int r;
        if (h->nlmsg_seq != n->sequence)
            continue;
        if (h->nlmsg_type == NLMSG_DONE)
            return 0;
        if (h->nlmsg_type == NLMSG_ERROR)
            return answer->error;
        r = callback(h, userdata);
        if (r < 0)
            return r;
    }
    return 1;
}

int netlink_dump(struct netlink *n, uint16_t type, const void *header, size_t header_size,
                 int (*callback)(const struct nlmsghdr *message, void *userdata), void *userdata,
                 struct error *e)
{
    struct nlmsghdr *h;
    int r;

    netlink_reset(n);
    h = netlink_begin(n, type, NLM_F_DUMP);
    memcpy(mnl_nlmsg_put_extra_header(h, header_size), header, header_size);
    end_message(n);
    drain(n);
    r = send_all(n);
    while (r >= 0 && (r = read_part(n, callback, userdata)) > 0)
        ;
    netlink_reset(n);
    return r < 0 ? error_sys(e, r, "netlink dump") : 0;
}
