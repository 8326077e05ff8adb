#include "bench/chart.h"

#include "bench/axis.h"
#include "bench/mathematics.h"

#include <math.h>
#include <string.h>

#define WIDTH        920.0
#define MARGIN       16.0
#define ROW_HEIGHT   112.0
#define CURVE_HEIGHT 44.0
#define CURVE_POINTS 160
/* Drawn of each command: what stands for more runs than these. */
#define DOTS_MAX   600
#define SERIES_MAX 1000
/* Up to here every run of the series is a dot with its value. */
#define SERIES_DOTS_MAX 200
#define SERIES_HEIGHT   260.0
#define SERIES_LEFT     64.0
#define RATIO_ROW       40.0
#define RATIO_LEFT      220.0

int chart_text(struct buffer *b, const char *text)
{
    int r = 0;

    for (; r == 0 && *text; text++) {
        switch (*text) {
        case '&':
            r = buffer_printf(b, "&amp;");
            break;
        case '<':
            r = buffer_printf(b, "&lt;");
            break;
        case '>':
            r = buffer_printf(b, "&gt;");
            break;
        case '"':
            r = buffer_printf(b, "&quot;");
            break;
        default:
            r = buffer_append(b, text, 1);
        }
    }
    return r;
}

static int open_svg(struct buffer *b, double height, const char *label)
{
    return buffer_printf(b, "<svg viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-label=\"%s\">\n",
                         WIDTH, height, label);
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* The values of METRIC in the order of the rounds. NULL without memory. */
static double *values_of(const struct bench_result *r, const struct bench_command *c, size_t metric)
{
    double *values = calloc(r->n_rounds, sizeof(*values));

    for (size_t i = 0; values && i < r->n_rounds; i++)
        values[i] = (double)c->runs[i].counters[metric];
    return values;
}

/* An axis for METRIC over all commands. */
static struct axis axis_of(const struct bench_result *r, size_t metric, double start, double end)
{
    double low = INFINITY, high = 0;

    for (size_t i = 0; i < r->n_commands; i++) {
        const struct stats_summary *s = &r->commands[i].summaries[metric];
        if (s->n == 0)
            continue;
        low = MIN(low, s->min);
        high = MAX(high, s->max);
    }
    return axis_make(low, high, bench_metrics[metric].unit, start, end);
}

/* ---- distributions ---- */

static int draw_scale(const struct axis *a, double top, double bottom, struct buffer *b)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i <= axis_steps(a); i++) {
        double at = a->from + (double)i * a->step;
        r = buffer_printf(b,
                          "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.0f\" y2=\"%.0f\"/>"
                          "<text class=\"tick\" x=\"%.1f\" y=\"%.0f\" text-anchor=\"middle\">%.*f"
                          " %s</text>\n",
                          axis_place(a, at), axis_place(a, at), top, bottom, axis_place(a, at),
                          bottom + 16, a->digits, at / a->per, a->unit);
    }
    return r;
}

/* Silverman's rule; at least what one can see. */
static double bandwidth(const struct stats_summary *s, const double *sorted, const struct axis *a)
{
    double spread =
        (stats_quantile(sorted, s->n, 0.75) - stats_quantile(sorted, s->n, 0.25)) / 1.34;

    if (spread <= 0 || spread > s->deviation)
        spread = s->deviation;
    return MAX(0.9 * spread * bench_pow((double)s->n, -0.2), (a->to - a->from) / 150);
}

static int draw_curve(const struct bench_command *c, size_t metric, const double *sorted,
                      const struct axis *a, double base, struct buffer *b)
{
    const struct stats_summary *s = &c->summaries[metric];
    double width = bandwidth(s, sorted, a), heights[CURVE_POINTS + 1], highest = 0;
    size_t samples = MIN(s->n, (size_t)DOTS_MAX);
    int r = buffer_printf(b, "<path class=\"curve\" d=\"M%.1f %.1f", a->start, base);

    for (size_t i = 0; i <= CURVE_POINTS; i++) {
        double x = a->from + (a->to - a->from) * (double)i / CURVE_POINTS;
        heights[i] = 0;
        for (size_t k = 0; k < samples; k++) {
            double at = stats_quantile(sorted, s->n, ((double)k + 0.5) / (double)samples);
            heights[i] += bench_exp(-(x - at) * (x - at) / (2 * width * width));
        }
        highest = MAX(highest, heights[i]);
    }
    for (size_t i = 0; r == 0 && i <= CURVE_POINTS && highest > 0; i++)
        r = buffer_printf(b, "L%.1f %.1f",
                          a->start + (a->end - a->start) * (double)i / CURVE_POINTS,
                          base - CURVE_HEIGHT * heights[i] / highest);
    return r < 0 ? r : buffer_printf(b, "L%.1f %.1fZ\"/>\n", a->end, base);
}

