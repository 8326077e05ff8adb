#include "cli/image_verb.h"

#include "base/clock.h"
#include "base/text.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

/* Between two progress lines: often enough to look alive. */
#define PROGRESS_INTERVAL (100 * USEC_PER_MSEC)

int image_verb_parse(const struct image_verb *v, int argc, char **argv,
                     struct image_verb_options *ret)
{
    static const struct option options[] = {
        {"store", required_argument, NULL, 's'},
        {"format", required_argument, NULL, 'f'},
        {"help", no_argument, NULL, 'h'},
        {"name", required_argument, NULL, 'n'},
        {0},
    };
    int c;

    *ret = (struct image_verb_options){.store = IMAGE_STORE_DEFAULT};
    opterr = 0;
    while ((c = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
        if (c == 'n' && !v->takes_name)
            c = '?';
        switch (c) {
        case 's':
            ret->store = optarg;
            break;
        case 'n':
            ret->name = optarg;
            break;
        case 'f':
            if (cli_parse_format(optarg, &ret->format) < 0)
                return cli_usage(v->verb, "--format takes text or json");
            break;
        case 'h':
            fputs(v->help, stdout);
            return -1;
        case ':':
            return cli_usage(v->verb, "%s needs a value", argv[optind - 1]);
        default:
            return cli_usage(v->verb, "%s is not an option", argv[optind - 1]);
        }
    }
    return EXIT_SUCCESS;
}

int image_verb_flush(const struct image_verb *v)
{
    struct error e = ERROR_INIT;

    if (fflush(stdout) == 0 && !ferror(stdout))
        return EXIT_SUCCESS;
    error_sys(&e, -errno, "write to stdout");
    return cli_fail(v->verb, &e);
}

int image_verb_print(const struct image_verb *v, json_t *json)
{
    json_dumpf(json, stdout, JSON_INDENT(2));
    json_decref(json);
    putchar('\n');
    return image_verb_flush(v);
}

const char *image_verb_size(uint64_t bytes, char *buf)
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    double value = (double)bytes;
    size_t unit = 0;

    for (; value >= 1024 && unit + 1 < ARRAY_SIZE(units); unit++)
        value /= 1024;
    if (unit == 0)
        snprintf(buf, IMAGE_VERB_SIZE_TEXT, "%" PRIu64 " bytes", bytes);
    else
        snprintf(buf, IMAGE_VERB_SIZE_TEXT, "%.1f %s", value, units[unit]);
    return buf;
}

char *image_verb_printable(const char *text)
{
    char *copy = strdup(text);
    bool utf8 = text_is_utf8(text, strlen(text));

    for (char *p = copy; p && *p; p++)
        if ((unsigned char)*p < ' ' || *p == 127 || (!utf8 && (unsigned char)*p > 127))
            *p = '?';
    return copy;
}

void image_progress_show(struct image_progress *p, const char *format, ...)
{
    uint64_t now = clock_monotonic_usec();
    char line[128];
    va_list ap;

    if (now - p->last < PROGRESS_INTERVAL)
        return;
    p->last = now;
    va_start(ap, format);
    vsnprintf(line, sizeof(line), format, ap);
    va_end(ap);
    fprintf(stderr, "\r%-*s", p->shown, line);
    fflush(stderr);
    p->shown = (int)strlen(line);
}

void image_progress_end(struct image_progress *p)
{
    if (p->shown > 0)
        fprintf(stderr, "\r%*s\r", p->shown, "");
    p->shown = 0;
}
