/* Shared libraries that only some processes need: they are loaded where one begins to. */
#pragma once

#include <stddef.h>

struct library_symbol {
    const char *name;
    void *field; /* of a pointer to function, which is set */
};

/** Loads FILE for the life of the process and sets the fields of all N SYMBOLS, in their order; as
 * in dlopen(3), dlsym(3). -ELIBACC: it is not there; -ELIBBAD: it lacks one, and the later fields
 * are untouched. */
int library_load(const char *file, const struct library_symbol *symbols, size_t n);
