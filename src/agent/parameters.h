/* environment_parameters of a BackendNewJob -> plain numbers, with Python's int() rules
 * (upstream's agent, __new_job_sync). Pure logic. */
#pragma once

#include "wire/value.h"

/* Python's integers have no end; beyond these nothing differs any more. Both survive a conversion
 * to microseconds or bytes. */
#define JOB_SECONDS_MAX ((int64_t)1000000000)
#define JOB_MEMORY_MAX  ((int64_t)1 << 30)
/** A grading container gets no less than this, in MiB. */
#define JOB_MEMORY_MIN 20

struct job_parameters {
    int64_t time;      /* seconds of CPU; 0 or less: the job is to time out at once */
    int64_t hard_time; /* seconds of wall clock; likewise */
    int64_t disk;      /* MiB; 0: it says nothing */
    int64_t memory;    /* MiB, JOB_MEMORY_MIN to JOB_MEMORY_MAX */
    bool network;
    char *run_cmd; /* owned, NULL for nil */
};
void job_parameters_clear(struct job_parameters *p);

/** -EINVAL where upstream answers "The agent is unable to parse the parameters", and for a run_cmd
 * that is neither nil nor a plain str (upstream hands it on and the container crashes); -ENOMEM. */
int job_parameters_parse(struct wire_span parameters, struct job_parameters *ret);
