#include "image/image_bounds.h"

#include <stddef.h>

#define STANDARD(constant, field, name, is_size, standard, highest) .field = (standard),
const struct image_bounds image_bounds_default = {IMAGE_BOUND_LIST(STANDARD)};

static const struct {
    const char *name;
    size_t offset;
    uint64_t highest;
} known[] = {
#define KNOWN(constant, field, name, is_size, standard, highest)                                   \
    [IMAGE_BOUND_##constant] = {name, offsetof(struct image_bounds, field), highest},
    IMAGE_BOUND_LIST(KNOWN)};

bool image_bound_exceeded(const struct image_bounds *b, enum image_bound bound, uint64_t value,
                          const char *what, struct error *e)
{
    uint64_t most = *(const uint64_t *)(const void *)((const char *)b + known[bound].offset);

    if (value <= most)
        return false;
    if (most >= known[bound].highest)
        error_set(e, -EFBIG, "more than %llu %s, the most there can be", (unsigned long long)most,
                  what);
    else
        error_set(e, -EFBIG, "more than %llu %s (--bound %s=N allows up to %llu)",
                  (unsigned long long)most, what, known[bound].name,
                  (unsigned long long)known[bound].highest);
    return true;
}
