/* The one message a grading container ends with. */
#pragma once

#include "json.h"

#include "base/buffer.h"

/** What is kept of each of the run file's outputs when debugging. Both end up, with the feedback,
 * in one document of INGInious' database, which holds 16 MiB. */
#define RESULT_OUTPUT_MAX ((size_t)4 << 20)

struct result {
    struct json *feedback; /* the map a run script made; NULL: none was given */
    const char *crash;     /* instead of a feedback: "crash" with this text */
    bool debug;            /* outputs are wanted: */
    struct buffer out, err;
    int archive; /* a file, or -EBADF */
    uint64_t archive_size;
};

/** Writes R to FD as one frame. The archive is encoded while it is written: it is never in memory.
 * -EMSGSIZE, before anything was written, where the frame would be too large. */
int result_send(int fd, const struct result *r, struct error *e);
