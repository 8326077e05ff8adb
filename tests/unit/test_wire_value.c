/* links: wire */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "vectors.h"

#define BYTES(text) (text), sizeof(text) - 1

struct case_scan {
    const char *bytes;
    size_t size;
    const char *rule; /* NULL: accepted */
};

/* Each was tried with Python's msgpack 1.0.3, unpackb(use_list=False, strict_map_key=False). */
static const struct case_scan cases[] = {
    {BYTES(""), "nothing at all"},
    {BYTES("\xc0"), NULL},
    {BYTES("\xc1"), "reserved byte"},
    {BYTES("\xc0\xc0"), "more bytes behind"},
    {BYTES("\x00"), NULL},
    {BYTES("\x91"), "in the middle"},
    {BYTES("\x92\xc0"), "in the middle"},
    {BYTES("\xdd\xff\xff\xff\xff"), "more elements than"},
    {BYTES("\xdd\xff\xff\xff\xff\xc0\xc0"), "more elements than"},
    {BYTES("\xdf\xff\xff\xff\xff\xc0\xc0"), "more elements than"},
    {BYTES("\xdb\xff\xff\xff\xff\x61"), "in the middle"},
    {BYTES("\xc6\x7f\xff\xff\xff\x61"), "in the middle"},
    {BYTES("\xc9\xff\xff\xff\xff\x01"), "in the middle"},
    {BYTES("\xcb\x00\x00\x00"), "in the middle"},
    {BYTES("\xcd\x00"), "in the middle"},
    {BYTES("\xa2\xff\xfe"), "not UTF-8"},
    {BYTES("\xa3\xed\xa0\x80"), "not UTF-8"},
    {BYTES("\xa3\xef\xbf\xbe"), NULL},
    {BYTES("\xa1\x00"), NULL},
    {BYTES("\xda\x00\x01\x61"), NULL}, /* "old raw" */
    {BYTES("\xdb\x00\x00\x00\x01\x61"), NULL},
    {BYTES("\xd9\x01\x61"), NULL},
    {BYTES("\xc4\x02\xff\xfe"), NULL},
    {BYTES("\x81\xa1\xff\xc0"), "not UTF-8"},
    {BYTES("\x81\x01\xc0"), NULL},
    {BYTES("\x81\xc0\xc0"), NULL},
    {BYTES("\x81\x80\xc0"), "a map inside a map key"},
    {BYTES("\x81\x91\x80\xc0"), "a map inside a map key"},
    {BYTES("\x81\x91\x91\x80\xc0"), "a map inside a map key"},
    {BYTES("\x81\x91\x01\x80"), NULL},
    {BYTES("\x82\x01\x80\xa1k\x81\x01\x80"), NULL},
    {BYTES("\xd4\x05\x00"), NULL},
    {BYTES("\xc7\x00\x7f"), NULL},
    {BYTES("\xd4\x80\x00"), "extension code"},
    {BYTES("\xd4\xfe\x00"), "extension code"},
    {BYTES("\xd4\xff\x00"), "timestamp of a wrong size"},
    {BYTES("\xd6\xff\x00\x00\x00\x00"), NULL},
    {BYTES("\xd7\xff\x00\x00\x00\x00\x00\x00\x00\x00"), NULL},
    {BYTES("\xd7\xff\xff\xff\xff\xff\x00\x00\x00\x00"), "too many nanoseconds"},
    {BYTES("\xc7\x0c\xff\x3b\x9a\xc9\xff\x00\x00\x00\x00\x00\x00\x00\x00"), NULL},
    {BYTES("\xc7\x0c\xff\x3b\x9a\xca\x00\x00\x00\x00\x00\x00\x00\x00\x00"), "too many nanoseconds"},
};

static void scan_takes_what_python_takes(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct error e = ERROR_INIT;
        int r = wire_scan(cases[i].bytes, cases[i].size, WIRE_KEYS_ANY, &e);
        if (!cases[i].rule && r != 0)
            fail_msg("case %zu is refused: %s", i, e.text);
        if (cases[i].rule && (r != -EBADMSG || !strstr(e.text, cases[i].rule)))
            fail_msg("case %zu: %d, \"%s\", not \"%s\"", i, r, e.text, cases[i].rule);
    }
}

static void strict_keys_are_str_or_bin(void **state)
{
    (void)state;
    assert_int_equal(wire_scan(BYTES("\x81\xa1k\x01"), WIRE_KEYS_STRICT, NULL), 0);
    assert_int_equal(wire_scan(BYTES("\x81\xc4\x01k\x01"), WIRE_KEYS_STRICT, NULL), 0);
    assert_int_equal(wire_scan(BYTES("\x81\x01\x01"), WIRE_KEYS_STRICT, NULL), -EBADMSG);
    assert_int_equal(wire_scan(BYTES("\x91\x81\xc0\x01"), WIRE_KEYS_STRICT, NULL), -EBADMSG);
}

