#include "image/pipeline.h"

#include "base/fdio.h"
#include "image/bounds.h"
#include "image/inflate.h"
#include "image/tree.h"

#include <pthread.h>
#include <string.h>

/* Slots are multiples of a tar block, so that headers do not straddle two; all of them together fit
 * a second-level cache. Whoever waits is woken when there is work for a while, not for one slot:
 * with fewer cores than threads, taking turns costs more than waiting. */
#define SLOT_SIZE   ((size_t)128 << 10)
#define SLOT_COUNT  16
#define SLOT_WAKING (SLOT_COUNT / 2)

enum { READER_HASH, READER_TAR, READER_COUNT };

/* How many filled slots a reader that found none waits for. */
static const unsigned long waits_for[READER_COUNT] = {SLOT_COUNT / 2, SLOT_COUNT / 4};

struct ring {
    pthread_mutex_t mutex;
    pthread_cond_t filled[READER_COUNT], drained;
    uint8_t *slots; /* owned, SLOT_COUNT of SLOT_SIZE */
    size_t sizes[SLOT_COUNT];
    unsigned long written, read[READER_COUNT]; /* slots so far */
    bool ended;                                /* nothing more will be written */
    bool abandoned;                            /* nobody reads any more */
};

struct pipeline {
    struct ring ring;
    int in_fd;
    uint64_t in_left;
    enum layer_compression compression;
    const struct image_bounds *bounds;
    int inflate_result, hash_result;
    struct error inflate_error;
    struct digest diff_id;
    bool holds_slot; /* the tar reader has a slot in use */
};

static unsigned long slowest(const struct ring *r)
{
    return MIN(r->read[READER_HASH], r->read[READER_TAR]);
}

/* The slot to fill next, or NULL when nobody wants it. */
static uint8_t *begin_write(struct ring *r)
{
    uint8_t *slot = NULL;

    pthread_mutex_lock(&r->mutex);
    while (!r->abandoned && r->written - slowest(r) == SLOT_COUNT)
        pthread_cond_wait(&r->drained, &r->mutex);
    if (!r->abandoned)
        slot = r->slots + r->written % SLOT_COUNT * SLOT_SIZE;
    pthread_mutex_unlock(&r->mutex);
    return slot;
}

static void end_write(struct ring *r, size_t size)
{
    bool wake[READER_COUNT];

    pthread_mutex_lock(&r->mutex);
    if (size > 0)
        r->sizes[r->written++ % SLOT_COUNT] = size;
    else
        r->ended = true;
    for (int i = 0; i < READER_COUNT; i++)
        wake[i] = r->ended || r->written - r->read[i] >= waits_for[i];
    pthread_mutex_unlock(&r->mutex);
    for (int i = 0; i < READER_COUNT; i++)
        if (wake[i])
            pthread_cond_signal(&r->filled[i]);
}

/* The reader's next slot and its size, 0 at the end. */
static size_t begin_read(struct ring *r, int reader, const uint8_t **ret)
{
    size_t size = 0;

    pthread_mutex_lock(&r->mutex);
    if (r->read[reader] == r->written)
        while (!r->ended && r->written - r->read[reader] < waits_for[reader])
            pthread_cond_wait(&r->filled[reader], &r->mutex);
    if (r->read[reader] < r->written) {
        unsigned long slot = r->read[reader] % SLOT_COUNT;
        *ret = r->slots + slot * SLOT_SIZE;
        size = r->sizes[slot];
    }
    pthread_mutex_unlock(&r->mutex);
    return size;
}

static void end_read(struct ring *r, int reader)
{
    bool wake;

    pthread_mutex_lock(&r->mutex);
    r->read[reader]++;
    wake = r->written - slowest(r) <= SLOT_WAKING;
    pthread_mutex_unlock(&r->mutex);
    if (wake)
        pthread_cond_signal(&r->drained);
}

static ssize_t read_input(void *userdata, void *data, size_t size)
{
    struct pipeline *p = userdata;
    ssize_t n;

    size = (size_t)MIN((uint64_t)size, p->in_left);
    do
        n = read(p->in_fd, data, size);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    p->in_left -= (uint64_t)n;
    return n;
}

