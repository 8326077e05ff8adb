/* The verbs: one small file each. A verb prints its own help, its own errors (one line on stderr)
 * and returns the exit status. */
#pragma once

#include "base/error.h"

#define EXIT_USAGE 2 /* wrong command line */

struct cli_verb {
    const char *name;                  /* "image load": words as typed */
    const char *summary;               /* one line for `dockless --help` */
    int (*run)(int argc, char **argv); /* argv[0] is the verb's last word */
};

int cli_agent(int argc, char **argv);
int cli_bench(int argc, char **argv);
int cli_check(int argc, char **argv);
int cli_grade(int argc, char **argv);
int cli_image_export(int argc, char **argv);
int cli_image_inspect(int argc, char **argv);
int cli_image_list(int argc, char **argv);
int cli_image_load(int argc, char **argv);
int cli_image_pack(int argc, char **argv);
int cli_image_prune(int argc, char **argv);
int cli_image_rm(int argc, char **argv);
int cli_image_tag(int argc, char **argv);
int cli_image_verify(int argc, char **argv);
int cli_ps(int argc, char **argv);
int cli_run(int argc, char **argv);
int cli_version(int argc, char **argv);

/** Prints "dockless VERB: <text of E>" and returns EXIT_FAILURE. */
int cli_fail(const char *verb, const struct error *e);
/** Prints "dockless VERB: <formatted>" and a hint at --help; returns EXIT_USAGE. */
int cli_usage(const char *verb, const char *format, ...) _printf_(2, 3);

enum cli_format { CLI_TEXT, CLI_JSON };
/** Parses the argument of --format: "text" or "json"; -EINVAL. */
int cli_parse_format(const char *text, enum cli_format *ret);
