/* /etc/dockless/agent.yaml and the command line of `dockless agent`, as one struct. Unknown keys
 * are errors; the command line wins. */
#pragma once

#include "base/error.h"
#include "base/text.h"

#include <stdint.h>

#define AGENT_CONFIG_DEFAULT "/etc/dockless/agent.yaml"
#define AGENT_CONFIG_MAX     ((size_t)1 << 20)

struct agent_config {
    char *backend;        /* zeromq address, "tcp://host:2001" */
    char *tasks;          /* directory */
    char *friendly_name;  /* default: the host name */
    char *tmpdir;         /* default /var/lib/dockless/agent */
    char *store;          /* default IMAGE_STORE_DEFAULT */
    char *user;           /* the agent's own user; default "dockless", else a reserved numeric id */
    uint64_t concurrency; /* 0: number of CPUs */
    uint64_t pids;        /* tasks per sandbox; 0: no limit */
    uint64_t frame_max;   /* bytes a grader may send in one frame */
    int verbose;          /* -v given so often */
};

void agent_config_clear(struct agent_config *c);
/** Fills the defaults in. */
int agent_config_init(struct agent_config *c);
/** Reads YAML over C; errors read "PATH:LINE:COLUMN: what". On failure C is as it was. */
int agent_config_parse(const char *path, const char *text, size_t size, struct agent_config *c,
                       struct error *e);
