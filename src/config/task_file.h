/* A task's task.yaml, as far as running it needs: environment, limits, run command, problems. Used
 * by `dockless grade`, where no frontend has read it. Documented in INGInious' teacher
 * documentation, "task.yaml". */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

#define TASK_FILE_MAX ((size_t)1 << 20)

struct task_problem {
    char *id;
    char *type;    /* "code", "multiple_choice", ... */
    bool multiple; /* several choices may be given: the input is a list */
};

struct task_file {
    char *name;             /* title, NULL where absent */
    char *environment_type; /* default "docker" */
    char *environment;      /* environment_id, default "default" */
    char *run_cmd;          /* NULL: none */
    bool network_grading;
    double time, hard_time, memory; /* whole numbers from 1 to 1e9; < 0 where absent */
    bool has_limits;
    struct task_problem *problems;
    size_t n_problems;
};
void task_file_clear(struct task_file *t);

/** Parses TEXT; errors read "PATH:LINE:COLUMN: what". Both layouts are known:
 * environment_id/environment_parameters.limits and the older environment/limits at the top. Unknown
 * keys are ignored (they are the frontend's). */
int task_file_parse(const char *path, const char *text, size_t size, struct task_file *ret,
                    struct error *e);
