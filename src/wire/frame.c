/* The stream: lengths and bodies. */
#include "wire/frame.h"

#include "weaken.h"
#include "wire/frame_pack.h"

#include <string.h>

#define FRAME_HEAD 4
/* An idle stream keeps no more memory than this. */
#define FRAME_KEPT ((size_t)64 << 10)

enum frame_order frame_order_of(enum wire_generation g)
{
    return g >= WIRE_0_7 ? FRAME_LITTLE_ENDIAN : FRAME_BIG_ENDIAN;
}

static uint32_t load_length(enum frame_order order, const uint8_t *p)
{
    if (order == FRAME_LITTLE_ENDIAN)
        return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void store_length(enum frame_order order, uint32_t length, uint8_t *p)
{
    for (unsigned i = 0; i < FRAME_HEAD; i++)
        p[order == FRAME_LITTLE_ENDIAN ? i : FRAME_HEAD - 1 - i] = (uint8_t)(length >> 8 * i);
}

int frame_reader_push(struct frame_reader *r, const void *data, size_t size)
{
    if (r->consumed > 0)
        buffer_consume(&r->pending, r->consumed);
    r->consumed = 0;
    if (r->pending.size == 0 && r->pending.capacity > FRAME_KEPT)
        buffer_clear(&r->pending);
    /* next() has been asked for all whole frames, so that what is pending is less than one. */
    r->pending.max = r->max + FRAME_HEAD + size;
    return buffer_append(&r->pending, data, size);
}

int frame_reader_next(struct frame_reader *r, const uint8_t **ret_body, size_t *ret_size)
{
    for (;;) {
        size_t left = r->pending.size - r->consumed;
        const uint8_t *at;
        uint32_t length;

        if (left < FRAME_HEAD)
            return 0;
        at = r->pending.data + r->consumed;
        length = load_length(r->order, at);
        if (length > r->max && !weakened("frame-bound"))
            return -EMSGSIZE;
        if (left - FRAME_HEAD < length)
            return 0;
        r->consumed += FRAME_HEAD + length;
        if (length == 0)
            continue;
        *ret_body = at + FRAME_HEAD;
        *ret_size = length;
        return 1;
    }
}

void frame_reader_clear(struct frame_reader *r)
{
    buffer_clear(&r->pending);
    r->consumed = 0;
}

int frame_write(enum frame_order order, const void *body, size_t size, struct buffer *out)
{
    uint8_t head[FRAME_HEAD];
    int r;

    if (size > UINT32_MAX - FRAME_HEAD)
        return -EMSGSIZE;
    if (out->max == 0)
        out->max = WIRE_FRAME_MAX;
    r = buffer_reserve(out, size + FRAME_HEAD);
    if (r < 0)
        return r;
    store_length(order, (uint32_t)size, head);
    buffer_append(out, head, FRAME_HEAD);
    return buffer_append(out, body, size);
}

/* ---- one framed message ---- */

struct frame_pack frame_begin(const char *type, size_t keys, struct buffer *out)
{
    struct frame_pack f = {.pack = {.out = out}, .before = out->size};

    if (out->max == 0)
        out->max = WIRE_FRAME_MAX;
    f.pack.error = buffer_append(out, "\0\0\0", FRAME_HEAD);
    wire_pack_map(&f.pack, keys + 1);
    wire_pack_text(&f.pack, "type");
    wire_pack_text(&f.pack, type);
    return f;
}

int frame_end(struct frame_pack *f, enum frame_order order)
{
    struct buffer *out = f->pack.out;
    size_t body = f->before + FRAME_HEAD;
    int r = f->pack.error;

    if (r == 0 && out->size - body > UINT32_MAX)
        r = -EMSGSIZE;
    if (r == 0 && wire_scan(out->data + body, out->size - body, WIRE_KEYS_ANY, NULL) < 0)
        r = -EINVAL;
    if (r < 0)
        out->size = f->before;
    else
        store_length(order, (uint32_t)(out->size - body), out->data + f->before);
    return r;
}
