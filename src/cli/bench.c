/* dockless bench: commands measured against each other. */
#include "cli/cli.h"

#include "base/clock.h"
#include "base/fdio.h"
#include "base/log.h"
#include "bench/show.h"

#include <string.h>

/* The progress line is written at most this often. */
#define PROGRESS_USEC (USEC_PER_SEC / 10)
/* Of the command, what fits into a line of a terminal beside the rest. */
#define PROGRESS_TEXT 40

static const char help[] =
    "Usage: dockless bench [OPTION...] IMAGE -- COMMAND [ARGUMENT...] [--vs -- COMMAND...]...\n\n"
    "Runs commands again and again, each time in a fresh sandbox of IMAGE, in turns, and tells "
    "what "
    "they\n"
    "used from the kernel's counters, and how they compare to the first. Needs root.\n\n"
    "  -n, --runs N              runs of each command (default: 10)\n"
    "  --warmup N                runs of each that do not count (default: 1)\n"
    "  --cores N                 reserve N whole cores of one memory node for the runs\n"
    "  --ignore-failure          measure runs that fail too\n"
    "  --format text|json|csv    a table (default), everything, or a line for each run\n"
    "  --html FILE               a page with distributions and the series of runs as well\n"
    "  -h, --help                show this\n\n"
    "Options of dockless run about the program, what it sees and its limits hold for every run;\n"
    "those about its input, its terminal and its report do not exist here.\n\n"
    "Exit status: 0; 1 when a run failed and for other failures; 2 for a wrong command line.\n"
    "See also dockless-bench(1).\n";

struct progress {
    uint64_t started, last;
};

/* Only where somebody looks: stderr is a terminal. */
static void show_progress(void *data, size_t done, size_t total, const char *command)
{
    struct progress *p = data;
    uint64_t now = clock_monotonic_usec();

    if (now - p->last < PROGRESS_USEC && done < total)
        return;
    p->last = now;
    fprintf(stderr, "\r\033[K%zu/%zu, %.0f s to go  %.*s", done, total,
            (double)(now - p->started) / 1e6 / (double)done * (double)(total - done), PROGRESS_TEXT,
            command);
    if (done == total)
        fputs("\r\033[K", stderr);
}

static int write_page(const struct bench_result *result, const char *path, struct error *e)
{
    _cleanup_buffer_ struct buffer b = {.max = BENCH_OUTPUT_MAX};
    _cleanup_close_ int fd = -EBADF;
    int r = bench_show_html(result, &b);

    if (r < 0)
        return error_sys(e, r, "page");
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0644);
    r = fd < 0 ? -errno : fd_write_full(fd, b.data, b.size);
    return r < 0 ? error_sys(e, r, "--html %s", path) : 0;
}

static int show(const struct bench_result *result, struct error *e)
{
    static int (*const shows[])(const struct bench_result *, struct buffer *) = {
        [BENCH_TABLE] = bench_show_table,
        [BENCH_JSON] = bench_show_json,
        [BENCH_CSV] = bench_show_csv,
    };
    const struct bench_options *o = result->options;
    _cleanup_buffer_ struct buffer b = {.max = BENCH_OUTPUT_MAX};
    int r = o->html ? write_page(result, o->html, e) : 0;

    if (r < 0)
        return r;
    r = shows[o->format](result, &b);
    if (r < 0)
        return error_sys(e, r, "result");
    r = fd_write_full(STDOUT_FILENO, b.data, b.size);
    if (r < 0)
        return error_sys(e, r, "standard output");
    /* Who reads the table has seen them. */
    for (char **w = result->warnings; o->format != BENCH_TABLE && w && *w; w++)
        fprintf(stderr, "dockless bench: warning: %s\n", *w);
    return 0;
}

static int bench(const struct bench_options *o, struct error *e)
{
    _cleanup_(bench_result_free_p) struct bench_result *result = NULL;
    struct progress progress = {.started = clock_monotonic_usec()};
    bool watched = isatty(STDERR_FILENO);
    int r = bench_measure(o, watched ? show_progress : NULL, &progress, &result, e);

    if (r < 0 && watched && progress.last)
        fputs("\r\033[K", stderr);
    return r < 0 ? r : show(result, e);
}

int cli_bench(int argc, char **argv)
{
    struct bench_options o;
    struct error e = ERROR_INIT;
    int r = bench_options_parse(argc, argv, &o, &e), status = EXIT_SUCCESS;

    if (r > 0) {
        fputs(help, stdout);
    } else if (r < 0) {
        status = cli_usage("bench", "%s", e.text);
    } else {
        log_setup(o.run.verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARNING, "dockless bench");
        status = bench(&o, &e) < 0 ? cli_fail("bench", &e) : EXIT_SUCCESS;
    }
    bench_options_clear(&o);
    return status;
}
