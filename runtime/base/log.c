#include "base/log.h"

#include "base/clock.h"
#include "weaken.h"

#include <stdarg.h>
#include <string.h>

#define LOG_LINE_MAX 2048

static enum log_level log_most = LOG_LEVEL_INFO;
static const char *log_name = "dockless";

void log_setup(enum log_level most, const char *name)
{
    log_most = most;
    if (name)
        log_name = name;
}

int log_enabled(enum log_level level)
{
    return level <= log_most;
}

static void print(enum log_level level, const char *text)
{
    static const char journal[] = {'3', '4', '6', '7'};

    if (getenv("JOURNAL_STREAM"))
        fprintf(stderr, "<%c>%s: %s\n", journal[level], log_name, text);
    else
        fprintf(stderr, "%s: %s\n", log_name, text);
}

/* A second's worth of lines at most: a job must not be able to fill the disk through our log. Each
 * level has its own, so that nobody hides an error behind other lines. */
static int within_budget(enum log_level level)
{
    static uint64_t second;
    static unsigned printed[LOG_LEVEL_DEBUG + 1], dropped;
    uint64_t now = clock_monotonic_usec() / USEC_PER_SEC;
    char text[80];

    if (now != second) {
        if (dropped > 0) {
            snprintf(text, sizeof(text), "%u lines were dropped", dropped);
            print(LOG_LEVEL_WARNING, text);
        }
        second = now;
        memset(printed, 0, sizeof(printed));
        dropped = 0;
    }
    if (printed[level] < LOG_BURST || weakened("log-rate"))
        return ++printed[level], 1;
    dropped++;
    return 0;
}

void log_line(enum log_level level, const char *format, ...)
{
    char text[LOG_LINE_MAX];
    va_list ap;

    if (!log_enabled(level) || !within_budget(level))
        return;
    va_start(ap, format);
    vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    for (char *p = text; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 127)
            *p = '?';
    print(level, text);
}
