#include "wire/generation.h"

#include "base/cleanup.h"

#include <string.h>

static const char *const names[] = {
    [WIRE_MAIN] = "main", [WIRE_0_9] = "0.9", [WIRE_0_8] = "0.8",
    [WIRE_0_7] = "0.7",   [WIRE_0_6] = "0.6", [WIRE_0_5] = "0.5",
};
_Static_assert(ARRAY_SIZE(names) == WIRE_GENERATIONS, "each generation has a name");

const char *wire_generation_name(enum wire_generation g)
{
    return names[g];
}

int wire_generation_parse(const char *name, enum wire_generation *ret)
{
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (strcmp(name, names[i]) == 0) {
            *ret = (enum wire_generation)i;
            return 0;
        }
    }
    return -EINVAL;
}
