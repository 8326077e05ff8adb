#include "bench/bench.h"

#include "base/text.h"
#include "run/execute.h"

#include <string.h>

/* Share of a run's time that its processes may wait for a CPU before it is told. */
#define CPU_PRESSURE_MAX 0.02

const struct bench_metric_info bench_metrics[BENCH_METRICS_] = {
    [BENCH_WALL] = {"wall_usec", "Wall time", BENCH_TIME, true},
    [BENCH_CPU] = {"cpu_usec", "CPU time", BENCH_TIME, true},
    [BENCH_USER] = {"user_usec", "User time", BENCH_TIME, false},
    [BENCH_SYSTEM] = {"system_usec", "System time", BENCH_TIME, false},
    [BENCH_MEMORY] = {"memory_peak_bytes", "Peak memory", BENCH_BYTES, true},
    [BENCH_TASKS] = {"tasks_peak", "Tasks at once", BENCH_COUNT, false},
    [BENCH_READ] = {"read_bytes", "Read from disk", BENCH_BYTES, false},
    [BENCH_WRITE] = {"write_bytes", "Written to disk", BENCH_BYTES, false},
    [BENCH_VOLUNTARY] = {"voluntary_switches", "Voluntary switches", BENCH_COUNT, false},
    [BENCH_INVOLUNTARY] = {"involuntary_switches", "Involuntary switches", BENCH_COUNT, false},
    [BENCH_THROTTLED] = {"throttled_usec", "Throttled", BENCH_TIME, false},
    [BENCH_CPU_PRESSURE] = {"cpu_pressure_usec", "Waited for CPU", BENCH_TIME, false},
    [BENCH_MEMORY_PRESSURE] = {"memory_pressure_usec", "Waited for memory", BENCH_TIME, false},
    [BENCH_IO_PRESSURE] = {"io_pressure_usec", "Waited for disk", BENCH_TIME, false},
};

void bench_result_free(struct bench_result *r)
{
    for (size_t i = 0; i < BENCH_COMMANDS_MAX; i++) {
        strv_free(r->commands[i].argv);
        free(r->commands[i].text);
        free(r->commands[i].runs);
    }
    free(r->image);
    free(r->digest);
    free(r->cpus);
    free(r->siblings);
    strv_free(r->warnings);
    free(r);
}

void bench_run_set(struct bench_run *run, const struct sandbox_report *report)
{
    *run = (struct bench_run){
        .verdict = report->verdict,
        .exit_status = run_exit_status(report),
        .counters =
            {
                [BENCH_WALL] = report->wall_usec,
                [BENCH_CPU] = report->user_usec + report->system_usec,
                [BENCH_USER] = report->user_usec,
                [BENCH_SYSTEM] = report->system_usec,
                [BENCH_MEMORY] = report->memory_peak,
                [BENCH_TASKS] = report->pids_peak,
                [BENCH_READ] = report->read_bytes,
                [BENCH_WRITE] = report->write_bytes,
                [BENCH_VOLUNTARY] = report->voluntary_switches,
                [BENCH_INVOLUNTARY] = report->involuntary_switches,
                [BENCH_THROTTLED] = report->throttled_usec,
                [BENCH_CPU_PRESSURE] = report->cpu_pressure.some_usec,
                [BENCH_MEMORY_PRESSURE] = report->memory_pressure.some_usec,
                [BENCH_IO_PRESSURE] = report->io_pressure.some_usec,
            },
    };
}

static bool is_plain(const char *word)
{
    return word[0] && word[strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                        "0123456789_@%+=:,./-")] == 0;
}

/* What a terminal or a page would take for something else is shown as a blank or as '?'. */
static char shown(char c, bool utf8)
{
    if ((unsigned char)c < ' ' || c == 0x7f)
        return ' ';
    return (unsigned char)c < 0x80 || utf8 ? c : '?';
}

static int quote_word(struct buffer *b, const char *word)
{
    bool utf8 = text_is_utf8(word, strlen(word));
    int r;

    if (is_plain(word))
        return buffer_printf(b, "%s", word);
    r = buffer_printf(b, "'");
    for (; r == 0 && *word; word++) {
        char c = shown(*word, utf8);
        r = c == '\'' ? buffer_printf(b, "'\\''") : buffer_append(b, &c, 1);
    }
    return r < 0 ? r : buffer_printf(b, "'");
}

