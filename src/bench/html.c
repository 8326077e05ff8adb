#include "bench/chart.h"

#include <time.h>

static const char style[] =
    ":root{--bg:#f7f7f5;--card:#fff;--ink:#1d2430;--soft:#66707f;--line:#e3e5e8;--warn:#8a5300;"
    "--warnbg:#fff4dd;--c0:#2f6fde;--c1:#d9622b;--c2:#2a9d6f;--c3:#9b4fc4;--c4:#b8860b;"
    "--c5:#c2345f}\n"
    "@media(prefers-color-scheme:dark){:root{--bg:#14171c;--card:#1c2129;--ink:#e8ebf0;"
    "--soft:#98a3b3;--line:#323945;--warn:#ffcf7d;--warnbg:#3a2d12;--c0:#6fa2ff;--c1:#ff9460;"
    "--c2:#53cf9c;--c3:#c98aec;--c4:#e3b341;--c5:#f2789c}}\n"
    "*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--ink);"
    "font:15px/1.5 system-ui,\"Segoe UI\",Roboto,\"DejaVu Sans\",sans-serif}\n"
    "main{max-width:1000px;margin:0 auto;padding:32px 20px 64px}h1{font-size:28px;margin:0}"
    "h2{font-size:19px;margin:36px 0 10px}h3{font-size:13px;font-weight:600;color:var(--soft);"
    "margin:14px 0 4px}p.sub{color:var(--soft);margin:4px 0 20px}\n"
    ".card{background:var(--card);border:1px solid var(--line);border-radius:10px;"
    "padding:14px 20px;margin:0 0 14px}.warn{background:var(--warnbg);color:var(--warn);"
    "border-color:transparent}.warn ul{margin:4px 0 0;padding-left:20px;overflow-wrap:anywhere}\n"
    ".commands{display:grid;gap:14px;grid-template-columns:repeat(auto-fit,minmax(280px,1fr));"
    "margin-bottom:14px}.commands .card{margin:0;border-top:4px solid var(--c);display:flex;"
    "flex-direction:column}.commands "
    "code{flex:1;font-size:13px;overflow-wrap:anywhere;min-height:3em}\n"
    ".big{font-size:30px;font-weight:650;font-variant-numeric:tabular-nums}.big "
    "small{display:block;font-size:14px;line-height:1.4;"
    "font-weight:400;color:var(--soft)}.num{color:var(--c);font-weight:700}\n"
    ".scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;"
    "font-variant-numeric:tabular-nums;font-size:14px}th,td{text-align:right;padding:5px 10px;"
    "border-bottom:1px solid var(--line);white-space:nowrap}th{color:var(--soft);font-weight:600}"
    "th:first-child,td:first-child{text-align:left}tr:last-child td{border-bottom:0}\n"
    ".card{overflow-x:auto}svg{display:block;width:100%;min-width:620px;height:auto;font-size:12px}"
    ".grid{stroke:var(--line)}"
    ".tick,.label{fill:var(--soft)}.name{fill:var(--c);font-weight:700;font-size:14px}"
    ".curve{fill:var(--c);fill-opacity:.22;stroke:var(--c);stroke-width:1.2}"
    ".dots{fill:var(--c);fill-opacity:.5}.half{fill:var(--c)}.median{stroke:var(--ink);"
    "stroke-width:2}.line{fill:none;stroke:var(--c);stroke-width:1.5;stroke-opacity:.75}"
    "circle{fill:var(--c)}.interval{fill:var(--c);fill-opacity:.35}.one{stroke:var(--ink);"
    "stroke-dasharray:4 4}\n"
    ".c0{--c:var(--c0)}.c1{--c:var(--c1)}.c2{--c:var(--c2)}.c3{--c:var(--c3)}.c4{--c:var(--c4)}"
    ".c5{--c:var(--c5)}\n"
    "footer{color:var(--soft);font-size:13px;margin-top:28px}\n";

static int head(const struct bench_result *result, struct buffer *b)
{
    time_t started = (time_t)result->started_unix;
    char when[32] = "";
    struct tm tm;
    int r = buffer_printf(b,
                          "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/>"
                          "<meta name=\"viewport\" content=\"width=device-width\"/>"
                          "<title>Benchmark of %zu command%s</title>\n<style>%s</style></head>\n"
                          "<body><main><h1>Benchmark</h1>\n<p class=\"sub\">",
                          result->n_commands, result->n_commands == 1 ? "" : "s", style);

    if (gmtime_r(&started, &tm))
        strftime(when, sizeof(when), "%Y-%m-%d %H:%M UTC", &tm);
    if (r == 0)
        r = chart_text(b, result->image);
    if (r == 0)
        r = buffer_printf(b, " &#183; %s &#183; %zu run%s of each after %u to warm up", when,
                          result->n_rounds, result->n_rounds == 1 ? "" : "s",
                          result->options->warmup);
    if (r == 0 && result->cpus)
        r = buffer_printf(b, " &#183; reserved CPUs %s", result->cpus);
    if (r == 0 && result->siblings && result->siblings[0])
        r = buffer_printf(b, " (%s idle beside them)", result->siblings);
    return r < 0 ? r : buffer_printf(b, "</p>\n");
}