static int inflate_all(struct pipeline *p)
{
    _cleanup_(inflater_free_p) struct inflater *inflater = NULL;
    struct error *e = &p->inflate_error;
    uint64_t total = 0;
    int r = inflater_new(p->compression, read_input, p, &inflater);

    if (r < 0)
        return error_sys(e, r, "decompressor");
    for (;;) {
        uint8_t *slot = begin_write(&p->ring);
        ssize_t n;
        if (!slot)
            return 0;
        n = inflater_read(inflater, slot, SLOT_SIZE, e);
        if (n < 0)
            return e->code ? (int)n : error_sys(e, (int)n, "read the blob");
        if (n == 0)
            return 0;
        total += (uint64_t)n;
        if (image_bound_exceeded(p->bounds, IMAGE_BOUND_STREAM, total, "bytes when decompressed",
                                 e))
            return -EFBIG;
        end_write(&p->ring, (size_t)n);
    }
}

static void *inflate_thread(void *userdata)
{
    struct pipeline *p = userdata;

    p->inflate_result = inflate_all(p);
    end_write(&p->ring, 0);
    return NULL;
}

static void *hash_thread(void *userdata)
{
    struct pipeline *p = userdata;
    struct hasher hasher;
    const uint8_t *data;
    size_t size;
    int r = hasher_start(&hasher, DIGEST_SHA256);

    while ((size = begin_read(&p->ring, READER_HASH, &data)) > 0) {
        if (r >= 0)
            r = hasher_update(&hasher, data, size);
        end_read(&p->ring, READER_HASH);
    }
    p->hash_result = r < 0 ? r : hasher_finish(&hasher, &p->diff_id);
    return NULL;
}

/* The archive reader's source. */
static ssize_t fill(void *userdata, const uint8_t **ret, struct error *e)
{
    struct pipeline *p = userdata;
    size_t size;

    (void)e;
    if (p->holds_slot)
        end_read(&p->ring, READER_TAR);
    size = begin_read(&p->ring, READER_TAR, ret);
    p->holds_slot = size > 0;
    return (ssize_t)size;
}

static int unpack(struct pipeline *p, int root_fd, struct layer_notes *notes, struct error *e)
{
    _cleanup_(tar_reader_free_p) struct tar_reader *reader = NULL;
    _cleanup_(layer_tree_free_p) struct layer_tree *tree = NULL;
    const uint8_t *data;
    int r = tar_reader_new(fill, p, &reader);

    if (r >= 0)
        r = layer_tree_new(root_fd, p->bounds, notes, &tree);
    if (r >= 0)
        tar_reader_bound(reader, p->bounds);
    r = r < 0 ? error_sys(e, r, "archive reader") : layer_tree_unpack(tree, reader, e);
    if (r < 0)
        return r;
    while (fill(p, &data, e) > 0)
        ;
    return 0;
}

static int run_threads(struct pipeline *p, int root_fd, struct layer_notes *notes, struct error *e)
{
    pthread_t inflating, hashing;
    int r = -pthread_create(&inflating, NULL, inflate_thread, p);
    bool hashes;

    if (r < 0)
        return error_sys(e, r, "thread");
    r = -pthread_create(&hashing, NULL, hash_thread, p);
    hashes = r == 0;
    r = hashes ? unpack(p, root_fd, notes, e) : error_sys(e, r, "thread");
    pthread_mutex_lock(&p->ring.mutex);
    p->ring.abandoned = true;
    pthread_cond_signal(&p->ring.drained);
    pthread_mutex_unlock(&p->ring.mutex);
    pthread_join(inflating, NULL);
    if (hashes)
        pthread_join(hashing, NULL);
    return r;
}

int pipeline_run(const struct pipeline_input *in, int root_fd, const struct image_bounds *bounds,
                 struct layer_notes *notes, struct digest *ret_diff_id, struct error *e)
{
    _cleanup_free_ uint8_t *slots = aligned_alloc(4096, SLOT_COUNT * SLOT_SIZE);
    struct pipeline p = {
        .ring = {.mutex = PTHREAD_MUTEX_INITIALIZER,
                 .filled = {PTHREAD_COND_INITIALIZER, PTHREAD_COND_INITIALIZER},
                 .drained = PTHREAD_COND_INITIALIZER,
                 .slots = slots},
        .in_fd = in->fd,
        .in_left = in->size,
        .compression = in->compression,
        .bounds = bounds,
    };
    int r;

    if (!slots)
        return error_sys(e, -ENOMEM, "buffers");
    r = run_threads(&p, root_fd, notes, e);
    /* Damage of the stream is the cause, an archive that ends early its effect. */
    if (p.inflate_result < 0) {
        if (e)
            *e = p.inflate_error;
        return p.inflate_result;
    }
    if (r >= 0 && p.hash_result < 0)
        r = error_sys(e, p.hash_result, "hash");
    if (r >= 0)
        *ret_diff_id = p.diff_id;
    return r;
}
