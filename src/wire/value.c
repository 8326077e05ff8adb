#include "wire/value.h"

#include "base/text.h"

#include <math.h>
#include <string.h>

/* The first bytes of a value: what it is and how much follows. */
struct head {
    enum wire_kind kind;
    size_t length;    /* of the head itself */
    uint64_t payload; /* bytes of str, bin and ext behind it */
    uint64_t count;   /* elements of an array, pairs of a map */
    uint64_t bits;    /* int (two's complement), float, bool */
    bool negative;
    bool single; /* float32 */
    int8_t ext_code;
};

static uint64_t load(const uint8_t *p, unsigned bytes)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < bytes; i++)
        value = value << 8 | p[i];
    return value;
}

static uint64_t sign_extend(uint64_t value, unsigned bytes)
{
    unsigned shift = 64 - 8 * bytes;

    return (uint64_t)((int64_t)(value << shift) >> shift);
}

/* Formats whose first byte holds everything but the payload. */
static bool head_fix(uint8_t first, struct head *h)
{
    h->length = 1;
    if (first < 0x80) {
        h->kind = WIRE_INT;
        h->bits = first;
    } else if (first < 0x90) {
        h->kind = WIRE_MAP;
        h->count = first & 0x0f;
    } else if (first < 0xa0) {
        h->kind = WIRE_ARRAY;
        h->count = first & 0x0f;
    } else if (first < 0xc0) {
        h->kind = WIRE_STR;
        h->payload = first & 0x1f;
    } else if (first >= 0xe0) {
        h->kind = WIRE_INT;
        h->bits = sign_extend(first, 1);
        h->negative = true;
    } else if (first == 0xc0) {
        h->kind = WIRE_NIL;
    } else if (first == 0xc2 || first == 0xc3) {
        h->kind = WIRE_BOOL;
        h->bits = first & 1;
    } else if (first >= 0xd4 && first <= 0xd8) {
        h->kind = WIRE_EXT;
        h->length = 2;
        h->payload = (uint64_t)1 << (first - 0xd4);
    } else {
        return false;
    }
    return true;
}

/* Formats with a number of 1, 2, 4 or 8 bytes behind the first byte: its kind and width. */
static bool head_wide(uint8_t first, struct head *h)
{
    unsigned width;

    if (first >= 0xc4 && first <= 0xc6)
        h->kind = WIRE_BIN, width = 1U << (first - 0xc4);
    else if (first >= 0xc7 && first <= 0xc9)
        h->kind = WIRE_EXT, width = 1U << (first - 0xc7);
    else if (first == 0xca || first == 0xcb)
        h->kind = WIRE_FLOAT, width = first == 0xca ? 4 : 8;
    else if (first >= 0xcc && first <= 0xcf)
        h->kind = WIRE_INT, width = 1U << (first - 0xcc);
    else if (first >= 0xd0 && first <= 0xd3)
        h->kind = WIRE_INT, width = 1U << (first - 0xd0);
    else if (first >= 0xd9 && first <= 0xdb)
        h->kind = WIRE_STR, width = 1U << (first - 0xd9);
    else if (first == 0xdc || first == 0xdd)
        h->kind = WIRE_ARRAY, width = first == 0xdc ? 2 : 4;
    else if (first == 0xde || first == 0xdf)
        h->kind = WIRE_MAP, width = first == 0xde ? 2 : 4;
    else
        return false;
    h->length = 1 + width + (h->kind == WIRE_EXT);
    return true;
}

/* Fills in what the number behind the first byte says. */
static void head_number(const uint8_t *p, struct head *h)
{
    unsigned width = (unsigned)h->length - 1 - (h->kind == WIRE_EXT);
    uint64_t number = load(p + 1, width);

    switch (h->kind) {
    case WIRE_INT:
        h->bits = p[0] >= 0xd0 ? sign_extend(number, width) : number;
        h->negative = p[0] >= 0xd0 && h->bits >> 63;
        break;
    case WIRE_FLOAT:
        h->bits = number;
        h->single = width == 4;
        break;
    case WIRE_ARRAY:
    case WIRE_MAP:
        h->count = number;
        break;
    default:
        h->payload = number;
    }
}

