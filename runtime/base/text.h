/* Small text helpers: strict numbers, string lists, UTF-8. */
#pragma once

#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Parses decimal digits only (no sign, no space, nothing behind), at most MAX. -EINVAL, -ERANGE.
 */
int text_parse_uint(const char *text, uint64_t max, uint64_t *ret);

/** Parses a size: digits and an optional suffix k, m, g, t (powers of 1024, any case). -EINVAL,
 * -ERANGE. */
int text_parse_size(const char *text, uint64_t max, uint64_t *ret);

/** Whether SIZE bytes are well-formed UTF-8 as Python's strict decoder takes it (RFC 3629: no
 * surrogates, no overlong forms, nothing above U+10FFFF). NUL is a character like others. */
bool text_is_utf8(const void *data, size_t size);

/** A NULL-terminated list of owned strings. */
char **strv_free(char **list);
void strv_free_p(char ***list);
size_t strv_length(char *const *list);
/** Appends a copy of TEXT; -ENOMEM leaves the list as it was. */
int strv_append(char ***list, const char *text);
char **strv_copy(char *const *list);
#define _cleanup_strv_ _cleanup_(strv_free_p)

/** PATH as an absolute path in its shortest spelling: one slash between components, none at the
 * end, "." left out and ".." taken back lexically, a relative path taken from "/". The caller
 * frees; NULL when there is no memory. */
char *text_clean_path(const char *path);

/** asprintf that returns NULL on failure. The caller frees. */
char *text_printf(const char *format, ...) _printf_(1, 2);
