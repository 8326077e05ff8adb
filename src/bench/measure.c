#include "bench/bench.h"

#include "base/clock.h"
#include "base/text.h"
#include "run/execute.h"

#include <sched.h>
#include <string.h>
#include <time.h>

/* A sandbox is reported before all of it is cleared away: the next one may start meanwhile. */
#define SANDBOXES_AT_ONCE 4

struct measurement {
    const struct bench_options *options;
    struct bench_result *result;
    struct launcher *launcher;
    struct run_plan *plan;
    struct sandbox_spec specs[BENCH_COMMANDS_MAX];
    struct bench_cores cores;
    struct cpus watched; /* CPUs that the runs use */
    uint64_t next_id;
    uint64_t cpu_usec; /* of the rounds' sandboxes */
    bench_progress_fn progress;
    void *data;
    size_t done, total;
};

static void measurement_clear(struct measurement *m)
{
    for (size_t i = 0; i < BENCH_COMMANDS_MAX; i++)
        sandbox_spec_clear(&m->specs[i]);
    launcher_stop_p(&m->launcher);
    run_plan_free_p(&m->plan);
}

static int no_memory(struct error *e)
{
    return error_sys(e, -ENOMEM, "benchmark");
}

/* ---- CPUs ---- */

/* Keeps this process, and the launcher that it will start, away from the runs. A sandbox that has
 * a cpuset takes its CPUs from that. */
static int stay_away(const struct cpus *others, struct error *e)
{
    cpu_set_t *set = CPU_ALLOC(SANDBOX_CPUS_MAX);
    size_t size = CPU_ALLOC_SIZE(SANDBOX_CPUS_MAX);
    int r = 0;

    if (!set)
        return no_memory(e);
    CPU_ZERO_S(size, set);
    for (unsigned cpu = 0; cpu < SANDBOX_CPUS_MAX; cpu++)
        if (cpus_has(others, cpu))
            CPU_SET_S(cpu, size, set);
    if (sched_setaffinity(0, size, set) < 0)
        r = error_sys(e, -errno, "CPU affinity");
    CPU_FREE(set);
    return r;
}

static int format_cpus(const struct cpus *c, char **ret)
{
    _cleanup_buffer_ struct buffer b = {0};

    if (cpus_format(c, &b) < 0 || !buffer_string(&b))
        return -ENOMEM;
    *ret = strdup(buffer_string(&b));
    return *ret ? 0 : -ENOMEM;
}

static int reserve_cores(struct measurement *m, struct error *e)
{
    _cleanup_free_ struct cpu_core *cores = NULL;
    unsigned wanted = m->options->cores;
    size_t n;
    int r = cpus_find_cores(&cores, &n, e);

    if (r < 0)
        return r;
    if (!wanted) {
        for (size_t i = 0; i < n; i++)
            for (size_t word = 0; word < SANDBOX_CPU_WORDS; word++)
                m->watched.words[word] |= cores[i].cpus.words[word];
        if (!cpus_empty(&m->options->run.cpus))
            m->watched = m->options->run.cpus;
        return 0;
    }
    if (bench_cores_choose(cores, n, wanted, &m->cores) < 0)
        return error_set(e, -E2BIG, "--cores %u: no memory node has so many (of %zu in all)",
                         wanted, n);
    m->watched = m->cores.cpus;
    if (format_cpus(&m->cores.cpus, &m->result->cpus) < 0 ||
        format_cpus(&m->cores.siblings, &m->result->siblings) < 0)
        return no_memory(e);
    if (!cpus_empty(&m->cores.others))
        return stay_away(&m->cores.others, e);
    if (strv_append(&m->result->warnings,
                    "no core is left for the rest of the machine: reserve fewer") < 0)
        return no_memory(e);
    return 0;
}

/* ---- what is run ---- */

static int prepare_command(struct measurement *m, size_t i, struct error *e)
{
    struct bench_command *c = &m->result->commands[i];
    struct sandbox_spec *spec = &m->specs[i];
    int r;

    if (sandbox_spec_copy(&m->plan->spec, spec) < 0)
        return no_memory(e);
    r = run_plan_set_command(m->plan, m->options->commands[i], spec, e);
    if (r < 0)
        return r;
    if (m->options->cores)
        memcpy(spec->limits.cpus, m->cores.cpus.words, sizeof(spec->limits.cpus));
    r = sandbox_spec_validate(spec, e);
    if (r < 0)
        return r;
    c->argv = strv_copy(spec->argv);
    c->text = bench_quote(spec->argv);
    c->runs = calloc(m->options->runs, sizeof(*c->runs));
    return c->argv && c->text && c->runs ? 0 : no_memory(e);
}

