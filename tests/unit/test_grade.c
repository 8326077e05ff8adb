/* links: cli agent */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/grade.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static struct task_problem problems[] = {
    {.id = (char *)"code", .type = (char *)"code"},
    {.id = (char *)"many", .type = (char *)"multiple_choice", .multiple = true},
    {.id = (char *)"upload", .type = (char *)"file"},
};
static const struct task_file task = {.time = -1,
                                      .hard_time = -1,
                                      .memory = -1,
                                      .problems = problems,
                                      .n_problems = ARRAY_SIZE(problems)};

static struct wire_span span_of(const struct buffer *b)
{
    return (struct wire_span){b->data, b->size};
}

/* Encodes the inputs given as --input arguments. */
static int encode(const char *const *arguments, size_t n, struct buffer *out, struct error *e)
{
    struct grade_input inputs[4] = {0};
    int r = 0;

    for (size_t i = 0; i < n && r == 0; i++)
        r = grade_input_parse(arguments[i], &inputs[i], e);
    if (r == 0)
        r = grade_encode_inputs(inputs, n, &task, out, e);
    for (size_t i = 0; i < n; i++)
        grade_input_clear(&inputs[i]);
    if (r == 0)
        assert_int_equal(wire_scan(out->data, out->size, WIRE_KEYS_STRICT, e), 0);
    return r;
}

static void text_answers_are_sent_as_text(void **state)
{
    static const char *const arguments[] = {"code=a=b @c"};
    _cleanup_buffer_ struct buffer out = {0};
    struct error e = ERROR_INIT;
    struct wire_value v;

    (void)state;
    assert_int_equal(encode(arguments, 1, &out, &e), 0);
    assert_true(wire_map_get(span_of(&out), "code", &v));
    assert_true(wire_is_text(&v, "a=b @c"));
    assert_true(wire_map_get(span_of(&out), "@lang", &v));
    assert_true(wire_is_text(&v, "en"));
    assert_true(wire_map_get(span_of(&out), "@random", &v));
    assert_int_equal(v.kind, WIRE_ARRAY);
}

static void frontend_values_can_be_given(void **state)
{
    static const char *const arguments[] = {"@lang=fr", "@state=kept"};
    _cleanup_buffer_ struct buffer out = {0};
    struct error e = ERROR_INIT;
    struct wire_value v;

    (void)state;
    assert_int_equal(encode(arguments, 2, &out, &e), 0);
    assert_true(wire_map_get(span_of(&out), "@lang", &v));
    assert_true(wire_is_text(&v, "fr"));
    assert_true(wire_map_get(span_of(&out), "@state", &v));
    assert_true(wire_is_text(&v, "kept"));
}

static void several_choices_become_a_list_even_when_one_is_given(void **state)
{
    static const char *const one[] = {"many=2"}, *const two[] = {"code=x", "code=y"};
    _cleanup_buffer_ struct buffer out = {0};
    struct error e = ERROR_INIT;
    struct wire_value v;

    (void)state;
    assert_int_equal(encode(one, 1, &out, &e), 0);
    assert_true(wire_map_get(span_of(&out), "many", &v));
    assert_int_equal(v.kind, WIRE_ARRAY);
    assert_int_equal(v.count, 1);
    buffer_clear(&out);
    assert_int_equal(encode(two, 2, &out, &e), 0);
    assert_true(wire_map_get(span_of(&out), "code", &v));
    assert_int_equal(v.kind, WIRE_ARRAY);
    assert_int_equal(v.count, 2);
}

static void files_are_sent_as_the_problem_wants_them(void **state)
{
    char path[] = "/tmp/dockless-grade-XXXXXX";
    char upload[64], code[64];
    const char *const arguments[] = {upload, code};
    _cleanup_buffer_ struct buffer out = {0};
    _cleanup_close_ int fd = mkstemp(path);
    struct error e = ERROR_INIT;
    struct wire_value v, part;

    (void)state;
    assert_int_equal(write(fd, "x\n", 2), 2);
    snprintf(upload, sizeof(upload), "upload=@%s", path);
    snprintf(code, sizeof(code), "code=@%s", path);
    assert_int_equal(encode(arguments, 2, &out, &e), 0);
    assert_true(wire_map_get(span_of(&out), "code", &v));
    assert_true(wire_is_text(&v, "x\n"));
    assert_true(wire_map_get(span_of(&out), "upload", &v));
    assert_true(wire_map_get(v.raw, "filename", &part));
    assert_true(wire_is_text(&part, strrchr(path, '/') + 1));
    assert_true(wire_map_get(v.raw, "value", &part));
    assert_int_equal(part.kind, WIRE_BIN);
    unlink(path);
}

static void wrong_inputs_are_refused_by_name(void **state)
{
    static const struct {
        const char *argument, *text;
    } cases[] = {
        {"nothing", "--input \"nothing\" is not of the form"},
        {"=x", "--input \"=x\" is not of the form"},
        {"code=@/nonexistent/file", "/nonexistent/file: No such file"},
        {"upload=text", "problem \"upload\" wants a file"},
        {"code=\xff", "is not UTF-8"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_buffer_ struct buffer out = {0};
        struct error e = ERROR_INIT;
        assert_true(encode(&cases[i].argument, 1, &out, &e) < 0);
        assert_non_null(strstr(e.text, cases[i].text));
    }
}

static void tasks_without_limits_get_the_frontends(void **state)
{
    _cleanup_buffer_ struct buffer out = {0};
    struct wire_value limits, v;

    (void)state;
    assert_int_equal(grade_encode_parameters(&task, &out), 0);
    assert_true(wire_map_get(span_of(&out), "limits", &limits));
    assert_true(wire_map_get(limits.raw, "time", &v));
    assert_int_equal(v.integer, 20);
    assert_true(wire_map_get(limits.raw, "memory", &v));
    assert_int_equal(v.integer, 1024);
    assert_false(wire_map_get(limits.raw, "hard_time", &v));
    assert_true(wire_map_get(span_of(&out), "run_cmd", &v));
    assert_int_equal(v.kind, WIRE_NIL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_answers_are_sent_as_text),
        cmocka_unit_test(frontend_values_can_be_given),
        cmocka_unit_test(several_choices_become_a_list_even_when_one_is_given),
        cmocka_unit_test(files_are_sent_as_the_problem_wants_them),
        cmocka_unit_test(wrong_inputs_are_refused_by_name),
        cmocka_unit_test(tasks_without_limits_get_the_frontends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
