#include "json.h"

#include "number.h"
#include "words.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct reader {
    struct pool *pool;
    const char *start, *at, *end;
    struct error *e;
};

/* ITEMS with room for one more than COUNT. */
static void *grown(struct pool *pool, const void *items, size_t size, size_t count,
                   size_t *capacity)
{
    size_t wanted = *capacity ? 2 * *capacity : 4;
    void *copy;

    if (count < *capacity)
        return (void *)items;
    copy = pool_alloc(pool, wanted * size);
    if (!copy)
        return NULL;
    if (count)
        memcpy(copy, items, count * size);
    *capacity = wanted;
    return copy;
}

/* Does not look whether KEY is there. */
static int add_member(struct pool *pool, struct json *v, struct text key, struct json value)
{
    struct json_member *members =
        grown(pool, v->map.members, sizeof(*members), v->map.count, &v->map.capacity);

    if (!members)
        return -ENOMEM;
    members[v->map.count++] = (struct json_member){key, value};
    v->map.members = members;
    return 0;
}

static int wrong(struct reader *r, const char *what)
{
    return error_set(r->e, -EBADMSG, "byte %zu: %s", (size_t)(r->at - r->start), what);
}

static void skip_space(struct reader *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\t' || *r->at == '\n' || *r->at == '\r'))
        r->at++;
}

static bool take(struct reader *r, const char *word)
{
    size_t size = strlen(word);

    if ((size_t)(r->end - r->at) < size || memcmp(r->at, word, size) != 0)
        return false;
    r->at += size;
    return true;
}

static int read_hex4(struct reader *r, uint32_t *ret)
{
    uint32_t value = 0;

    if (r->end - r->at < 4)
        return wrong(r, "\\u wants four hexadecimal digits");
    for (int i = 0; i < 4; i++) {
        int digit = number_hex_digit(r->at[i]);
        if (digit < 0)
            return wrong(r, "\\u wants four hexadecimal digits");
        value = value << 4 | (uint32_t)digit;
    }
    r->at += 4;
    *ret = value;
    return 0;
}

/* Behind "\u": a character, or two that make one. A half of a pair becomes U+FFFD. */
static int read_unicode_escape(struct reader *r, char **out)
{
    uint32_t c, low;
    int k = read_hex4(r, &c);

    if (k < 0)
        return k;
    if (c >= 0xd800 && c < 0xdc00 && r->end - r->at >= 6 && r->at[0] == '\\' && r->at[1] == 'u') {
        const char *before = r->at;
        r->at += 2;
        k = read_hex4(r, &low);
        if (k < 0)
            return k;
        if (low >= 0xdc00 && low < 0xe000)
            c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
        else
            r->at = before;
    }
    if (c >= 0xd800 && c < 0xe000)
        c = WORDS_REPLACEMENT;
    *out += words_encode(c, *out);
    return 0;
}

static int read_escape(struct reader *r, char **out)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *found;

    if (r->at >= r->end)
        return wrong(r, "the string does not end");
    if (*r->at == 'u') {
        r->at++;
        return read_unicode_escape(r, out);
    }
    found = *r->at ? strchr(from, *r->at) : NULL;
    if (!found)
        return wrong(r, "this escape is none of JSON's");
    r->at++;
    *(*out)++ = to[found - from];
    return 0;
}

/* Behind the opening quote. What comes out is never longer than what goes in: six bytes of \uXXXX
 * make at most three. */
static int read_text(struct reader *r, struct text *ret)
{
    const char *quote = r->at;
    char *start, *out;

    while (quote < r->end && *quote != '"')
        quote += *quote == '\\' ? 2 : 1;
    if (quote >= r->end)
        return wrong(r, "the string does not end");
    start = out = pool_alloc(r->pool, (size_t)(quote - r->at) + 1);
    if (!start)
        return -ENOMEM;
    while (r->at < quote) {
        size_t n;
        if (*r->at == '\\') {
            int k;
            r->at++;
            k = read_escape(r, &out);
            if (k < 0)
                return k;
            continue;
        }
        if ((unsigned char)*r->at < 0x20)
            return wrong(r, "a control character in a string");
        n = words_sequence(r->at, (size_t)(quote - r->at));
        if (n == 0)
            return wrong(r, "not UTF-8");
        memcpy(out, r->at, n);
        out += n;
        r->at += n;
    }
    *out = 0;
    r->at++;
    *ret = (struct text){start, (size_t)(out - start)};
    return 0;
}

