#include "wire/pack.h"

#include "base/text.h"

#include <string.h>

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

static void append(struct wire_pack *p, const void *data, size_t size)
{
    if (p->error)
        return;
    if (p->out->max == 0)
        p->out->max = WIRE_FRAME_MAX;
    p->error = buffer_append(p->out, data, size);
}

/* FIRST and the low BYTES bytes of NUMBER, big-endian. */
static void append_number(struct wire_pack *p, uint8_t first, uint64_t number, unsigned bytes)
{
    uint8_t head[9] = {first};

    for (unsigned i = 0; i < bytes; i++)
        head[1 + i] = (uint8_t)(number >> 8 * (bytes - 1 - i));
    append(p, head, 1 + bytes);
}

/* A length or an unsigned number in its smallest form of 1, 2, 4 or 8 bytes; FIRST is the format
 * byte of the first form, the others follow it. SMALLEST: log2 of the narrowest form there is. */
static void append_smallest(struct wire_pack *p, uint8_t first, uint64_t number, unsigned smallest)
{
    unsigned form = number <= UINT8_MAX    ? 0
                    : number <= UINT16_MAX ? 1
                    : number <= UINT32_MAX ? 2
                                           : 3;

    if (form < smallest)
        form = smallest;
    append_number(p, (uint8_t)(first + form - smallest), number, 1U << form);
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
    append_number(p, 0xc0, 0, 0);
}

void wire_pack_bool(struct wire_pack *p, bool value)
{
    append_number(p, value ? 0xc3 : 0xc2, 0, 0);
}

void wire_pack_int(struct wire_pack *p, int64_t value)
{
    if (value >= 0x80)
        append_smallest(p, 0xcc, (uint64_t)value, 0);
    else if (value >= -0x20)
        append_number(p, (uint8_t)value, 0, 0);
    else if (value >= INT8_MIN)
        append_number(p, 0xd0, (uint64_t)value, 1);
    else if (value >= INT16_MIN)
        append_number(p, 0xd1, (uint64_t)value, 2);
    else if (value >= INT32_MIN)
        append_number(p, 0xd2, (uint64_t)value, 4);
    else
        append_number(p, 0xd3, (uint64_t)value, 8);
}

void wire_pack_float(struct wire_pack *p, double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof(bits));
    append_number(p, 0xcb, bits, 8);
}

static void str_head(struct wire_pack *p, size_t size)
{
    if (too_long(p, size))
        return;
    if (size < 0x20)
        append_number(p, (uint8_t)(0xa0 | size), 0, 0);
    else
        append_smallest(p, 0xd9, size, 0);
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

    if (p->error)
        return;
    if (!text_is_utf8(text, size)) {
        p->error = replace_invalid(text, size, &clean);
        if (p->error)
            return;
        text = (const char *)clean.data;
        size = clean.size;
    }
    str_head(p, size);
    append(p, text, size);
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
    if (too_long(p, size))
        return;
    append_smallest(p, 0xc4, size, 0);
    append(p, data, size);
}

void wire_pack_array(struct wire_pack *p, size_t count)
{
    if (too_long(p, count))
        return;
    if (count < 0x10)
        append_number(p, (uint8_t)(0x90 | count), 0, 0);
    else
        append_smallest(p, 0xdc, count, 1);
}

void wire_pack_map(struct wire_pack *p, size_t count)
{
    if (too_long(p, count))
        return;
    if (count < 0x10)
        append_number(p, (uint8_t)(0x80 | count), 0, 0);
    else
        append_smallest(p, 0xde, count, 1);
}

void wire_pack_raw(struct wire_pack *p, struct wire_span value)
{
    if (value.size == 0)
        wire_pack_nil(p);
    else
        append(p, value.data, value.size);
}
