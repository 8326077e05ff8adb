/* What one job may use and send, for all jobs or for those of one environment. */
#pragma once

#include "config/settings.h"

#include <runtime/sandbox.h>

/** The kernel's PID_MAX_LIMIT. */
#define LIMIT_PIDS_MAX ((uint64_t)4 << 20)
/** Grading images allow their worker 1000 processes; room for the grader's own beside them. */
#define LIMIT_PIDS_DEFAULT 4096
/** A result below it is no result; above it no backend takes one (WIRE_FRAME_MAX). */
#define LIMIT_FRAME_MIN     ((uint64_t)64 << 10)
#define LIMIT_FRAME_MAX     ((uint64_t)256 << 20)
#define LIMIT_FRAME_DEFAULT ((uint64_t)64 << 20)
/** An archive travels inside a frame, in base64, so there is none above it. */
#define LIMIT_ARCHIVE_DEFAULT LIMIT_FRAME_DEFAULT
/** Upstream has no bound; each student container may take as much memory as its grader. */
#define LIMIT_STUDENTS_MAX     1000
#define LIMIT_STUDENTS_DEFAULT 32
/** Thirty years: more than any job. */
#define LIMIT_TIME_MAX ((uint64_t)1000000000)
/** Upstream gives no grader less (20 MiB). */
#define LIMIT_MEMORY_MIN ((uint64_t)20 << 20)
#define LIMIT_MEMORY_MAX ((uint64_t)1 << 50)

/** What per cents of a CPU are in sandbox_limits.cpu_share. */
#define LIMIT_CPU_UNIT 10

/** A limit of an environment that says nothing. */
#define LIMIT_UNSET UINT64_MAX

struct job_limits {
    uint64_t pids;      /* processes and threads in one container; 0: no limit */
    uint64_t files;     /* open in each process; 0: what one slot has of the agent's */
    uint64_t frame;     /* bytes in one message of a grader */
    uint64_t archive;   /* bytes of an archive in a result */
    uint64_t students;  /* student containers at once */
    uint64_t time;      /* seconds of processor time, the most a task can have; 0: no bound */
    uint64_t hard_time; /* seconds of wall time, likewise */
    uint64_t memory;    /* bytes, likewise; 0: what one slot has of the host */
    uint64_t disk;      /* bytes written to a container's own files, the most a task can have; 0: no
                           limit, whatever the task says */
    uint64_t inodes;    /* files there; 0: as many as fit */
    uint64_t output;    /* bytes a grader writes on stdout and stderr; 0: no limit */
    uint64_t cpu;       /* per cent of one CPU; 0: all there are */
    uint64_t io_weight; /* 1 to 10000 beside the 100 of others; 0: 100 */
};

/** Those of enum launcher_limit that L has; LIMIT_UNSET ones are none. */
unsigned job_limits_needed(const struct job_limits *l);

/** The keys of struct job_limits. */
struct settings job_limits_settings(void);
void job_limits_init(struct job_limits *l);
/** All LIMIT_UNSET. */
void job_limits_unset(struct job_limits *l);
/** L where it says something, else OTHERS. */
struct job_limits job_limits_over(const struct job_limits *l, const struct job_limits *others);
