/* What bench needs of libm, loaded when it is first called: linked, it would be loaded by every
 * verb. */
#pragma once

/** As pow(3), exp(3), log10(3), sqrt(3), floor(3) and ceil(3); NAN where libm.so.6 is not there. */
double bench_pow(double base, double exponent);
double bench_exp(double x);
double bench_log10(double x);
double bench_sqrt(double x);
double bench_floor(double x);
double bench_ceil(double x);
