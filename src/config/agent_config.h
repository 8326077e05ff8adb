/* /etc/dockless/agent.yaml and the command line of `dockless agent`, as one struct. Unknown keys
 * are errors; the command line wins. docs/agent.yaml.example shows every key with its default. */
#pragma once

#include "base/error.h"
#include "base/text.h"
#include "config/environment_config.h"
#include "config/network_config.h"
#include "image/image_bounds.h"

#include <stdint.h>

#define AGENT_CONFIG_DEFAULT "/etc/dockless/agent.yaml"
#define AGENT_CONFIG_MAX     ((size_t)1 << 20)

#define AGENT_TMPDIR_DEFAULT "/var/lib/dockless/agent"
#define AGENT_STORE_DEFAULT  "/var/lib/dockless"
/** More slots than any machine has CPUs. */
#define AGENT_CONCURRENCY_MAX 10000
/** A drain longer than the longest job makes no sense. */
#define AGENT_DRAIN_MAX     86400
#define AGENT_DRAIN_DEFAULT 30

/** Jobs at once, whatever a backend sends: it should not send more than the announced slots. */
#define AGENT_JOBS_MAX     1000
#define AGENT_JOBS_DEFAULT 200
/** Student containers of all jobs at once. */
#define AGENT_STUDENTS_MAX     2000
#define AGENT_STUDENTS_DEFAULT 512

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
    const char *protocol;   /* one of config_protocols */
    int verbose;            /* say more */
    int share_store;        /* with other agents */
    uint64_t jobs;          /* at once */
    uint64_t students;      /* student containers at once, of all jobs */
    int pin;                /* each slot has CPUs of its own */
    const char *disk_by;    /* one of launcher_disk_names: how limits on disk are enforced */
    uint64_t disk_projects; /* the first project id of those by quotas */
    unsigned waived;        /* enum launcher_limit: not enforced where the host cannot */
    struct image_bounds bounds;    /* for the verbs that load images; the agent loads none */
    struct network_config network; /* networks, ports, ssh */
    struct job_limits limits;
    struct environment_configs environments; /* where they differ from their labels and LIMITS */
};

void agent_config_clear(struct agent_config *c);
/** Fills the defaults in. -ENOMEM. */
int agent_config_init(struct agent_config *c);
/** Reads YAML over C; -EINVAL with "PATH:LINE:COLUMN: what", -ENOMEM. On failure C is as it was. An
 * empty file changes nothing. */
int agent_config_parse(const char *path, const char *text, size_t size, struct agent_config *c,
                       struct error *e);

/** Sets one of the keys of the file's top level that have plain values. -ENOENT: there is none of
 * this name; -EINVAL with a text that names the key; -ENOMEM. */
int agent_config_set(struct agent_config *c, const char *key, const char *value, struct error *e);
/** Sets one of the limits of all jobs by "NAME=VALUE". Errors as before, never -ENOENT. */
int agent_config_set_limit(struct agent_config *c, const char *assignment, struct error *e);

/** Takes over from NEW what may change while an agent runs (NEW gets the old values, to be
 * cleared). RESTART gets the keys of what differs and needs a restart, separated by ", ". */
void agent_config_reload(struct agent_config *c, struct agent_config *new, char *restart,
                         size_t size);
