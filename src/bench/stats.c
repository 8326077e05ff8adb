#include "bench/stats.h"

#include "base/cleanup.h"
#include "bench/mathematics.h"

#include <math.h>
#include <string.h>

/* Resamples: more where they are cheap. Beyond 10,000 the bounds no longer move visibly. */
#define RESAMPLES_MAX   10000
#define RESAMPLES_MIN   2000
#define DRAWS_WANTED    ((size_t)20000000)
#define NORMAL_DISTANCE 1.4826 /* standard deviation of a normal distribution / median distance */

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double *sorted_copy(const double *values, size_t n)
{
    double *copy = malloc(n * sizeof(*copy));

    if (!copy)
        return NULL;
    memcpy(copy, values, n * sizeof(*copy));
    qsort(copy, n, sizeof(*copy), compare_doubles);
    return copy;
}

double stats_quantile(const double *sorted, size_t n, double q)
{
    double position = q * (double)(n - 1);
    size_t below = (size_t)position;

    if (below + 1 >= n)
        return sorted[n - 1];
    return sorted[below] + (position - (double)below) * (sorted[below + 1] - sorted[below]);
}

int stats_summarize(const double *values, size_t n, struct stats_summary *ret)
{
    _cleanup_free_ double *sorted = sorted_copy(values, n);
    double sum = 0, squares = 0, mean;

    if (!sorted)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++)
        sum += sorted[i];
    mean = sum / (double)n;
    for (size_t i = 0; i < n; i++)
        squares += (sorted[i] - mean) * (sorted[i] - mean);
    *ret = (struct stats_summary){
        .n = n,
        .min = sorted[0],
        .median = stats_quantile(sorted, n, 0.5),
        .p95 = stats_quantile(sorted, n, 0.95),
        .max = sorted[n - 1],
        .mean = mean,
        .deviation = n > 1 ? bench_sqrt(squares / (double)(n - 1)) : 0,
    };
    return 0;
}

uint64_t stats_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

/* One side of the pairs: a resample is counted by rank, so that its median needs no sorting. */
struct side {
    double *sorted;
    uint32_t *rank;  /* of value i */
    uint32_t *drawn; /* how often the value of a rank is in the resample */
};

static void side_clear(struct side *s)
{
    free(s->sorted);
    free(s->rank);
    free(s->drawn);
}

/* The rank of VALUE: equal values share the first one's, which changes no median. */
static uint32_t rank_of(const double *sorted, size_t n, double value)
{
    size_t low = 0, high = n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (sorted[middle] < value)
            low = middle + 1;
        else
            high = middle;
    }
    return (uint32_t)low;
}

static int side_init(struct side *s, const double *values, size_t n)
{
    s->sorted = sorted_copy(values, n);
    s->rank = calloc(n, sizeof(*s->rank));
    s->drawn = calloc(n, sizeof(*s->drawn));
    if (!s->sorted || !s->rank || !s->drawn)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++)
        s->rank[i] = rank_of(s->sorted, n, values[i]);
    return 0;
}

/* The median of the N values drawn; forgets them. */
static double drawn_median(struct side *s, size_t n)
{
    size_t lower = (n - 1) / 2, upper = n / 2, seen = 0;
    double low = 0, high = 0;

    for (size_t rank = 0; rank < n; rank++) {
        size_t before = seen;
        seen += s->drawn[rank];
        if (before <= lower && lower < seen)
            low = s->sorted[rank];
        if (before <= upper && upper < seen)
            high = s->sorted[rank];
    }
    memset(s->drawn, 0, n * sizeof(*s->drawn));
    return (low + high) / 2;
}

static int resample(struct side *base, struct side *other, size_t n, uint64_t seed, double *ratios,
                    size_t count)
{
    for (size_t i = 0; i < count; i++) {
        double median;
        for (size_t draw = 0; draw < n; draw++) {
            size_t pair = (size_t)((stats_random(&seed) >> 32) * n >> 32);
            base->drawn[base->rank[pair]]++;
            other->drawn[other->rank[pair]]++;
        }
        median = drawn_median(base, n);
        ratios[i] = drawn_median(other, n);
        if (median <= 0)
            return -ERANGE;
        ratios[i] /= median;
    }
    return 0;
}

int stats_ratio(const double *base, const double *other, size_t n, uint64_t seed,
                struct stats_interval *ret)
{
    _cleanup_(side_clear) struct side a = {0}, b = {0};
    size_t count = n ? DRAWS_WANTED / n : 0;
    _cleanup_free_ double *ratios = NULL;
    double median;
    int r;

    if (n < STATS_PAIRS_MIN)
        return -ERANGE;
    count = MAX(MIN(count, (size_t)RESAMPLES_MAX), (size_t)RESAMPLES_MIN);
    ratios = malloc(count * sizeof(*ratios));
    r = ratios ? side_init(&a, base, n) : -ENOMEM;
    if (r == 0)
        r = side_init(&b, other, n);
    if (r == 0)
        r = resample(&a, &b, n, seed, ratios, count);
    if (r != 0)
        return r;
    median = stats_quantile(a.sorted, n, 0.5);
    if (median <= 0)
        return -ERANGE;
    qsort(ratios, count, sizeof(*ratios), compare_doubles);
    *ret = (struct stats_interval){
        .value = stats_quantile(b.sorted, n, 0.5) / median,
        .low = stats_quantile(ratios, count, (1 - STATS_CONFIDENCE) / 2),
        .high = stats_quantile(ratios, count, (1 + STATS_CONFIDENCE) / 2),
    };
    return 0;
}

int stats_outliers(const double *values, size_t n, size_t *ret)
{
    _cleanup_free_ double *distances = sorted_copy(values, n);
    double median, bound;
    size_t found = 0;

    if (!distances)
        return -ENOMEM;
    median = stats_quantile(distances, n, 0.5);
    for (size_t i = 0; i < n; i++)
        distances[i] = fabs(values[i] - median);
    qsort(distances, n, sizeof(*distances), compare_doubles);
    bound = STATS_OUTLIER_DEVIATIONS * NORMAL_DISTANCE * stats_quantile(distances, n, 0.5);
    for (size_t i = 0; i < n; i++)
        found += distances[i] > bound;
    *ret = found;
    return 0;
}
