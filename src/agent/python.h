/* Small pieces of Python's behaviour that upstream's users can see: what int() reads, how a key
 * looks in an error text, what b64decode() makes of bad input. Facts from CPython 3.11. Pure logic.
 */
#pragma once

#include "base/buffer.h"

#include <stdbool.h>

/** Python refuses to read longer numbers (sys.int_info.default_max_str_digits). */
#define PYTHON_INT_DIGITS_MAX 4300

/** int(TEXT) for SIZE bytes of UTF-8, or of bytes where not UNICODE: spaces around it, a sign,
 * single underscores between digits, digits of any script. Beyond int64 it is INT64_MAX or
 * INT64_MIN. -EINVAL where Python raises ValueError. */
int python_int(const char *text, size_t size, bool unicode, int64_t *ret);

/** int(VALUE): cut towards zero, beyond int64 the nearest end. -EINVAL for NaN and infinities. */
int python_int_from_float(double value, int64_t *ret);

/** Appends repr() of a str, or of bytes where not UNICODE. Code points that no Unicode version has
 * assigned yet are shown as they are. -EMSGSIZE, -ENOMEM. */
int python_repr(const char *text, size_t size, bool unicode, struct buffer *out);

/** base64.b64decode(TEXT): characters outside the alphabet are dropped. -EINVAL with *RET_WHY, the
 * exception's text (owned by the caller), -EMSGSIZE, -ENOMEM. */
int python_b64decode(const char *text, size_t size, struct buffer *out, char **ret_why);

/** round(VALUE, 2): correctly rounded, half to even on the exact double; NaN and infinities stay.
 */
double python_round2(double value);
