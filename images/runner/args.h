/* Command lines as Python's argparse reads them, because run scripts were written for it: options
 * and positional arguments in any order, unambiguous prefixes of long options, "--name=value",
 * "-nvalue", "-ab", "--", and "-5" or "-a b" as a value. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define ARGS_OPTIONS_MAX 12

struct args_option {
    char letter;         /* 0: none */
    const char *name;    /* without the dashes */
    const char *metavar; /* NULL: a flag */
    const char *help;
};

enum args_rest {
    ARGS_NO_REST,
    ARGS_REST_LIST,    /* any number more */
    ARGS_REST_COMMAND, /* from the first positional argument on nothing is an option */
};

struct args_spec {
    const char *summary;
    struct args_option options[ARGS_OPTIONS_MAX];
    const char *positional[3]; /* names of those that must be there */
    enum args_rest rest;
    const char *rest_name;
};

struct args {
    const char *value[ARGS_OPTIONS_MAX]; /* NULL: not given; flags: "" */
    char **positional;                   /* owned array of argv's own strings */
    size_t n_positional;
};
void args_clear(struct args *a);
#define _cleanup_args_ _cleanup_(args_clear)

/** Reads ARGV (without the program's name). Returns -1 when the command can run, else the exit
 * status: 0 after --help, 2 after a mistake; it has been explained on stdout or stderr. */
int args_parse(const struct args_spec *spec, const char *program, char **argv, struct args *ret);

/** The value of option I, "" where it was not given. */
const char *args_value(const struct args *a, size_t i);

/** Reads TEXT as the integer value of option NAME; -EINVAL after having explained it. */
int args_integer(const char *program, const char *name, const char *text, long *ret);