static void error_names_the_byte(void **state)
{
    struct error e = ERROR_INIT;

    (void)state;
    assert_int_equal(wire_scan(BYTES("\x92\xc0\xa1\xff"), WIRE_KEYS_ANY, &e), -EBADMSG);
    assert_string_equal(e.text, "msgpack, byte 2: a str that is not UTF-8");
}

static int scan_nested(size_t depth, uint8_t container)
{
    uint8_t bytes[2 * WIRE_DEPTH_MAX + 16];
    size_t n = 0;

    for (size_t i = 0; i < depth; i++) {
        bytes[n++] = container;
        if (container == 0x81)
            bytes[n++] = 0x01;
    }
    bytes[n++] = 0xc0;
    return wire_scan(bytes, n, WIRE_KEYS_ANY, NULL);
}

static void nesting_ends_where_python_ends(void **state)
{
    (void)state;
    assert_int_equal(scan_nested(WIRE_DEPTH_MAX, 0x91), 0);
    assert_int_equal(scan_nested(WIRE_DEPTH_MAX + 1, 0x91), -EBADMSG);
    assert_int_equal(scan_nested(WIRE_DEPTH_MAX, 0x81), 0);
    assert_int_equal(scan_nested(WIRE_DEPTH_MAX + 1, 0x81), -EBADMSG);
}

static void number_of_objects_is_bounded(void **state)
{
    size_t n = WIRE_OBJECTS_MAX;
    uint8_t *bytes = calloc(1, n + 5);
    struct error e = ERROR_INIT;

    (void)state;
    assert_non_null(bytes);
    bytes[0] = 0xdd;
    for (int i = 0; i < 4; i++)
        bytes[1 + i] = (uint8_t)((n - 1) >> 8 * (3 - i));
    assert_int_equal(wire_scan(bytes, n - 1 + 5, WIRE_KEYS_ANY, &e), 0);
    for (int i = 0; i < 4; i++)
        bytes[1 + i] = (uint8_t)(n >> 8 * (3 - i));
    assert_int_equal(wire_scan(bytes, n + 5, WIRE_KEYS_ANY, &e), -EBADMSG);
    assert_non_null(strstr(e.text, "too many values"));
    free(bytes);
}

static struct wire_value read_value(const char *bytes, size_t size)
{
    struct wire_value v;

    assert_true(wire_read((struct wire_span){(const uint8_t *)bytes, size}, &v));
    assert_int_equal(v.raw.size, size);
    return v;
}

static void numbers_read_as_written(void **state)
{
    (void)state;
    assert_int_equal(read_value(BYTES("\x7f")).integer, 127);
    assert_int_equal(read_value(BYTES("\xff")).integer, -1);
    assert_int_equal(read_value(BYTES("\xe0")).integer, -32);
    assert_int_equal(read_value(BYTES("\xcc\xff")).integer, 255);
    assert_int_equal(read_value(BYTES("\xcd\xff\xfe")).integer, 65534);
    assert_int_equal(read_value(BYTES("\xce\xff\xff\xff\xff")).integer, UINT32_MAX);
    assert_int_equal(read_value(BYTES("\xcf\xff\xff\xff\xff\xff\xff\xff\xff")).integer, INT64_MAX);
    assert_int_equal(read_value(BYTES("\xd0\x80")).integer, -128);
    assert_int_equal(read_value(BYTES("\xd0\x7f")).integer, 127);
    assert_int_equal(read_value(BYTES("\xd1\x80\x00")).integer, INT16_MIN);
    assert_int_equal(read_value(BYTES("\xd2\x80\x00\x00\x00")).integer, INT32_MIN);
    assert_int_equal(read_value(BYTES("\xd3\x80\0\0\0\0\0\0\0")).integer, INT64_MIN);
    assert_true(read_value(BYTES("\xca\x3f\x80\x00\x00")).real == 1.0);
    assert_true(read_value(BYTES("\xcb\x40\x59\0\0\0\0\0\0")).real == 100.0);
    assert_int_equal(read_value(BYTES("\xc3")).boolean, true);
    assert_int_equal(read_value(BYTES("\xc2")).boolean, false);
    assert_int_equal(read_value(BYTES("\xd7\x05"
                                      "12345678"))
                         .size,
                     8);
}

static void last_of_equal_keys_wins(void **state)
{
    static const uint8_t map[] = "\x83\xa1k\x01\xa1x\x02\xa1k\x03";
    struct wire_span span = {map, sizeof(map) - 1};
    struct wire_value v;

    (void)state;
    assert_true(wire_map_get(span, "k", &v));
    assert_int_equal(v.integer, 3);
    assert_false(wire_map_get(span, "y", &v));
    assert_false(wire_map_get((struct wire_span){(const uint8_t *)"\x91\xa1k", 3}, "k", &v));
    assert_false(wire_map_get((struct wire_span){0}, "k", &v));
}

