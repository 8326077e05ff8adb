/* Decompression of a layer's blob as a stream. */
#pragma once

#include "base/error.h"
#include "image/oci.h"

#include <stdint.h>
#include <sys/types.h>

/** Largest window a zstd frame may ask for (log2): what the zstd program takes without --long. */
#define INFLATE_ZSTD_WINDOW_LOG 27

/** Reads up to SIZE bytes of the compressed stream: their number, 0 at its end, negative errno. */
typedef ssize_t (*inflate_read_fn)(void *userdata, void *data, size_t size);

struct inflater;

int inflater_new(enum layer_compression compression, inflate_read_fn read, void *userdata,
                 struct inflater **ret);
void inflater_free(struct inflater *i);
DEFINE_CLEANUP(struct inflater, inflater_free)
/** Fills DATA with up to SIZE bytes, fewer only at the stream's end, where it returns 0 the next
 * time. All members of a gzip and all frames of a zstd stream are read; anything else behind them
 * is damage. -EBADMSG, or what reading returned. */
ssize_t inflater_read(struct inflater *i, void *data, size_t size, struct error *e);

/** The gzip decoder underneath, ISA-L where build and host have it, else zlib. */
struct gzip_decoder;
/** Loads ISA-L for the life of the process. The first decoder does it, too; who is confined by then
 * has to have done it before. */
void gzip_decoder_load(void);
struct gzip_io {
    const uint8_t *in; /* both advance, the counts shrink */
    size_t in_size;
    uint8_t *out;
    size_t out_size;
};
struct gzip_decoder *gzip_decoder_new(void);
void gzip_decoder_free(struct gzip_decoder *d);
/** One step: 1 when a member ended (the next call begins another), 0 to go on, -EBADMSG. */
int gzip_decode(struct gzip_decoder *d, struct gzip_io *io);
