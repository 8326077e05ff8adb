/* Switches that turn one defence off: how the tests of attacks are seen to notice.
 *
 * Only the build of the runtime that tests/security makes for its own programs has them; everywhere
 * else weakened() is the constant false and no environment variable is read. In that build
 * DOCKLESS_WEAKEN names the defences that are off, with commas between. */
#pragma once

#include <stdbool.h>

#ifdef DOCKLESS_WEAKEN

#ifdef DOCKLESS_RELEASE
#error "a release build cannot be weakened"
#endif

#include <stdlib.h>
#include <string.h>

static inline bool weakened(const char *defence)
{
    const char *at = getenv("DOCKLESS_WEAKEN");
    size_t length = strlen(defence);

    while (at && *at) {
        size_t n = strcspn(at, ",");
        if (n == length && strncmp(at, defence, n) == 0)
            return true;
        at += n + (at[n] == ',');
    }
    return false;
}

#else

#define weakened(defence) false

#endif
