#include "bench/show.h"

static int show_run(const struct bench_run *run, size_t command, size_t round, struct buffer *b)
{
    int r = buffer_printf(b, "%zu,%zu,%u,%s,%d", command + 1, round + 1, run->position + 1,
                          sandbox_verdict_name(run->verdict), run->exit_status);

    for (size_t i = 0; r == 0 && i < BENCH_METRICS_; i++)
        r = run->counters[i] == SANDBOX_ABSENT
                ? buffer_printf(b, ",")
                : buffer_printf(b, ",%llu", (unsigned long long)run->counters[i]);
    return r < 0 ? r : buffer_printf(b, "\n");
}

int bench_show_csv(const struct bench_result *result, struct buffer *b)
{
    int r = buffer_printf(b, "command,round,position,verdict,exit_status");

    for (size_t i = 0; r == 0 && i < BENCH_METRICS_; i++)
        r = buffer_printf(b, ",%s", bench_metrics[i].key);
    if (r == 0)
        r = buffer_printf(b, "\n");
    for (size_t round = 0; r == 0 && round < result->n_rounds; round++)
        for (size_t i = 0; r == 0 && i < result->n_commands; i++)
            r = show_run(&result->commands[i].runs[round], i, round, b);
    return r;
}
