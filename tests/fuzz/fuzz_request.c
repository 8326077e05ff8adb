/* links: runtime */
/* Requests and events as a client taken over, or a launcher gone wrong, might send them. What
 * decodes must encode to the same bytes again, and the checks behind the decoder must bear it. */
#include "request.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect_same(const struct buffer *b, const uint8_t *data, size_t size)
{
    if (b->size != size || memcmp(b->data, data, size) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_buffer_ struct buffer b = {0}, c = {0};
    struct request request;
    struct event event;
    struct error e;

    (void)request_is_large(data, size);
    if (request_decode(data, size, &request, &e) == 0) {
        if (request.type == REQUEST_SUBMIT)
            (void)sandbox_spec_validate(&request.spec, &e);
        if (request_encode(&request, &b) < 0)
            abort();
        expect_same(&b, data, size);
        request_clear(&request);
    }
    if (event_decode(data, size, &event, &e) == 0) {
        if (event_encode(&event, &c) < 0)
            abort();
        expect_same(&c, data, size);
    }
    return 0;
}
