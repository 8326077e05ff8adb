/* A growable run of bytes with a named upper bound. */
#pragma once

#include "base/cleanup.h"

#include <stddef.h>
#include <stdint.h>

struct buffer {
    uint8_t *data; /* owned; not NUL-terminated unless buffer_string() made it so */
    size_t size;
    size_t capacity;
    size_t max; /* growing beyond is -EMSGSIZE; 0 means BUFFER_MAX_DEFAULT */
};

/** What a buffer without a bound of its own may hold. */
#define BUFFER_MAX_DEFAULT ((size_t)64 << 20)

#define _cleanup_buffer_ _cleanup_(buffer_clear)

/** Frees the bytes; the bound stays. */
void buffer_clear(struct buffer *b);

/** Makes room for MORE bytes behind the present ones. -EMSGSIZE beyond the bound, -ENOMEM. */
int buffer_reserve(struct buffer *b, size_t more);

/** Appends SIZE bytes. -EMSGSIZE, -ENOMEM. */
int buffer_append(struct buffer *b, const void *data, size_t size);

/** Appends formatted text, without the NUL. -EMSGSIZE, -ENOMEM. */
int buffer_printf(struct buffer *b, const char *format, ...) _printf_(2, 3);

/** Drops SIZE bytes from the front (all of them where there are fewer). */
void buffer_consume(struct buffer *b, size_t size);

/** Puts a NUL behind the bytes (not counted in size) and returns them as a string owned by the
 * buffer; NULL when there is no memory. */
char *buffer_string(struct buffer *b);