static const char *skip_digits(const char *p, const char *end)
{
    while (p < end && *p >= '0' && *p <= '9')
        p++;
    return p;
}

static int read_number(struct reader *r, struct json *ret)
{
    const char *p = r->at, *digits;
    bool real = false;
    char *copy;

    if (p < r->end && *p == '-')
        p++;
    digits = p;
    p = p < r->end && *p == '0' ? p + 1 : skip_digits(p, r->end);
    if (p == digits)
        return wrong(r, "a value is missing");
    if (p + 1 < r->end && *p == '.' && p[1] >= '0' && p[1] <= '9') {
        p = skip_digits(p + 1, r->end);
        real = true;
    }
    if (p < r->end && (*p == 'e' || *p == 'E')) {
        const char *exponent = p + 1;
        if (exponent < r->end && (*exponent == '+' || *exponent == '-'))
            exponent++;
        if (skip_digits(exponent, r->end) > exponent) {
            p = skip_digits(exponent, r->end);
            real = true;
        }
    }
    copy = pool_copy(r->pool, r->at, (size_t)(p - r->at));
    if (!copy)
        return -ENOMEM;
    if (real)
        *ret = json_real(strtod(copy, NULL));
    else
        *ret = number_integer((struct text){copy, (size_t)(p - r->at)});
    r->at = p;
    return 0;
}

static int read_value(struct reader *r, int depth, struct json *ret);

/* NOLINTNEXTLINE(misc-no-recursion): see read_value */
static int read_list(struct reader *r, int depth, struct json *ret)
{
    *ret = (struct json){.kind = JSON_LIST};
    skip_space(r);
    if (take(r, "]"))
        return 0;
    for (;;) {
        struct json item;
        int k = read_value(r, depth, &item);
        if (k >= 0)
            k = json_append(r->pool, ret, item);
        if (k < 0)
            return k;
        skip_space(r);
        if (take(r, "]"))
            return 0;
        if (!take(r, ","))
            return wrong(r, "neither , nor ] in a list");
    }
}

struct keyed {
    struct text key;
    size_t index;
};

static int by_key(const void *a, const void *b)
{
    const struct keyed *x = a, *y = b;
    int order = memcmp(x->key.data, y->key.data, MIN(x->key.size, y->key.size));

    if (order == 0 && x->key.size != y->key.size)
        return x->key.size < y->key.size ? -1 : 1;
    if (order == 0)
        return x->index < y->index ? -1 : 1;
    return order;
}

/* As a Python dict keeps them: the place of the first of equal keys with the value of the last.
 * By sorting, as a file may have very many keys. */
static int drop_duplicates(struct pool *pool, struct json *v)
{
    struct json_member *members = v->map.members;
    struct keyed *keys = pool_alloc(pool, v->map.count * sizeof(*keys));
    size_t kept = 0;

    if (!keys)
        return -ENOMEM;
    for (size_t i = 0; i < v->map.count; i++)
        keys[i] = (struct keyed){members[i].key, i};
    qsort(keys, v->map.count, sizeof(*keys), by_key);
    for (size_t i = 0, first = 0; i < v->map.count; i++) {
        if (i > 0 && keys[i].key.size == keys[first].key.size &&
            memcmp(keys[i].key.data, keys[first].key.data, keys[i].key.size) == 0) {
            members[keys[first].index].value = members[keys[i].index].value;
            members[keys[i].index].key.data = NULL;
        } else {
            first = i;
        }
    }
    for (size_t i = 0; i < v->map.count; i++)
        if (members[i].key.data)
            members[kept++] = members[i];
    v->map.count = kept;
    return 0;
}

