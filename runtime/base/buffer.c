#include "base/buffer.h"

#include <stdarg.h>
#include <string.h>

#define BUFFER_FIRST 256

void buffer_clear(struct buffer *b)
{
    free(b->data);
    b->data = NULL;
    b->size = b->capacity = 0;
}

int buffer_reserve(struct buffer *b, size_t more)
{
    size_t max = b->max ? b->max : BUFFER_MAX_DEFAULT;
    size_t capacity = b->capacity ? b->capacity : BUFFER_FIRST;
    uint8_t *data;

    if (more > max || b->size > max - more)
        return -EMSGSIZE;
    if (b->size + more <= b->capacity)
        return 0;
    while (capacity < b->size + more)
        capacity *= 2;
    data = realloc(b->data, capacity);
    if (!data)
        return -ENOMEM;
    b->data = data;
    b->capacity = capacity;
    return 0;
}

int buffer_append(struct buffer *b, const void *data, size_t size)
{
    int r;

    if (size == 0)
        return 0;
    r = buffer_reserve(b, size);
    if (r < 0)
        return r;
    memcpy(b->data + b->size, data, size);
    b->size += size;
    return 0;
}

int buffer_printf(struct buffer *b, const char *format, ...)
{
    va_list ap;
    int n, r;

    va_start(ap, format);
    n = vsnprintf(NULL, 0, format, ap);
    va_end(ap);
    if (n < 0)
        return -EINVAL;
    r = buffer_reserve(b, (size_t)n + 1);
    if (r < 0)
        return r;
    va_start(ap, format);
    vsnprintf((char *)b->data + b->size, (size_t)n + 1, format, ap);
    va_end(ap);
    b->size += (size_t)n;
    return 0;
}

void buffer_consume(struct buffer *b, size_t size)
{
    if (size >= b->size) {
        b->size = 0;
        return;
    }
    memmove(b->data, b->data + size, b->size - size);
    b->size -= size;
}

char *buffer_string(struct buffer *b)
{
    if (buffer_reserve(b, 1) < 0)
        return NULL;
    b->data[b->size] = 0;
    return (char *)b->data;
}
