/* dockless ps: what runs on this host, of runs and of agents. */
#include "cli/cli.h"

#include "base/clock.h"
#include "base/text.h"
#include "runtime/running.h"

#include <getopt.h>
#include <jansson.h>
#include <string.h>
#include <time.h>

static const char help[] = "Usage: dockless ps [--format text|json]\n\n"
                           "Lists the sandboxes that run on this host: those of every `dockless "
                           "run` and `dockless bench`,\n"
                           "and the jobs of every agent. Needs root.\n\n"
                           "  --format FORMAT    text (default) or json\n"
                           "  -h, --help         show this\n\n"
                           "See also dockless-ps(1).\n";

/* Bytes that a terminal could take for something else become '?'. */
static void print_safe(const char *text)
{
    for (; *text; text++)
        putchar((unsigned char)*text < ' ' || *text == 0x7f ? '?' : *text);
}

static void print_text(const struct running *list, size_t n)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    printf("%-24s %-14s %8s %8s  %s\n", "NAME", "HOSTNAME", "PID", "SECONDS", "COMMAND");
    for (size_t i = 0; i < n; i++) {
        double age = (double)now.tv_sec - (double)list[i].started_usec / (double)USEC_PER_SEC;
        printf("%-24s %-14s %8d %8.0f ", list[i].label[0] ? list[i].label : "-", list[i].hostname,
               (int)list[i].pid, age > 0 ? age : 0.0);
        for (char **arg = list[i].argv; arg && *arg; arg++) {
            putchar(' ');
            print_safe(*arg);
        }
        putchar('\n');
    }
}

static json_t *text(const char *value)
{
    return text_is_utf8(value, strlen(value)) ? json_string(value) : json_null();
}

static int print_json(const struct running *list, size_t n)
{
    json_t *array = json_array();

    for (size_t i = 0; i < n; i++) {
        json_t *argv = json_array();
        for (char **arg = list[i].argv; arg && *arg; arg++)
            json_array_append_new(argv, text(*arg));
        json_array_append_new(
            array, json_pack("{s:o, s:o, s:i, s:I, s:o}", "name", text(list[i].label), "hostname",
                             text(list[i].hostname), "pid", (int)list[i].pid, "started_usec",
                             (json_int_t)list[i].started_usec, "command", argv));
    }
    if (!array || json_dumpf(array, stdout, JSON_INDENT(2)) < 0)
        return EXIT_FAILURE;
    putchar('\n');
    json_decref(array);
    return EXIT_SUCCESS;
}

int cli_ps(int argc, char **argv)
{
    static const struct option options[] = {
        {"format", required_argument, NULL, 'f'},
        {"help", no_argument, NULL, 'h'},
        {NULL},
    };
    enum cli_format format = CLI_TEXT;
    struct error e = ERROR_INIT;
    struct running *list;
    int option, status = EXIT_SUCCESS;
    size_t n;

    optind = 1;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) >= 0) {
        if (option == 'h')
            return fputs(help, stdout), EXIT_SUCCESS;
        if (option != 'f')
            return cli_usage("ps", "the command line was not understood");
        if (cli_parse_format(optarg, &format) < 0)
            return cli_usage("ps", "--format is text or json, not \"%s\"", optarg);
    }
    if (optind != argc)
        return cli_usage("ps", "no argument is expected");
    if (running_list(NULL, &list, &n, &e) < 0)
        return cli_fail("ps", &e);
    if (format == CLI_JSON)
        status = print_json(list, n);
    else
        print_text(list, n);
    running_free(list, n);
    return status;
}