/* NOLINTNEXTLINE(misc-no-recursion): see read_value */
static int read_map(struct reader *r, int depth, struct json *ret)
{
    *ret = json_map();
    skip_space(r);
    if (take(r, "}"))
        return 0;
    for (;;) {
        struct text key;
        struct json value;
        int k;
        skip_space(r);
        if (!take(r, "\""))
            return wrong(r, "a key is missing");
        k = read_text(r, &key);
        if (k < 0)
            return k;
        skip_space(r);
        if (!take(r, ":"))
            return wrong(r, "no : behind a key");
        k = read_value(r, depth, &value);
        if (k >= 0)
            k = add_member(r->pool, ret, key, value);
        if (k < 0)
            return k;
        skip_space(r);
        if (take(r, "}"))
            return ret->map.count > 1 ? drop_duplicates(r->pool, ret) : 0;
        if (!take(r, ","))
            return wrong(r, "neither , nor } in a map");
    }
}

/* NOLINTNEXTLINE(misc-no-recursion): JSON_DEPTH_MAX levels of under 300 bytes */
static int read_value(struct reader *r, int depth, struct json *ret)
{
    skip_space(r);
    if (take(r, "\"")) {
        ret->kind = JSON_TEXT;
        return read_text(r, &ret->text);
    }
    if (r->at < r->end && (*r->at == '[' || *r->at == '{')) {
        if (depth >= JSON_DEPTH_MAX)
            return wrong(r, "nested too deeply");
        return *r->at++ == '[' ? read_list(r, depth + 1, ret) : read_map(r, depth + 1, ret);
    }
    if (take(r, "null"))
        *ret = (struct json){.kind = JSON_NULL};
    else if (take(r, "true"))
        *ret = json_bool(true);
    else if (take(r, "false"))
        *ret = json_bool(false);
    else if (take(r, "NaN"))
        *ret = json_real(NAN);
    else if (take(r, "Infinity"))
        *ret = json_real(INFINITY);
    else if (take(r, "-Infinity"))
        *ret = json_real(-INFINITY);
    else
        return read_number(r, ret);
    return 0;
}

int json_parse(struct pool *pool, const char *text, size_t size, struct json *ret, struct error *e)
{
    struct reader r = {.pool = pool, .start = text, .at = text, .end = text + size, .e = e};
    struct json value;
    int k = read_value(&r, 0, &value);

    if (k < 0)
        return k;
    skip_space(&r);
    if (r.at != r.end)
        return wrong(&r, "something follows the value");
    *ret = value;
    return 0;
}

/* Appends the escape of the character C, which is not plain ASCII. */
static int write_escape(uint32_t c, struct buffer *out)
{
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    const char *found = c && c < 0x80 ? strchr(from, (int)c) : NULL;

    if (found)
        return buffer_printf(out, "\\%c", to[found - from]);
    if (c < 0x10000)
        return buffer_printf(out, "\\u%04x", c);
    c -= 0x10000;
    return buffer_printf(out, "\\u%04x\\u%04x", 0xd800 + (c >> 10), 0xdc00 + (c & 0x3ff));
}

int json_write_text(const char *data, size_t size, struct buffer *out)
{
    const char *plain = data, *at = data, *end = data + size;
    int k = buffer_append(out, "\"", 1);

    while (k >= 0 && at < end) {
        uint32_t c;
        size_t n;
        if (*at >= ' ' && *at < 0x7f && *at != '"' && *at != '\\') {
            at++;
            continue;
        }
        k = buffer_append(out, plain, (size_t)(at - plain));
        n = words_decode(at, (size_t)(end - at), &c);
        if (k >= 0)
            k = write_escape(c, out);
        at += n;
        plain = at;
    }
    if (k >= 0)
        k = buffer_append(out, plain, (size_t)(at - plain));
    return k < 0 ? k : buffer_append(out, "\"", 1);
}

