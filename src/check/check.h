/* Is this host fit? Every probe tries the thing itself; versions are only asked for kernels that
 * are known to be bad. Nothing of the host is changed: what is made for a try goes again with it.
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHECK_RESULTS_MAX 32
#define CHECK_TEXT_MAX    400

enum check_state {
    CHECK_OK,
    CHECK_WARN, /* containers run, something is less than it could be */
    CHECK_FAIL, /* containers do not run, or a guarantee does not hold */
};

/** "ok", "warn", "fail". */
const char *check_state_name(enum check_state state);

struct check_result {
    const char *name; /* "cgroups": short, for scripts */
    enum check_state state;
    char found[CHECK_TEXT_MAX];
    const char *why;           /* why it matters; for WARN and FAIL */
    char mend[CHECK_TEXT_MAX]; /* the command that mends it; for WARN and FAIL */
};

struct check_report {
    struct check_result results[CHECK_RESULTS_MAX];
    size_t n;
};

struct check_options {
    const char *store; /* directories of the configuration; need not be there yet */
    const char *scratch;
};

/** Tries everything. Needs root for most; without, that is the one failure. */
void check_host(const struct check_options *options, struct check_report *ret);

/** The worst of all results. */
enum check_state check_worst(const struct check_report *report);

/** 0, or -ENOTSUP with the first failure and its remedy in one line. */
int check_require(const struct check_options *options, struct error *e);
