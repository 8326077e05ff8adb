/* Cutting a command line into words as Python's shlex.split() does: quotes and backslashes, no
 * variables, patterns or comments. */
#pragma once

#include "base/error.h"

/** Words of COMMAND as a NULL-terminated list, NULL where there are none. -EINVAL where a quote or
 * an escape does not end, -ENOMEM. */
int shell_words(const char *command, char ***ret, struct error *e);
