#include "image/layer_write.h"

#include "base/fdio.h"

#include <sched.h>
#include <string.h>
#include <sys/stat.h>
#include <zstd.h>

/* What the recipes' images were always packed with: 2 % smaller than the default, not yet slow. */
#define ZSTD_LEVEL 8
/* More workers only use more memory. One at least: their number then does not change the bytes. */
#define WORKERS_MAX 8
#define OUT_SIZE    ((size_t)256 << 10)

struct writer {
    int fd;
    struct hasher diff_id, blob;
    uint64_t size;
    ZSTD_CCtx *zstd; /* NULL: not compressed */
    uint8_t *out;    /* of OUT_SIZE */
};

static void writer_clear(struct writer *w)
{
    safe_close(w->fd);
    ZSTD_freeCCtx(w->zstd);
    free(w->out);
}

static int write_blob(struct writer *w, const void *data, size_t size, struct error *e)
{
    int r = fd_write_full(w->fd, data, size);

    if (r >= 0 && w->zstd)
        r = hasher_update(&w->blob, data, size);
    w->size += size;
    return r < 0 ? error_sys(e, r, "write the layer") : 0;
}

static int compress(struct writer *w, const void *data, size_t size, ZSTD_EndDirective end,
                    struct error *e)
{
    ZSTD_inBuffer in = {data, size, 0};
    size_t left;

    do {
        ZSTD_outBuffer out = {w->out, OUT_SIZE, 0};
        int r;
        left = ZSTD_compressStream2(w->zstd, &out, &in, end);
        if (ZSTD_isError(left))
            return error_set(e, -EIO, "zstd: %s", ZSTD_getErrorName(left));
        r = write_blob(w, w->out, out.pos, e);
        if (r < 0)
            return r;
    } while (end == ZSTD_e_end ? left > 0 : in.pos < in.size);
    return 0;
}

static int sink(void *userdata, const void *data, size_t size, struct error *e)
{
    struct writer *w = userdata;
    int r = hasher_update(&w->diff_id, data, size);

    if (r < 0)
        return error_sys(e, r, "hash");
    return w->zstd ? compress(w, data, size, ZSTD_e_continue, e) : write_blob(w, data, size, e);
}

static int start(struct writer *w, enum image_compression compression)
{
    cpu_set_t set;
    int workers = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;

    w->out = malloc(OUT_SIZE);
    if (!w->out || hasher_start(&w->diff_id, DIGEST_SHA256) < 0 ||
        hasher_start(&w->blob, DIGEST_SHA256) < 0)
        return -ENOMEM;
    if (compression == IMAGE_COMPRESSION_NONE)
        return 0;
    w->zstd = ZSTD_createCCtx();
    if (!w->zstd)
        return -ENOMEM;
    ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_compressionLevel, ZSTD_LEVEL);
    ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_checksumFlag, 1);
    ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_nbWorkers, MIN(workers, WORKERS_MAX));
    return 0;
}

static int finish(struct writer *w, struct layer_written *ret, struct error *e)
{
    int r = w->zstd ? compress(w, "", 0, ZSTD_e_end, e) : 0;

    if (r < 0)
        return r;
    r = hasher_finish(&w->diff_id, &ret->diff_id);
    ret->blob = ret->diff_id;
    if (r >= 0 && w->zstd)
        r = hasher_finish(&w->blob, &ret->blob);
    if (r >= 0 && fsync(w->fd) < 0)
        r = -errno;
    ret->size = w->size;
    return r < 0 ? error_sys(e, r, "write the layer") : 0;
}

int layer_write(int blobs_fd, int root_fd, const struct pack_tree_options *options,
                enum image_compression compression, struct layer_written *ret,
                struct pack_tree_result *ret_result, struct error *e)
{
    _cleanup_(writer_clear) struct writer w = {.fd = -EBADF};
    struct layer_written written = {0};
    char part[32];
    int r = start(&w, compression);

    if (r < 0)
        return error_sys(e, r, "layer");
    snprintf(part, sizeof(part), ".layer.%d", (int)getpid());
    w.fd = openat(blobs_fd, part, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (w.fd < 0)
        return error_sys(e, -errno, "make the layer");
    r = pack_tree(root_fd, options, sink, &w, ret_result, e);
    if (r >= 0)
        r = finish(&w, &written, e);
    if (r >= 0 && renameat(blobs_fd, part, blobs_fd, written.blob.hex) < 0)
        r = error_sys(e, -errno, "name the layer");
    if (r < 0) {
        unlinkat(blobs_fd, part, 0);
        return r;
    }
    *ret = written;
    return 0;
}
