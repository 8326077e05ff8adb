/* links: agent */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/parameters.h"
#include "agent/python.h"
#include "vectors.h"

#define BYTES(text) text, sizeof(text) - 1

/* Every expectation of int() here is what CPython 3.11 says. */
static void int_reads_what_python_reads(void **state)
{
    static const struct {
        const char *text;
        size_t size;
        bool unicode;
        int64_t value;
    } good[] = {
        {BYTES("10"), true, 10},
        {BYTES(" 10 "), true, 10},
        {BYTES("\t\n\v\f\r7\r"), true, 7},
        {BYTES("1_0"), true, 10},
        {BYTES("1_0_0"), true, 100},
        {BYTES("+5"), true, 5},
        {BYTES("-5"), true, -5},
        {BYTES("007"), true, 7},
        {BYTES("0_0"), true, 0},
        {BYTES("\xd9\xa1\xd9\xa2"), true, 12},        /* Arabic-Indic */
        {BYTES("1_\xd9\xa2"), true, 12},              /* scripts may be mixed */
        {BYTES("\xef\xbc\x95\xe3\x80\x80"), true, 5}, /* full width, ideographic space */
        {BYTES("\xc2\xa0"
               "5\xc2\x85"),
         true, 5},
        {BYTES("\xf0\x9d\x9f\x97"), true, 9}, /* mathematical */
        {BYTES("12"), false, 12},
        {BYTES("9223372036854775807"), true, INT64_MAX},
        {BYTES("9223372036854775808"), true, INT64_MAX},
        {BYTES("-9223372036854775808"), true, INT64_MIN},
        {BYTES("-99999999999999999999999999"), true, INT64_MIN},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        int64_t value;
        if (python_int(good[i].text, good[i].size, good[i].unicode, &value) != 0)
            fail_msg("\"%s\" is refused", good[i].text);
        assert_int_equal(value, good[i].value);
    }
}

static void int_refuses_what_python_refuses(void **state)
{
    static const struct {
        const char *text;
        size_t size;
        bool unicode;
    } bad[] = {
        {BYTES(""), true},
        {BYTES(" "), true},
        {BYTES("abc"), true},
        {BYTES("10.5"), true},
        {BYTES("1e3"), true},
        {BYTES("0x10"), true},
        {BYTES("_1"), true},
        {BYTES("1_"), true},
        {BYTES("1__0"), true},
        {BYTES("- 5"), true},
        {BYTES("+-5"), true},
        {BYTES("-_5"), true},
        {BYTES("1 0"), true},
        {BYTES("5\0"), true},
        {BYTES("\x1c"
               "5"),
         true},                    /* a space for strip(), not for int() */
        {BYTES("\xc2\xb2"), true}, /* superscript two is no decimal */
        {BYTES("\xe2\x80\x8b"
               "5"),
         true},                     /* zero width space */
        {BYTES("\xd9\xa1"), false}, /* bytes are ASCII */
        {BYTES("\x85"
               "5"),
         false},
    };
    int64_t value = 7;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        if (python_int(bad[i].text, bad[i].size, bad[i].unicode, &value) != -EINVAL)
            fail_msg("case %zu \"%s\" is taken", i, bad[i].text);
    assert_int_equal(value, 7);
}

static void int_reads_no_more_digits_than_python(void **state)
{
    char digits[PYTHON_INT_DIGITS_MAX + 1];
    int64_t value;

    (void)state;
    memset(digits, '0', sizeof(digits));
    assert_int_equal(python_int(digits, PYTHON_INT_DIGITS_MAX, true, &value), 0);
    assert_int_equal(value, 0);
    assert_int_equal(python_int(digits, PYTHON_INT_DIGITS_MAX + 1, true, &value), -EINVAL);
}

static void floats_are_cut_towards_zero(void **state)
{
    int64_t value;

    (void)state;
    assert_int_equal(python_int_from_float(10.9, &value), 0);
    assert_int_equal(value, 10);
    assert_int_equal(python_int_from_float(-10.9, &value), 0);
    assert_int_equal(value, -10);
    assert_int_equal(python_int_from_float(0x1p63, &value), 0);
    assert_int_equal(value, INT64_MAX);
    assert_int_equal(python_int_from_float(-1e300, &value), 0);
    assert_int_equal(value, INT64_MIN);
    assert_int_equal(python_int_from_float(NAN, &value), -EINVAL);
    assert_int_equal(python_int_from_float(INFINITY, &value), -EINVAL);
}

/* ---- the parameters ---- */

static int parse(const char *json, struct job_parameters *p)
{
    _cleanup_buffer_ struct buffer b = {0};
    struct wire_pack pack = {.out = &b};
    json_error_t e;
    json_t *o = json_loads(json, JSON_DECODE_ANY, &e);

    if (!o)
        fail_msg("%s: %s", json, e.text);
    vectors_pack(&pack, o);
    json_decref(o);
    return job_parameters_parse(span_of(&b), p);
}

static void defaults_are_upstreams(void **state)
{
    static const char *const jsons[] = {"{}", "{\"limits\": {}}", "{\"run_cmd\": null}",
                                        "{\"limits\": {\"disk\": \"any\"}}"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(jsons); i++) {
        struct job_parameters p = {0};
        assert_int_equal(parse(jsons[i], &p), 0);
        assert_int_equal(p.time, 30);
        assert_int_equal(p.hard_time, 90);
        assert_int_equal(p.memory, 200);
        assert_false(p.network);
        assert_null(p.run_cmd);
        job_parameters_clear(&p);
    }
}

