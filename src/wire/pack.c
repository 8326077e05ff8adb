#include "wire/pack.h"

#include "base/text.h"

#include <limits.h>
#include <msgpack.h>
#include <string.h>

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

/* msgpack-c's write callback. A failure sticks, so what it makes of the return value does not
 * matter. */
static int on_write(void *data, const char *bytes, size_t size)
{
    struct wire_pack *p = data;

    if (p->error)
        return -1;
    if (p->out->max == 0)
        p->out->max = WIRE_FRAME_MAX;
    p->error = buffer_append(p->out, bytes, size);
    return p->error ? -1 : 0;
}

static msgpack_packer packer(struct wire_pack *p)
{
    return (msgpack_packer){.data = p, .callback = on_write};
}

/* Lengths and counts have no eight-byte form. */
static bool too_long(struct wire_pack *p, size_t size)
{
    if (!p->error && size > UINT32_MAX)
        p->error = -EMSGSIZE;
    return p->error != 0;
}

void wire_pack_nil(struct wire_pack *p)
{
    msgpack_packer pk = packer(p);

    msgpack_pack_nil(&pk);
}

void wire_pack_bool(struct wire_pack *p, bool value)
{
    msgpack_packer pk = packer(p);

    if (value)
        msgpack_pack_true(&pk);
    else
        msgpack_pack_false(&pk);
}

void wire_pack_int(struct wire_pack *p, int64_t value)
{
    msgpack_packer pk = packer(p);

    msgpack_pack_int64(&pk, value);
}

void wire_pack_float(struct wire_pack *p, double value)
{
    msgpack_packer pk = packer(p);

    msgpack_pack_double(&pk, value);
}

/* How many bytes of TEXT, at least one, are to be taken or replaced together: a whole character, or
 * one byte that is none. */
static size_t character(const char *text, size_t size, bool *ret_valid)
{
    for (size_t n = 1; n <= MIN(size, 4U); n++) {
        if (text_is_utf8(text, n)) {
            *ret_valid = true;
            return n;
        }
    }
    *ret_valid = false;
    return 1;
}

static int replace_invalid(const char *text, size_t size, struct buffer *ret)
{
    int r = 0;

    for (size_t at = 0, n; at < size && r == 0; at += n) {
        bool valid;
        n = character(text + at, size - at, &valid);
        r = valid ? buffer_append(ret, text + at, n)
                  : buffer_append(ret, REPLACEMENT, strlen(REPLACEMENT));
    }
    return r;
}

void wire_pack_str(struct wire_pack *p, const char *text, size_t size)
{
    _cleanup_buffer_ struct buffer clean = {.max = WIRE_FRAME_MAX};
    msgpack_packer pk = packer(p);

    if (p->error)
        return;
    if (!text_is_utf8(text, size)) {
        p->error = replace_invalid(text, size, &clean);
        if (p->error)
            return;
        text = (const char *)clean.data;
        size = clean.size;
    }
    if (too_long(p, size))
        return;
    msgpack_pack_str(&pk, size);
    msgpack_pack_str_body(&pk, text, size);
}

void wire_pack_text(struct wire_pack *p, const char *text)
{
    if (text)
        wire_pack_str(p, text, strlen(text));
    else
        wire_pack_nil(p);
}

void wire_pack_bin(struct wire_pack *p, const void *data, size_t size)
{
    msgpack_packer pk = packer(p);

    if (too_long(p, size))
        return;
    msgpack_pack_bin(&pk, size);
    msgpack_pack_bin_body(&pk, data, size);
}

void wire_pack_array(struct wire_pack *p, size_t count)
{
    msgpack_packer pk = packer(p);

    if (!too_long(p, count))
        msgpack_pack_array(&pk, count);
}

void wire_pack_map(struct wire_pack *p, size_t count)
{
    msgpack_packer pk = packer(p);

    if (!too_long(p, count))
        msgpack_pack_map(&pk, count);
}

void wire_pack_raw(struct wire_pack *p, struct wire_span value)
{
    if (value.size == 0)
        wire_pack_nil(p);
    else
        (void)on_write(p, (const char *)value.data, value.size);
}
