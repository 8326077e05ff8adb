/* dockless check: is this host fit? */
#include "check/check.h"

#include "cli/cli.h"
#include "config/agent_config.h"

#include <getopt.h>
#include <jansson.h>
#include <string.h>

static const char help[] =
    "Usage: dockless check [OPTION...]\n\n"
    "Tries whether this host can run containers as it should, and tells of all that is not as it\n"
    "should be why it matters and what mends it. Needs root.\n\n"
    "  --store DIR          the image store (default: " AGENT_STORE_DEFAULT ")\n"
    "  --tmpdir DIR         scratch files (default: " AGENT_TMPDIR_DEFAULT ")\n"
    "  --format text|json   for people (default) or for programs\n"
    "  -h, --help           show this\n\n"
    "Exit status: 0 when containers can run (there may be warnings), 1 when not, 2 for a wrong\n"
    "command line. See also dockless-check(1).\n";

static const struct option options[] = {
    {"store", required_argument, NULL, 's'},
    {"tmpdir", required_argument, NULL, 't'},
    {"format", required_argument, NULL, 'f'},
    {"help", no_argument, NULL, 'h'},
    {NULL},
};

static void print_text(const struct check_report *report)
{
    for (size_t i = 0; i < report->n; i++) {
        const struct check_result *result = &report->results[i];
        printf("%-4s  %-14s  %s\n", check_state_name(result->state), result->name, result->found);
        if (result->state != CHECK_OK)
            printf("      why:  %s\n      mend: %s\n", result->why, result->mend);
    }
}

static int print_json(const struct check_report *report)
{
    json_t *list = json_array();
    json_t *json =
        json_pack("{s:b, s:o}", "fit", check_worst(report) != CHECK_FAIL, "checks", list);
    int r;

    for (size_t i = 0; i < report->n; i++) {
        const struct check_result *result = &report->results[i];
        json_t *item = json_pack("{s:s, s:s, s:s}", "name", result->name, "state",
                                 check_state_name(result->state), "found", result->found);
        if (result->state != CHECK_OK) {
            json_object_set_new(item, "why", json_string(result->why));
            json_object_set_new(item, "mend", json_string(result->mend));
        }
        json_array_append_new(list, item);
    }
    r = json ? json_dumpf(json, stdout, JSON_INDENT(2)) : -1;
    putchar('\n');
    json_decref(json);
    return r;
}

int cli_check(int argc, char **argv)
{
    struct check_options where = {AGENT_STORE_DEFAULT, AGENT_TMPDIR_DEFAULT};
    enum cli_format format = CLI_TEXT;
    struct check_report report;
    int option;

    optind = 1;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) >= 0) {
        if (option == 'h')
            return fputs(help, stdout), EXIT_SUCCESS;
        if (option == 's')
            where.store = optarg;
        else if (option == 't')
            where.scratch = optarg;
        else if (option != 'f')
            return cli_usage("check", "the command line was not understood");
        else if (cli_parse_format(optarg, &format) < 0)
            return cli_usage("check", "--format is text or json, not \"%s\"", optarg);
    }
    if (optind < argc)
        return cli_usage("check", "\"%s\" is not expected", argv[optind]);
    check_host(&where, &report);
    if (format == CLI_TEXT)
        print_text(&report);
    else if (print_json(&report) < 0)
        return EXIT_FAILURE;
    if (fflush(stdout) != 0)
        return EXIT_FAILURE;
    return check_worst(&report) == CHECK_FAIL ? EXIT_FAILURE : EXIT_SUCCESS;
}
