/* The check of a grader's `result` map: accepted keys and types, defaults, rounding and every
 * refusal text, word for word as upstream's (protocol.md section 2, "Result of a grading
 * container"). Pure logic. */
#pragma once

#include "wire/value.h"

struct grading_result {
    char *result, *text, *state, *stdout_text,
        *stderr_text; /* owned; may hold NULs: sizes beside them */
    size_t result_size, text_size, state_size, stdout_size, stderr_size;
    double grade;
    struct buffer problems, tests, custom; /* encoded maps; empty buffer means {} */
    struct buffer archive;
    bool has_archive;
};
void grading_result_clear(struct grading_result *r);

/** Checks RESULT (NULL: the container sent none) and always fills RET with what is to be answered:
 * on a refusal that is "crash", the text, grade 0.0 and defaults. Returns 0, 1 for a refusal,
 * -ENOMEM. */
int grading_result_check(const msgpack_object *result, struct grading_result *ret);
