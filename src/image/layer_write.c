#include "image/layer_write.h"

#include "base/fdio.h"

#include <sched.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

/* What the recipes' images were always packed with: 2 % smaller than the default, not yet slow. */
#define ZSTD_LEVEL 8
/* gzip's own; what tools pack with by default. */
#define GZIP_LEVEL  6
#define WINDOW_GZIP (15 + 16) /* deflateInit2: largest window, gzip wrapper */
/* More workers only use more memory. One at least: their number then does not change the bytes. */
#define WORKERS_MAX 8
#define OUT_SIZE    ((size_t)256 << 10)

struct writer;
typedef int (*compress_fn)(struct writer *w, const void *data, size_t size, bool end,
                           struct error *e);

struct writer {
    int fd; /* the caller's */
    struct hasher diff_id, blob;
    uint64_t size;
    compress_fn compress; /* NULL: as it is */
    ZSTD_CCtx *zstd;
    z_stream gzip;
    bool gzip_started;
    uint8_t *out; /* of OUT_SIZE */
};

static void writer_clear(struct writer *w)
{
    ZSTD_freeCCtx(w->zstd);
    if (w->gzip_started)
        deflateEnd(&w->gzip);
    free(w->out);
}

static int write_blob(struct writer *w, const void *data, size_t size, struct error *e)
{
    int r = fd_write_full(w->fd, data, size);

    if (r >= 0 && w->compress)
        r = hasher_update(&w->blob, data, size);
    w->size += size;
    return r < 0 ? error_sys(e, r, "write the layer") : 0;
}

static int compress_zstd(struct writer *w, const void *data, size_t size, bool end, struct error *e)
{
    ZSTD_inBuffer in = {data, size, 0};
    size_t left;

    do {
        ZSTD_outBuffer out = {w->out, OUT_SIZE, 0};
        int r;
        left = ZSTD_compressStream2(w->zstd, &out, &in, end ? ZSTD_e_end : ZSTD_e_continue);
        if (ZSTD_isError(left))
            return error_set(e, -EIO, "zstd: %s", ZSTD_getErrorName(left));
        r = write_blob(w, w->out, out.pos, e);
        if (r < 0)
            return r;
    } while (end ? left > 0 : in.pos < in.size);
    return 0;
}

/* Pieces are far smaller than zlib's counters. */
static int compress_gzip(struct writer *w, const void *data, size_t size, bool end, struct error *e)
{
    w->gzip.next_in = (uint8_t *)(uintptr_t)data;
    w->gzip.avail_in = (uInt)size;
    do {
        int r;
        w->gzip.next_out = w->out;
        w->gzip.avail_out = OUT_SIZE;
        if (deflate(&w->gzip, end ? Z_FINISH : Z_NO_FLUSH) == Z_STREAM_ERROR)
            return error_set(e, -EIO, "zlib: %s", w->gzip.msg ? w->gzip.msg : "stream error");
        r = write_blob(w, w->out, OUT_SIZE - w->gzip.avail_out, e);
        if (r < 0)
            return r;
    } while (w->gzip.avail_out == 0);
    return 0;
}

static int sink(void *userdata, const void *data, size_t size, struct error *e)
{
    struct writer *w = userdata;
    int r = hasher_update(&w->diff_id, data, size);

    if (r < 0)
        return error_sys(e, r, "hash");
    return w->compress ? w->compress(w, data, size, false, e) : write_blob(w, data, size, e);
}

static int start_zstd(struct writer *w)
{
    cpu_set_t set;
    int workers = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;

    w->zstd = ZSTD_createCCtx();
    if (!w->zstd)
        return -ENOMEM;
    ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_compressionLevel, ZSTD_LEVEL);
    ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_checksumFlag, 1);
    ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_nbWorkers, MIN(workers, WORKERS_MAX));
    w->compress = compress_zstd;
    return 0;
}

/* zlib's header has no time and no name in it. */
static int start_gzip(struct writer *w)
{
    if (deflateInit2(&w->gzip, GZIP_LEVEL, Z_DEFLATED, WINDOW_GZIP, MAX_MEM_LEVEL,
                     Z_DEFAULT_STRATEGY) != Z_OK)
        return -ENOMEM;
    w->gzip_started = true;
    w->compress = compress_gzip;
    return 0;
}

static int start(struct writer *w, enum image_compression compression)
{
    w->out = malloc(OUT_SIZE);
    if (!w->out || hasher_start(&w->diff_id, DIGEST_SHA256) < 0 ||
        hasher_start(&w->blob, DIGEST_SHA256) < 0)
        return -ENOMEM;
    if (compression == IMAGE_COMPRESSION_NONE)
        return 0;
    return compression == IMAGE_COMPRESSION_GZIP ? start_gzip(w) : start_zstd(w);
}

static int finish(struct writer *w, struct layer_written *ret, struct error *e)
{
    int r = w->compress ? w->compress(w, "", 0, true, e) : 0;

    if (r < 0)
        return r;
    r = hasher_finish(&w->diff_id, &ret->diff_id);
    ret->blob = ret->diff_id;
    if (r >= 0 && w->compress)
        r = hasher_finish(&w->blob, &ret->blob);
    ret->size = w->size;
    return r < 0 ? error_sys(e, r, "hash") : 0;
}

int layer_write(int fd, int root_fd, const struct pack_tree_options *options,
                enum image_compression compression, struct layer_written *ret,
                struct pack_tree_result *ret_result, struct error *e)
{
    _cleanup_(writer_clear) struct writer w = {.fd = fd};
    int r = start(&w, compression);

    if (r < 0)
        return error_sys(e, r, "layer");
    r = pack_tree(root_fd, options, sink, &w, ret_result, e);
    return r < 0 ? r : finish(&w, ret, e);
}
