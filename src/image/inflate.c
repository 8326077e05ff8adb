#include "image/inflate.h"

#include <zstd.h>

/* Half of the pipe it mostly reads from: whoever fills that sleeps and wakes with every read. */
#define INPUT_SIZE ((size_t)512 << 10)

struct inflater {
    enum layer_compression compression;
    inflate_read_fn read;
    void *userdata;
    struct gzip_decoder *gzip;
    ZSTD_DStream *zstd;
    uint8_t input[INPUT_SIZE];
    size_t at, end;
    bool input_ended;
    bool inside; /* a member or frame has begun and not ended */
    bool began;  /* at least one was there */
};

int inflater_new(enum layer_compression compression, inflate_read_fn read, void *userdata,
                 struct inflater **ret)
{
    _cleanup_(inflater_free_p) struct inflater *i = calloc(1, sizeof(*i));

    if (!i)
        return -ENOMEM;
    i->compression = compression;
    i->read = read;
    i->userdata = userdata;
    if (compression == LAYER_GZIP && !(i->gzip = gzip_decoder_new()))
        return -ENOMEM;
    if (compression == LAYER_ZSTD) {
        i->zstd = ZSTD_createDStream();
        if (!i->zstd || ZSTD_isError(ZSTD_DCtx_setParameter(i->zstd, ZSTD_d_windowLogMax,
                                                            INFLATE_ZSTD_WINDOW_LOG)))
            return -ENOMEM;
    }
    *ret = TAKE_PTR(i);
    return 0;
}

void inflater_free(struct inflater *i)
{
    if (!i)
        return;
    gzip_decoder_free(i->gzip);
    ZSTD_freeDStream(i->zstd);
    free(i);
}

static int gzip_step(struct inflater *i, uint8_t **out, size_t *left, struct error *e)
{
    struct gzip_io io = {i->input + i->at, i->end - i->at, *out, *left};
    int r = gzip_decode(i->gzip, &io);

    if (r < 0)
        return error_set(e, r, "damaged gzip stream");
    i->at = i->end - io.in_size;
    *out = io.out;
    *left = io.out_size;
    i->inside = r == 0;
    return 0;
}

static int zstd_step(struct inflater *i, uint8_t **out, size_t *left, struct error *e)
{
    ZSTD_inBuffer in = {i->input, i->end, i->at};
    ZSTD_outBuffer to = {*out, *left, 0};
    size_t r = ZSTD_decompressStream(i->zstd, &to, &in);

    if (ZSTD_isError(r))
        return error_set(e, -EBADMSG, "damaged zstd stream: %s", ZSTD_getErrorName(r));
    i->at = in.pos;
    *out += to.pos;
    *left -= to.pos;
    i->inside = r != 0;
    return 0;
}

static ssize_t read_plain(struct inflater *i, uint8_t *data, size_t size)
{
    size_t done = 0;

    while (done < size) {
        ssize_t n = i->read(i->userdata, data + done, size - done);
        if (n < 0)
            return n;
        if (n == 0)
            break;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

static int refill(struct inflater *i)
{
    ssize_t n;

    if (i->at < i->end || i->input_ended)
        return 0;
    n = i->read(i->userdata, i->input, sizeof(i->input));
    if (n < 0)
        return (int)n;
    i->at = 0;
    i->end = (size_t)n;
    i->input_ended = n == 0;
    return 0;
}

ssize_t inflater_read(struct inflater *i, void *data, size_t size, struct error *e)
{
    uint8_t *out = data;
    size_t left = size;

    if (i->compression == LAYER_PLAIN)
        return read_plain(i, data, size);
    while (left > 0) {
        size_t before = left;
        bool empty;
        int r = refill(i);
        if (r < 0)
            return r;
        empty = i->at == i->end;
        if (empty && !i->inside && i->began)
            break;
        i->began = true;
        r = i->compression == LAYER_GZIP ? gzip_step(i, &out, &left, e)
                                         : zstd_step(i, &out, &left, e);
        if (r < 0)
            return r;
        if (empty && left == before && i->inside)
            return error_set(e, -EBADMSG, "the compressed stream ends in the middle");
    }
    return (ssize_t)(size - left);
}
