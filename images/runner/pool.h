/* Memory that is given back all at once: what one command or one message needs. */
#pragma once

#include "base/cleanup.h"

#include <stddef.h>

struct pool_chunk;
struct pool {
    struct pool_chunk *chunks;
};

/** SIZE bytes, aligned for anything, valid until pool_clear(). NULL without memory. */
void *pool_alloc(struct pool *p, size_t size);
/** A copy of SIZE bytes with a NUL behind. */
char *pool_copy(struct pool *p, const void *data, size_t size);
void pool_clear(struct pool *p);
#define _cleanup_pool_ _cleanup_(pool_clear)
