#include "bench/show.h"

#include "bench/mathematics.h"

#include <string.h>

double bench_unit_of(double value, enum bench_unit unit, const char **ret_name)
{
    static const struct scale {
        double per;
        const char *name;
    } times[] = {{60e6, "min"}, {1e6, "s"}, {1e3, "ms"}, {1, "us"}},
      sizes[] = {{1073741824, "GiB"}, {1048576, "MiB"}, {1024, "KiB"}, {1, "B"}};
    const struct scale *scale = unit == BENCH_TIME ? times : sizes;

    if (unit == BENCH_COUNT) {
        *ret_name = "";
        return 1;
    }
    while (value < scale->per && scale->per > 1)
        scale++;
    *ret_name = scale->name;
    return scale->per;
}

const char *bench_value_text(double value, enum bench_unit unit, char text[BENCH_VALUE_SIZE])
{
    const char *name;
    double scaled = value / bench_unit_of(value, unit, &name);
    /* Three or four digits that count, as far as there are any. */
    int digits = scaled >= 100 ? 1 : scaled >= 10 ? 2 : 3;

    if (bench_floor(value) == value && scaled == value)
        digits = 0;
    snprintf(text, BENCH_VALUE_SIZE, "%.*f%s%s", digits, scaled, name[0] ? " " : "", name);
    return text;
}

/* Whether a line is worth its place: the kernel tells, and it ever happened. */
static bool is_worth(const struct bench_command *c, size_t metric)
{
    return c->summaries[metric].n > 0 && (c->summaries[metric].max > 0 || metric == BENCH_WALL);
}

static int show_metric(const struct bench_command *c, size_t metric, struct buffer *b)
{
    const struct bench_metric_info *info = &bench_metrics[metric];
    const struct stats_summary *s = &c->summaries[metric];
    const struct stats_interval *ratio = &c->ratios[metric];
    char min[BENCH_VALUE_SIZE], median[BENCH_VALUE_SIZE], p95[BENCH_VALUE_SIZE];
    char max[BENCH_VALUE_SIZE];
    int r = buffer_printf(
        b, "  %-20s %11s %11s %11s %11s", info->title, bench_value_text(s->min, info->unit, min),
        bench_value_text(s->median, info->unit, median), bench_value_text(s->p95, info->unit, p95),
        bench_value_text(s->max, info->unit, max));

    if (r == 0 && ratio->value > 0)
        r = buffer_printf(b, "   %.3f (%.3f to %.3f)", ratio->value, ratio->low, ratio->high);
    return r < 0 ? r : buffer_printf(b, "\n");
}

static int show_command(const struct bench_result *result, size_t i, struct buffer *b)
{
    const struct bench_command *c = &result->commands[i];
    int r = buffer_printf(b, "\n%zu: %s\n  %-20s %11s %11s %11s %11s%s\n", i + 1, c->text, "",
                          "min", "median", "p95", "max", i > 0 ? "   ratio to 1 (95 %)" : "");

    for (size_t metric = 0; r == 0 && metric < BENCH_METRICS_; metric++)
        if (is_worth(c, metric))
            r = show_metric(c, metric, b);
    return r;
}

int bench_show_table(const struct bench_result *result, struct buffer *b)
{
    int r =
        buffer_printf(b, "%s: %zu run%s each after %u to warm up", result->image, result->n_rounds,
                      result->n_rounds == 1 ? "" : "s", result->options->warmup);

    if (r == 0 && result->cpus)
        r = buffer_printf(b, ", on CPUs %s", result->cpus);
    if (r == 0 && result->siblings && result->siblings[0])
        r = buffer_printf(b, " (%s idle)", result->siblings);
    if (r == 0)
        r = buffer_printf(b, "\n");
    for (size_t i = 0; r == 0 && i < result->n_commands; i++)
        r = show_command(result, i, b);
    if (r == 0 && result->warnings)
        r = buffer_printf(b, "\n");
    for (char **w = result->warnings; r == 0 && w && *w; w++)
        r = buffer_printf(b, "warning: %s\n", *w);
    return r;
}