static void limits_are_read_as_upstream_reads_them(void **state)
{
    static const struct {
        const char *limits;
        int64_t time, hard_time, memory;
    } cases[] = {
        {"\"time\": 10, \"hard_time\": 20, \"memory\": 100", 10, 20, 100},
        {"\"time\": \"10\", \"hard_time\": \"20\", \"memory\": \"100\"", 10, 20, 100},
        {"\"time\": {\"$float\": \"10.9\"}", 10, 30, 200},
        {"\"time\": true", 1, 3, 200},
        {"\"time\": 0", 0, 0, 200},
        {"\"time\": -5", -5, -15, 200},
        {"\"hard_time\": 0", 30, 90, 200},
        {"\"hard_time\": \"\"", 30, 90, 200},
        {"\"hard_time\": null", 30, 90, 200},
        {"\"hard_time\": false", 30, 90, 200},
        {"\"hard_time\": {}", 30, 90, 200},
        {"\"hard_time\": \"0\"", 30, 0, 200},
        {"\"hard_time\": -1", 30, -1, 200},
        {"\"memory\": 19", 30, 90, 20},
        {"\"memory\": 20", 30, 90, 20},
        {"\"memory\": 0", 30, 90, 20},
        {"\"memory\": -100", 30, 90, 20},
        {"\"time\": 9223372036854775807", JOB_SECONDS_MAX, JOB_SECONDS_MAX, 200},
        {"\"time\": 400000000", 400000000, JOB_SECONDS_MAX, 200},
        {"\"memory\": \"99999999999999999999\"", 30, 90, JOB_MEMORY_MAX},
        {"\"memory\": {\"$float\": \"1e300\"}", 30, 90, JOB_MEMORY_MAX},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct job_parameters p = {0};
        char json[200];
        snprintf(json, sizeof(json), "{\"limits\": {%s}}", cases[i].limits);
        if (parse(json, &p) != 0)
            fail_msg("%s is refused", json);
        if (p.time != cases[i].time || p.hard_time != cases[i].hard_time ||
            p.memory != cases[i].memory)
            fail_msg("%s: %ld %ld %ld", json, (long)p.time, (long)p.hard_time, (long)p.memory);
        job_parameters_clear(&p);
    }
}

/* Upstream never looks at it, so it is no reason to refuse a job. */
static void a_disk_that_is_no_number_is_none(void **state)
{
    static const struct {
        const char *disk;
        int64_t expected;
    } cases[] = {{"100", 100},   {"\"100\"", 100}, {"0", 0}, {"-1", 0},
                 {"\"abc\"", 0}, {"null", 0},      {"[]", 0}};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct job_parameters p = {0};
        char json[64];
        snprintf(json, sizeof(json), "{\"limits\": {\"disk\": %s}}", cases[i].disk);
        assert_int_equal(parse(json, &p), 0);
        assert_int_equal(p.disk, cases[i].expected);
        job_parameters_clear(&p);
    }
}

static void unparsable_parameters_are_refused(void **state)
{
    static const char *const jsons[] = {
        "null",
        "[]",
        "\"x\"",
        "{\"limits\": null}",
        "{\"limits\": []}",
        "{\"limits\": \"\"}",
        "{\"limits\": {\"time\": null}}",
        "{\"limits\": {\"time\": \"\"}}",
        "{\"limits\": {\"time\": \"abc\"}}",
        "{\"limits\": {\"time\": \"10.5\"}}",
        "{\"limits\": {\"time\": []}}",
        "{\"limits\": {\"time\": {}}}",
        "{\"limits\": {\"time\": {\"$float\": \"nan\"}}}",
        "{\"limits\": {\"hard_time\": \" \"}}",
        "{\"limits\": {\"hard_time\": {\"$float\": \"inf\"}}}",
        "{\"limits\": {\"memory\": null}}",
        "{\"run_cmd\": 5}",
        "{\"run_cmd\": false}",
        "{\"run_cmd\": [\"a\"]}",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(jsons); i++) {
        struct job_parameters p = {.time = 7};
        if (parse(jsons[i], &p) != -EINVAL)
            fail_msg("%s is taken", jsons[i]);
        assert_int_equal(p.time, 7);
    }
    assert_int_equal(job_parameters_parse((struct wire_span){0}, &(struct job_parameters){0}),
                     -EINVAL);
}

static void network_is_what_python_finds_true(void **state)
{
    static const struct {
        const char *value;
        bool network;
    } cases[] = {{"true", true},   {"false", false}, {"null", false}, {"0", false},
                 {"\"no\"", true}, {"\"\"", false},  {"[]", false},   {"2", true}};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct job_parameters p = {0};
        char json[100];
        snprintf(json, sizeof(json), "{\"network_grading\": %s}", cases[i].value);
        assert_int_equal(parse(json, &p), 0);
        assert_int_equal(p.network, cases[i].network);
    }
}

static void run_cmd_is_kept_even_when_empty(void **state)
{
    struct job_parameters p = {0};

    (void)state;
    assert_int_equal(parse("{\"run_cmd\": \"\"}", &p), 0);
    assert_string_equal(p.run_cmd, "");
    job_parameters_clear(&p);
    assert_int_equal(parse("{\"run_cmd\": \"/task/other a\"}", &p), 0);
    assert_string_equal(p.run_cmd, "/task/other a");
    job_parameters_clear(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(int_reads_what_python_reads),
        cmocka_unit_test(int_refuses_what_python_refuses),
        cmocka_unit_test(int_reads_no_more_digits_than_python),
        cmocka_unit_test(floats_are_cut_towards_zero),
        cmocka_unit_test(defaults_are_upstreams),
        cmocka_unit_test(limits_are_read_as_upstream_reads_them),
        cmocka_unit_test(a_disk_that_is_no_number_is_none),
        cmocka_unit_test(unparsable_parameters_are_refused),
        cmocka_unit_test(network_is_what_python_finds_true),
        cmocka_unit_test(run_cmd_is_kept_even_when_empty),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
