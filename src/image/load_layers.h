/* Runs the unpacking of several layers side by side. Unpacking forks a confined child that it talks
 * to, so each layer has a process of its own that does; they end with the caller. */
#pragma once

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

struct layer_work {
    size_t n; /* layers to unpack, in the order of the image */
    /** Unpacks layer NUMBER (0 to N-1) and tells how much of its blob is done. In a process of its
     * own, unless there is only one. */
    int (*unpack)(void *userdata, size_t number, struct error *e);
    /** Called with the sum of what all told; may be NULL. */
    void (*progress)(void *userdata, uint64_t done);
    void *userdata;
};

/** For UNPACK to tell: DONE bytes of its layer's blob. */
void layer_work_tell(uint64_t done);

/** Runs all of WORK, as many at once as there are CPUs and memory for. Where several fail, the
 * error is that of the first in the image's order, as if they had run one after the other; no
 * process is left when this returns. Must be called from a single-threaded process. */
int layer_work_run(const struct layer_work *work, struct error *e);
