/* Golden messages (tests/vectors/RELEASE.json): made by the real code of each release of INGInious.
 * In "decoded", bytes are {"$bin": base64}, floats {"$float": repr}, maps with other keys than
 * strings {"$map": [[key, value], ...]}. */
#pragma once

#include "wire/generation.h"
#include "wire/pack.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct vector {
    const char *name, *direction, *message;
    json_t *decoded;
    struct buffer bytes; /* owned */
    size_t head;         /* 4 where a length comes before the message */
};

static inline json_t *vectors_load(enum wire_generation g)
{
    const char *name = wire_generation_name(g);
    char path[512];
    json_error_t error;
    json_t *root;

    snprintf(path, sizeof(path), "%s/%s%s.json", TEST_VECTORS, g == WIRE_MAIN ? "" : "v", name);
    root = json_load_file(path, 0, &error);
    if (!root)
        fail_msg("%s: %s", path, error.text);
    return root;
}

static inline struct buffer vectors_hex(const char *hex)
{
    struct buffer out = {0};
    unsigned byte;

    for (; sscanf(hex, "%2x", &byte) == 1; hex += 2)
        assert_int_equal(buffer_append(&out, &(uint8_t){(uint8_t)byte}, 1), 0);
    return out;
}

/* The vector that has index I in ROOT. */
static inline struct vector vectors_at(json_t *root, size_t i)
{
    json_t *o = json_array_get(json_object_get(root, "vectors"), i);
    struct vector v = {0};

    v.name = json_string_value(json_object_get(o, "name"));
    v.direction = json_string_value(json_object_get(o, "direction"));
    v.message = json_string_value(json_object_get(o, "message"));
    v.decoded = json_object_get(o, "decoded");
    v.head = json_object_get(o, "framing") ? 4 : 0;
    v.bytes = vectors_hex(json_string_value(json_object_get(o, "hex")));
    assert_non_null(v.name);
    assert_non_null(v.decoded);
    return v;
}

static inline size_t vectors_count(json_t *root)
{
    return json_array_size(json_object_get(root, "vectors"));
}

static inline void vectors_pack_bin(struct wire_pack *p, const char *base64)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint8_t out[4096];
    uint32_t bits = 0;
    size_t n = 0;
    int have = 0;

    for (; *base64 && *base64 != '='; base64++) {
        bits = bits << 6 | (uint32_t)(strchr(alphabet, *base64) - alphabet);
        have += 6;
        if (have >= 8) {
            have -= 8;
            assert_true(n < sizeof(out));
            out[n++] = (uint8_t)(bits >> have);
        }
    }
    wire_pack_bin(p, out, n);
}

/* Encodes the decoded form of a vector. */
static inline void vectors_pack(struct wire_pack *p, json_t *v)
{
    json_t *special, *child;
    const char *key;
    size_t i;

    if (json_is_object(v) && (special = json_object_get(v, "$bin"))) {
        vectors_pack_bin(p, json_string_value(special));
    } else if (json_is_object(v) && (special = json_object_get(v, "$float"))) {
        wire_pack_float(p, strtod(json_string_value(special), NULL));
    } else if (json_is_object(v) && (special = json_object_get(v, "$map"))) {
        wire_pack_map(p, json_array_size(special));
        json_array_foreach (special, i, child) {
            vectors_pack(p, json_array_get(child, 0));
            vectors_pack(p, json_array_get(child, 1));
        }
    } else if (json_is_object(v)) {
        wire_pack_map(p, json_object_size(v));
        json_object_foreach (v, key, child) {
            wire_pack_text(p, key);
            vectors_pack(p, child);
        }
    } else if (json_is_array(v)) {
        wire_pack_array(p, json_array_size(v));
        json_array_foreach (v, i, child)
            vectors_pack(p, child);
    } else if (json_is_string(v)) {
        wire_pack_str(p, json_string_value(v), json_string_length(v));
    } else if (json_is_integer(v)) {
        wire_pack_int(p, json_integer_value(v));
    } else if (json_is_boolean(v)) {
        wire_pack_bool(p, json_is_true(v));
    } else {
        assert_true(json_is_null(v));
        wire_pack_nil(p);
    }
}

/* One field of a vector, encoded. */
static inline struct buffer vectors_field(const struct vector *v, const char *field)
{
    struct buffer out = {0};
    struct wire_pack p = {.out = &out};
    json_t *value = json_object_get(v->decoded, field);

    if (!value)
        fail_msg("%s has no %s", v->name, field);
    vectors_pack(&p, value);
    assert_int_equal(p.error, 0);
    return out;
}

static inline const char *vectors_text(const struct vector *v, const char *field)
{
    return json_string_value(json_object_get(v->decoded, field));
}

static inline struct wire_span span_of(const struct buffer *b)
{
    return (struct wire_span){b->data, b->size};
}

static inline void assert_span_equal(struct wire_span a, struct wire_span b)
{
    assert_int_equal(a.size, b.size);
    assert_memory_equal(a.data, b.data, a.size);
}

static inline void assert_buffer_equal(const struct buffer *a, const struct buffer *b)
{
    assert_span_equal(span_of(a), span_of(b));
}

/* What is done with each vector of a kind. */
typedef void vector_check(enum wire_generation g, const struct vector *v);

/* Calls CHECK for every vector of every release that is a MESSAGE going in DIRECTION; there must be
 * at least one in each release. */
static inline void each_vector(const char *direction, const char *message, vector_check *check)
{
    for (int g = 0; g < WIRE_GENERATIONS; g++) {
        json_t *root = vectors_load((enum wire_generation)g);
        int seen = 0;
        for (size_t i = 0; i < vectors_count(root); i++) {
            struct vector v = vectors_at(root, i);
            if (strcmp(v.direction, direction) == 0 && strcmp(v.message, message) == 0) {
                check((enum wire_generation)g, &v);
                seen++;
            }
            buffer_clear(&v.bytes);
        }
        if (seen == 0)
            fail_msg("%s has no %s", wire_generation_name((enum wire_generation)g), message);
        json_decref(root);
    }
}

static inline void assert_golden(enum wire_generation g, const struct vector *v,
                                 const struct buffer *out)
{
    if (out->size != v->bytes.size || memcmp(out->data, v->bytes.data, out->size) != 0)
        fail_msg("%s %s is not the golden message", wire_generation_name(g), v->name);
}

/* Appends KEY and the bytes of RAW as they are; nothing where RAW is NULL. */
static inline void pack_if(struct wire_pack *p, const char *key, const char *raw)
{
    if (!raw)
        return;
    wire_pack_text(p, key);
    wire_pack_raw(p, (struct wire_span){(const uint8_t *)raw, strlen(raw)});
}