static int draw_dots(const struct bench_command *c, size_t metric, const double *sorted,
                     const struct axis *a, double top, struct buffer *b)
{
    size_t n = c->summaries[metric].n, drawn = MIN(n, (size_t)DOTS_MAX);
    uint64_t random = BENCH_SEED;
    int r = buffer_printf(b, "<g class=\"dots\">");

    for (size_t i = 0; r == 0 && i < drawn; i++) {
        double value =
            n <= DOTS_MAX ? sorted[i] : stats_quantile(sorted, n, (double)i / (double)(drawn - 1));
        /* Only so that equal ones do not hide each other. */
        double shift = (double)(stats_random(&random) >> 40) / (double)(1 << 24);
        r = buffer_printf(b, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"2.6\"/>", axis_place(a, value),
                          top + 12 * shift);
    }
    return r < 0 ? r : buffer_printf(b, "</g>\n");
}

static int draw_middle(const struct bench_command *c, size_t metric, const double *sorted,
                       const struct axis *a, double base, struct buffer *b)
{
    const struct stats_summary *s = &c->summaries[metric];
    double left = axis_place(a, stats_quantile(sorted, s->n, 0.25));
    double right = axis_place(a, stats_quantile(sorted, s->n, 0.75));
    double median = axis_place(a, s->median);

    return buffer_printf(b,
                         "<rect class=\"half\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"4\" "
                         "rx=\"2\"/><line class=\"median\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" "
                         "y2=\"%.1f\"/>\n",
                         left, base + 20, MAX(right - left, 1.0), median, median, base - 6,
                         base + 28);
}

static int draw_row(const struct bench_result *result, size_t i, size_t metric,
                    const struct axis *a, struct buffer *b)
{
    const struct bench_command *c = &result->commands[i];
    const struct stats_summary *s = &c->summaries[metric];
    _cleanup_free_ double *sorted = values_of(result, c, metric);
    double base = ROW_HEIGHT * (double)i + 30 + CURVE_HEIGHT;
    char median[BENCH_VALUE_SIZE], deviation[BENCH_VALUE_SIZE];
    enum bench_unit unit = bench_metrics[metric].unit;
    int r;

    if (s->n == 0)
        return 0;
    if (!sorted)
        return -ENOMEM;
    qsort(sorted, s->n, sizeof(*sorted), compare_doubles);
    r = buffer_printf(b,
                      "<g class=\"c%zu\"><text class=\"name\" x=\"%.0f\" y=\"%.0f\">%zu</text>"
                      "<text class=\"label\" x=\"%.0f\" y=\"%.0f\">median %s, deviation %s</text>",
                      i % CHART_COLOURS, a->start, base - CURVE_HEIGHT - 12, i + 1, a->start + 18,
                      base - CURVE_HEIGHT - 12, bench_value_text(s->median, unit, median),
                      bench_value_text(s->deviation, unit, deviation));
    if (r == 0)
        r = draw_curve(c, metric, sorted, a, base, b);
    if (r == 0)
        r = draw_dots(c, metric, sorted, a, base + 4, b);
    if (r == 0)
        r = draw_middle(c, metric, sorted, a, base, b);
    return r < 0 ? r : buffer_printf(b, "</g>\n");
}

int chart_distributions(const struct bench_result *result, size_t metric, struct buffer *b)
{
    struct axis a = axis_of(result, metric, MARGIN + 12, WIDTH - MARGIN - 22);
    double bottom = ROW_HEIGHT * (double)result->n_commands + 4;
    int r = open_svg(b, bottom + 24, "distributions");

    if (r == 0)
        r = draw_scale(&a, 4, bottom, b);
    for (size_t i = 0; r == 0 && i < result->n_commands; i++)
        r = draw_row(result, i, metric, &a, b);
    return r < 0 ? r : buffer_printf(b, "</svg>\n");
}

/* ---- the series ---- */

static int draw_levels(const struct axis *a, struct buffer *b)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i <= axis_steps(a); i++) {
        double at = a->from + (double)i * a->step;
        r = buffer_printf(b,
                          "<line class=\"grid\" x1=\"%.0f\" x2=\"%.0f\" y1=\"%.1f\" y2=\"%.1f\"/>"
                          "<text class=\"tick\" x=\"%.0f\" y=\"%.1f\" text-anchor=\"end\">%.*f "
                          "%s</text>\n",
                          SERIES_LEFT, WIDTH - MARGIN, axis_place(a, at), axis_place(a, at),
                          SERIES_LEFT - 8, axis_place(a, at) + 4, a->digits, at / a->per, a->unit);
    }
    return r;
}

static double round_place(size_t round, size_t rounds)
{
    return SERIES_LEFT + 10 +
           (WIDTH - MARGIN - SERIES_LEFT - 20) *
               (rounds > 1 ? (double)round / (double)(rounds - 1) : 0.5);
}

static int draw_points(const struct bench_result *result, size_t metric, const double *values,
                       const struct axis *a, struct buffer *b)
{
    char text[BENCH_VALUE_SIZE];
    int r = 0;

    for (size_t i = 0; r == 0 && i < result->n_rounds; i++)
        r = buffer_printf(
            b, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\"><title>round %zu: %s</title></circle>",
            round_place(i, result->n_rounds), axis_place(a, values[i]), i + 1,
            bench_value_text(values[i], bench_metrics[metric].unit, text));
    return r;
}

