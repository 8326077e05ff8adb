/* links: image */
/* What users write for an image: taken or refused with a reason, and what is taken names one. */
#include "image/names.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_free_ char *text = strndup((const char *)data, size);
    struct image_reference reference = {0};
    struct error e = ERROR_INIT;

    if (!text)
        return 0;
    if (image_reference_parse(text, &reference, &e) < 0) {
        if (!e.text[0])
            abort();
        return 0;
    }
    image_reference_clear(&reference);
    return 0;
}
