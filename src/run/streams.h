/* Standard input, output and error of a run.
 *
 * A pipe, a socket, /dev/null or a file that is open in one direction is given to the program as it
 * is: nothing is copied, delayed or reordered, and its end is seen inside. What would give the
 * program more than a stream, a terminal above all (its settings, its input, TIOCSTI), stays here;
 * the program gets a pipe, and a pump moves the bytes. */
#pragma once

#include "base/error.h"
#include "run/pump.h"

struct run_streams {
    int stdio[3];         /* for launcher_submit(); negative: /dev/null */
    bool owned[3];        /* whether it is ours to close */
    struct pump pumps[3]; /* 0: inwards, 1 and 2: outwards */
};

/** Looks at our own 0, 1 and 2. Without INTERACTIVE the program's input is /dev/null. */
int run_streams_open(struct run_streams *s, bool interactive, struct error *e);

/** A descriptor for our number FD (0, 1 or 2) that a pump may own. Negative where there is none. */
int run_streams_own_end(int fd);

/** Closes the program's ends, which it has by now: the pumps' ends are to be seen. */
void run_streams_given(struct run_streams *s);

void run_streams_close(struct run_streams *s);
