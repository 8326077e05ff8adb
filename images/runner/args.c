#include "args.h"

#include "base/cleanup.h"

#include <stdlib.h>
#include <string.h>

struct reader {
    const struct args_spec *spec;
    const char *program;
    struct args *args;
    size_t wanted; /* positional arguments that must be there */
};

void args_clear(struct args *a)
{
    free(a->positional);
    a->positional = NULL;
}

const char *args_value(const struct args *a, size_t i)
{
    return a->value[i] ? a->value[i] : "";
}

static size_t n_options(const struct args_spec *spec)
{
    size_t n = 0;

    while (n < ARGS_OPTIONS_MAX && spec->options[n].help)
        n++;
    return n;
}

static void print_usage(const struct reader *r, FILE *out)
{
    fprintf(out, "usage: %s [-h]", r->program);
    for (size_t i = 0; i < n_options(r->spec); i++) {
        const struct args_option *o = &r->spec->options[i];
        const char *value = o->metavar ? o->metavar : "";
        if (o->letter)
            fprintf(out, " [-%c%s%s]", o->letter, *value ? " " : "", value);
        else
            fprintf(out, " [--%s%s%s]", o->name, *value ? " " : "", value);
    }
    for (size_t i = 0; i < r->wanted; i++)
        fprintf(out, " %s", r->spec->positional[i]);
    if (r->spec->rest != ARGS_NO_REST)
        fprintf(out, " [%s ...]", r->spec->rest_name);
    fputc('\n', out);
}

static int print_help(const struct reader *r)
{
    print_usage(r, stdout);
    printf("\n%s\n\noptions:\n  -h, --help\n        show this help message and exit\n",
           r->spec->summary);
    for (size_t i = 0; i < n_options(r->spec); i++) {
        const struct args_option *o = &r->spec->options[i];
        fputs("  ", stdout);
        if (o->letter)
            printf("-%c, ", o->letter);
        printf("--%s%s%s\n        %s\n", o->name, o->metavar ? " " : "",
               o->metavar ? o->metavar : "", o->help);
    }
    return 0;
}

/* The mistake, with the argument it is about; exit status 2 as argparse's. */
static int mistake(const struct reader *r, const char *what, const char *about)
{
    print_usage(r, stderr);
    fprintf(stderr, "%s: error: %s%s\n", r->program, what, about);
    return 2;
}

#define OPTION_HELP      (-2)
#define OPTION_NONE      (-3) /* a positional argument or a value */
#define OPTION_UNKNOWN   (-4)
#define OPTION_AMBIGUOUS (-5)

/* -5, -.5, -5.5: values, as no command has an option that looks like a number. */
static bool is_negative_number(const char *arg)
{
    size_t whole = strspn(arg + 1, "0123456789");
    const char *p = arg + 1 + whole;
    size_t part = *p == '.' ? strspn(p + 1, "0123456789") : 0;

    if (*p == '.')
        return part > 0 && p[1 + part] == 0;
    return whole > 0 && *p == 0;
}

/* The option that NAME of SIZE bytes, without dashes, is or begins. */
static int find_name(const struct args_spec *spec, const char *name, size_t size)
{
    int found = OPTION_UNKNOWN;

    for (int i = -1; i < (int)n_options(spec); i++) {
        const char *candidate = i < 0 ? "help" : spec->options[i].name;
        int index = i < 0 ? OPTION_HELP : i;
        if (strncmp(candidate, name, size) != 0)
            continue;
        if (candidate[size] == 0)
            return index;
        found = found == OPTION_UNKNOWN ? index : OPTION_AMBIGUOUS;
    }
    return found;
}

static int find_letter(const struct args_spec *spec, char letter)
{
    if (letter == 'h')
        return OPTION_HELP;
    for (int i = 0; i < (int)n_options(spec); i++)
        if (spec->options[i].letter && spec->options[i].letter == letter)
            return i;
    return OPTION_UNKNOWN;
}

