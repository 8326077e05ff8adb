#include "bench/show.h"

#include "run/report.h"

static json_t *summary(const struct stats_summary *s)
{
    if (s->n == 0)
        return json_null();
    return json_pack("{s:f, s:f, s:f, s:f, s:f, s:f}", "min", s->min, "median", s->median, "p95",
                     s->p95, "max", s->max, "mean", s->mean, "deviation", s->deviation);
}

static json_t *ratio(const struct stats_interval *i)
{
    if (i->value <= 0)
        return json_null();
    return json_pack("{s:f, s:f, s:f, s:f}", "value", i->value, "low", i->low, "high", i->high,
                     "confidence", STATS_CONFIDENCE);
}

static json_t *run(const struct bench_run *r, size_t round)
{
    json_t *object =
        json_pack("{s:i, s:i, s:s, s:i}", "round", (int)round + 1, "position", (int)r->position + 1,
                  "verdict", sandbox_verdict_name(r->verdict), "exit_status", r->exit_status);

    for (size_t i = 0; object && i < BENCH_METRICS_; i++)
        json_object_set_new(object, bench_metrics[i].key,
                            r->counters[i] == SANDBOX_ABSENT
                                ? json_null()
                                : json_integer((json_int_t)r->counters[i]));
    return object;
}

static json_t *command(const struct bench_result *result, size_t i)
{
    const struct bench_command *c = &result->commands[i];
    json_t *summaries = json_object(), *ratios = i > 0 ? json_object() : json_null();
    json_t *runs = json_array();

    for (size_t metric = 0; summaries && ratios && metric < BENCH_METRICS_; metric++) {
        const struct bench_metric_info *info = &bench_metrics[metric];
        json_object_set_new(summaries, info->key, summary(&c->summaries[metric]));
        if (i > 0 && info->compared)
            json_object_set_new(ratios, info->key, ratio(&c->ratios[metric]));
    }
    for (size_t round = 0; runs && round < result->n_rounds; round++)
        json_array_append_new(runs, run(&c->runs[round], round));
    return json_pack("{s:o, s:I, s:o, s:o, s:o}", "command", run_list_json(c->argv), "failures",
                     (json_int_t)c->failures, "summary", summaries, "ratio", ratios, "runs", runs);
}

static json_t *share(double value)
{
    return value < 0 ? json_null() : json_real(value);
}

static json_t *machine(const struct bench_result *r)
{
    const struct machine_noise *n = &r->noise;

    return json_pack("{s:I, s:f, s:f, s:f, s:o, s:o, s:o, s:I, s:I, s:I}", "elapsed_usec",
                     (json_int_t)r->elapsed_usec, "steal", n->steal, "other_cpus", n->others,
                     "idle_threads", n->siblings, "cpu_pressure", share(n->pressure[0]),
                     "memory_pressure", share(n->pressure[1]), "io_pressure", share(n->pressure[2]),
                     "slowed_by_heat", (json_int_t)n->slowed, "lowest_khz",
                     (json_int_t)n->frequency.lowest, "highest_khz",
                     (json_int_t)n->frequency.highest);
}

int bench_show_json(const struct bench_result *result, struct buffer *b)
{
    _cleanup_free_ char *line = NULL;
    json_t *commands = json_array(), *root;

    for (size_t i = 0; commands && i < result->n_commands; i++)
        json_array_append_new(commands, command(result, i));
    root =
        json_pack("{s:i, s:o, s:o, s:I, s:i, s:i, s:o, s:o, s:o, s:o, s:o}", "version",
                  BENCH_JSON_VERSION, "image", run_text_json(result->image), "digest",
                  result->digest[0] ? run_text_json(result->digest) : json_null(), "started_unix",
                  (json_int_t)result->started_unix, "rounds", (int)result->n_rounds, "warmup",
                  (int)result->options->warmup, "cpus", run_text_json(result->cpus), "idle",
                  run_text_json(result->siblings), "machine", machine(result), "warnings",
                  run_list_json(result->warnings), "commands", commands);
    line = root ? json_dumps(root, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
    json_decref(root);
    return line ? buffer_printf(b, "%s\n", line) : -ENOMEM;
}
