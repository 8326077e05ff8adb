#include "agent/python.h"

#include "base/text.h"

#include <math.h>
#include <string.h>

/* ---- characters ---- */

/* The character at TEXT, which is UTF-8 that was checked before; *RET_LENGTH is its size. */
static uint32_t utf8_next(const char *text, size_t *ret_length)
{
    const uint8_t *p = (const uint8_t *)text;

    if (p[0] < 0x80) {
        *ret_length = 1;
        return p[0];
    }
    if (p[0] < 0xe0) {
        *ret_length = 2;
        return (uint32_t)(p[0] & 0x1f) << 6 | (p[1] & 0x3f);
    }
    if (p[0] < 0xf0) {
        *ret_length = 3;
        return (uint32_t)(p[0] & 0x0f) << 12 | (uint32_t)(p[1] & 0x3f) << 6 | (p[2] & 0x3f);
    }
    *ret_length = 4;
    return (uint32_t)(p[0] & 0x07) << 18 | (uint32_t)(p[1] & 0x3f) << 12 |
           (uint32_t)(p[2] & 0x3f) << 6 | (p[3] & 0x3f);
}

/* First code points of the decimal digits of all scripts (general category Nd, Unicode 14); the
 * other nine digits follow each. */
static const uint32_t digit_zeros[] = {
    0x0030,  0x0660,  0x06f0,  0x07c0,  0x0966,  0x09e6,  0x0a66,  0x0ae6,  0x0b66,  0x0be6,
    0x0c66,  0x0ce6,  0x0d66,  0x0de6,  0x0e50,  0x0ed0,  0x0f20,  0x1040,  0x1090,  0x17e0,
    0x1810,  0x1946,  0x19d0,  0x1a80,  0x1a90,  0x1b50,  0x1bb0,  0x1c40,  0x1c50,  0xa620,
    0xa8d0,  0xa900,  0xa9d0,  0xa9f0,  0xaa50,  0xabf0,  0xff10,  0x104a0, 0x10d30, 0x11066,
    0x110f0, 0x11136, 0x111d0, 0x112f0, 0x11450, 0x114d0, 0x11650, 0x116c0, 0x11730, 0x118e0,
    0x11950, 0x11c50, 0x11d50, 0x11da0, 0x16a60, 0x16ac0, 0x16b50, 0x1d7ce, 0x1d7d8, 0x1d7e2,
    0x1d7ec, 0x1d7f6, 0x1e140, 0x1e2f0, 0x1e950, 0x1fbf0,
};

static int digit_of(uint32_t c)
{
    for (size_t i = 0; i < ARRAY_SIZE(digit_zeros); i++)
        if (c >= digit_zeros[i] && c <= digit_zeros[i] + 9)
            return (int)(c - digit_zeros[i]);
    return -1;
}

/* What int() skips around a number; U+001C to U+001F are spaces for str.strip() but not here. */
static bool is_space(uint32_t c)
{
    return (c >= 0x09 && c <= 0x0d) || c == 0x20 || c == 0x85 || c == 0xa0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f ||
           c == 0x205f || c == 0x3000;
}

/* ---- int() ---- */

struct reader {
    const char *at, *end;
    bool unicode;
};

#define READER_END UINT32_MAX

/* The next character, or READER_END; advances only by take(). */
static uint32_t peek(const struct reader *r, size_t *ret_length)
{
    if (r->at == r->end)
        return READER_END;
    *ret_length = 1;
    if (r->unicode)
        return utf8_next(r->at, ret_length);
    /* In bytes nothing beyond ASCII is a digit or a space. */
    return (uint8_t)*r->at < 0x80 ? (uint32_t)*r->at : 0xfffd;
}

static bool take_space(struct reader *r)
{
    size_t length;
    uint32_t c = peek(r, &length);

    if (c == READER_END || !is_space(c))
        return false;
    r->at += length;
    return true;
}

static bool take(struct reader *r, uint32_t wanted)
{
    size_t length;

    if (peek(r, &length) != wanted)
        return false;
    r->at += length;
    return true;
}

static int take_digit(struct reader *r)
{
    size_t length;
    uint32_t c = peek(r, &length);
    int digit = c == READER_END ? -1 : digit_of(c);

    if (digit >= 0)
        r->at += length;
    return digit;
}

/* Appends DIGIT to the negative number VALUE, which stops at INT64_MIN. */
static int64_t append_digit(int64_t value, int digit)
{
    int64_t next;

    if (__builtin_mul_overflow(value, 10, &next) || __builtin_sub_overflow(next, digit, &next))
        return INT64_MIN;
    return next;
}

int python_int(const char *text, size_t size, bool unicode, int64_t *ret)
{
    struct reader r = {text, text + size, unicode};
    int64_t value = 0; /* of the negative number: its range is the larger one */
    size_t digits = 0;
    bool negative;

    while (take_space(&r))
        ;
    negative = take(&r, '-');
    if (!negative)
        take(&r, '+');
    for (;;) {
        bool underscore = digits > 0 && take(&r, '_');
        int digit = take_digit(&r);
        if (digit < 0 && (underscore || digits == 0))
            return -EINVAL;
        if (digit < 0)
            break;
        value = append_digit(value, digit);
        digits++;
    }
    while (take_space(&r))
        ;
    if (r.at != r.end || digits > PYTHON_INT_DIGITS_MAX)
        return -EINVAL;
    *ret = negative ? value : value == INT64_MIN ? INT64_MAX : -value;
    return 0;
}

