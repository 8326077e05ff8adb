/* What `dockless run` and `dockless bench` are asked for: the words of the command line as plain
 * data. Nothing here looks at a file system; plan.h does. */
#pragma once

#include "base/error.h"
#include "runtime/cpus.h"
#include "runtime/launcher.h"

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bounds; beyond them a command line is refused. The launcher has bounds of its own. */
#define RUN_VOLUMES_MAX 32
#define RUN_PORTS_MAX   64
#define RUN_TMPFS_MAX   16
#define RUN_COPIES_MAX  32

#define RUN_SCRATCH_DEFAULT "/var/lib/dockless/run"
/** Tasks of a sandbox where nothing else is said: podman's number. */
#define RUN_PIDS_DEFAULT 2048

enum run_volume_mode {
    RUN_VOLUME_RW,
    RUN_VOLUME_RO,
    RUN_VOLUME_OVERLAY, /* the source stays as it is */
};

struct run_volume {
    char *source; /* of the host, as given */
    char *target; /* absolute */
    enum run_volume_mode mode;
};

struct run_tmpfs {
    char *target;
    uint64_t size; /* 0: half of the memory limit */
    uint32_t mode;
};

/** A file or directory that is copied before the start or after the end. */
struct run_copy {
    bool out;
    char *host;   /* as given */
    char *inside; /* absolute, without a slash at its end */
    bool content; /* the source ended in "/.": not the directory, what is in it */
};

struct run_port {
    uint16_t host, container;
};

struct run_options {
    /* Where things are. */
    char *store;   /* NULL: the default one */
    char *scratch; /* NULL: RUN_SCRATCH_DEFAULT */
    char *config;  /* file with bounds of unpacking; NULL: the default one */
    char **bounds; /* "NAME=VALUE", over those of the file */
    /* The program. */
    char **env;        /* "NAME=VALUE", or "NAME": the caller's value */
    char **env_files;  /* of such lines */
    char *working_dir; /* NULL: the image's */
    char *user;        /* NULL: the image's */
    char *entrypoint;  /* NULL: the image's; "": none */
    char *hostname;    /* NULL: the sandbox's id */
    char *name;        /* NULL: the sandbox's id */
    /* What it sees. */
    struct run_volume volumes[RUN_VOLUMES_MAX];
    size_t n_volumes;
    struct run_tmpfs tmpfs[RUN_TMPFS_MAX];
    size_t n_tmpfs;
    struct run_copy copies[RUN_COPIES_MAX];
    size_t n_copies;
    bool nat; /* --network nat */
    struct run_port ports[RUN_PORTS_MAX];
    size_t n_ports;
    char *keep; /* where the changes of overlay volumes stay; NULL: nowhere */
    bool read_only;
    bool no_new_privs;
    uint64_t dropped_capabilities; /* bit N: capability N */
    char *seccomp;                 /* file of a profile; NULL: the default */
    struct sandbox_rlimit rlimits[SANDBOX_RLIMITS_MAX];
    size_t n_rlimits;
    /* Limits; 0: none. */
    uint64_t memory_bytes;
    uint64_t pids;
    uint64_t cpu_time_usec;
    uint64_t wall_time_usec;
    uint64_t shm_bytes;
    uint64_t disk_bytes;
    enum launcher_disk disk_by;
    uint64_t output_bytes;
    uint64_t cpu_share; /* thousandths of a CPU */
    struct cpus cpus;   /* empty: all */
    /* Standard input and output. */
    bool interactive; /* -i */
    bool terminal;    /* -t */
    char *report;     /* FILE, "-" or "fd:N" */
    unsigned verbose;
};

#define RUN_SHORT_OPTIONS "e:v:w:u:p:m:it"
#define RUN_LONG_OPTIONS  64 /* room for the table below and a verb's own */

/** Sets the defaults. */
int run_options_init(struct run_options *o);
void run_options_clear(struct run_options *o);

/** Writes the long options to TABLE (of RUN_LONG_OPTIONS entries) and returns how many; the caller
 * appends its own, whose `val` must be below 1000, and the empty entry at the end. */
size_t run_options_long(struct option *table);

/** Takes one option as getopt_long(3) returned it. -EINVAL with a line that says what is wrong,
 * -ENOENT: it is none of these. */
int run_options_apply(struct run_options *o, int option, const char *value, struct error *e);

/** Parses a time: digits with an optional fraction and one of ms, s (default), m, h. */
int run_parse_time(const char *text, uint64_t *ret_usec);
