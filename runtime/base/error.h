/* One error: a negative errno and a line of context that grows from the inside outwards:
 *
 *     unpack layer sha256:ab...: entry "etc/passwd": openat2: Permission denied
 *
 * Fixed size, no ownership: it lives on the caller's stack and may be copied and sent. Every
 * function that takes a `struct error *` accepts NULL. Libraries fill it; only the mains print it.
 */
#pragma once

#include "base/cleanup.h"

/** Longest text kept; what is longer is cut, never overflowed. */
#define ERROR_TEXT_MAX 1024

struct error {
    int code; /* negative errno, 0 while nothing happened */
    char text[ERROR_TEXT_MAX];
};

#define ERROR_INIT                                                                                 \
    {                                                                                              \
        0                                                                                          \
    }

/** Sets code and text ("<formatted>: strerror(code)"); returns CODE (negative errno). */
int error_sys(struct error *e, int code, const char *format, ...) _printf_(3, 4);

/** Sets code and text as formatted, for faults that errno does not describe; returns CODE. */
int error_set(struct error *e, int code, const char *format, ...) _printf_(3, 4);

/** Puts "<formatted>: " before the text; returns CODE, which should be what the failed call
 * returned. */
int error_prefix(struct error *e, int code, const char *format, ...) _printf_(3, 4);
