/* -t: the sandbox has a terminal of its own; ours carries its bytes, raw, while it runs. */
#pragma once

#include "run/streams.h"
#include "runtime/sandbox.h"

#include <termios.h>

struct run_terminal {
    int socket; /* over which the master comes; negative when it has, or without -t */
    int inside; /* the sandbox's end of it, until it was given */
    int master; /* negative until it has come */
    bool interactive;
    bool raw; /* SAVED is to be restored */
    struct termios saved;
};
#define RUN_TERMINAL_INIT                                                                          \
    {                                                                                              \
        .socket = -1, .inside = -1, .master = -1                                                   \
    }

/** Prepares SPEC and S for a terminal: its first size is ours. */
int run_terminal_open(struct run_terminal *t, struct sandbox_spec *spec, struct run_streams *s,
                      bool interactive, struct error *e);
/** Takes the master when the socket is readable, and connects our streams to it. */
int run_terminal_take(struct run_terminal *t, struct run_streams *s, struct error *e);
/** Our window has changed its size. */
void run_terminal_resize(const struct run_terminal *t);
/** Makes our terminal hand on everything as it is (without -i: only what it shows), or gives it
 * back its own mode. */
void run_terminal_set_raw(struct run_terminal *t, bool raw);
void run_terminal_close(struct run_terminal *t);
