#include "cli/cli.h"

#include <stdarg.h>
#include <string.h>

int cli_fail(const char *verb, const struct error *e)
{
    fprintf(stderr, "dockless %s: %s\n", verb, e->text[0] ? e->text : strerror(-e->code));
    return EXIT_FAILURE;
}

int cli_usage(const char *verb, const char *format, ...)
{
    va_list ap;

    fprintf(stderr, "dockless %s: ", verb);
    va_start(ap, format);
    vfprintf(stderr, format, ap);
    va_end(ap);
    fprintf(stderr, "; try 'dockless %s --help'\n", verb);
    return EXIT_USAGE;
}

int cli_parse_format(const char *text, enum cli_format *ret)
{
    if (strcmp(text, "text") == 0)
        *ret = CLI_TEXT;
    else if (strcmp(text, "json") == 0)
        *ret = CLI_JSON;
    else
        return -EINVAL;
    return 0;
}

int cli_version(int argc, char **argv)
{
    (void)argc, (void)argv;
    printf("dockless %s\n", DOCKLESS_VERSION);
    return EXIT_SUCCESS;
}
