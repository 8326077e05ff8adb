/* Drawings for the page: inline SVG. */
#pragma once

#include "bench/show.h"

/** Colours that the page's style sheet has; further commands start again. */
#define CHART_COLOURS 6

/** Appends TEXT with what HTML would take for markup escaped. */
int chart_text(struct buffer *b, const char *text);

/** The distribution of METRIC over the runs, a row for each command: a density, the runs as dots,
 * the middle half as a bar and the median. */
int chart_distributions(const struct bench_result *r, size_t metric, struct buffer *b);
/** METRIC run by run, in the order of the rounds. */
int chart_series(const struct bench_result *r, size_t metric, struct buffer *b);
/** The ratios of METRIC to the first command with their intervals. */
int chart_ratios(const struct bench_result *r, size_t metric, struct buffer *b);
