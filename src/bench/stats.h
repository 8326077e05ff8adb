/* Statistics of repeated measurements. Pure: numbers in, numbers out. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct stats_summary {
    size_t n;
    double min, median, p95, max, mean;
    double deviation; /* of the sample, with n - 1; 0 where n is 1 */
};

/** A value that was estimated, and the bounds between which the true one lies with
 * STATS_CONFIDENCE. */
struct stats_interval {
    double value, low, high;
};

#define STATS_CONFIDENCE 0.95
/** With fewer pairs resampling cannot tell anything about the tails. */
#define STATS_PAIRS_MIN 6

/** The quantile Q (0 to 1) of N > 0 sorted values, interpolated between the two nearest ones
 * (Hyndman and Fan's type 7, that of R and NumPy). */
double stats_quantile(const double *sorted, size_t n, double q);

/** Summarizes N > 0 values, in any order. -ENOMEM. */
int stats_summarize(const double *values, size_t n, struct stats_summary *ret);

/** The ratio of the median of OTHER to the median of BASE, with a confidence interval by the paired
 * bootstrap: OTHER[i] and BASE[i] were measured side by side, and are drawn together, so that what
 * disturbed both does not widen the interval. The same SEED gives the same interval.
 * -ERANGE: fewer than STATS_PAIRS_MIN pairs, or medians of 0, which nothing is a multiple of.
 * -ENOMEM. */
int stats_ratio(const double *base, const double *other, size_t n, uint64_t seed,
                struct stats_interval *ret);

/** How many of N values lie further from the median than OUTLIER_DEVIATIONS times the median
 * distance from it (scaled to be the standard deviation of a normal distribution). -ENOMEM. */
int stats_outliers(const double *values, size_t n, size_t *ret);
#define STATS_OUTLIER_DEVIATIONS 5.0

/** The next number of a deterministic sequence (SplitMix64); *STATE is the seed. */
uint64_t stats_random(uint64_t *state);
