/* WITH_SANITIZER: a build of AddressSanitizer, which makes calls and takes memory of its own. */
#pragma once

#if defined(__SANITIZE_ADDRESS__)
#define WITH_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_SANITIZER 1
#endif
#endif
