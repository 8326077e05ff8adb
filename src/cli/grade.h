/* What the files of `dockless grade` share. */
#pragma once

#include "cli/cli.h"
#include "config/task_file.h"
#include "wire/backend_side.h"

/** --input ID=VALUE or ID=@FILE, as given. */
struct grade_input {
    char *id;
    char *value; /* text or the file's bytes, SIZE of them */
    size_t size;
    char *file_name; /* NULL for plain text */
};

/** Longest file that --input takes; one frame carries them all. */
#define GRADE_FILE_MAX ((size_t)64 << 20)

/** Splits ARGUMENT and reads the file it names. Errors name the argument. RET is the caller's to
 * clear. */
int grade_input_parse(const char *argument, struct grade_input *ret, struct error *e);
void grade_input_clear(struct grade_input *input);

/** Encodes the submission as a frontend would send it: the inputs in the form each problem of TASK
 * wants, and the
 * "@" values every submission has. -EINVAL with a line for an input whose form does not fit. */
int grade_encode_inputs(const struct grade_input *inputs, size_t n, const struct task_file *task,
                        struct buffer *out, struct error *e);
/** Encodes environment_parameters from TASK, with the frontend's defaults. */
int grade_encode_parameters(const struct task_file *task, struct buffer *out);

/** Prints an AgentJobDone for a person (a teacher) or as JSON to stdout. Returns whether the grader
 * answered: its result is not "crash", "timeout", "overflow" or "killed". */
bool grade_print(const struct agent_message *m, const char *task, enum cli_format format,
                 double seconds);
