/* links: bench run image runtime */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bench/axis.h"
#include "bench/bench.h"
#include "bench/show.h"

#include "base/text.h"

#include <jansson.h>
#include <string.h>

#define WORDS_MAX 31

/* Against values that NumPy 1.24 gives. */
static void assert_near(double value, double expected)
{
    assert_true(fabs(value - expected) <= 1e-9 * fmax(1, fabs(expected)));
}

static void quantiles_are_interpolated(void **state)
{
    static const double ten[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};

    (void)state;
    assert_near(stats_quantile(ten, 10, 0), 1);
    assert_near(stats_quantile(ten, 10, 0.25), 3.25);
    assert_near(stats_quantile(ten, 10, 0.5), 5.5);
    assert_near(stats_quantile(ten, 10, 0.95), 9.55);
    assert_near(stats_quantile(ten, 10, 1), 10);
    assert_near(stats_quantile(ten, 1, 0.95), 1);
}

static void summaries_have_known_values(void **state)
{
    static const double values[] = {12.5, 3.25, 8, 8, 100, 1, 7.75};
    struct stats_summary s;

    (void)state;
    assert_int_equal(stats_summarize(values, 7, &s), 0);
    assert_int_equal(s.n, 7);
    assert_near(s.min, 1);
    assert_near(s.median, 8);
    assert_near(s.p95, 73.75);
    assert_near(s.max, 100);
    assert_near(s.mean, 140.5 / 7);
    assert_near(s.deviation, 35.439712389997105);
    assert_int_equal(stats_summarize(values, 1, &s), 0);
    assert_near(s.deviation, 0);
}

static void random_numbers_are_those_of_splitmix64(void **state)
{
    uint64_t seed = 1234567;

    (void)state;
    /* From the generator's reference implementation. */
    assert_true(stats_random(&seed) == 6457827717110365317U);
    assert_true(stats_random(&seed) == 3203168211198807973U);
}

static void a_constant_ratio_has_no_interval(void **state)
{
    double base[20], other[20];
    struct stats_interval i;

    (void)state;
    for (size_t k = 0; k < 20; k++) {
        base[k] = 100;
        other[k] = 150;
    }
    assert_int_equal(stats_ratio(base, other, 20, 1, &i), 0);
    assert_near(i.value, 1.5);
    assert_near(i.low, 1.5);
    assert_near(i.high, 1.5);
}

static void the_same_seed_gives_the_same_interval(void **state)
{
    uint64_t random = 7;
    double base[15], other[15];
    struct stats_interval first, second;

    (void)state;
    for (size_t k = 0; k < 15; k++) {
        base[k] = 100 + (double)(stats_random(&random) % 1000) / 10;
        other[k] = 100 + (double)(stats_random(&random) % 1000) / 10;
    }
    assert_int_equal(stats_ratio(base, other, 15, 42, &first), 0);
    assert_int_equal(stats_ratio(base, other, 15, 42, &second), 0);
    assert_memory_equal(&first, &second, sizeof(first));
    assert_true(first.low < first.value && first.value < first.high);
}

static void too_few_pairs_and_zeros_have_no_ratio(void **state)
{
    static const double counts[] = {1, 2, 3, 4, 5, 6, 7}, zeros[] = {0, 0, 0, 0, 0, 0, 1};
    struct stats_interval i = {-1, -1, -1};

    (void)state;
    assert_int_equal(stats_ratio(counts, counts, STATS_PAIRS_MIN - 1, 1, &i), -ERANGE);
    assert_int_equal(stats_ratio(zeros, counts, 7, 1, &i), -ERANGE);
    assert_near(i.value, -1);
    assert_int_equal(stats_ratio(counts, zeros, 7, 1, &i), 0);
}

/* Times as they are: a floor, and now and then something that takes longer. */
static double some_time(uint64_t *random, double floor_value)
{
    double uniform = ((double)(stats_random(random) >> 11) + 1) / 9007199254740993.0;

    return floor_value * (1 + 0.1 * -log(uniform));
}

/* With the true ratio known, an interval of 95 % must hold it about that often, and a disturbance
 * that both sides share must not widen it. */
