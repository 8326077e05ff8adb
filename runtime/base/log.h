/* Log lines for the mains (agent, launcher process, verbs). Libraries never log.
 * Lines go to stderr as "dockless: text"; with JOURNAL_STREAM set they carry sd-daemon(3) "<N>"
 * levels. */
#pragma once

#include "base/cleanup.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/** Sets the most talkative level that is printed (default: info) and the name before each line
 * (kept, not copied). */
void log_setup(enum log_level most, const char *name);

/** Whether lines of LEVEL are printed; to save the work of preparing one. */
int log_enabled(enum log_level level);

/** Prints one line; control characters in it are shown as "?" so that foreign text cannot forge
 * lines. At most LOG_BURST lines of each level are printed a second, then one line tells how many
 * were dropped. */
void log_line(enum log_level level, const char *format, ...) _printf_(2, 3);

#define LOG_BURST 200

#define log_error(...)   log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)    log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)   log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)