static void broken_bytes_only_end_an_iteration(void **state)
{
    static const uint8_t map[] = "\x83\xa1k\x01\xa1x\xc1";
    struct wire_span span = {map, sizeof(map) - 1};
    struct wire_value v;

    (void)state;
    assert_true(wire_map_get(span, "k", &v));
    assert_false(wire_map_get(span, "x", &v));
    assert_false(wire_read(span, &v));
}

static void truth_is_pythons(void **state)
{
    static const struct {
        const char *bytes;
        size_t size;
        bool truth;
    } values[] = {
        {BYTES("\xc0"), false},        {BYTES("\xc2"), false},
        {BYTES("\xc3"), true},         {BYTES("\x00"), false},
        {BYTES("\xff"), true},         {BYTES("\xa0"), false},
        {BYTES("\xa1 "), true},        {BYTES("\xc4\x00"), false},
        {BYTES("\xc4\x01\x00"), true}, {BYTES("\x90"), false},
        {BYTES("\x91\xc0"), true},     {BYTES("\x80"), false},
        {BYTES("\x81\x01\x01"), true}, {BYTES("\xcb\x80\0\0\0\0\0\0\0"), false},
        {BYTES("\xd4\x01\x00"), true}, {BYTES("\xcb\x7f\xf8\0\0\0\0\0\0"), true},
        {BYTES("\xc7\x00\x01"), true},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
        struct wire_value v = read_value(values[i].bytes, values[i].size);
        if (wire_truthy(&v) != values[i].truth)
            fail_msg("value %zu", i);
    }
}

static void strings_with_nul_are_no_c_strings(void **state)
{
    struct wire_value v = read_value(BYTES("\xa3"
                                           "a\0b"));
    _cleanup_free_ char *copy = NULL;

    (void)state;
    assert_int_equal(wire_str_dup(&v, &copy), -EINVAL);
    v = read_value(BYTES("\xc4\x01"
                         "a"));
    assert_int_equal(wire_str_dup(&v, &copy), -EINVAL);
    v = read_value(BYTES("\xa2\xc3\xa9"));
    assert_int_equal(wire_str_dup(&v, &copy), 0);
    assert_string_equal(copy, "\xc3\xa9");
}

/* ---- packing ---- */

static void vectors_of_every_release_pack_to_their_bytes(void **state)
{
    (void)state;
    for (int g = 0; g < WIRE_GENERATIONS; g++) {
        json_t *root = vectors_load((enum wire_generation)g);
        assert_true(vectors_count(root) > 40);
        for (size_t i = 0; i < vectors_count(root); i++) {
            struct vector v = vectors_at(root, i);
            _cleanup_buffer_ struct buffer out = {0};
            struct wire_pack p = {.out = &out};
            vectors_pack(&p, v.decoded);
            assert_int_equal(p.error, 0);
            if (out.size != v.bytes.size - v.head ||
                memcmp(out.data, v.bytes.data + v.head, out.size) != 0)
                fail_msg("%s %s", wire_generation_name((enum wire_generation)g), v.name);
            buffer_clear(&v.bytes);
        }
        json_decref(root);
    }
}

static void assert_packs_int(int64_t value, const char *bytes, size_t size)
{
    _cleanup_buffer_ struct buffer out = {0};
    struct wire_pack p = {.out = &out};

    wire_pack_int(&p, value);
    assert_span_equal(span_of(&out), (struct wire_span){(const uint8_t *)bytes, size});
}

static void integers_take_the_smallest_form(void **state)
{
    (void)state;
    assert_packs_int(0, BYTES("\x00"));
    assert_packs_int(127, BYTES("\x7f"));
    assert_packs_int(128, BYTES("\xcc\x80"));
    assert_packs_int(255, BYTES("\xcc\xff"));
    assert_packs_int(256, BYTES("\xcd\x01\x00"));
    assert_packs_int(65536, BYTES("\xce\x00\x01\x00\x00"));
    assert_packs_int((int64_t)1 << 32, BYTES("\xcf\x00\x00\x00\x01\x00\x00\x00\x00"));
    assert_packs_int(-1, BYTES("\xff"));
    assert_packs_int(-32, BYTES("\xe0"));
    assert_packs_int(-33, BYTES("\xd0\xdf"));
    assert_packs_int(-128, BYTES("\xd0\x80"));
    assert_packs_int(-129, BYTES("\xd1\xff\x7f"));
    assert_packs_int(-32769, BYTES("\xd2\xff\xff\x7f\xff"));
    assert_packs_int((int64_t)INT32_MIN - 1, BYTES("\xd3\xff\xff\xff\xff\x7f\xff\xff\xff"));
}

