#include "bench/axis.h"

#include "bench/mathematics.h"

#include <math.h>

#define MARKS 6 /* about so many */
/* An axis that would begin below this share of its end begins at 0. */
#define FROM_ZERO 0.4
/* What is drawn around values that are all the same. */
#define AROUND_EQUAL 0.05

/* The round number next to ROUGH: 1, 2 or 5 times a power of ten. */
static double round_step(double rough)
{
    double power = bench_pow(10, bench_floor(bench_log10(rough)));
    double digit = rough / power;

    return power * (digit < 1.5 ? 1 : digit < 3.5 ? 2 : digit < 7.5 ? 5 : 10);
}

struct axis axis_make(double low, double high, enum bench_unit unit, double start, double end)
{
    struct axis a = {.start = start, .end = end};
    double step, from = low, to = high;

    a.per = bench_unit_of(high, unit, &a.unit);
    if (!(from < to)) {
        double around = MAX(fabs(high) * AROUND_EQUAL, a.per * AROUND_EQUAL);
        from = high - around;
        to = high + around;
    }
    if (from < 0 || from < FROM_ZERO * to)
        from = 0;
    step = round_step((to - from) / MARKS / a.per);
    a.step = step * a.per;
    a.from = bench_floor(from / a.step) * a.step;
    a.to = bench_ceil(to / a.step) * a.step;
    a.digits = step >= 1 ? 0 : (int)bench_ceil(-bench_log10(step) - 1e-9);
    return a;
}

double axis_place(const struct axis *a, double value)
{
    return a->start + (a->end - a->start) * (value - a->from) / (a->to - a->from);
}

size_t axis_steps(const struct axis *a)
{
    return (size_t)((a->to - a->from) / a->step + 0.5);
}