/* Reads the head at P; NULL where it is right, else the rule that it breaks. */
static const char *head_read(const uint8_t *p, size_t left, struct head *ret)
{
    struct head h = {0};
    bool wide;

    if (left == 0)
        return "ends in the middle of a value";
    wide = !head_fix(p[0], &h);
    if (wide && !head_wide(p[0], &h))
        return "the reserved byte 0xc1";
    if (h.length > left)
        return "ends in the middle of a value";
    if (wide)
        head_number(p, &h);
    if (h.kind == WIRE_EXT)
        h.ext_code = (int8_t)p[h.length - 1];
    if (h.payload > left - h.length)
        return "ends in the middle of a value";
    *ret = h;
    return NULL;
}

/* How many values come directly below the head. */
static uint64_t head_children(const struct head *h)
{
    return h->kind == WIRE_MAP ? 2 * h->count : h->count;
}

/* Size of the whole value at P, 0 where it is not whole. Needs no stack: it only counts how many
 * values are still to come. */
static size_t value_size(const uint8_t *p, size_t left)
{
    uint64_t pending = 1;
    size_t at = 0;

    while (pending > 0) {
        struct head h;
        if (pending > left - at || head_read(p + at, left - at, &h))
            return 0;
        at += h.length + (size_t)h.payload;
        pending += head_children(&h) - 1;
    }
    return at;
}

/* One container that is being scanned. */
struct level {
    uint64_t left; /* values still to come in it */
    bool map;
    bool in_key; /* it is, or is inside, a map key */
};

/* Python's Timestamp refuses other sizes and more than 999999999 nanoseconds, and ExtType other
 * codes. */
static const char *check_ext(const struct head *h, const uint8_t *payload)
{
    uint64_t nanoseconds = 0;

    if (h->ext_code >= 0)
        return NULL;
    if (h->ext_code != -1)
        return "an extension code that is not 0 to 127";
    if (h->payload == 8)
        nanoseconds = load(payload, 8) >> 34;
    else if (h->payload == 12)
        nanoseconds = load(payload, 4);
    else if (h->payload != 4)
        return "a timestamp of a wrong size";
    return nanoseconds > 999999999 ? "a timestamp with too many nanoseconds" : NULL;
}

/* The rules for a single value, given where it stands. */
static const char *check_value(const struct head *h, const uint8_t *payload, bool is_key,
                               bool in_key, enum wire_keys keys)
{
    if (is_key && keys == WIRE_KEYS_STRICT && h->kind != WIRE_STR && h->kind != WIRE_BIN)
        return "a map key that is no string";
    if (in_key && h->kind == WIRE_MAP)
        return "a map inside a map key";
    if (h->kind == WIRE_STR && !text_is_utf8(payload, (size_t)h->payload))
        return "a str that is not UTF-8";
    return h->kind == WIRE_EXT ? check_ext(h, payload) : NULL;
}

static int scan(const void *data, size_t size, enum wire_keys keys, size_t depth_max,
                struct error *e)
{
    struct level levels[WIRE_DEPTH_MAX];
    const uint8_t *p = data;
    uint64_t objects = 0, pending = 1; /* values still to come, all levels together */
    size_t at = 0, depth = 0;

    if (size == 0)
        return error_set(e, -EBADMSG, "msgpack: nothing at all");
    while (pending > 0) {
        struct level *in = depth > 0 ? &levels[depth - 1] : NULL;
        bool is_key = in && in->map && in->left % 2 == 0;
        bool in_key = in && (in->in_key || is_key);
        const char *rule;
        struct head h;

        rule = head_read(p + at, size - at, &h);
        if (!rule)
            rule = check_value(&h, p + at + h.length, is_key, in_key, keys);
        if (!rule && ++objects > WIRE_OBJECTS_MAX)
            rule = "too many values";
        if (!rule && depth == depth_max && head_children(&h) > 0)
            rule = "nested too deep";
        if (!rule && head_children(&h) > size - at)
            rule = "a container with more elements than there are bytes";
        if (rule)
            return error_set(e, -EBADMSG, "msgpack, byte %zu: %s", at, rule);
        at += h.length + (size_t)h.payload;
        pending += head_children(&h) - 1;
        if (in)
            in->left--;
        if (head_children(&h) > 0)
            levels[depth++] = (struct level){head_children(&h), h.kind == WIRE_MAP, in_key};
        while (depth > 0 && levels[depth - 1].left == 0)
            depth--;
    }
    if (at != size)
        return error_set(e, -EBADMSG, "msgpack, byte %zu: more bytes behind the value", at);
    return 0;
}

