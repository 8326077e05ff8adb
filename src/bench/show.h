/* The ways to show a benchmark. Each appends to a buffer; nothing is written here. */
#pragma once

#include "bench/bench.h"

/** Version of the JSON, docs/bench.md describes it: grows with every change a reader could trip
 * over. */
#define BENCH_JSON_VERSION 1
/** An image of 20,000 runs in any form is smaller. */
#define BENCH_OUTPUT_MAX ((size_t)32 << 20)

/** A table for a terminal. */
int bench_show_table(const struct bench_result *r, struct buffer *b);
int bench_show_json(const struct bench_result *r, struct buffer *b);
/** A line for each run, under a line of names. */
int bench_show_csv(const struct bench_result *r, struct buffer *b);
/** A page that needs nothing from outside. */
int bench_show_html(const struct bench_result *r, struct buffer *b);

/** How much one of the unit is that a person would choose for VALUE, and its name ("": none). */
double bench_unit_of(double value, enum bench_unit unit, const char **ret_name);

#define BENCH_VALUE_SIZE 32
/** VALUE with the unit a person would choose: "12.3 ms", "4.0 MiB", "17". */
const char *bench_value_text(double value, enum bench_unit unit, char text[BENCH_VALUE_SIZE]);
