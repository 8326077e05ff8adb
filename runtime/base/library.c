#include "library.h"

#include <dlfcn.h>
#include <errno.h>

int library_load(const char *file, const struct library_symbol *symbols, size_t n)
{
    void *handle = dlopen(file, RTLD_NOW | RTLD_LOCAL);

    if (!handle)
        return -ELIBACC;
    for (size_t i = 0; i < n; i++) {
        void *symbol = dlsym(handle, symbols[i].name);
        if (!symbol)
            return -ELIBBAD;
        *(void **)symbols[i].field = symbol;
    }
    return 0;
}