int wire_scan(const void *data, size_t size, enum wire_keys keys, struct error *e)
{
    return scan(data, size, keys, WIRE_DEPTH_MAX, e);
}

bool wire_nested_within(struct wire_span value, size_t depth)
{
    return scan(value.data, value.size, WIRE_KEYS_ANY, MIN(depth, (size_t)WIRE_DEPTH_MAX), NULL) ==
           0;
}

static int64_t integer_of(const struct head *h)
{
    if (!h->negative && h->bits > INT64_MAX)
        return INT64_MAX;
    return (int64_t)h->bits;
}

static double real_of(const struct head *h)
{
    uint32_t bits = (uint32_t)h->bits;
    double wide;
    float narrow;

    if (h->single) {
        memcpy(&narrow, &bits, sizeof(narrow));
        return narrow;
    }
    memcpy(&wide, &h->bits, sizeof(wide));
    return wide;
}

bool wire_read(struct wire_span raw, struct wire_value *ret)
{
    struct wire_value v = {0};
    struct head h;
    size_t size;

    if (raw.size == 0)
        return false;
    size = value_size(raw.data, raw.size);
    if (size == 0 || head_read(raw.data, raw.size, &h))
        return false;
    v.kind = h.kind;
    v.raw = (struct wire_span){raw.data, size};
    v.boolean = h.kind == WIRE_BOOL && h.bits;
    v.integer = h.kind == WIRE_INT ? integer_of(&h) : 0;
    v.real = h.kind == WIRE_FLOAT ? real_of(&h) : 0;
    v.count = (size_t)h.count;
    if (h.kind == WIRE_STR || h.kind == WIRE_BIN || h.kind == WIRE_EXT) {
        v.text = (const char *)raw.data + h.length;
        v.size = (size_t)h.payload;
    }
    *ret = v;
    return true;
}

struct wire_iterator wire_children(const struct wire_value *v)
{
    struct wire_iterator it = {0};
    struct head h;

    if (v->raw.size > 0 && !head_read(v->raw.data, v->raw.size, &h)) {
        it.at = v->raw.data + h.length;
        it.end = v->raw.data + v->raw.size;
        it.left = (size_t)head_children(&h);
    }
    return it;
}

bool wire_next(struct wire_iterator *it, struct wire_value *ret)
{
    struct wire_span rest = {it->at, (size_t)(it->end - it->at)};

    if (it->left == 0 || !wire_read(rest, ret)) {
        it->left = 0;
        return false;
    }
    it->left--;
    it->at += ret->raw.size;
    return true;
}

struct wire_iterator wire_map_begin(struct wire_span raw, bool *ret_is_map)
{
    struct wire_iterator it = {0};
    struct head h;

    *ret_is_map = !head_read(raw.data, raw.size, &h) && h.kind == WIRE_MAP;
    if (*ret_is_map) {
        it.at = raw.data + h.length;
        it.end = raw.data + raw.size;
        it.left = (size_t)head_children(&h);
    }
    return it;
}

bool wire_map_get(struct wire_span map, const char *key, struct wire_value *ret)
{
    struct wire_iterator it;
    struct wire_value v, k;
    bool is_map, found = false;

    it = wire_map_begin(map, &is_map);
    while (wire_next(&it, &k) && wire_next(&it, &v)) {
        if (wire_is_text(&k, key)) {
            *ret = v;
            found = true;
        }
    }
    return found;
}

bool wire_is_text(const struct wire_value *v, const char *text)
{
    return v->kind == WIRE_STR && v->size == strlen(text) && memcmp(v->text, text, v->size) == 0;
}

bool wire_truthy(const struct wire_value *v)
{
    switch (v->kind) {
    case WIRE_NIL:
        return false;
    case WIRE_BOOL:
        return v->boolean;
    case WIRE_INT:
        return v->integer != 0;
    case WIRE_FLOAT:
        return v->real != 0;
    case WIRE_STR:
    case WIRE_BIN:
        return v->size > 0;
    case WIRE_ARRAY:
    case WIRE_MAP:
        return v->count > 0;
    case WIRE_EXT:
        return true;
    }
    return false;
}

int wire_str_dup(const struct wire_value *v, char **ret)
{
    char *copy;

    if (v->kind != WIRE_STR || memchr(v->text, 0, v->size))
        return -EINVAL;
    copy = strndup(v->text, v->size);
    if (!copy)
        return -ENOMEM;
    *ret = copy;
    return 0;
}
