#include "agent/ports.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

struct port_state {
    uint64_t busy_until; /* monotonic; 0: nobody was found on it */
    bool lent;
};

int ports_open(struct ports *p, uint16_t first, uint16_t last)
{
    *p = (struct ports){.first = first, .last = last, .next = first};
    if (first == 0)
        return 0;
    p->states = calloc((size_t)(last - first) + 1, sizeof(*p->states));
    return p->states ? 0 : -ENOMEM;
}

void ports_close(struct ports *p)
{
    while (p->loans)
        ports_return(p, p->loans->id);
    free(p->states);
    *p = (struct ports){0};
}

/* Whether nobody has it now. The launcher takes it a moment later and has the last word, so what
 * this process may not ask about (ports below 1024) counts as free. */
static bool nobody_has(uint16_t port)
{
    const struct sockaddr_in6 any6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    const struct sockaddr_in any4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    const int off = 0;
    _cleanup_close_ int fd6 = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    _cleanup_close_ int fd4 = -EBADF;

    if (fd6 >= 0 && setsockopt(fd6, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) == 0 &&
        bind(fd6, (const struct sockaddr *)&any6, sizeof(any6)) == 0)
        return true;
    if (fd6 >= 0 && errno == EADDRINUSE)
        return false;
    fd4 = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return fd4 < 0 || bind(fd4, (const struct sockaddr *)&any4, sizeof(any4)) == 0 ||
           errno != EADDRINUSE;
}

/* A port that is neither lent nor somebody else's; 0 where there is none. */
static uint16_t find_free(struct ports *p, uint64_t now)
{
    size_t count = p->first ? (size_t)(p->last - p->first) + 1 : 0;

    for (size_t i = 0; i < count; i++) {
        uint16_t port = p->next;
        struct port_state *s = &p->states[port - p->first];
        p->next = port == p->last ? p->first : (uint16_t)(port + 1);
        if (s->lent || s->busy_until > now)
            continue;
        if (nobody_has(port))
            return port;
        s->busy_until = now + PORT_BUSY_USEC;
    }
    return 0;
}

static void take_back(struct ports *p, const struct port_loan *loan, uint64_t busy_until)
{
    for (size_t i = 0; i < loan->n; i++)
        p->states[loan->list[i].host - p->first] = (struct port_state){.busy_until = busy_until};
}

int ports_lend(struct ports *p, uint64_t id, const uint16_t *wanted, size_t n)
{
    uint64_t now = clock_monotonic_usec();
    struct port_loan *loan;

    if (n == 0)
        return 0;
    loan = calloc(1, sizeof(*loan));
    if (!loan)
        return -ENOMEM;
    loan->id = id;
    while (loan->n < MIN(n, SANDBOX_PORTS_MAX)) {
        uint16_t port = find_free(p, now);
        if (port == 0) {
            take_back(p, loan, 0);
            free(loan);
            return -EBUSY;
        }
        p->states[port - p->first].lent = true;
        loan->list[loan->n] = (struct sandbox_port){.host = port, .container = wanted[loan->n]};
        loan->n++;
    }
    loan->next = p->loans;
    p->loans = loan;
    return 0;
}

const struct port_loan *ports_of(const struct ports *p, uint64_t id)
{
    const struct port_loan *loan = p->loans;

    while (loan && loan->id != id)
        loan = loan->next;
    return loan;
}

uint16_t ports_lookup(const struct ports *p, uint64_t id, uint16_t container)
{
    const struct port_loan *loan = ports_of(p, id);

    for (size_t i = 0; loan && i < loan->n; i++)
        if (loan->list[i].container == container)
            return loan->list[i].host;
    return 0;
}

static void end_loan(struct ports *p, uint64_t id, uint64_t busy_until)
{
    for (struct port_loan **link = &p->loans, *loan; (loan = *link); link = &loan->next) {
        if (loan->id == id) {
            *link = loan->next;
            take_back(p, loan, busy_until);
            free(loan);
            return;
        }
    }
}

void ports_return(struct ports *p, uint64_t id)
{
    end_loan(p, id, 0);
}

void ports_avoid(struct ports *p, uint64_t id)
{
    end_loan(p, id, clock_monotonic_usec() + PORT_BUSY_USEC);
}
