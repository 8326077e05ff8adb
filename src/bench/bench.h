/* dockless bench: commands measured against each other, each run in a fresh sandbox.
 *
 *   options.c  the command line
 *   cores.c    which CPUs the runs have for themselves
 *   measure.c  the runs: warm-up, then rounds in which each command runs once
 *   machine.c  what else the machine did meanwhile (machine.h)
 *   result.c   counters to summaries and ratios (stats.h)
 *   table.c json.c csv.c html.c   the four ways to show them (show.h) */
#pragma once

#include "bench/machine.h"
#include "bench/stats.h"
#include "run/plan.h"

/* Bounds. All that is measured is kept until the end, and shown. */
#define BENCH_COMMANDS_MAX 16
#define BENCH_RUNS_MAX     10000
#define BENCH_WARMUP_MAX   1000
#define BENCH_TOTAL_MAX    20000 /* runs of all commands together: 10 MB of JSON */

#define BENCH_RUNS_DEFAULT   10
#define BENCH_WARMUP_DEFAULT 1
/** Seed of the resampling: the same measurements give the same intervals. */
#define BENCH_SEED 20251127

enum bench_format { BENCH_TABLE, BENCH_JSON, BENCH_CSV };

struct bench_options {
    struct run_options run;
    unsigned runs, warmup;
    unsigned cores; /* to be reserved; 0: the runs have whatever CPUs there are */
    bool ignore_failure;
    enum bench_format format;
    const char *html; /* a file; NULL: none */
    const char *image;
    /* NULL-terminated, of argv; the first may be empty: the image's own. */
    char **commands[BENCH_COMMANDS_MAX];
    size_t n_commands;
};

/** Parses `bench [OPTIONS] IMAGE [--] COMMAND [--vs -- COMMAND]...`; ends each command in ARGV with
 * a NULL. 1: --help was asked for; -EINVAL with a line that says what is wrong. The caller clears
 * RET, also after a failure. */
int bench_options_parse(int argc, char **argv, struct bench_options *ret, struct error *e);
void bench_options_clear(struct bench_options *o);

enum bench_metric {
    BENCH_WALL,
    BENCH_CPU, /* user and system */
    BENCH_USER,
    BENCH_SYSTEM,
    BENCH_MEMORY,
    BENCH_TASKS,
    BENCH_READ,
    BENCH_WRITE,
    BENCH_VOLUNTARY,
    BENCH_INVOLUNTARY,
    BENCH_THROTTLED,
    BENCH_CPU_PRESSURE,
    BENCH_MEMORY_PRESSURE,
    BENCH_IO_PRESSURE,
    BENCH_METRICS_,
};

enum bench_unit { BENCH_TIME, BENCH_BYTES, BENCH_COUNT };

struct bench_metric_info {
    const char *key;   /* in JSON and CSV */
    const char *title; /* for people */
    enum bench_unit unit;
    bool compared; /* worth a ratio */
};

extern const struct bench_metric_info bench_metrics[BENCH_METRICS_];

struct bench_run {
    uint64_t counters[BENCH_METRICS_]; /* SANDBOX_ABSENT where this kernel has none */
    uint32_t position;                 /* within its round, from 0 */
    enum sandbox_verdict verdict;
    int exit_status; /* as of `dockless run` */
};

struct bench_command {
    char **argv; /* as it was run, owned */
    char *text;  /* for people: quoted as a shell has it */
    struct bench_run *runs;
    size_t failures;
    struct stats_summary summaries[BENCH_METRICS_]; /* n 0: the kernel does not tell */
    struct stats_interval ratios[BENCH_METRICS_];   /* to the first command's; value 0: none */
};

struct bench_result {
    const struct bench_options *options; /* the caller's, must outlive the result */
    char *image, *digest;                /* digest: "" for a directory */
    char *cpus, *siblings; /* lists: reserved, and kept idle beside them; NULL: nothing reserved */
    int64_t started_unix;
    uint64_t elapsed_usec; /* of the rounds */
    struct bench_command commands[BENCH_COMMANDS_MAX];
    size_t n_commands, n_rounds;
    struct machine_noise noise;
    char **warnings; /* lines */
};

void bench_result_free(struct bench_result *r);
DEFINE_CLEANUP(struct bench_result, bench_result_free)

/** Cores for a benchmark and what must stay idle for them. */
struct bench_cores {
    struct cpus cpus;     /* one thread of each core */
    struct cpus siblings; /* their other threads */
    struct cpus others;   /* of other cores: where this program itself goes; may be empty */
};

/** Chooses WANTED of N cores, all of one memory node, the last ones: the first takes most
 * interrupts. -E2BIG: no node has so many. */
int bench_cores_choose(const struct cpu_core *cores, size_t n, unsigned wanted,
                       struct bench_cores *ret);

/** Called when a run has ended, for a progress line. DONE of TOTAL runs, warm-up included. */
typedef void (*bench_progress_fn)(void *data, size_t done, size_t total, const char *command);

/** Runs all of it: image, launcher, warm-up, rounds, summaries. A run that fails ends it with
 * -ECANCELED unless failures are ignored. */
int bench_measure(const struct bench_options *o, bench_progress_fn progress, void *data,
                  struct bench_result **ret, struct error *e);

/** Fills summaries, ratios and warnings from the runs. */
int bench_result_evaluate(struct bench_result *r, struct error *e);

/** Takes over what REPORT says. */
void bench_run_set(struct bench_run *run, const struct sandbox_report *report);

/** Bytes of a command as it is shown; JSON has all of it. */
#define BENCH_TEXT_MAX 200
/** ARGV as a line that a shell would take, where it is not too long for one and can be shown. NULL
 * without memory. */
char *bench_quote(char *const *argv);
