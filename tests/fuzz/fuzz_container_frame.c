/* links: wire */
/* A stream from a grading container. The first byte chooses the image's generation and how the
 * stream is cut. */
#include "require.h"
#include "wire/frame.h"
#include "wire/frame_runner.h"

#include <string.h>

#define FRAME_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_body(enum wire_generation g, const uint8_t *body, size_t size)
{
    _cleanup_container_message_ struct container_message m = CONTAINER_MESSAGE_INIT;
    _cleanup_runner_message_ struct runner_message other = RUNNER_MESSAGE_INIT;
    _cleanup_buffer_ struct buffer out = {0};
    int r = container_message_decode(g, body, size, &m, NULL);

    if (m.socket_id) {
        REQUIRE(*m.socket_id && !strchr(m.socket_id, '/') && strcmp(m.socket_id, "..") != 0);
        REQUIRE(frame_encode_student_retval(g, 254, m.socket_id, &out) == 0);
    }
    if (r == 0 && m.type == CONTAINER_RESULT)
        REQUIRE(runner_encode_result(m.result, &out) == 0);
    runner_message_decode(body, size, &other, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct frame_reader reader = {.max = FRAME_MAX};
    enum wire_generation g;
    size_t step;
    int r = 0;

    if (size == 0)
        return 0;
    g = (enum wire_generation)(data[0] % WIRE_GENERATIONS);
    step = (size_t)data[0] / WIRE_GENERATIONS + 1;
    reader.order = frame_order_of(g);
    for (size_t at = 1; at < size && r >= 0; at += step) {
        const uint8_t *body;
        size_t body_size;
        REQUIRE(frame_reader_push(&reader, data + at, MIN(step, size - at)) == 0);
        while ((r = frame_reader_next(&reader, &body, &body_size)) == 1) {
            REQUIRE(body_size > 0 && body_size <= FRAME_MAX);
            check_body(g, body, body_size);
        }
    }
    frame_reader_clear(&reader);
    return 0;
}
