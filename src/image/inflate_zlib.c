/* gzip by zlib, where ISA-L is not to be had. */
#include "image/inflate.h"

#include <zlib.h>

#define WINDOW_GZIP (15 + 16) /* inflateInit2: largest window, gzip wrapper only */

struct gzip_decoder {
    z_stream stream;
};

struct gzip_decoder *gzip_decoder_new(void)
{
    struct gzip_decoder *d = calloc(1, sizeof(*d));

    if (!d)
        return NULL;
    if (inflateInit2(&d->stream, WINDOW_GZIP) != Z_OK) {
        free(d);
        return NULL;
    }
    return d;
}

void gzip_decoder_free(struct gzip_decoder *d)
{
    if (!d)
        return;
    inflateEnd(&d->stream);
    free(d);
}

int gzip_decode(struct gzip_decoder *d, struct gzip_io *io)
{
    int r;

    d->stream.next_in = (uint8_t *)(uintptr_t)io->in;
    d->stream.avail_in = (uInt)io->in_size;
    d->stream.next_out = io->out;
    d->stream.avail_out = (uInt)io->out_size;
    r = inflate(&d->stream, Z_NO_FLUSH);
    io->in = d->stream.next_in;
    io->in_size = d->stream.avail_in;
    io->out = d->stream.next_out;
    io->out_size = d->stream.avail_out;
    if (r == Z_STREAM_END)
        return inflateReset(&d->stream) == Z_OK ? 1 : -EBADMSG;
    return r == Z_OK || r == Z_BUF_ERROR ? 0 : -EBADMSG;
}
