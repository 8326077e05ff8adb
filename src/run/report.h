/* The report of a run as JSON: docs/run.md describes it. */
#pragma once

#include "run/plan.h"

/** Grows with every change that a reader could trip over. */
#define RUN_REPORT_VERSION 1

/** The report of a sandbox that ran, or was to. A new reference; NULL without memory. */
json_t *run_report(const struct run_plan *p, const struct sandbox_report *report);

/** Its counters alone: the object "usage". A counter that the kernel does not have is null. */
json_t *run_usage_json(const struct sandbox_report *report);

/** The report of a run that came to nothing because of E. P may be NULL. */
json_t *run_report_error(const struct run_plan *p, const struct error *e);

/** VALUE as a JSON text, null where it is NULL or not UTF-8 (as words of a command line may be). */
json_t *run_text_json(const char *value);
/** The same of a list that ends in NULL; NULL is an empty one. */
json_t *run_list_json(char *const *words);

/** Writes REPORT (and takes it) to TARGET: a file that is made anew, "-" (standard output) or
 * "fd:N". */
int run_report_write(json_t *report, const char *target, struct error *e);
