#include "words.h"

#include "number.h"

#include "base/text.h"

#include <string.h>

/* How many bytes at P (at most LEFT) are the beginning of a well-formed sequence: Unicode 15,
 * table 3-7. */
static size_t well_formed_prefix(const uint8_t *p, size_t left, size_t *ret_length)
{
    uint8_t low = 0x80, high = 0xbf;
    size_t n = 1;

    *ret_length = 0;
    if (p[0] < 0x80) {
        *ret_length = 1;
        return 1;
    }
    if (p[0] < 0xc2 || p[0] > 0xf4)
        return 0;
    *ret_length = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    low = p[0] == 0xe0 ? 0xa0 : p[0] == 0xf0 ? 0x90 : low;
    high = p[0] == 0xed ? 0x9f : p[0] == 0xf4 ? 0x8f : high;
    while (n < *ret_length && n < left && p[n] >= low && p[n] <= high) {
        low = 0x80, high = 0xbf;
        n++;
    }
    return n;
}

size_t words_sequence(const char *p, size_t left)
{
    size_t length, n = well_formed_prefix((const uint8_t *)p, left, &length);

    return n == length ? n : 0;
}

size_t words_decode(const char *p, size_t left, uint32_t *ret)
{
    const uint8_t *b = (const uint8_t *)p;
    size_t length, n = well_formed_prefix(b, left, &length);
    uint32_t c = b[0];

    if (n == 0 || n < length) {
        *ret = WORDS_REPLACEMENT;
        return MAX(n, 1U);
    }
    if (length > 1)
        c &= 0x7fU >> length;
    for (size_t i = 1; i < length; i++)
        c = c << 6 | (b[i] & 0x3f);
    *ret = c;
    return length;
}

size_t words_encode(uint32_t c, char *out)
{
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

    for (size_t i = n - 1; i > 0; i--, c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)(n == 1 ? c : ((0xf00U >> n) & 0xff) | c);
    return n;
}

struct text words_repair(struct pool *pool, const char *data, size_t size)
{
    const size_t most = 3; /* U+FFFD for one byte */
    bool good = text_is_utf8(data, size);
    char *out = pool_alloc(pool, (good ? size : size * most) + 1);
    size_t n = 0;

    if (!out)
        return (struct text){NULL, 0};
    if (good && size)
        memcpy(out, data, size);
    for (size_t at = 0; !good && at < size;) {
        uint32_t c;
        at += words_decode(data + at, size - at, &c);
        n += words_encode(c, out + n);
    }
    n = good ? size : n;
    out[n] = 0;
    return (struct text){out, n};
}

static bool ends_line(uint32_t c)
{
    return (c >= '\n' && c <= '\r') || (c >= 0x1c && c <= 0x1e) || c == 0x85 || c == 0x2028 ||
           c == 0x2029;
}

size_t words_line(const char *p, size_t left, size_t *ret_end)
{
    size_t at = 0;

    while (at < left) {
        uint32_t c;
        size_t n = words_decode(p + at, left - at, &c);
        if (ends_line(c)) {
            *ret_end = c == '\r' && left - at > 1 && p[at + 1] == '\n' ? 2 : n;
            return at;
        }
        at += n;
    }
    *ret_end = 0;
    return at;
}

/* WIDTH hexadecimal digits at P of LEFT bytes. */
static int hex(const char *p, size_t left, size_t width, uint32_t *ret)
{
    uint32_t value = 0;

    if (left < width)
        return -EINVAL;
    for (size_t i = 0; i < width; i++) {
        int digit = number_hex_digit(p[i]);
        if (digit < 0)
            return -EINVAL;
        value = value << 4 | (uint32_t)digit;
    }
    *ret = value;
    return 0;
}

/* An escape that names a character or a byte by number; P is behind the backslash. Returns what it
 * took of P, 0 where it is no such escape. */
static int numeric_escape(const char *p, size_t left, char **out)
{
    uint32_t value = 0;
    size_t width = *p == 'x' ? 2 : *p == 'u' ? 4 : *p == 'U' ? 8 : 0;

    if (width) {
        if (hex(p + 1, left - 1, width, &value) < 0 || value > 0x10ffff ||
            (value >= 0xd800 && value < 0xe000))
            return -EINVAL;
        if (width == 2)
            *(*out)++ = (char)value;
        else
            *out += words_encode(value, *out);
        return 1 + (int)width;
    }
    while (width < 3 && width < left && p[width] >= '0' && p[width] <= '7')
        value = value << 3 | (uint32_t)(p[width++] - '0');
    if (value > 0xff)
        return -EINVAL;
    if (width)
        *(*out)++ = (char)value;
    return (int)width;
}

/* P is behind the backslash. Returns what was taken of P. */
static int one_escape(const char *p, size_t left, char **out)
{
    static const char from[] = "\\'\"abfnrtv", to[] = "\\'\"\a\b\f\n\r\t\v";
    const char *found;
    int taken;

    if (left == 0 || *p == 'N')
        return -EINVAL;
    if (*p == '\n')
        return 1;
    found = *p ? strchr(from, *p) : NULL;
    if (found) {
        *(*out)++ = to[found - from];
        return 1;
    }
    taken = numeric_escape(p, left, out);
    if (taken == 0)
        *(*out)++ = '\\';
    return taken;
}

int words_unescape(struct pool *pool, struct text t, struct text *ret, struct error *e)
{
    const char *at = t.data, *end = t.data + t.size;
    char *start = pool_alloc(pool, t.size + 1), *out = start;

    if (!start)
        return -ENOMEM;
    while (at < end) {
        int taken;
        if (*at != '\\') {
            *out++ = *at++;
            continue;
        }
        at++;
        taken = one_escape(at, (size_t)(end - at), &out);
        if (taken < 0)
            return error_set(e, -EINVAL, "\"\\%.*s\" is no backslash escape",
                             (int)MIN(end - at, 10), at);
        at += taken;
    }
    if (!text_is_utf8(start, (size_t)(out - start)))
        return error_set(e, -EINVAL, "the escapes make no UTF-8");
    *out = 0;
    *ret = (struct text){start, (size_t)(out - start)};
    return 0;
}