/* What ARG is by itself; *ret_value is what is glued to the option, or NULL. */
static int classify(const struct args_spec *spec, const char *arg, const char **ret_value)
{
    int option;

    *ret_value = NULL;
    if (arg[0] != '-' || arg[1] == 0)
        return OPTION_NONE;
    if (arg[1] == '-') {
        const char *equals = strchr(arg, '=');
        option = find_name(spec, arg + 2, equals ? (size_t)(equals - arg - 2) : strlen(arg + 2));
        *ret_value = equals ? equals + 1 : NULL;
    } else {
        option = find_letter(spec, arg[1]);
        *ret_value = arg[2] == 0 ? NULL : arg + 2;
        if (option != OPTION_UNKNOWN && *ret_value && arg[2] == '=')
            (*ret_value)++;
    }
    if (option == OPTION_UNKNOWN && (is_negative_number(arg) || strchr(arg, ' ')))
        return OPTION_NONE;
    return option;
}

/* Sets OPTION, whose glued value is GLUED or NULL, from *NEXT on; a single-dash flag may have more
 * flags glued to it. ARG is for messages. Returns -1 or an exit status. */
static int set_option(struct reader *r, int option, const char *arg, const char *glued,
                      char ***next)
{
    const char *unused;

    for (;;) {
        if (option == OPTION_HELP)
            return print_help(r);
        if (option == OPTION_AMBIGUOUS)
            return mistake(r, "ambiguous option: ", arg);
        if (option == OPTION_UNKNOWN)
            return mistake(r, "unrecognized arguments: ", arg);
        if (r->spec->options[option].metavar)
            break;
        r->args->value[option] = "";
        if (!glued)
            return -1;
        if (arg[1] == '-' || find_letter(r->spec, *glued) == OPTION_UNKNOWN)
            return mistake(r, "ignored explicit argument: ", glued);
        option = find_letter(r->spec, *glued);
        glued = glued[1] ? glued + 1 : NULL;
        if (glued && *glued == '=' && option >= 0 && r->spec->options[option].metavar)
            glued++;
    }
    if (glued) {
        r->args->value[option] = glued;
        return -1;
    }
    if (!**next || strcmp(**next, "--") == 0 || classify(r->spec, **next, &unused) != OPTION_NONE)
        return mistake(r, "expected one argument: ", arg);
    r->args->value[option] = *(*next)++;
    return -1;
}

static int finish(struct reader *r)
{
    size_t n = r->args->n_positional;

    if (n < r->wanted)
        return mistake(r, "the following arguments are required: ", r->spec->positional[n]);
    if (n > r->wanted && r->spec->rest == ARGS_NO_REST)
        return mistake(r, "unrecognized arguments: ", r->args->positional[r->wanted]);
    return -1;
}

int args_parse(const struct args_spec *spec, const char *program, char **argv, struct args *ret)
{
    struct reader r = {.spec = spec, .program = program, .args = ret};
    bool only_values = false;
    size_t n = 0;

    *ret = (struct args){.positional = NULL};
    while (r.wanted < 3 && spec->positional[r.wanted])
        r.wanted++;
    while (argv[n])
        n++;
    ret->positional = calloc(n + 1, sizeof(*ret->positional));
    if (!ret->positional)
        return mistake(&r, "out of memory", "");
    while (*argv) {
        const char *arg = *argv, *glued;
        int option = only_values ? OPTION_NONE : classify(spec, arg, &glued), status;

        if (!only_values && strcmp(arg, "--") == 0) {
            only_values = true;
            argv++;
        } else if (option == OPTION_NONE) {
            ret->positional[ret->n_positional++] = *argv++;
            if (spec->rest == ARGS_REST_COMMAND && ret->n_positional > r.wanted)
                only_values = true;
        } else {
            argv++;
            status = set_option(&r, option, arg, glued, &argv);
            if (status >= 0)
                return status;
        }
    }
    return finish(&r);
}

int args_integer(const char *program, const char *name, const char *text, long *ret)
{
    char *end;
    long value;

    errno = 0;
    value = strtol(text, &end, 10);
    if (errno || end == text || *end) {
        fprintf(stderr, "%s: error: argument --%s: invalid int value: '%s'\n", program, name, text);
        return -EINVAL;
    }
    *ret = value;
    return 0;
}
