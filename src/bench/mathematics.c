#include "bench/mathematics.h"

#include "base/cleanup.h"
#include "base/library.h"

#include <math.h>
#include <stdbool.h>

#define LIBRARY "libm.so.6" /* of the C library itself */

static struct {
    double (*pow)(double, double);
    double (*exp)(double);
    double (*log10)(double);
    double (*sqrt)(double);
    double (*floor)(double);
    double (*ceil)(double);
} lib;

static bool load(void)
{
    static const struct library_symbol symbols[] = {
        {"pow", &lib.pow},     {"exp", &lib.exp},   {"log10", &lib.log10}, {"sqrt", &lib.sqrt},
        {"floor", &lib.floor}, {"ceil", &lib.ceil}, /* the last: all are there */
    };

    return lib.ceil || library_load(LIBRARY, symbols, ARRAY_SIZE(symbols)) == 0;
}

double bench_pow(double base, double exponent)
{
    return load() ? lib.pow(base, exponent) : NAN;
}

double bench_exp(double x)
{
    return load() ? lib.exp(x) : NAN;
}

double bench_log10(double x)
{
    return load() ? lib.log10(x) : NAN;
}

double bench_sqrt(double x)
{
    return load() ? lib.sqrt(x) : NAN;
}

double bench_floor(double x)
{
    return load() ? lib.floor(x) : NAN;
}

double bench_ceil(double x)
{
    return load() ? lib.ceil(x) : NAN;
}