static void intervals_hold_the_truth_as_often_as_they_say(void **state)
{
    enum { TRIALS = 200, RUNS = 20 };
    const double truth = 1.25;
    uint64_t random = 99;
    double base[RUNS], other[RUNS];
    int held = 0;

    (void)state;
    for (int trial = 0; trial < TRIALS; trial++) {
        struct stats_interval i;
        for (size_t k = 0; k < RUNS; k++) {
            base[k] = some_time(&random, 100);
            other[k] = some_time(&random, 100 * truth);
        }
        assert_int_equal(stats_ratio(base, other, RUNS, (uint64_t)trial, &i), 0);
        held += i.low <= truth && truth <= i.high;
    }
    assert_in_range(held, TRIALS * 90 / 100, TRIALS * 99 / 100);
}

static void what_disturbs_both_sides_does_not_widen_the_interval(void **state)
{
    enum { RUNS = 31 };
    uint64_t random = 5;
    double base[RUNS], paired[RUNS], shuffled[RUNS];
    struct stats_interval together, apart;

    (void)state;
    for (size_t k = 0; k < RUNS; k++) {
        base[k] = some_time(&random, 100) * (k % 2 ? 3 : 1);
        paired[k] = base[k] * 1.5;
    }
    for (size_t k = 0; k < RUNS; k++)
        shuffled[k] = paired[k * 7 % RUNS];
    assert_int_equal(stats_ratio(base, paired, RUNS, 1, &together), 0);
    assert_int_equal(stats_ratio(base, shuffled, RUNS, 1, &apart), 0);
    assert_near(together.low, 1.5);
    assert_near(together.high, 1.5);
    assert_true(apart.high - apart.low > 0.1);
}

static void outliers_are_counted(void **state)
{
    double values[21];
    size_t n;

    (void)state;
    for (size_t k = 0; k < 21; k++)
        values[k] = 100 + (double)k;
    assert_int_equal(stats_outliers(values, 21, &n), 0);
    assert_int_equal(n, 0);
    values[3] = 200;
    values[9] = 10;
    assert_int_equal(stats_outliers(values, 21, &n), 0);
    assert_int_equal(n, 2);
    for (size_t k = 0; k < 21; k++)
        values[k] = 7;
    assert_int_equal(stats_outliers(values, 21, &n), 0);
    assert_int_equal(n, 0);
}

/* ---- cores ---- */

static struct cpu_core core(unsigned first, unsigned second, unsigned node)
{
    struct cpu_core c = {.node = node};

    cpus_add(&c.cpus, first);
    cpus_add(&c.cpus, second);
    return c;
}

static void assert_cpus(const struct cpus *set, const char *list)
{
    _cleanup_buffer_ struct buffer b = {0};

    assert_int_equal(cpus_format(set, &b), 0);
    assert_string_equal(buffer_string(&b), list);
}

static void reserved_cores_are_of_one_node_and_their_other_threads_idle(void **state)
{
    const struct cpu_core cores[] = {core(0, 6, 0), core(1, 7, 0),  core(2, 8, 0),
                                     core(3, 9, 1), core(4, 10, 1), core(5, 11, 1)};
    struct bench_cores chosen;

    (void)state;
    assert_int_equal(bench_cores_choose(cores, 6, 2, &chosen), 0);
    assert_cpus(&chosen.cpus, "4-5");
    assert_cpus(&chosen.siblings, "10-11");
    assert_cpus(&chosen.others, "0-3,6-9");
    assert_int_equal(bench_cores_choose(cores, 5, 3, &chosen), 0);
    assert_cpus(&chosen.cpus, "0-2");
    assert_int_equal(bench_cores_choose(cores, 6, 4, &chosen), -E2BIG);
}

static void the_last_core_may_be_reserved(void **state)
{
    const struct cpu_core only = core(0, 0, 0);
    struct bench_cores chosen;

    (void)state;
    assert_int_equal(bench_cores_choose(&only, 1, 1, &chosen), 0);
    assert_cpus(&chosen.cpus, "0");
    assert_true(cpus_empty(&chosen.siblings) && cpus_empty(&chosen.others));
}

/* ---- the machine ---- */

static void samples_are_read_from_the_kernels_files(void **state)
{
    static struct machine_sample s;

    (void)state;
    machine_parse_stat("cpu  9 9 9 9 9 9 9 9 9 9\n"
                       "cpu0 100 20 30 400 50 6 7 8 90 0\n"
                       "cpu12 1 0 0 0 0 0 0 2 0 0\n"
                       "cpu4000 1 0 0 0 0 0 0 2 0 0\n"
                       "intr 1 2 3\n",
                       &s);
    assert_cpus(&s.present, "0,12");
    assert_int_equal(s.cpus[0].busy, 163);
    assert_int_equal(s.cpus[0].steal, 8);
    assert_int_equal(s.cpus[12].steal, 2);
    assert_int_equal(machine_parse_pressure("some avg10=0.00 avg60=0.00 avg300=0.00 total=77\n"
                                            "full avg10=0.00 avg60=0.00 avg300=0.00 total=5\n"),
                     77);
    assert_true(machine_parse_pressure("full total=3\n") == SANDBOX_ABSENT);
    assert_true(machine_parse_pressure("") == SANDBOX_ABSENT);
}