static int prepare(struct measurement *m, struct error *e)
{
    const struct bench_options *o = m->options;
    const struct image_load_options load = {0};
    struct bench_result *result = m->result;
    int r = run_plan_make(&o->run, o->image, &load, o->commands[0], &m->plan, e);

    if (r < 0)
        return r;
    result->image = strdup(m->plan->image->name ? m->plan->image->name : o->image);
    result->digest = strdup(m->plan->image->digest ? m->plan->image->digest : "");
    if (!result->image || !result->digest)
        return no_memory(e);
    r = reserve_cores(m, e);
    for (size_t i = 0; r == 0 && i < o->n_commands; i++) {
        result->n_commands = i + 1;
        r = prepare_command(m, i, e);
    }
    return r < 0 ? r : run_plan_launch(m->plan, SANDBOXES_AT_ONCE, &m->launcher, e);
}

/* ---- the runs ---- */

static bool has_failed(const struct sandbox_report *report)
{
    return report->verdict != SANDBOX_EXITED || report->exit_code != 0;
}

static int refuse(const struct bench_command *c, const struct sandbox_report *r, struct error *e)
{
    const char *see = "'dockless run' shows what it prints";

    if (r->verdict == SANDBOX_START_FAILED)
        return error_set(e, -ECANCELED, "%s: %s", c->text, r->error[0] ? r->error : r->failed_step);
    if (run_limit_name(r))
        return error_set(e, -ECANCELED, "%s: ended by its limit on %s", c->text, run_limit_name(r));
    if (r->verdict == SANDBOX_SIGNALLED)
        return error_set(e, -ECANCELED, "%s: ended by signal %d; %s", c->text, r->signal, see);
    return error_set(e, -ECANCELED,
                     "%s: exit status %d; %s, and --ignore-failure measures it nevertheless",
                     c->text, run_exit_status(r), see);
}

/* Runs command I once; RUN: where its counters go, NULL in the warm-up. */
static int run_once(struct measurement *m, size_t i, struct bench_run *run, struct error *e)
{
    struct bench_command *c = &m->result->commands[i];
    static const int nothing[3] = {-1, -1, -1};
    struct sandbox_report report;
    int r = run_sandbox(&m->specs[i], m->launcher, m->next_id++, nothing, &report, e);

    if (r < 0)
        return r;
    if (has_failed(&report)) {
        if (report.verdict == SANDBOX_START_FAILED || !m->options->ignore_failure)
            return refuse(c, &report, e);
        c->failures += run != NULL;
    }
    if (run) {
        bench_run_set(run, &report);
        m->cpu_usec += report.user_usec + report.system_usec;
    }
    m->done++;
    if (m->progress)
        m->progress(m->data, m->done, m->total, c->text);
    return 0;
}

static int warm_up(struct measurement *m, struct error *e)
{
    int r = 0;

    for (unsigned round = 0; r == 0 && round < m->options->warmup; round++)
        for (size_t i = 0; r == 0 && i < m->result->n_commands; i++)
            r = run_once(m, i, NULL, e);
    return r;
}

/* Each command once. Who starts changes from round to round, so that none is always the one that
 * finds the caches as another left them. */
static int run_round(struct measurement *m, size_t round, struct error *e)
{
    size_t n = m->result->n_commands;
    int r = 0;

    for (size_t position = 0; r == 0 && position < n; position++) {
        size_t i = (position + round) % n;
        struct bench_run *run = &m->result->commands[i].runs[round];
        r = run_once(m, i, run, e);
        run->position = (uint32_t)position;
        machine_watch_frequency(&m->watched, &m->result->noise.frequency);
    }
    return r;
}

static int measure(struct measurement *m, struct error *e)
{
    struct machine_sample before, after;
    int r = warm_up(m, e);

    machine_sample(&m->watched, launcher_pid(m->launcher), &before);
    for (size_t round = 0; r == 0 && round < m->options->runs; round++) {
        r = run_round(m, round, e);
        m->result->n_rounds = round + 1;
    }
    if (r < 0)
        return r;
    machine_sample(&m->watched, launcher_pid(m->launcher), &after);
    m->result->elapsed_usec = after.at_usec - before.at_usec;
    machine_compare(&before, &after, &m->watched, &m->cores.siblings, m->cpu_usec,
                    &m->result->noise);
    return machine_warn(&m->result->noise, &m->result->warnings) < 0 ? no_memory(e) : 0;
}

int bench_measure(const struct bench_options *o, bench_progress_fn progress, void *data,
                  struct bench_result **ret, struct error *e)
{
    _cleanup_(bench_result_free_p) struct bench_result *result = calloc(1, sizeof(*result));
    _cleanup_(measurement_clear) struct measurement m = {
        .options = o,
        .result = result,
        .next_id = 1,
        .progress = progress,
        .data = data,
        .total = (size_t)(o->runs + o->warmup) * o->n_commands,
    };
    int r;

    if (!result)
        return no_memory(e);
    result->options = o;
    result->started_unix = (int64_t)time(NULL);
    r = prepare(&m, e);
    if (r == 0)
        r = measure(&m, e);
    if (r == 0)
        r = bench_result_evaluate(result, e);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(result);
    return 0;
}
