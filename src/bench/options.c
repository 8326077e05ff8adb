#include "bench/bench.h"

#include "base/text.h"

#include <string.h>

/* getopt_long's values of bench's own options: below those of run's table, above letters. */
enum { OPTION_WARMUP = 256, OPTION_CORES, OPTION_IGNORE_FAILURE, OPTION_FORMAT, OPTION_HTML };

static const struct option own[] = {
    {"runs", required_argument, NULL, 'n'},
    {"warmup", required_argument, NULL, OPTION_WARMUP},
    {"cores", required_argument, NULL, OPTION_CORES},
    {"ignore-failure", no_argument, NULL, OPTION_IGNORE_FAILURE},
    {"format", required_argument, NULL, OPTION_FORMAT},
    {"html", required_argument, NULL, OPTION_HTML},
    {"help", no_argument, NULL, 'h'},
};

void bench_options_clear(struct bench_options *o)
{
    run_options_clear(&o->run);
    *o = (struct bench_options){0};
}

static int set_number(const char *name, const char *value, unsigned min, unsigned max,
                      unsigned *ret, struct error *e)
{
    uint64_t number;

    if (text_parse_uint(value, max, &number) < 0 || number < min)
        return error_set(e, -EINVAL, "--%s is a number from %u to %u, not \"%s\"", name, min, max,
                         value);
    *ret = (unsigned)number;
    return 0;
}

static int set_format(struct bench_options *o, const char *value, struct error *e)
{
    static const char *const names[] = {
        [BENCH_TABLE] = "text", [BENCH_JSON] = "json", [BENCH_CSV] = "csv"};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (strcmp(value, names[i]) == 0) {
            o->format = (enum bench_format)i;
            return 0;
        }
    }
    return error_set(e, -EINVAL, "--format is text, json or csv, not \"%s\"", value);
}

static int apply(struct bench_options *o, int option, const char *value, struct error *e)
{
    switch (option) {
    case 'n':
        return set_number("runs", value, 1, BENCH_RUNS_MAX, &o->runs, e);
    case OPTION_WARMUP:
        return set_number("warmup", value, 0, BENCH_WARMUP_MAX, &o->warmup, e);
    case OPTION_CORES:
        return set_number("cores", value, 1, SANDBOX_CPUS_MAX, &o->cores, e);
    case OPTION_IGNORE_FAILURE:
        o->ignore_failure = true;
        return 0;
    case OPTION_FORMAT:
        return set_format(o, value, e);
    case OPTION_HTML:
        o->html = value;
        return 0;
    default:
        return run_options_apply(&o->run, option, value, e);
    }
}

static bool is_next_command(char **words)
{
    return words[0] && words[1] && strcmp(words[0], "--vs") == 0 && strcmp(words[1], "--") == 0;
}

/* WORDS are what follows the image. */
static int split_commands(struct bench_options *o, char **words, struct error *e)
{
    if (words[0] && strcmp(words[0], "--") == 0)
        words++;
    o->commands[o->n_commands++] = words;
    for (; *words; words++) {
        if (!is_next_command(words))
            continue;
        if (o->n_commands == BENCH_COMMANDS_MAX)
            return error_set(e, -EINVAL, "more than %d commands", BENCH_COMMANDS_MAX);
        *words++ = NULL;
        if (!words[1] || is_next_command(words + 1))
            return error_set(e, -EINVAL, "--vs -- needs a command behind it");
        o->commands[o->n_commands++] = words + 1;
    }
    return 0;
}

static int check(const struct bench_options *o, struct error *e)
{
    /* Warm-up is not kept: only what is counts for the bound. */
    if ((uint64_t)o->runs * o->n_commands > BENCH_TOTAL_MAX)
        return error_set(e, -EINVAL, "%u runs of %zu commands are more than %d", o->runs,
                         o->n_commands, BENCH_TOTAL_MAX);
    if (o->run.interactive || o->run.terminal)
        return error_set(e, -EINVAL, "the runs of a benchmark have no input and no terminal");
    if (o->run.keep)
        return error_set(e, -EINVAL, "what the runs of a benchmark change is not kept");
    for (size_t i = 0; i < o->run.n_copies; i++)
        if (o->run.copies[i].out)
            return error_set(e, -EINVAL, "nothing is copied out of the runs of a benchmark");
    if (o->run.report)
        return error_set(e, -EINVAL, "the report of a benchmark is --format json");
    if (o->cores && !cpus_empty(&o->run.cpus))
        return error_set(e, -EINVAL, "--cores chooses the CPUs that --cpuset-cpus would name");
    return 0;
}

int bench_options_parse(int argc, char **argv, struct bench_options *ret, struct error *e)
{
    struct option table[RUN_LONG_OPTIONS];
    size_t n = run_options_long(table);
    int option, r;

    *ret = (struct bench_options){.runs = BENCH_RUNS_DEFAULT, .warmup = BENCH_WARMUP_DEFAULT};
    r = run_options_init(&ret->run);
    memcpy(table + n, own, sizeof(own));
    table[n + ARRAY_SIZE(own)] = (struct option){NULL};
    optind = 1;
    while (r == 0 &&
           (option = getopt_long(argc, argv, "+hn:" RUN_SHORT_OPTIONS, table, NULL)) >= 0) {
        if (option == 'h')
            return 1;
        if (option == '?')
            return error_set(e, -EINVAL, "the command line was not understood");
        r = apply(ret, option, optarg, e);
    }
    if (r < 0)
        return r;
    if (optind >= argc)
        return error_set(e, -EINVAL, "IMAGE is missing");
    ret->image = argv[optind];
    r = split_commands(ret, argv + optind + 1, e);
    return r < 0 ? r : check(ret, e);
}