static void noise_is_what_the_runs_did_not_use(void **state)
{
    static struct machine_sample before, after;
    struct machine_noise noise = {0};
    struct cpus watched = {0}, siblings = {0};
    uint64_t second = (uint64_t)sysconf(_SC_CLK_TCK);

    (void)state;
    cpus_add(&watched, 1);
    cpus_add(&siblings, 3);
    for (unsigned cpu = 0; cpu < 4; cpu++)
        cpus_add(&after.present, cpu);
    after.at_usec = 10 * 1000000;
    after.cpus[0].busy = 3 * second;
    after.cpus[1] = (struct machine_cpu){8 * second, second / 2};
    after.cpus[3].busy = 1 * second;
    after.own_usec = 500000;
    after.pressure_usec[1] = 1000000;
    machine_compare(&before, &after, &watched, &siblings, 7500000, &noise);
    assert_near(noise.steal, 0.05);
    assert_near(noise.others, 0.4);
    assert_near(noise.siblings, 0.1);
    assert_near(noise.pressure[1], 0.1);
}

/* Each kind of noise alone gives its own line; just below its bound none. */
static void every_kind_of_noise_is_told(void **state)
{
    static const struct {
        struct machine_noise noisy, quiet;
        const char *line;
    } cases[] = {
        {{.steal = 0.05},
         {.steal = 0.005},
         "the hypervisor gave 5.0 % of the CPUs' time to others"},
        {{.others = 0.4}, {.others = 0.1}, "other programs kept 0.40 CPUs busy"},
        {{.siblings = 0.1},
         {.siblings = 0.02},
         "the idle threads of the reserved cores were busy for 10.0 % of the time"},
        {{.pressure = {0, 0.1}},
         {.pressure = {1, 0.02}}, /* of the CPU: told by command, from what the runs waited */
         "something waited for memory for 10.0 % of the time"},
        {{.pressure = {0, 0, 0.1}},
         {.pressure = {0, 0, 0.02}},
         "something waited for a disk for 10.0 % of the time"},
        {{.frequency = {2000000, 3000000}},
         {.frequency = {2850000, 3000000}},
         "the CPUs' frequency changed between 2000 and 3000 MHz"},
        {{.slowed = 3}, {.slowed = 0}, "the CPUs were slowed down by heat 3 times"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_strv_ char **told = NULL, **silent = NULL;
        assert_int_equal(machine_warn(&cases[i].noisy, &told), 0);
        assert_int_equal(strv_length(told), 1);
        assert_string_equal(told[0], cases[i].line);
        assert_int_equal(machine_warn(&cases[i].quiet, &silent), 0);
        assert_null(silent);
    }
}

/* ---- what is said of a command ---- */

#define RUNS 6

/* A result with one command, whose wall times are 100 ms and a little, to be evaluated. */
static struct bench_result *one_command(void)
{
    struct bench_result *r = calloc(1, sizeof(*r));
    struct bench_command *c;

    assert_non_null(r);
    c = &r->commands[0];
    r->n_commands = 1;
    r->n_rounds = RUNS;
    c->text = strdup("true");
    c->runs = calloc(RUNS, sizeof(*c->runs));
    assert_non_null(c->runs);
    for (size_t i = 0; i < RUNS; i++)
        c->runs[i].counters[BENCH_WALL] = 100000 + 100 * i;
    return r;
}

static void assert_told(struct bench_result *r, const char *line)
{
    struct error e = ERROR_INIT;

    assert_int_equal(bench_result_evaluate(r, &e), 0);
    assert_int_equal(strv_length(r->warnings), line ? 1 : 0);
    if (line)
        assert_string_equal(r->warnings[0], line);
    bench_result_free(r);
}

static void what_disturbed_a_command_is_told(void **state)
{
    struct bench_result *r = one_command();

    (void)state;
    assert_told(r, NULL);
    r = one_command();
    r->commands[0].runs[2].counters[BENCH_WALL] = 300000;
    assert_told(r, "1 of 6 wall times lie far from the others: true");
    r = one_command();
    r->commands[0].runs[1].counters[BENCH_CPU_PRESSURE] = 60150;
    assert_told(r, "processes waited for a CPU for 10.0 % of the time: true");
    r = one_command();
    r->commands[0].runs[1].counters[BENCH_CPU_PRESSURE] = 11000;
    assert_told(r, NULL);
    r = one_command();
    r->commands[0].runs[1].counters[BENCH_THROTTLED] = 1500000;
    assert_told(r, "held back by --cpus for 1.500 s: true");
    r = one_command();
    r->commands[0].failures = 2;
    assert_told(r, "2 of 6 runs failed: true");
}

static void a_counter_that_one_run_lacks_has_no_summary(void **state)
{
    struct bench_result *r = one_command();
    struct error e = ERROR_INIT;

    (void)state;
    r->commands[0].runs[3].counters[BENCH_READ] = SANDBOX_ABSENT;
    assert_int_equal(bench_result_evaluate(r, &e), 0);
    assert_int_equal(r->commands[0].summaries[BENCH_READ].n, 0);
    assert_int_equal(r->commands[0].summaries[BENCH_WRITE].n, RUNS);
    assert_near(r->commands[0].summaries[BENCH_WALL].median, 100250);
    bench_result_free(r);
}

static void a_quiet_machine_gives_no_warning(void **state)
{
    struct machine_noise noise = {.pressure = {-1, -1, -1}, .frequency = {2990000, 3000000}};
    _cleanup_strv_ char **warnings = NULL;

    (void)state;
    assert_int_equal(machine_warn(&noise, &warnings), 0);
    assert_null(warnings);
}

/* ---- the command line ---- */

/* LINE is cut into words where it has blanks. */
static int parse(char *line, char **words, struct bench_options *o, struct error *e)
{
    int n = 0;

    for (char *word = strtok(line, " "); word && n < WORDS_MAX; word = strtok(NULL, " "))
        words[n++] = word;
    words[n] = NULL;
    return bench_options_parse(n, words, o, e);
}

static void commands_are_parted_by_vs(void **state)
{
    char line[] = "bench -n 7 -m 64m image -- a --vs more --vs -- b -n --vs -- c";
    char *words[WORDS_MAX + 1];
    struct bench_options o;
    struct error e = ERROR_INIT;

    (void)state;
    assert_int_equal(parse(line, words, &o, &e), 0);
    assert_int_equal(o.runs, 7);
    assert_int_equal(o.run.memory_bytes, 64 << 20);
    assert_string_equal(o.image, "image");
    assert_int_equal(o.n_commands, 3);
    assert_int_equal(strv_length(o.commands[0]), 3);
    assert_string_equal(o.commands[0][2], "more");
    assert_string_equal(o.commands[1][1], "-n");
    assert_string_equal(o.commands[2][0], "c");
    assert_null(o.commands[2][1]);
    bench_options_clear(&o);
}

static void wrong_command_lines_are_refused(void **state)
{
    char lines[][80] = {
        "bench",
        "bench -n 0 image",
        "bench -n 10001 image",
        "bench -n 10000 image -- a --vs -- b --vs -- c",
        "bench --cores 1 --cpuset-cpus 0 image",
        "bench --format xml image",
        "bench -i image",
        "bench -t image",
        "bench --keep-changes x image",
        "bench --copy-out /a:/b image",
        "bench --report x image",
        "bench image -- a --vs --",
        "bench image -- a --vs -- --vs -- b",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        char *words[WORDS_MAX + 1];
        struct bench_options o;
        struct error e = ERROR_INIT;
        assert_int_equal(parse(lines[i], words, &o, &e), -EINVAL);
        assert_true(e.text[0]);
        bench_options_clear(&o);
    }
}

static void commands_are_shown_as_a_shell_takes_them(void **state)
{
    static const char *const words[][4] = {{"sh", "-c", "echo it's\n", NULL},
                                           {"a\x1b[2J", "\xff", "", NULL}};
    static const char *const lines[] = {"sh -c 'echo it'\\''s '", "'a [2J' '?' ''"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        _cleanup_free_ char *text = bench_quote((char *const *)(uintptr_t)words[i]);
        assert_string_equal(text, lines[i]);
    }
}

/* ---- what programs read ---- */

/* The line of a run as CSV has it, from the run as JSON has it. */
static void csv_of(size_t command, json_t *run, struct buffer *b)
{
    const char *key;
    json_t *value;

    assert_int_equal(buffer_printf(b, "%zu", command + 1), 0);
    json_object_foreach (run, key, value) {
        if (json_is_string(value))
            assert_int_equal(buffer_printf(b, ",%s", json_string_value(value)), 0);
        else if (json_is_null(value))
            assert_int_equal(buffer_printf(b, ","), 0);
        else
            assert_int_equal(buffer_printf(b, ",%lld", (long long)json_integer_value(value)), 0);
    }
    assert_int_equal(buffer_printf(b, "\n"), 0);
}

static void csv_and_json_tell_the_same_of_each_run(void **state)
{
    _cleanup_buffer_ struct buffer csv = {0}, json = {0}, expected = {0};
    struct bench_options options = {0};
    struct bench_result *r = one_command();
    struct bench_run *run = &r->commands[0].runs[RUNS - 1];
    struct error e = ERROR_INIT;
    json_t *found, *runs, *one;
    size_t i;

    (void)state;
    r->options = &options;
    r->image = strdup("image");
    r->digest = strdup("");
    r->commands[0].argv = calloc(1, sizeof(char *));
    for (size_t metric = 0; metric < BENCH_METRICS_; metric++)
        run->counters[metric] = ((uint64_t)1 << 40) + metric;
    run->counters[BENCH_READ] = SANDBOX_ABSENT;
    run->position = 3;
    run->verdict = SANDBOX_SIGNALLED;
    run->exit_status = 137;
    assert_int_equal(bench_result_evaluate(r, &e), 0);
    assert_int_equal(bench_show_csv(r, &csv), 0);
    assert_int_equal(bench_show_json(r, &json), 0);
    found = json_loadb((const char *)json.data, json.size, 0, NULL);
    runs = json_object_get(json_array_get(json_object_get(found, "commands"), 0), "runs");
    assert_int_equal(json_array_size(runs), RUNS);
    json_array_foreach (runs, i, one)
        csv_of(0, one, &expected);
    assert_non_null(buffer_string(&expected));
    assert_non_null(buffer_string(&csv));
    assert_non_null(strstr((char *)expected.data, "1,6,4,signalled,137,1099511627776,"));
    assert_string_equal(strchr((char *)csv.data, '\n') + 1, (char *)expected.data);
    json_decref(found);
    bench_result_free(r);
}

/* ---- axes ---- */

static void axes_have_round_marks_around_all_values(void **state)
{
    struct axis a = axis_make(10300, 11900, BENCH_TIME, 0, 100);

    (void)state;
    assert_string_equal(a.unit, "ms");
    assert_near(a.step, 200);
    assert_near(a.from, 10200);
    assert_near(a.to, 12000);
    assert_near(axis_place(&a, 11100), 50);
    a = axis_make(0, 0, BENCH_COUNT, 0, 100);
    assert_true(a.from <= 0 && a.to > 0 && a.step > 0);
    a = axis_make(7, 7, BENCH_COUNT, 0, 100);
    assert_true(a.from < 7 && a.to > 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantiles_are_interpolated),
        cmocka_unit_test(summaries_have_known_values),
        cmocka_unit_test(random_numbers_are_those_of_splitmix64),
        cmocka_unit_test(a_constant_ratio_has_no_interval),
        cmocka_unit_test(the_same_seed_gives_the_same_interval),
        cmocka_unit_test(too_few_pairs_and_zeros_have_no_ratio),
        cmocka_unit_test(intervals_hold_the_truth_as_often_as_they_say),
        cmocka_unit_test(what_disturbs_both_sides_does_not_widen_the_interval),
        cmocka_unit_test(outliers_are_counted),
        cmocka_unit_test(reserved_cores_are_of_one_node_and_their_other_threads_idle),
        cmocka_unit_test(the_last_core_may_be_reserved),
        cmocka_unit_test(samples_are_read_from_the_kernels_files),
        cmocka_unit_test(noise_is_what_the_runs_did_not_use),
        cmocka_unit_test(every_kind_of_noise_is_told),
        cmocka_unit_test(a_quiet_machine_gives_no_warning),
        cmocka_unit_test(what_disturbed_a_command_is_told),
        cmocka_unit_test(a_counter_that_one_run_lacks_has_no_summary),
        cmocka_unit_test(commands_are_parted_by_vs),
        cmocka_unit_test(wrong_command_lines_are_refused),
        cmocka_unit_test(commands_are_shown_as_a_shell_takes_them),
        cmocka_unit_test(csv_and_json_tell_the_same_of_each_run),
        cmocka_unit_test(axes_have_round_marks_around_all_values),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
