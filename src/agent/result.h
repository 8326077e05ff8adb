/* The check of a grader's `result` map: accepted keys and types, defaults, rounding and every
 * refusal text, word for word as upstream's (handle_job_closing). Pure logic.
 *
 * One difference: of a key that is there twice every value is checked, not only the last. */
#pragma once

#include "wire/generation.h"
#include "wire/value.h"

/** Deepest nesting inside problems, tests and custom. The backend copies messages by recursion and
 * the frontend stores them in MongoDB, which takes 100 levels. */
#define GRADING_RESULT_DEPTH_MAX 96

struct grading_result {
    char *result, *text, *state, *stdout_text,
        *stderr_text; /* owned, never NULL; NUL-terminated, may hold NULs: sizes beside them */
    size_t result_size, text_size, state_size, stdout_size, stderr_size;
    double grade;                          /* rounded to two digits */
    struct buffer problems, tests, custom; /* encoded maps; an empty buffer means {} */
    struct buffer archive;
    bool has_archive;
    bool has_grade;   /* the grader gave one; else it is 100.0 for "success" and 0.0 for all else */
    bool keeps_state; /* refused before the state was taken: the answer's state is the one that the
                         job came with, not the empty one here */
};
void grading_result_clear(struct grading_result *r);

/** Checks RESULT (one scanned value; an empty span: the container sent none) by the RULES of the
 * backend's generation, where an archive may have ARCHIVE_MAX bytes, and always fills RET with what
 * is to be answered: on a refusal that is "crash", the text, grade 0.0 and defaults (an archive
 * that cannot be decoded is found last and leaves the other fields as they were given). Returns 0,
 * 1 for a refusal, -ENOMEM. RET must be zero or cleared before. */
int grading_result_check(const struct wire_rules *rules, size_t archive_max,
                         struct wire_span result, struct grading_result *ret);
