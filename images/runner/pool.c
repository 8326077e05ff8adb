#include "pool.h"

#include <stdalign.h>
#include <stdint.h>
#include <string.h>

/* Fits a usual feedback file at once; a page less malloc's own head. */
#define CHUNK_SIZE 4064

struct pool_chunk {
    struct pool_chunk *next;
    size_t used, size;
    alignas(max_align_t) unsigned char data[];
};

void *pool_alloc(struct pool *p, size_t size)
{
    struct pool_chunk *c = p->chunks;
    size_t align = alignof(max_align_t);

    if (size > SIZE_MAX / 2)
        return NULL;
    size = (size + align - 1) & ~(align - 1);
    if (!c || c->size - c->used < size) {
        size_t room = MAX(size, CHUNK_SIZE);
        c = malloc(sizeof(*c) + room);
        if (!c)
            return NULL;
        *c = (struct pool_chunk){.next = p->chunks, .size = room};
        p->chunks = c;
    }
    c->used += size;
    return c->data + c->used - size;
}

char *pool_copy(struct pool *p, const void *data, size_t size)
{
    char *copy = pool_alloc(p, size + 1);

    if (!copy)
        return NULL;
    if (size)
        memcpy(copy, data, size);
    copy[size] = 0;
    return copy;
}

void pool_clear(struct pool *p)
{
    while (p->chunks) {
        struct pool_chunk *next = p->chunks->next;
        free(p->chunks);
        p->chunks = next;
    }
}
