#include "cli/image_verb.h"

#include "base/clock.h"
#include "base/text.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

/* Between two progress lines: often enough to look alive. */
#define PROGRESS_INTERVAL (100 * USEC_PER_MSEC)

enum {
    OPTION_CMD = 256,
    OPTION_ENTRYPOINT,
    OPTION_ENV,
    OPTION_LABEL,
    OPTION_BOUND,
    OPTION_WORKDIR,
    OPTION_USER,
    OPTION_CONFIG,
    OPTION_COMPRESSION,
    OPTION_CREATED,
    OPTION_OVERLAY,
};

void image_verb_options_clear(struct image_verb_options *o)
{
    strv_free(o->cmd);
    strv_free(o->entrypoint);
    strv_free(o->env);
    strv_free(o->labels);
    strv_free(o->bounds);
    o->cmd = o->entrypoint = o->env = o->labels = o->bounds = NULL;
}

struct image_config image_verb_config(const struct image_verb_options *o)
{
    return (struct image_config){
        .cmd = o->cmd,
        .entrypoint = o->entrypoint,
        .env = o->env,
        .labels = o->labels,
        .working_dir = o->working_dir,
        .user = o->user,
    };
}

static bool takes(const struct image_verb *v, int option)
{
    if (option == 'n')
        return v->takes_name;
    if (option == OPTION_COMPRESSION)
        return v->takes_compression;
    if (option == OPTION_CREATED || option == OPTION_OVERLAY)
        return v->takes_created;
    if (option == OPTION_BOUND || option == OPTION_CONFIG)
        return v->takes_bounds;
    return option < OPTION_CMD || v->takes_config;
}

static int parse_created(const char *text, int64_t *ret)
{
    uint64_t seconds;
    int r = text_parse_uint(text, INT64_MAX, &seconds);

    if (r >= 0)
        *ret = (int64_t)seconds;
    return r;
}

/* One option with its value; EXIT_SUCCESS or what image_verb_parse() returns. */
static int set_option(const struct image_verb *v, int option, struct image_verb_options *o)
{
    char ***const lists[] = {&o->cmd, &o->entrypoint, &o->env, &o->labels, &o->bounds};

    switch (option) {
    case 's':
        o->store = optarg;
        break;
    case 'n':
        o->name = optarg;
        break;
    case 'f':
        if (cli_parse_format(optarg, &o->format) < 0)
            return cli_usage(v->verb, "--format takes text or json");
        break;
    case OPTION_WORKDIR:
        o->working_dir = optarg;
        break;
    case OPTION_CONFIG:
        o->config = optarg;
        break;
    case OPTION_USER:
        o->user = optarg;
        break;
    case OPTION_COMPRESSION:
        if (image_compression_parse(optarg, &o->compression) < 0)
            return cli_usage(v->verb, "--compression takes zstd, gzip or none");
        break;
    case OPTION_OVERLAY:
        o->overlay = true;
        break;
    case OPTION_CREATED:
        if (parse_created(optarg, &o->created) < 0)
            return cli_usage(v->verb, "--created takes seconds since 1970");
        break;
    default:
        if (strv_append(lists[option - OPTION_CMD], optarg) < 0)
            return cli_usage(v->verb, "no memory");
    }
    return EXIT_SUCCESS;
}

static int read_epoch(const struct image_verb *v, struct image_verb_options *o)
{
    const char *epoch = v->takes_created ? getenv("SOURCE_DATE_EPOCH") : NULL;

    if (epoch && epoch[0] && parse_created(epoch, &o->created) < 0)
        return cli_usage(v->verb, "SOURCE_DATE_EPOCH is not a number of seconds");
    return EXIT_SUCCESS;
}

int image_verb_parse(const struct image_verb *v, int argc, char **argv,
                     struct image_verb_options *ret)
{
    static const struct option options[] = {
        {"store", required_argument, NULL, 's'},
        {"format", required_argument, NULL, 'f'},
        {"help", no_argument, NULL, 'h'},
        {"name", required_argument, NULL, 'n'},
        {"cmd", required_argument, NULL, OPTION_CMD},
        {"entrypoint", required_argument, NULL, OPTION_ENTRYPOINT},
        {"env", required_argument, NULL, OPTION_ENV},
        {"label", required_argument, NULL, OPTION_LABEL},
        {"bound", required_argument, NULL, OPTION_BOUND},
        {"config", required_argument, NULL, OPTION_CONFIG},
        {"workdir", required_argument, NULL, OPTION_WORKDIR},
        {"user", required_argument, NULL, OPTION_USER},
        {"compression", required_argument, NULL, OPTION_COMPRESSION},
        {"created", required_argument, NULL, OPTION_CREATED},
        {"overlay", no_argument, NULL, OPTION_OVERLAY},
        {0},
    };
    int c, r;

    *ret = (struct image_verb_options){.store = IMAGE_STORE_DEFAULT, .created = -1};
    opterr = 0;
    r = read_epoch(v, ret);
    while (r == EXIT_SUCCESS && (c = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
        if (c == 'h') {
            fputs(v->help, stdout);
            return -1;
        }
        if (c == ':')
            return cli_usage(v->verb, "%s needs a value", argv[optind - 1]);
        if (c == '?' || !takes(v, c))
            return cli_usage(v->verb, "%s is not an option", argv[optind - 1]);
        r = set_option(v, c, ret);
    }
    return r;
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

void image_verb_print_dropped(const struct image *image, int indent, int width)
{
    const struct {
        uint64_t count;
        const char *what;
    } dropped[] = {
        {image->dropped_devices, "device nodes were not unpacked"},
        {image->dropped_xattrs, "extended attributes were not kept"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(dropped); i++)
        if (dropped[i].count > 0)
            printf("%*s%-*s  %" PRIu64 " %s\n", indent, "", width, "note", dropped[i].count,
                   dropped[i].what);
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

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
    stop = number;
}

/* Those that were ignored stay so, as nohup(1) wants it. */
const volatile sig_atomic_t *image_verb_stop(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    const struct sigaction action = {.sa_handler = on_signal};
    struct sigaction before;

    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
        if (sigaction(numbers[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
            sigaction(numbers[i], &action, NULL);
    return &stop;
}

int image_verb_stopped(const struct image_verb *v, const struct error *e)
{
    int number = stop;

    if (number) {
        signal(number, SIG_DFL);
        raise(number);
    }
    return cli_fail(v->verb, e);
}

int image_verb_print_packed(const struct image_verb *v, const struct image_verb_options *o,
                            const char *target, const struct image_packed *p)
{
    char size[IMAGE_VERB_SIZE_TEXT];

    if (o->format == CLI_JSON)
        return image_verb_print(v, json_pack("{s:s, s:s, s:I, s:I, s:I, s:I}", "reference", target,
                                             "digest", p->digest, "entries", (json_int_t)p->entries,
                                             "size", (json_int_t)p->bytes, "dropped_devices",
                                             (json_int_t)p->dropped_devices, "dropped_xattrs",
                                             (json_int_t)p->dropped_xattrs));
    printf("%s\n  digest  %s\n  size    %s in %" PRIu64 " entries\n", target, p->digest,
           image_verb_size(p->bytes, size), p->entries);
    if (p->dropped_devices > 0)
        printf("  note    %" PRIu64 " device nodes and sockets were left out\n",
               p->dropped_devices);
    if (p->dropped_xattrs > 0)
        printf("  note    %" PRIu64 " extended attributes were left out\n", p->dropped_xattrs);
    return image_verb_flush(v);
}