static int warnings(const struct bench_result *result, struct buffer *b)
{
    int r;

    if (!result->warnings)
        return 0;
    r = buffer_printf(b, "<div class=\"card warn\"><strong>To be read with care</strong><ul>\n");
    for (char **w = result->warnings; r == 0 && *w; w++) {
        r = buffer_printf(b, "<li>");
        if (r == 0)
            r = chart_text(b, *w);
        if (r == 0)
            r = buffer_printf(b, "</li>\n");
    }
    return r < 0 ? r : buffer_printf(b, "</ul></div>\n");
}

static int command_card(const struct bench_result *result, size_t i, struct buffer *b)
{
    const struct bench_command *c = &result->commands[i];
    const struct stats_interval *ratio = &c->ratios[BENCH_WALL];
    char median[BENCH_VALUE_SIZE];
    int r = buffer_printf(b, "<div class=\"card c%zu\"><code><span class=\"num\">%zu</span> ",
                          i % CHART_COLOURS, i + 1);

    if (r == 0)
        r = chart_text(b, c->text);
    if (r == 0)
        r = buffer_printf(b, "</code><div class=\"big\">%s <small>median wall time</small></div>",
                          bench_value_text(c->summaries[BENCH_WALL].median, BENCH_TIME, median));
    if (r == 0 && ratio->value > 0)
        r = buffer_printf(b,
                          "<div>%.3f times that of 1, with 95&#160;%% between %.3f and %.3f</div>",
                          ratio->value, ratio->low, ratio->high);
    else if (r == 0 && i == 0 && result->n_commands > 1)
        r = buffer_printf(b, "<div>what the others are compared to</div>");
    return r < 0 ? r : buffer_printf(b, "</div>\n");
}

static bool has_ratio(const struct bench_result *result, size_t metric)
{
    for (size_t i = 1; i < result->n_commands; i++)
        if (result->commands[i].ratios[metric].value > 0)
            return true;
    return false;
}

static bool is_told(const struct bench_result *result, size_t metric)
{
    for (size_t i = 0; i < result->n_commands; i++)
        if (result->commands[i].summaries[metric].n > 0)
            return true;
    return false;
}

static int metric_section(const struct bench_result *result, size_t metric, struct buffer *b)
{
    int r = buffer_printf(b, "<h2>%s</h2><div class=\"card\"><h3>Distribution</h3>\n",
                          bench_metrics[metric].title);

    if (r == 0)
        r = chart_distributions(result, metric, b);
    if (r == 0 && has_ratio(result, metric)) {
        r = buffer_printf(b, "<h3>Ratio to 1, with 95&#160;%% confidence</h3>\n");
        if (r == 0)
            r = chart_ratios(result, metric, b);
    }
    if (r == 0)
        r = buffer_printf(b, "<h3>Run by run</h3>\n");
    if (r == 0)
        r = chart_series(result, metric, b);
    return r < 0 ? r : buffer_printf(b, "</div>\n");
}

static int counter_row(const struct bench_command *c, size_t metric, struct buffer *b)
{
    const struct stats_summary *s = &c->summaries[metric];
    const double values[] = {s->min, s->median, s->p95, s->max, s->mean, s->deviation};
    int r = buffer_printf(b, "<tr><td>%s</td>", bench_metrics[metric].title);

    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(values); i++) {
        char text[BENCH_VALUE_SIZE];
        r = buffer_printf(
            b, "<td>%s</td>",
            s->n == 0 ? "-" : bench_value_text(values[i], bench_metrics[metric].unit, text));
    }
    return r < 0 ? r : buffer_printf(b, "</tr>\n");
}

static int counters(const struct bench_result *result, size_t i, struct buffer *b)
{
    const struct bench_command *c = &result->commands[i];
    int r =
        buffer_printf(b, "<div class=\"card scroll c%zu\"><span class=\"num\">%zu</span> <code>",
                      i % CHART_COLOURS, i + 1);

    if (r == 0)
        r = chart_text(b, c->text);
    if (r == 0)
        r = buffer_printf(b, "</code><table><tr><th></th><th>min</th><th>median</th><th>p95</th>"
                             "<th>max</th><th>mean</th><th>deviation</th></tr>\n");
    for (size_t metric = 0; r == 0 && metric < BENCH_METRICS_; metric++)
        r = counter_row(c, metric, b);
    return r < 0 ? r : buffer_printf(b, "</table></div>\n");
}

int bench_show_html(const struct bench_result *result, struct buffer *b)
{
    int r = head(result, b);

    if (r == 0)
        r = warnings(result, b);
    if (r == 0)
        r = buffer_printf(b, "<div class=\"commands\">\n");
    for (size_t i = 0; r == 0 && i < result->n_commands; i++)
        r = command_card(result, i, b);
    if (r == 0)
        r = buffer_printf(b, "</div>\n");
    for (size_t metric = 0; r == 0 && metric < BENCH_METRICS_; metric++)
        if (bench_metrics[metric].compared && is_told(result, metric))
            r = metric_section(result, metric, b);
    if (r == 0)
        r = buffer_printf(b, "<h2>All counters</h2>\n");
    for (size_t i = 0; r == 0 && i < result->n_commands; i++)
        r = counters(result, i, b);
    return r < 0 ? r
                 : buffer_printf(b,
                                 "<footer>Made by dockless %s. Each run had a fresh sandbox; the "
                                 "numbers are the kernel's.</footer></main></body></html>\n",
                                 DOCKLESS_VERSION);
}