/* Cuts TEXT where it is too long to be read, never inside a character. */
static void shorten(char *text)
{
    size_t end = BENCH_TEXT_MAX - strlen("...");

    if (strlen(text) <= BENCH_TEXT_MAX)
        return;
    while (((unsigned char)text[end] & 0xc0) == 0x80)
        end--;
    memcpy(text + end, "...", sizeof("..."));
}

char *bench_quote(char *const *argv)
{
    _cleanup_buffer_ struct buffer b = {0};
    char *text;
    int r = 0;

    for (size_t i = 0; r == 0 && argv[i]; i++) {
        if (i > 0)
            r = buffer_printf(&b, " ");
        if (r == 0)
            r = quote_word(&b, argv[i]);
    }
    text = r == 0 ? buffer_string(&b) : NULL;
    if (!text)
        return NULL;
    shorten(text);
    return strdup(text);
}

/* The values of one metric in the order of the rounds; false: a run has none. */
static bool collect(const struct bench_command *c, size_t n, size_t metric, double *values)
{
    for (size_t i = 0; i < n; i++) {
        if (c->runs[i].counters[metric] == SANDBOX_ABSENT)
            return false;
        values[i] = (double)c->runs[i].counters[metric];
    }
    return true;
}

/* VALUES and BASE have room for all rounds. */
static int evaluate_command(struct bench_result *r, struct bench_command *c, double *values,
                            double *base)
{
    int x = 0;

    for (size_t metric = 0; x == 0 && metric < BENCH_METRICS_; metric++) {
        if (!collect(c, r->n_rounds, metric, values))
            continue;
        x = stats_summarize(values, r->n_rounds, &c->summaries[metric]);
        if (x < 0 || c == &r->commands[0] || !bench_metrics[metric].compared ||
            !collect(&r->commands[0], r->n_rounds, metric, base))
            continue;
        x = stats_ratio(base, values, r->n_rounds, BENCH_SEED, &c->ratios[metric]);
        if (x == -ERANGE)
            x = 0;
    }
    return x;
}

static int add(struct bench_result *r, char *line)
{
    _cleanup_free_ char *owned = line;

    return owned ? strv_append(&r->warnings, owned) : -ENOMEM;
}

static double sum_of(const struct bench_command *c, size_t n, size_t metric)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        if (c->runs[i].counters[metric] != SANDBOX_ABSENT)
            sum += (double)c->runs[i].counters[metric];
    return sum;
}

static int warn_of_command(struct bench_result *r, const struct bench_command *c, double *values)
{
    double wall = sum_of(c, r->n_rounds, BENCH_WALL);
    double waited = sum_of(c, r->n_rounds, BENCH_CPU_PRESSURE);
    double throttled = sum_of(c, r->n_rounds, BENCH_THROTTLED);
    size_t outliers = 0;
    int x = 0;

    if (c->failures)
        x = add(r, text_printf("%zu of %zu runs failed: %s", c->failures, r->n_rounds, c->text));
    if (x == 0 && wall > 0 && waited / wall > CPU_PRESSURE_MAX)
        x = add(r, text_printf("processes waited for a CPU for %.1f %% of the time: %s",
                               100 * waited / wall, c->text));
    if (x == 0 && throttled > 0)
        x = add(r, text_printf("held back by --cpus for %.3f s: %s", throttled / 1e6, c->text));
    if (x == 0 && collect(c, r->n_rounds, BENCH_WALL, values))
        x = stats_outliers(values, r->n_rounds, &outliers);
    if (x == 0 && outliers)
        x = add(r, text_printf("%zu of %zu wall times lie far from the others: %s", outliers,
                               r->n_rounds, c->text));
    return x;
}

int bench_result_evaluate(struct bench_result *r, struct error *e)
{
    _cleanup_free_ double *values = calloc(r->n_rounds, sizeof(*values));
    _cleanup_free_ double *base = calloc(r->n_rounds, sizeof(*base));
    int x = values && base ? 0 : -ENOMEM;

    for (size_t i = 0; x == 0 && i < r->n_commands; i++)
        x = evaluate_command(r, &r->commands[i], values, base);
    for (size_t i = 0; x == 0 && i < r->n_commands; i++)
        x = warn_of_command(r, &r->commands[i], values);
    if (x == 0 && r->n_commands > 1 && r->n_rounds < STATS_PAIRS_MIN)
        x = add(r, text_printf("too few runs for intervals: at least %d", STATS_PAIRS_MIN));
    return x < 0 ? error_sys(e, x, "evaluating") : 0;
}
