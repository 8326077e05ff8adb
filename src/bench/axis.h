/* An axis with round numbers on it. */
#pragma once

#include "bench/show.h"

struct axis {
    double from, to, step; /* values: the ends and the distance of the marks are round numbers */
    double per;            /* one of `unit` in values */
    const char *unit;
    int digits;        /* behind the point, for the marks */
    double start, end; /* where the ends are drawn */
};

/** An axis on which LOW to HIGH fit, drawn from START to END. */
struct axis axis_make(double low, double high, enum bench_unit unit, double start, double end);

/** Where VALUE is drawn. */
double axis_place(const struct axis *a, double value);

/** How many steps there are from one end to the other. */
size_t axis_steps(const struct axis *a);
