/* links: agent */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/python.h"
#include "agent/result.h"
#include "base/text.h"
#include "vectors.h"

#define REFUSAL "The grader did not return a readable output : "
#define BADLY   REFUSAL "Feedback file is badly formatted."

/* Checks the result that is written as JSON ($float, $bin and $map as in the vectors). */
static struct grading_result check(const char *json, int expected)
{
    _cleanup_buffer_ struct buffer b = {0};
    struct wire_pack pack = {.out = &b};
    struct grading_result r = {0};
    json_error_t e;
    json_t *o = json_loads(json, JSON_DECODE_ANY | JSON_ALLOW_NUL, &e);

    if (!o)
        fail_msg("%s: %s", json, e.text);
    vectors_pack(&pack, o);
    json_decref(o);
    assert_int_equal(pack.error, 0);
    if (grading_result_check(wire_rules_of(WIRE_MAIN), WIRE_FRAME_MAX, span_of(&b), &r) != expected)
        fail_msg("%s: not %d but \"%s\"", json, expected, r.text);
    return r;
}

static void assert_defaults_after_refusal(const struct grading_result *r)
{
    assert_string_equal(r->result, "crash");
    assert_true(r->grade == 0.0);
    assert_string_equal(r->state, "");
    assert_true(r->keeps_state);
    assert_string_equal(r->stdout_text, "");
    assert_string_equal(r->stderr_text, "");
    assert_int_equal(r->problems.size + r->tests.size + r->custom.size, 0);
    assert_false(r->has_archive);
}

