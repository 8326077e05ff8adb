/* The list of what runs on this host, for those who look at it. */
#pragma once

#include "runtime/sandbox.h"

#include <sys/types.h>

#define RUN_DIR_DEFAULT "/run/dockless"

/** A running sandbox, whoever started it. */
struct running {
    char *label;          /* of its spec, may be empty */
    char *hostname;       /* likewise */
    char **argv;          /* the beginning of a long one */
    pid_t pid;            /* of its first process */
    int64_t started_usec; /* since the epoch */
};

/** Lists them, the oldest first, and takes away what launchers that were killed have left. The
 * caller frees by running_free(). A RUN_DIR that is missing (NULL: the default one) has none. */
int running_list(const char *run_dir, struct running **ret, size_t *ret_n, struct error *e);
void running_free(struct running *list, size_t n);