int json_write_real(double value, struct buffer *out)
{
    char digits[NUMBER_REAL_SIZE];

    if (isnan(value))
        return buffer_append(out, "NaN", 3);
    if (isinf(value))
        return buffer_append(out, value < 0 ? "-Infinity" : "Infinity", value < 0 ? 9 : 8);
    number_format_real(value, digits);
    return buffer_append(out, digits, strlen(digits));
}

/* NOLINTNEXTLINE(misc-no-recursion): see json_write */
static int write_list(const struct json *v, struct buffer *out)
{
    int k = buffer_append(out, "[", 1);

    for (size_t i = 0; k >= 0 && i < v->list.count; i++) {
        if (i)
            k = buffer_append(out, ", ", 2);
        if (k >= 0)
            k = json_write(&v->list.items[i], out);
    }
    return k < 0 ? k : buffer_append(out, "]", 1);
}

/* NOLINTNEXTLINE(misc-no-recursion): see json_write */
static int write_map(const struct json *v, struct buffer *out)
{
    int k = buffer_append(out, "{", 1);

    for (size_t i = 0; k >= 0 && i < v->map.count; i++) {
        const struct json_member *m = &v->map.members[i];
        if (i)
            k = buffer_append(out, ", ", 2);
        if (k >= 0)
            k = json_write_text(m->key.data, m->key.size, out);
        if (k >= 0)
            k = buffer_append(out, ": ", 2);
        if (k >= 0)
            k = json_write(&m->value, out);
    }
    return k < 0 ? k : buffer_append(out, "}", 1);
}

/* NOLINTNEXTLINE(misc-no-recursion): trees come from json_parse(), JSON_DEPTH_MAX and a few more */
int json_write(const struct json *v, struct buffer *out)
{
    switch (v->kind) {
    case JSON_NULL:
        return buffer_append(out, "null", 4);
    case JSON_BOOL:
        return buffer_append(out, v->boolean ? "true" : "false", v->boolean ? 4 : 5);
    case JSON_INTEGER:
        return buffer_printf(out, "%lld", (long long)v->integer);
    case JSON_BIG:
        return buffer_append(out, v->text.data, v->text.size);
    case JSON_REAL:
        return json_write_real(v->real, out);
    case JSON_TEXT:
        return json_write_text(v->text.data, v->text.size, out);
    case JSON_LIST:
        return write_list(v, out);
    case JSON_MAP:
        return write_map(v, out);
    }
    return -EINVAL;
}

struct text text_of(const char *string)
{
    return (struct text){string, strlen(string)};
}

struct json json_text(struct text t)
{
    return (struct json){.kind = JSON_TEXT, .text = t};
}

struct json json_integer(int64_t value)
{
    return (struct json){.kind = JSON_INTEGER, .integer = value};
}

struct json json_real(double value)
{
    return (struct json){.kind = JSON_REAL, .real = value};
}

struct json json_bool(bool value)
{
    return (struct json){.kind = JSON_BOOL, .boolean = value};
}

struct json json_map(void)
{
    return (struct json){.kind = JSON_MAP};
}

struct json *json_get(struct json *v, struct text key)
{
    if (v->kind != JSON_MAP)
        return NULL;
    for (size_t i = 0; i < v->map.count; i++) {
        struct json_member *m = &v->map.members[i];
        if (m->key.size == key.size && memcmp(m->key.data, key.data, key.size) == 0)
            return &m->value;
    }
    return NULL;
}

int json_set(struct pool *pool, struct json *v, struct text key, struct json value)
{
    struct json *present = json_get(v, key);

    if (!present)
        return add_member(pool, v, key, value);
    *present = value;
    return 0;
}

int json_append(struct pool *pool, struct json *v, struct json value)
{
    struct json *items =
        grown(pool, v->list.items, sizeof(*items), v->list.count, &v->list.capacity);

    if (!items)
        return -ENOMEM;
    items[v->list.count++] = value;
    v->list.items = items;
    return 0;
}
