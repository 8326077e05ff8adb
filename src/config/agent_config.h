/* /etc/dockless/agent.yaml and the command line of `dockless agent`, as one struct. Unknown keys
 * are errors; the command line wins. docs/agent.yaml.example shows every key with its default. */
#pragma once

#include "base/error.h"
#include "base/text.h"

#include <stdint.h>

#define AGENT_CONFIG_DEFAULT "/etc/dockless/agent.yaml"
#define AGENT_CONFIG_MAX     ((size_t)1 << 20)

#define AGENT_TMPDIR_DEFAULT "/var/lib/dockless/agent"
#define AGENT_STORE_DEFAULT  "/var/lib/dockless"
/** More slots than any machine has CPUs. */
#define AGENT_CONCURRENCY_MAX 10000
/** The kernel's PID_MAX_LIMIT. */
#define AGENT_PIDS_MAX ((uint64_t)4 << 20)
/** Grading images allow their worker 1000 processes; room for the grader's own beside them. */
#define AGENT_PIDS_DEFAULT 4096
/** A result below it is no result; above it no backend takes one (WIRE_FRAME_MAX). */
#define AGENT_FRAME_MIN     ((uint64_t)64 << 10)
#define AGENT_FRAME_MAX     ((uint64_t)256 << 20)
#define AGENT_FRAME_DEFAULT ((uint64_t)64 << 20)

/** A drain longer than the longest job makes no sense. */
#define AGENT_DRAIN_MAX     86400
#define AGENT_DRAIN_DEFAULT 30

struct agent_config {
    char *backend;          /* zeromq address, "tcp://host:2001"; NULL until given */
    char *tasks;            /* directory; NULL until given */
    char *friendly_name;    /* default: the host name */
    char *tmpdir;           /* default AGENT_TMPDIR_DEFAULT */
    char *store;            /* default AGENT_STORE_DEFAULT */
    char *user;             /* the agent's own user; NULL: "dockless", else a reserved numeric id */
    char *seccomp;          /* file of a system call profile; NULL: Docker's default */
    uint64_t concurrency;   /* 0: number of CPUs */
    uint64_t drain_seconds; /* that running jobs get after a SIGTERM */
    uint64_t pids;          /* tasks per sandbox; 0: no limit */
    uint64_t frame_max;     /* bytes a grader may send in one frame */
    int verbose;            /* -v given so often; not in the file */
};

void agent_config_clear(struct agent_config *c);
/** Fills the defaults in. -ENOMEM. */
int agent_config_init(struct agent_config *c);
/** Reads YAML over C; -EINVAL with "PATH:LINE:COLUMN: what", -ENOMEM. On failure C is as it was. An
 * empty file changes nothing. */
int agent_config_parse(const char *path, const char *text, size_t size, struct agent_config *c,
                       struct error *e);
