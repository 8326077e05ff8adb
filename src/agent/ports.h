/* The ports of the host that lead into containers (--debug-ports): each is lent to one sandbox from
 * before its start until the launcher has reported its end, whatever becomes of the job meanwhile.
 * So there is one way back for all of them, and nothing of it is kept in jobs or students. */
#pragma once

#include "runtime/sandbox.h"

/** How long a port is left alone that another program of the host was found to have. */
#define PORT_BUSY_USEC (5 * 1000000ULL)

struct port_loan {
    struct port_loan *next;
    uint64_t id; /* of the sandbox at the launcher */
    struct sandbox_port list[SANDBOX_PORTS_MAX];
    size_t n;
};

struct ports {
    uint16_t first, last; /* 0: none */
    uint16_t next;        /* the search goes on here: a port that came back rests for a round */
    struct port_state *states; /* one for each port; owned */
    struct port_loan *loans;
};

/** FIRST 0: every request is refused. -ENOMEM. */
int ports_open(struct ports *p, uint16_t first, uint16_t last);
void ports_close(struct ports *p);

/** Lends sandbox ID one port for each of the N ports in WANTED (of the container; at most
 * SANDBOX_PORTS_MAX, each once). Ports that another program of the host has are passed over. -EBUSY
 * where there are not enough: then none is lent; -ENOMEM. N 0 is a loan of nothing. */
int ports_lend(struct ports *p, uint64_t id, const uint16_t *wanted, size_t n);

/** What ID was lent; NULL where that is nothing. */
const struct port_loan *ports_of(const struct ports *p, uint64_t id);
/** The host's port that leads to port CONTAINER of ID; 0 where there is none. */
uint16_t ports_lookup(const struct ports *p, uint64_t id, uint16_t container);

/** Takes back what ID was lent, if anything. */
void ports_return(struct ports *p, uint64_t id);
/** The same, when another program was found to have one of them: they are not lent for a while. */
void ports_avoid(struct ports *p, uint64_t id);
