/* Numbers as Python reads and writes them: run scripts and their output must not change when the
 * commands around them do. */
#pragma once

#include "json.h"

#define NUMBER_REAL_SIZE 64

/** repr() of VALUE: the shortest decimal that reads back as the same double, with ".0" or an
 * exponent where Python puts one; "nan", "inf", "-inf". */
void number_format_real(double value, char buf[NUMBER_REAL_SIZE]);

/** The JSON value of decimal DIGITS (an optional "-" and digits, NUL behind). */
struct json number_integer(struct text digits);

/** int(T): spaces around, a sign, single underscores between digits. POOL keeps a big one. -EINVAL,
 * -ENOMEM. */
int number_parse_integer(struct pool *pool, struct text t, struct json *ret);
/** float(T): also "nan", "inf" and "infinity" in any case. -EINVAL, -ENOMEM. */
int number_parse_real(struct pool *pool, struct text t, double *ret);

/** 0..15, or -1. */
int number_hex_digit(char c);
