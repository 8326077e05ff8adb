/* Text as Python's str sees it: characters, lines, backslash escapes. */
#pragma once

#include "json.h"

/** What stands for bytes that are no UTF-8. */
#define WORDS_REPLACEMENT 0xfffdU

/** Length of the well-formed UTF-8 sequence at P of at most LEFT bytes (1 or more), 0 where there
 * is none. */
size_t words_sequence(const char *p, size_t left);
/** The character at P, of at most LEFT bytes (1 or more); returns its length. What is not UTF-8 is
 * read as U+FFFD, as many of its bytes at a time as Python's decoder with errors="replace" takes.
 */
size_t words_decode(const char *p, size_t left, uint32_t *ret);
/** Writes C as UTF-8, up to four bytes; returns how many. */
size_t words_encode(uint32_t c, char *out);

/** A copy in which what is not UTF-8 is U+FFFD. data is NULL without memory. */
struct text words_repair(struct pool *pool, const char *data, size_t size);

/** Bytes of the line that starts at P, and in *ret_end those of its end, as str.splitlines() finds
 * them: "\n", "\r\n", "\r", "\v", "\f", U+001C-1E, U+0085, U+2028, U+2029. LEFT is 1 or more. */
size_t words_line(const char *p, size_t left, size_t *ret_end);

/** Interprets backslash escapes: \n \t \\ \' \" \a \b \f \r \v, octal, \xHH (a byte of UTF-8),
 * \uXXXX, \UXXXXXXXX (a character), a backslash before a line end vanishes, others stay. -EINVAL
 * with a line that names the escape; -ENOMEM. */
int words_unescape(struct pool *pool, struct text t, struct text *ret, struct error *e);