static void refusals_have_upstreams_words(void **state)
{
    static const struct {
        const char *json, *text;
    } cases[] = {
        {"null", REFUSAL "Grading container did not return any result."},
        {"[]", REFUSAL "'tuple' object has no attribute 'items'"},
        {"\"x\"", REFUSAL "'str' object has no attribute 'items'"},
        {"5", REFUSAL "'int' object has no attribute 'items'"},
        {"true", REFUSAL "'bool' object has no attribute 'items'"},
        {"{\"$float\": \"1\"}", REFUSAL "'float' object has no attribute 'items'"},
        {"{\"$bin\": \"AA==\"}", REFUSAL "'bytes' object has no attribute 'items'"},
        {"{\"foo\": 1}", REFUSAL "'foo'"},
        {"{\"it's\": 1}", REFUSAL "\"it's\""},
        {"{\"a'b\\\"c\": 1}", REFUSAL "'a\\'b\"c'"},
        {"{\"tab\\tnl\\ncr\\rbs\\\\\": 1}", REFUSAL "'tab\\tnl\\ncr\\rbs\\\\'"},
        {"{\"\\u0001\\u007f\\u00a0\\u00e9\": 1}", REFUSAL "'\\x01\\x7f\\xa0\xc3\xa9'"},
        {"{\"\\u200b\\ud83d\\ude00\\ufeff\": 1}", REFUSAL "'\\u200b\xf0\x9f\x98\x80\\ufeff'"},
        {"{\"\\udb80\\udc01\": 1}", REFUSAL "'\\U000f0001'"},
        {"{\"\": 1}", REFUSAL "''"},
        {"{\"Grade\": {\"$float\": \"1\"}}", REFUSAL "'Grade'"},
        {"{\"$map\": [[{\"$bin\": \"Z3JhZGUn\"}, 1]]}", REFUSAL "b\"grade'\""},
        {"{\"grade\": 100}", BADLY},
        {"{\"grade\": true}", BADLY},
        {"{\"grade\": \"100\"}", BADLY},
        {"{\"grade\": null}", BADLY},
        {"{\"text\": null}", BADLY},
        {"{\"text\": {\"$bin\": \"YQ==\"}}", BADLY},
        {"{\"problems\": []}", BADLY},
        {"{\"custom\": null}", BADLY},
        {"{\"archive\": {\"$bin\": \"AA==\"}}", BADLY},
        {"{\"archive\": null}", BADLY},
        {"{\"problems\": {\"q 1\": \"x\"}}", BADLY},
        {"{\"problems\": {\"\": \"x\"}}", BADLY},
        {"{\"problems\": {\"\\n\": \"x\"}}", BADLY},
        {"{\"problems\": {\"a\\nb\": \"x\"}}", BADLY},
        {"{\"problems\": {\"a\\n\\n\": \"x\"}}", BADLY},
        {"{\"problems\": {\"\\u00e9\": \"x\"}}", BADLY},
        {"{\"problems\": {\"$map\": [[\"a\\u0000\", \"x\"]]}}", BADLY},
        {"{\"problems\": {\"*a\": \"x\"}}", BADLY},
        {"{\"problems\": {\"q1\": {}}}", BADLY},
        {"{\"tests\": {\"t\": {}}}", BADLY},
        {"{\"problems\": {\"$map\": [[{\"$bin\": \"cTE=\"}, \"x\"]]}}",
         REFUSAL "cannot use a string pattern on a bytes-like object"},
        {"{\"archive\": \"A\"}", REFUSAL "Invalid base64-encoded string: number of data characters "
                                         "(1) cannot be 1 more than a multiple of 4"},
        {"{\"archive\": \"AAAAA\"}",
         REFUSAL "Invalid base64-encoded string: number of data characters (5) cannot be 1 more "
                 "than a multiple of 4"},
        {"{\"archive\": \"AA\"}", REFUSAL "Incorrect padding"},
        {"{\"archive\": \"AAA\"}", REFUSAL "Incorrect padding"},
        {"{\"archive\": \"AA=\"}", REFUSAL "Incorrect padding"},
        {"{\"archive\": \"aA=AAaA=\"}", REFUSAL "Incorrect padding"},
        {"{\"archive\": \"\\u00e9\"}",
         REFUSAL "string argument should contain only ASCII characters"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct grading_result r = check(cases[i].json, 1);
        assert_string_equal(r.text, cases[i].text);
        assert_int_equal(r.text_size, strlen(r.text));
        assert_string_equal(r.result, "crash");
        assert_true(r.grade == 0.0);
        if (!strstr(cases[i].json, "\"archive\": \""))
            assert_defaults_after_refusal(&r);
        grading_result_clear(&r);
    }
}

static void first_fault_in_map_order_is_told(void **state)
{
    struct grading_result r =
        check("{\"stdout\": \"o\", \"foo\": 1, \"grade\": 1, \"archive\": \"A\"}", 1);

    (void)state;
    assert_string_equal(r.text, REFUSAL "'foo'");
    assert_defaults_after_refusal(&r);
    grading_result_clear(&r);
    r = check("{\"grade\": 1, \"foo\": 1}", 1);
    assert_string_equal(r.text, BADLY);
    grading_result_clear(&r);
    r = check("{\"problems\": {\"q 1\": 1}, \"foo\": 1}", 1);
    assert_string_equal(r.text, BADLY);
    grading_result_clear(&r);
}

static void absent_result_is_told(void **state)
{
    struct grading_result r;

    (void)state;
    assert_int_equal(
        grading_result_check(wire_rules_of(WIRE_MAIN), WIRE_FRAME_MAX, (struct wire_span){0}, &r),
        1);
    assert_string_equal(r.text, REFUSAL "Grading container did not return any result.");
    assert_defaults_after_refusal(&r);
    grading_result_clear(&r);
}

static void empty_result_is_an_error(void **state)
{
    struct grading_result r = check("{}", 0);

    (void)state;
    assert_string_equal(r.result, "error");
    assert_string_equal(r.text, "");
    assert_true(r.grade == 0.0);
    assert_false(r.keeps_state);
    assert_string_equal(r.state, "");
    assert_false(r.has_archive);
    grading_result_clear(&r);
}

static void grade_follows_from_success(void **state)
{
    struct grading_result r = check("{\"result\": \"success\"}", 0);

    (void)state;
    assert_true(r.grade == 100.0);
    grading_result_clear(&r);
    r = check("{\"result\": \"failed\"}", 0);
    assert_true(r.grade == 0.0);
    grading_result_clear(&r);
    r = check("{\"result\": \"success\", \"grade\": {\"$float\": \"0\"}}", 0);
    assert_true(r.grade == 0.0);
    grading_result_clear(&r);
    r = check("{\"result\": \"banana\", \"grade\": {\"$float\": \"1000\"}}", 0);
    assert_string_equal(r.result, "banana");
    assert_true(r.grade == 1000.0);
    grading_result_clear(&r);
    r = check("{\"result\": \"success\\u0000\"}", 0);
    assert_true(r.grade == 0.0);
    assert_int_equal(r.result_size, 8);
    grading_result_clear(&r);
}

static void grades_are_rounded_as_python_rounds(void **state)
{
    static const struct {
        double grade, rounded;
    } cases[] = {{33.335, 33.34}, {2.675, 2.67},   {12.345, 12.35}, {0.005, 0.01},
                 {1e-9, 0.0},     {-5, -5},        {1000, 1000},    {0.125, 0.12},
                 {0.375, 0.38},   {99.995, 100.0}, {1e300, 1e300},  {66.6666666, 66.67}};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        if (python_round2(cases[i].grade) != cases[i].rounded)
            fail_msg("%g -> %g", cases[i].grade, python_round2(cases[i].grade));
    assert_true(isnan(python_round2(NAN)));
    assert_true(isinf(python_round2(-INFINITY)));
    assert_true(signbit(python_round2(-0.001)));
}

static void float32_is_a_float(void **state)
{
    static const uint8_t map[] = "\x81\xa5grade\xca\x42\xc8\x00\x00";
    struct grading_result r;

    (void)state;
    assert_int_equal(grading_result_check(wire_rules_of(WIRE_MAIN), WIRE_FRAME_MAX,
                                          (struct wire_span){map, sizeof(map) - 1}, &r),
                     0);
    assert_true(r.grade == 100.0);
    grading_result_clear(&r);
}

static void ids_fold_case_as_pythons_re(void **state)
{
    struct grading_result r = check("{\"problems\": {\"q1\": [\"success\", \"ok\"], \"A-b._9\": 1, "
                                    "\"\\u212a\\u017f\\u0131\\u0130\": null, \"nl\\n\": \"x\"}, "
                                    "\"tests\": {\"*t*\": true}}",
                                    0);

    (void)state;
    assert_true(r.problems.size > 20);
    assert_int_equal(r.tests.data[0], 0x81);
    grading_result_clear(&r);
}

static void fields_are_forwarded_as_they_are(void **state)
{
    struct grading_result r =
        check("{\"custom\": {\"any key\": {\"deep\": [1, {\"$bin\": \"Yg==\"}]}}, \"stdout\": "
              "\"o\\u0000p\", \"stderr\": \"e\", \"state\": \"st\", \"text\": \"t\", \"archive\": "
              "\"aGkh\\n\"}",
              0);

    (void)state;
    assert_span_equal(span_of(&r.custom), (struct wire_span){(const uint8_t *)"\x81\xa7"
                                                                              "any key\x81\xa4"
                                                                              "deep\x92\x01\xc4\x01"
                                                                              "b",
                                                             20});
    assert_int_equal(r.stdout_size, 3);
    assert_memory_equal(r.stdout_text, "o\0p", 4);
    assert_string_equal(r.stderr_text, "e");
    assert_string_equal(r.state, "st");
    assert_false(r.keeps_state);
    assert_string_equal(r.text, "t");
    assert_true(r.has_archive);
    assert_span_equal(span_of(&r.archive), (struct wire_span){(const uint8_t *)"hi!", 3});
    grading_result_clear(&r);
}

static void bad_archive_leaves_the_other_fields(void **state)
{
    struct grading_result r =
        check("{\"archive\": \"A\", \"stdout\": \"o\", \"state\": \"st\", \"result\": \"success\", "
              "\"grade\": {\"$float\": \"50\"}, \"problems\": {\"q1\": 1}}",
              1);

    (void)state;
    assert_string_equal(r.result, "crash");
    assert_true(r.grade == 50.0);
    assert_string_equal(r.stdout_text, "o");
    assert_string_equal(r.state, "st");
    assert_false(r.keeps_state);
    assert_int_equal(r.problems.size, 5);
    assert_false(r.has_archive);
    grading_result_clear(&r);
}

static void base64_is_read_leniently(void **state)
{
    static const struct {
        const char *text, *bytes;
    } cases[] = {
        {"", ""},           {"aGk=", "hi"},    {"aGk=====", "hi"},
        {"aGk=XXXX", "hi"}, {"a G\nk=", "hi"}, {"*a-G_k=", "hi"},
        {"aA==", "h"},      {"=aGkh", "hi!"},  {"a=GkhaGkh", "hi!hi!"},
        {"====", ""},       {"aGkh=", "hi!"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_buffer_ struct buffer out = {0};
        _cleanup_free_ char *why = NULL;
        if (python_b64decode(cases[i].text, strlen(cases[i].text), &out, &why) != 0)
            fail_msg("\"%s\": %s", cases[i].text, why);
        assert_string_equal(buffer_string(&out), cases[i].bytes);
    }
}

/* {"KEY": {"k": [[...]]}} with LEVELS containers under KEY. */
static int check_depth(const char *key, size_t levels)
{
    _cleanup_buffer_ struct buffer b = {0};
    struct wire_pack p = {.out = &b};
    struct grading_result r;
    int refused;

    wire_pack_map(&p, 1);
    wire_pack_text(&p, key);
    wire_pack_map(&p, 1);
    wire_pack_text(&p, "k");
    for (size_t i = 1; i < levels; i++)
        wire_pack_array(&p, 1);
    wire_pack_nil(&p);
    refused = grading_result_check(wire_rules_of(WIRE_MAIN), WIRE_FRAME_MAX, span_of(&b), &r);
    grading_result_clear(&r);
    return refused;
}

static void nesting_that_a_backend_cannot_copy_is_refused(void **state)
{
    static const char *const keys[] = {"custom", "problems", "tests"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        assert_int_equal(check_depth(keys[i], GRADING_RESULT_DEPTH_MAX), 0);
        assert_int_equal(check_depth(keys[i], GRADING_RESULT_DEPTH_MAX + 1), 1);
    }
}

static void long_unknown_keys_are_cut_between_characters(void **state)
{
    _cleanup_buffer_ struct buffer b = {0};
    struct wire_pack p = {.out = &b};
    struct grading_result r;
    char key[5000];

    (void)state;
    /* Three letters, then characters of two bytes: the cut would fall into one. */
    for (size_t i = 0; i < sizeof(key); i++)
        key[i] = i < 3 ? 'a' : i % 2 ? '\xc3' : '\xa9';
    wire_pack_map(&p, 1);
    wire_pack_str(&p, key, sizeof(key) - 1);
    wire_pack_nil(&p);
    assert_int_equal(
        grading_result_check(wire_rules_of(WIRE_MAIN), WIRE_FRAME_MAX, span_of(&b), &r), 1);
    assert_true(r.text_size < 1100);
    assert_true(text_is_utf8(r.text, r.text_size));
    grading_result_clear(&r);
}

static void every_golden_result_is_accepted(void **state)
{
    int seen = 0;

    (void)state;
    for (int g = 0; g < WIRE_GENERATIONS; g++) {
        json_t *root = vectors_load((enum wire_generation)g);
        for (size_t i = 0; i < vectors_count(root); i++) {
            struct vector v = vectors_at(root, i);
            if (v.head > 0 && strncmp(v.name, "result_", 7) == 0) {
                _cleanup_buffer_ struct buffer result = vectors_field(&v, "result");
                struct grading_result r;
                assert_int_equal(grading_result_check(wire_rules_of(WIRE_MAIN), WIRE_FRAME_MAX,
                                                      span_of(&result), &r),
                                 0);
                grading_result_clear(&r);
                seen++;
            }
            buffer_clear(&v.bytes);
        }
        json_decref(root);
    }
    assert_int_equal(seen, 5 * WIRE_GENERATIONS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refusals_have_upstreams_words),
        cmocka_unit_test(first_fault_in_map_order_is_told),
        cmocka_unit_test(absent_result_is_told),
        cmocka_unit_test(empty_result_is_an_error),
        cmocka_unit_test(grade_follows_from_success),
        cmocka_unit_test(grades_are_rounded_as_python_rounds),
        cmocka_unit_test(float32_is_a_float),
        cmocka_unit_test(ids_fold_case_as_pythons_re),
        cmocka_unit_test(fields_are_forwarded_as_they_are),
        cmocka_unit_test(bad_archive_leaves_the_other_fields),
        cmocka_unit_test(base64_is_read_leniently),
        cmocka_unit_test(nesting_that_a_backend_cannot_copy_is_refused),
        cmocka_unit_test(long_unknown_keys_are_cut_between_characters),
        cmocka_unit_test(every_golden_result_is_accepted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
