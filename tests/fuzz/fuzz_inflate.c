/* links: image */
/* A compressed stream in pieces: the first two bytes say which compression and how large the pieces
 * are that go in and come out. The size of pieces must not change what comes out. */
#include "image/inflate.h"

#include "base/buffer.h"

#include <string.h>

/* A bomb is cut off here. */
#define OUTPUT_MAX ((size_t)4 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    const uint8_t *data;
    size_t size, piece;
};

static ssize_t read_piece(void *userdata, void *data, size_t size)
{
    struct input *in = userdata;
    size_t n = MIN(MIN(in->size, in->piece), size);

    memcpy(data, in->data, n);
    in->data += n;
    in->size -= n;
    return (ssize_t)n;
}

static int run(enum layer_compression compression, struct input in, size_t step, struct buffer *out)
{
    _cleanup_(inflater_free_p) struct inflater *i = NULL;
    struct error e = ERROR_INIT;
    ssize_t n;

    if (inflater_new(compression, read_piece, &in, &i) < 0)
        return -ENOMEM;
    do {
        if (buffer_reserve(out, step) < 0)
            return -EFBIG;
        n = inflater_read(i, out->data + out->size, step, &e);
        if (n < 0)
            return (int)n;
        if ((size_t)n > step)
            abort();
        out->size += (size_t)n;
    } while (n > 0);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_buffer_ struct buffer whole = {.max = OUTPUT_MAX}, pieces = {.max = OUTPUT_MAX};
    enum layer_compression compression;
    int r, again;

    if (size < 2)
        return 0;
    compression = (enum layer_compression)(data[0] % 3);
    r = run(compression, (struct input){data + 2, size - 2, SIZE_MAX}, 65536, &whole);
    again = run(compression, (struct input){data + 2, size - 2, 1 + (size_t)data[1]},
                (size_t)4096 + data[0], &pieces);
    if (r == 0 && again == 0 &&
        (whole.size != pieces.size || memcmp(whole.data, pieces.data, whole.size) != 0))
        abort();
    /* libzstd takes a frame that fits in one call by another way, which is stricter about wrong
     * content sizes. */
    if ((r == 0) != (again == 0) && r != -EFBIG && again != -EFBIG && compression != LAYER_ZSTD)
        abort();
    return 0;
}