/* VALUES in as many stretches as can be drawn, each by its median. */
static int draw_line(const struct bench_result *result, double *values, const struct axis *a,
                     struct buffer *b)
{
    size_t n = result->n_rounds, points = MIN(n, (size_t)SERIES_MAX);
    int r = buffer_printf(b, "<path class=\"line\" d=\"");

    for (size_t i = 0; r == 0 && i < points; i++) {
        size_t first = i * n / points, last = (i + 1) * n / points;
        double value = values[first];
        if (last - first > 1) {
            qsort(values + first, last - first, sizeof(*values), compare_doubles);
            value = stats_quantile(values + first, last - first, 0.5);
        }
        r = buffer_printf(b, "%s%.1f %.1f", i == 0 ? "M" : "L", round_place(first, n),
                          axis_place(a, value));
    }
    return r < 0 ? r : buffer_printf(b, "\"/>");
}

int chart_series(const struct bench_result *result, size_t metric, struct buffer *b)
{
    struct axis a = axis_of(result, metric, SERIES_HEIGHT, 12);
    int r = open_svg(b, SERIES_HEIGHT + 28, "run by run");

    if (r == 0)
        r = draw_levels(&a, b);
    for (size_t i = 0; r == 0 && i < result->n_commands; i++) {
        const struct bench_command *c = &result->commands[i];
        _cleanup_free_ double *values = values_of(result, c, metric);
        if (c->summaries[metric].n == 0)
            continue;
        if (!values)
            return -ENOMEM;
        r = buffer_printf(b, "<g class=\"c%zu\">", i % CHART_COLOURS);
        if (r == 0 && result->n_rounds <= SERIES_DOTS_MAX)
            r = draw_points(result, metric, values, &a, b);
        if (r == 0)
            r = draw_line(result, values, &a, b);
        if (r == 0)
            r = buffer_printf(b, "</g>\n");
    }
    if (r == 0)
        r = buffer_printf(b,
                          "<text class=\"tick\" x=\"%.0f\" y=\"%.0f\">round 1</text><text "
                          "class=\"tick\" x=\"%.0f\" y=\"%.0f\" text-anchor=\"end\">%zu</text>",
                          SERIES_LEFT, SERIES_HEIGHT + 20, WIDTH - MARGIN, SERIES_HEIGHT + 20,
                          result->n_rounds);
    return r < 0 ? r : buffer_printf(b, "</svg>\n");
}

/* ---- ratios ---- */

static struct axis ratio_axis(const struct bench_result *result, size_t metric)
{
    double low = 1, high = 1;

    for (size_t i = 1; i < result->n_commands; i++) {
        const struct stats_interval *ratio = &result->commands[i].ratios[metric];
        if (ratio->value <= 0)
            continue;
        low = MIN(low, ratio->low);
        high = MAX(high, ratio->high);
    }
    return axis_make(low, high, BENCH_COUNT, RATIO_LEFT, WIDTH - MARGIN - 20);
}

int chart_ratios(const struct bench_result *result, size_t metric, struct buffer *b)
{
    struct axis a = ratio_axis(result, metric);
    double bottom = RATIO_ROW * (double)(result->n_commands - 1) + 4;
    int r = open_svg(b, bottom + 24, "ratios");

    if (r == 0)
        r = draw_scale(&a, 4, bottom, b);
    if (r == 0)
        r = buffer_printf(b, "<line class=\"one\" x1=\"%.1f\" x2=\"%.1f\" y1=\"4\" y2=\"%.0f\"/>\n",
                          axis_place(&a, 1), axis_place(&a, 1), bottom);
    for (size_t i = 1; r == 0 && i < result->n_commands; i++) {
        const struct stats_interval *ratio = &result->commands[i].ratios[metric];
        double y = RATIO_ROW * ((double)i - 0.5) + 4;
        if (ratio->value <= 0)
            continue;
        r = buffer_printf(b,
                          "<g class=\"c%zu\"><text class=\"name\" x=\"%.0f\" y=\"%.1f\">%zu</text>"
                          "<text class=\"label\" x=\"%.0f\" y=\"%.1f\">%.3f (%.3f to %.3f)</text>"
                          "<rect class=\"interval\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" "
                          "height=\"8\" rx=\"4\"/><circle class=\"estimate\" cx=\"%.1f\" "
                          "cy=\"%.1f\" r=\"6\"/></g>\n",
                          i % CHART_COLOURS, MARGIN, y + 5, i + 1, MARGIN + 18, y + 5, ratio->value,
                          ratio->low, ratio->high, axis_place(&a, ratio->low), y - 4,
                          MAX(axis_place(&a, ratio->high) - axis_place(&a, ratio->low), 1.0),
                          axis_place(&a, ratio->value), y);
    }
    return r < 0 ? r : buffer_printf(b, "</svg>\n");
}
