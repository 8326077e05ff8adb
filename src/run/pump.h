/* Moves bytes from one descriptor to another inside a poll(2) loop, in order, never blocking the
 * loop longer than one write(2) to a descriptor that said it is ready. */
#pragma once

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PUMP_BUFFER ((size_t)64 << 10)

struct pump {
    int from, to; /* owned; negative when closed */
    uint8_t *data;
    size_t start, end; /* what of data is still to be written */
    uint64_t moved;    /* bytes read so far */
    char last;         /* written once when FROM has ended; 0: nothing */
};

/** What the pump waits for: fills FDS[0] and [1]; both negative when it is over. */
void pump_wait(const struct pump *p, struct pollfd fds[2]);

/** Does what poll(2) says is possible. The end of FROM, or a TO that takes no more, closes both. */
void pump_move(struct pump *p, const struct pollfd fds[2]);

/** Whether it is over. */
bool pump_is_over(const struct pump *p);

/** Closes both ends. Safe to call twice, and on a zeroed pump whose ends are negative. */
void pump_close(struct pump *p);

#define PUMP_INIT                                                                                  \
    {                                                                                              \
        .from = -1, .to = -1                                                                       \
    }