static void lengths_take_the_smallest_form(void **state)
{
    static const struct {
        size_t size;
        uint8_t str[6], bin[6];
        size_t str_head, bin_head;
    } lengths[] = {
        {31, {0xbf}, {0xc4, 31}, 1, 2},
        {32, {0xd9, 32}, {0xc4, 32}, 2, 2},
        {255, {0xd9, 255}, {0xc4, 255}, 2, 2},
        {256, {0xda, 1, 0}, {0xc5, 1, 0}, 3, 3},
        {65535, {0xda, 255, 255}, {0xc5, 255, 255}, 3, 3},
        {65536, {0xdb, 0, 1, 0, 0}, {0xc6, 0, 1, 0, 0}, 5, 5},
    };
    char *text = calloc(1, 65536);

    (void)state;
    assert_non_null(text);
    for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
        _cleanup_buffer_ struct buffer str = {0}, bin = {0};
        struct wire_pack s = {.out = &str}, b = {.out = &bin};
        wire_pack_str(&s, text, lengths[i].size);
        wire_pack_bin(&b, text, lengths[i].size);
        assert_int_equal(str.size, lengths[i].size + lengths[i].str_head);
        assert_int_equal(bin.size, lengths[i].size + lengths[i].bin_head);
        assert_memory_equal(str.data, lengths[i].str, lengths[i].str_head);
        assert_memory_equal(bin.data, lengths[i].bin, lengths[i].bin_head);
    }
    free(text);
}

static void containers_take_the_smallest_form(void **state)
{
    _cleanup_buffer_ struct buffer out = {0};
    struct wire_pack p = {.out = &out};

    (void)state;
    wire_pack_array(&p, 15);
    wire_pack_array(&p, 16);
    wire_pack_array(&p, 65536);
    wire_pack_map(&p, 15);
    wire_pack_map(&p, 16);
    wire_pack_map(&p, 65536);
    wire_pack_array(&p, 0);
    assert_span_equal(span_of(&out), (struct wire_span){(const uint8_t *)BYTES(
                                         "\x9f\xdc\x00\x10\xdd\x00\x01\x00\x00"
                                         "\x8f\xde\x00\x10\xdf\x00\x01\x00\x00\x90")});
}

static void no_invalid_utf8_leaves(void **state)
{
    _cleanup_buffer_ struct buffer out = {0};
    struct wire_pack p = {.out = &out};

    (void)state;
    wire_pack_str(&p, BYTES("a\xff\xc3\xa9\xed\xa0\x80\xe2\x82"));
    assert_int_equal(p.error, 0);
    assert_int_equal(wire_scan(out.data, out.size, WIRE_KEYS_ANY, NULL), 0);
    assert_span_equal(span_of(&out),
                      (struct wire_span){(const uint8_t *)BYTES(
                          "\xb5"
                          "a\xef\xbf\xbd\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
                          "\xef\xbf\xbd")});
}

static void first_failure_sticks(void **state)
{
    _cleanup_buffer_ struct buffer out = {.max = 4};
    struct wire_pack p = {.out = &out};

    (void)state;
    wire_pack_text(&p, "abc");
    wire_pack_text(&p, "d");
    assert_int_equal(p.error, -EMSGSIZE);
    wire_pack_nil(&p);
    assert_int_equal(p.error, -EMSGSIZE);
    assert_int_equal(out.size, 4);
}

static void generations_have_names(void **state)
{
    enum wire_generation g = WIRE_MAIN;

    (void)state;
    assert_int_equal(wire_generation_parse("0.7", &g), 0);
    assert_int_equal(g, WIRE_0_7);
    assert_string_equal(wire_generation_name(WIRE_0_5), "0.5");
    assert_int_equal(wire_generation_parse("0.4", &g), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scan_takes_what_python_takes),
        cmocka_unit_test(strict_keys_are_str_or_bin),
        cmocka_unit_test(error_names_the_byte),
        cmocka_unit_test(nesting_ends_where_python_ends),
        cmocka_unit_test(number_of_objects_is_bounded),
        cmocka_unit_test(numbers_read_as_written),
        cmocka_unit_test(last_of_equal_keys_wins),
        cmocka_unit_test(broken_bytes_only_end_an_iteration),
        cmocka_unit_test(truth_is_pythons),
        cmocka_unit_test(strings_with_nul_are_no_c_strings),
        cmocka_unit_test(vectors_of_every_release_pack_to_their_bytes),
        cmocka_unit_test(integers_take_the_smallest_form),
        cmocka_unit_test(lengths_take_the_smallest_form),
        cmocka_unit_test(containers_take_the_smallest_form),
        cmocka_unit_test(no_invalid_utf8_leaves),
        cmocka_unit_test(first_failure_sticks),
        cmocka_unit_test(generations_have_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