int python_int_from_float(double value, int64_t *ret)
{
    if (isnan(value) || isinf(value))
        return -EINVAL;
    if (value >= 0x1p63)
        *ret = INT64_MAX;
    else if (value <= -0x1p63)
        *ret = INT64_MIN;
    else
        *ret = (int64_t)value;
    return 0;
}

/* ---- repr() ---- */

struct range {
    uint32_t first, last;
};

/* Code points beyond ASCII that are not printable for Python: categories Cc, Cf, Co, Zl, Zp, Zs. */
static const struct range unprintable[] = {
    {0x7f, 0xa0},       {0xad, 0xad},       {0x600, 0x605},     {0x61c, 0x61c},
    {0x6dd, 0x6dd},     {0x70f, 0x70f},     {0x890, 0x891},     {0x8e2, 0x8e2},
    {0x1680, 0x1680},   {0x180e, 0x180e},   {0x2000, 0x200f},   {0x2028, 0x202f},
    {0x205f, 0x206f},   {0x3000, 0x3000},   {0xe000, 0xf8ff},   {0xfdd0, 0xfdef},
    {0xfeff, 0xfeff},   {0xfff0, 0xfffb},   {0xfffe, 0xffff},   {0x110bd, 0x110bd},
    {0x110cd, 0x110cd}, {0x13430, 0x13438}, {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a},
    {0x1fffe, 0x1ffff}, {0x2fffe, 0x2ffff}, {0x3fffe, 0xe00ff}, {0xe01f0, 0x10ffff},
};

static bool is_printable(uint32_t c, bool unicode)
{
    if (c < 0x7f)
        return c >= 0x20;
    if (!unicode)
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(unprintable); i++)
        if (c >= unprintable[i].first && c <= unprintable[i].last)
            return false;
    return true;
}

static int repr_escaped(uint32_t c, struct buffer *out)
{
    if (c == '\t')
        return buffer_append(out, "\\t", 2);
    if (c == '\n')
        return buffer_append(out, "\\n", 2);
    if (c == '\r')
        return buffer_append(out, "\\r", 2);
    if (c <= 0xff)
        return buffer_printf(out, "\\x%02x", c);
    return buffer_printf(out, c <= 0xffff ? "\\u%04x" : "\\U%08x", c);
}

int python_repr(const char *text, size_t size, bool unicode, struct buffer *out)
{
    bool doubled = size > 0 && memchr(text, '\'', size) && !memchr(text, '"', size);
    char quote = doubled ? '"' : '\'';
    int r = unicode ? 0 : buffer_append(out, "b", 1);

    if (r == 0)
        r = buffer_append(out, &quote, 1);
    for (size_t at = 0, length = 1; at < size && r == 0; at += length) {
        uint32_t c = unicode ? utf8_next(text + at, &length) : (uint8_t)text[at];
        if (c == (uint32_t)quote || c == '\\')
            r = buffer_append(out, "\\", 1);
        if (r == 0)
            r = is_printable(c, unicode) ? buffer_append(out, text + at, length)
                                         : repr_escaped(c, out);
    }
    return r < 0 ? r : buffer_append(out, &quote, 1);
}

/* ---- b64decode() ---- */

static int sextet(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static int refuse(char *why, char **ret_why)
{
    *ret_why = why;
    return why ? -EINVAL : -ENOMEM;
}

static bool is_ascii(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if ((uint8_t)text[i] >= 0x80)
            return false;
    return true;
}

int python_b64decode(const char *text, size_t size, struct buffer *out, char **ret_why)
{
    size_t before = out->size, n = 0;
    unsigned in_quad = 0, pads = 0;
    uint32_t bits = 0;
    uint8_t *data;
    int r;

    if (!is_ascii(text, size))
        return refuse(strdup("string argument should contain only ASCII characters"), ret_why);
    r = buffer_reserve(out, size / 4 * 3 + 3);
    if (r < 0)
        return r;
    data = out->data + before;
    for (size_t i = 0; i < size; i++) {
        int six = sextet(text[i]);
        if (text[i] == '=' && in_quad >= 2 && in_quad + ++pads >= 4) {
            out->size += n; /* the padding ends it; what follows is not looked at */
            return 0;
        }
        if (six < 0)
            continue;
        pads = 0;
        bits = bits << 6 | (uint32_t)six;
        in_quad = (in_quad + 1) % 4;
        if (in_quad != 1)
            data[n++] = (uint8_t)(bits >> (in_quad == 2 ? 4 : in_quad == 3 ? 2 : 0));
    }
    if (in_quad == 1)
        return refuse(text_printf("Invalid base64-encoded string: number of data characters (%zu) "
                                  "cannot be 1 more than a multiple of 4",
                                  n / 3 * 4 + 1),
                      ret_why);
    if (in_quad != 0)
        return refuse(strdup("Incorrect padding"), ret_why);
    out->size += n;
    return 0;
}

/* ---- round() ---- */

double python_round2(double value)
{
    char digits[400]; /* the largest double has 309 digits before the point */

    if (isnan(value) || isinf(value))
        return value;
    /* printf(3) rounds the exact value half to even, as Python's dtoa does. */
    snprintf(digits, sizeof(digits), "%.2f", value);
    return strtod(digits, NULL);
}
