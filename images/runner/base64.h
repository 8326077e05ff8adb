/* Base64 (RFC 4648, with padding). */
#pragma once

#include <stddef.h>
#include <stdint.h>

/** Characters that SIZE bytes become. */
static inline size_t base64_size(size_t size)
{
    return (size + 2) / 3 * 4;
}

/** Writes base64_size(SIZE) characters to OUT, no NUL. */
void base64_encode(const void *data, size_t size, char *out);
