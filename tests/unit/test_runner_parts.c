/* links: runner */
/* The pure parts of the in-container program. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base64.h"
#include "json.h"
#include "number.h"
#include "words.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void reals_print_as_python_prints_them(void **state)
{
    static const struct {
        double value;
        const char *text;
    } table[] = {
        {0.0, "0.0"},
        {-0.0, "-0.0"},
        {1.0, "1.0"},
        {0.1, "0.1"},
        {0.1 + 0.2, "0.30000000000000004"},
        {1.0 / 3, "0.3333333333333333"},
        {100.0, "100.0"},
        {123456789.125, "123456789.125"},
        {1e15, "1000000000000000.0"},
        {9999999999999998.0, "9999999999999998.0"},
        {1e16, "1e+16"},
        {1.5e16, "1.5e+16"},
        {1e22, "1e+22"},
        {1e23, "1e+23"},
        {0.0001, "0.0001"},
        {0.00012345, "0.00012345"},
        {0.00001, "1e-05"},
        {1.25e-7, "1.25e-07"},
        {5e-324, "5e-324"},
        {1.7976931348623157e308, "1.7976931348623157e+308"},
        {-2.675, "-2.675"},
        {INFINITY, "inf"},
        {-INFINITY, "-inf"},
        {NAN, "nan"},
    };
    char text[NUMBER_REAL_SIZE];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        number_format_real(table[i].value, text);
        assert_string_equal(text, table[i].text);
    }
}

static void every_real_reads_back_as_itself(void **state)
{
    char text[NUMBER_REAL_SIZE];
    uint64_t bits = 88172645463325252U;

    (void)state;
    for (int i = 0; i < 20000; i++) {
        double value;
        bits ^= bits << 13, bits ^= bits >> 7, bits ^= bits << 17;
        memcpy(&value, &bits, sizeof(value));
        if (!isfinite(value))
            continue;
        number_format_real(value, text);
        assert_true(strtod(text, NULL) == value);
    }
}

static int parse(struct pool *pool, const char *text, struct json *ret)
{
    return json_parse(pool, text, strlen(text), ret, NULL);
}

static void json_outside_the_grammar_is_refused(void **state)
{
    static const char *const bad[] = {
        "",     " ",    "nul",       "[",         "]",       "[1",
        "[1,]", "{",    "{\"a\"",    "{\"a\":",   "{a: 1}",  "{\"a\":1,}",
        "\"",   "\"\\", "\"\\x41\"", "\"\\u12\"", "\"\n\"",  "\"\xff\"",
        "01",   "+1",   "1 2",       ".5",        "1.",      "-",
        "1e",   "'a'",  "[1 2]",     "--1",       "Infinit", "truefalse"};
    _cleanup_pool_ struct pool pool = {NULL};
    struct json v;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        if (parse(&pool, bad[i], &v) != -EBADMSG)
            fail_msg("%s was taken", bad[i]);
}

static void json_errors_name_the_byte(void **state)
{
    _cleanup_pool_ struct pool pool = {NULL};
    struct error e = ERROR_INIT;
    struct json v;

    (void)state;
    assert_int_equal(json_parse(&pool, "{\"a\" 1}", 7, &v, &e), -EBADMSG);
    assert_string_equal(e.text, "byte 5: no : behind a key");
}

static void halves_of_surrogate_pairs_are_replaced(void **state)
{
    _cleanup_pool_ struct pool pool = {NULL};
    struct json v;

    (void)state;
    assert_int_equal(parse(&pool, "\"\\ud83d\\ude00 \\ud83d \\ude00 \\ud83d\\u0041\"", &v), 0);
    assert_string_equal(v.text.data, "\xf0\x9f\x98\x80 \xef\xbf\xbd \xef\xbf\xbd \xef\xbf\xbd"
                                     "A");
}

static void nesting_is_bounded(void **state)
{
    _cleanup_pool_ struct pool pool = {NULL};
    char text[2 * JSON_DEPTH_MAX + 3];
    struct json v;

    (void)state;
    memset(text, '[', JSON_DEPTH_MAX);
    memset(text + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
    text[2 * JSON_DEPTH_MAX] = 0;
    assert_int_equal(parse(&pool, text, &v), 0);
    memset(text, '[', JSON_DEPTH_MAX + 1);
    memset(text + JSON_DEPTH_MAX + 1, ']', JSON_DEPTH_MAX + 1);
    text[2 * JSON_DEPTH_MAX + 2] = 0;
    assert_int_equal(parse(&pool, text, &v), -EBADMSG);
}

static void of_equal_keys_the_last_value_counts(void **state)
{
    _cleanup_pool_ struct pool pool = {NULL};
    _cleanup_buffer_ struct buffer b = {.max = 4096};
    struct json v;

    (void)state;
    assert_int_equal(
        parse(&pool, "{\"b\": 1, \"a\": 2, \"ab\": 3, \"a\": 4, \"\": 5, \"b\": 6, \"a\": 7}", &v),
        0);
    assert_int_equal(json_write(&v, &b), 0);
    assert_string_equal(buffer_string(&b), "{\"b\": 6, \"a\": 7, \"ab\": 3, \"\": 5}");
}

static void very_many_keys_are_read_at_once(void **state)
{
    enum { KEYS = 300000 };
    _cleanup_pool_ struct pool pool = {NULL};
    _cleanup_buffer_ struct buffer b = {.max = 16 << 20};
    struct json v;

    (void)state;
    assert_int_equal(buffer_append(&b, "{", 1), 0);
    for (int i = 0; i < KEYS; i++)
        assert_int_equal(buffer_printf(&b, "%s\"%d\": 1", i ? "," : "", i), 0);
    assert_int_equal(buffer_append(&b, "}", 1), 0);
    assert_int_equal(json_parse(&pool, (char *)b.data, b.size, &v, NULL), 0);
    assert_int_equal(v.map.count, KEYS);
}

static void invalid_bytes_are_replaced_as_python_replaces_them(void **state)
{
    static const struct {
        const char *from, *to;
    } table[] = {
        {"plain", "plain"},
        {"\xc3\xa9", "\xc3\xa9"},
        {"a\xffz", "a\xef\xbf\xbdz"},
        {"\xe2\x82z", "\xef\xbf\xbdz"},                           /* a truncated sequence is one */
        {"\xf0\x9f\x98", "\xef\xbf\xbd"},                         /* also at the end */
        {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* a surrogate is three */
        {"\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd"},                 /* an overlong form is two */
        {"\xf5\x80", "\xef\xbf\xbd\xef\xbf\xbd"},
    };
    _cleanup_pool_ struct pool pool = {NULL};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(table); i++)
        assert_string_equal(words_repair(&pool, table[i].from, strlen(table[i].from)).data,
                            table[i].to);
}

static void base64_is_padded(void **state)
{
    static const char *const table[][2] = {{"", ""},
                                           {"f", "Zg=="},
                                           {"fo", "Zm8="},
                                           {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="},
                                           {"\xff\xfe", "//4="},
                                           {"~~~?", "fn5+Pw=="}};
    char out[16];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        size_t size = strlen(table[i][0]);
        base64_encode(table[i][0], size, out);
        assert_int_equal(base64_size(size), strlen(table[i][1]));
        assert_memory_equal(out, table[i][1], strlen(table[i][1]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reals_print_as_python_prints_them),
        cmocka_unit_test(every_real_reads_back_as_itself),
        cmocka_unit_test(json_outside_the_grammar_is_refused),
        cmocka_unit_test(json_errors_name_the_byte),
        cmocka_unit_test(halves_of_surrogate_pairs_are_replaced),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(of_equal_keys_the_last_value_counts),
        cmocka_unit_test(very_many_keys_are_read_at_once),
        cmocka_unit_test(invalid_bytes_are_replaced_as_python_replaces_them),
        cmocka_unit_test(base64_is_padded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
