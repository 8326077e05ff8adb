/* environment_parameters of a BackendNewJob -> plain numbers, with Python's int() rules
 * (protocol.md section 2). */
#pragma once

#include "wire/value.h"

struct job_parameters {
    int64_t time;      /* seconds of CPU */
    int64_t hard_time; /* seconds of wall clock */
    int64_t memory;    /* MiB, at least 20 */
    bool network;
    char *run_cmd; /* owned, NULL for nil */
};
void job_parameters_clear(struct job_parameters *p);

/** -EINVAL where upstream answers "The agent is unable to parse the parameters". */
int job_parameters_parse(const msgpack_object *parameters, struct job_parameters *ret);
