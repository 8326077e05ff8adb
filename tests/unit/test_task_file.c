/* links: config */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config/task_file.h"

#include <string.h>

static struct task_file parse(const char *text)
{
    struct task_file t = {0};
    struct error e = ERROR_INIT;

    if (task_file_parse("task.yaml", text, strlen(text), &t, &e) < 0)
        fail_msg("%s", e.text);
    return t;
}

static void present_layout_is_read(void **state)
{
    struct task_file t = parse("author: Somebody\n"
                               "name: 'First: a task'\n"
                               "context: |-\n"
                               "    Some *text*.\n"
                               "environment_id: java8\n"
                               "environment_type: docker-ssh\n"
                               "environment_parameters:\n"
                               "    limits:\n"
                               "        time: '20'\n"
                               "        hard_time: '60'\n"
                               "        memory: '200'\n"
                               "        disk: '100'\n"
                               "    run_cmd: /task/other -x\n"
                               "    network_grading: true\n"
                               "problems:\n"
                               "    q1:\n"
                               "        type: code\n"
                               "        language: python\n"
                               "    q2:\n"
                               "        type: multiple_choice\n"
                               "        multiple: true\n"
                               "        choices:\n"
                               "          - {text: a, valid: true}\n"
                               "    q3: {type: multiple_choice, multiple: false}\n"
                               "    4: {}\n");

    (void)state;
    assert_string_equal(t.name, "First: a task");
    assert_string_equal(t.environment_type, "docker-ssh");
    assert_string_equal(t.environment, "java8");
    assert_string_equal(t.run_cmd, "/task/other -x");
    assert_true(t.network_grading);
    assert_true(t.has_limits);
    assert_true(t.time == 20 && t.hard_time == 60 && t.memory == 200);
    assert_int_equal(t.n_problems, 4);
    assert_string_equal(t.problems[0].id, "q1");
    assert_string_equal(t.problems[0].type, "code");
    assert_false(t.problems[0].multiple);
    assert_string_equal(t.problems[1].id, "q2");
    assert_true(t.problems[1].multiple);
    assert_false(t.problems[2].multiple);
    assert_string_equal(t.problems[3].id, "4");
    assert_string_equal(t.problems[3].type, "");
    task_file_clear(&t);
}

static void older_layout_is_read(void **state)
{
    struct task_file t = parse("author: [\"Test User\"]\n"
                               "environment: \"sekexe\"\n"
                               "run_cmd: ''\n"
                               "network_grading: True\n"
                               "limits:\n"
                               "    time: 60 \n"
                               "    memory: 32\n"
                               "    output: 1024\n"
                               "problems:\n"
                               "    unittest: {type: multiple_choice, multiple: true}\n");

    (void)state;
    assert_null(t.name);
    assert_string_equal(t.environment_type, "docker");
    assert_string_equal(t.environment, "sekexe");
    assert_null(t.run_cmd);
    assert_true(t.network_grading);
    assert_true(t.time == 60 && t.memory == 32);
    assert_true(t.hard_time < 0);
    assert_int_equal(t.n_problems, 1);
    task_file_clear(&t);
}

static void present_layout_wins_over_left_overs_of_the_older(void **state)
{
    struct task_file t =
        parse("environment: old\nlimits: {time: 1}\nrun_cmd: old\n"
              "environment_id: new\nenvironment_parameters: {limits: {time: 2}}\n");

    (void)state;
    assert_string_equal(t.environment, "new");
    assert_true(t.time == 2);
    assert_null(t.run_cmd);
    task_file_clear(&t);
    t = parse("environment: old\nenvironment_parameters: {limits: {time: 2}}\n");
    assert_string_equal(t.environment, "default");
    task_file_clear(&t);
    t = parse("environment_id: new\nlimits: {time: 2}\n");
    assert_false(t.has_limits);
    task_file_clear(&t);
}

static void absent_things_have_defaults(void **state)
{
    static const char *const texts[] = {
        "",
        "name: ~\n",
        "problems:\n",
        "environment_id:\nenvironment_parameters:\n",
        "environment_parameters: {}\n",
        "environment_parameters: {run_cmd: ~, network_grading: no}\n"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        struct task_file t = parse(texts[i]);
        assert_null(t.name);
        assert_string_equal(t.environment_type, "docker");
        assert_string_equal(t.environment, "default");
        assert_null(t.run_cmd);
        assert_false(t.network_grading);
        assert_false(t.has_limits);
        assert_true(t.time < 0 && t.hard_time < 0 && t.memory < 0);
        assert_int_equal(t.n_problems, 0);
        task_file_clear(&t);
    }
}

static void limits_are_read_as_pyyaml_and_int_read_them(void **state)
{
    static const struct {
        const char *value;
        double time;
    } cases[] = {
        {"10", 10},          {"'10'", 10},       {"\" 10 \"", 10},
        {"+10", 10},         {"1_000", 1000},    {"10.9", 10},
        {"10.", 10},         {"010", 8},         {"'010'", 10},
        {"0x1F", 31},        {"0b11", 3},        {"08", 8},
        {"1__0", 10},        {"'1__0'", -1},     {"'10_'", -1},
        {"'1_0'", 10},       {"1e9x", -1},       {"abc", -1},
        {"'10.5'", -1},      {"-5", -1},         {"0", -1},
        {"0.5", -1},         {"''", -1},         {"~", -1},
        {"[1]", -1},         {"{}", -1},         {"'0x10'", -1},
        {"1.2.3", -1},       {"_1", -1},         {"\"1\\0\"", -1},
        {"1000000000", 1e9}, {"1000000001", -1}, {"99999999999999999999", -1},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct task_file t = {0};
        struct error e = ERROR_INIT;
        char text[100];
        int r;
        snprintf(text, sizeof(text), "limits: {time: %s}", cases[i].value);
        r = task_file_parse("task.yaml", text, strlen(text), &t, &e);
        if (r != (cases[i].time < 0 ? -EINVAL : 0))
            fail_msg("%s: %d %s", text, r, e.text);
        if (r == 0 && t.time != cases[i].time)
            fail_msg("%s: %f", text, t.time);
        if (r < 0)
            assert_string_equal(
                e.text, "task.yaml:1:16: the limit \"time\" must be a number from 1 to 1000000000");
        task_file_clear(&t);
    }
}

static void empty_hard_time_means_none(void **state)
{
    struct task_file t = parse("limits: {time: 10, hard_time: ''}");

    (void)state;
    assert_true(t.hard_time < 0);
    task_file_clear(&t);
    t = parse("limits: {time: 10, hard_time: ' '}");
    assert_true(t.hard_time < 0);
    task_file_clear(&t);
}

static void network_grading_is_what_python_finds_true(void **state)
{
    static const struct {
        const char *value;
        bool network;
    } cases[] = {{"true", true},    {"yes", true}, {"On", true},     {"1", true},    {"text", true},
                 {"'false'", true}, {"[1]", true}, {"false", false}, {"No", false},  {"~", false},
                 {"''", false},     {"0", false},  {"-0", false},    {"0.0", false}, {"0x0", false},
                 {"0.84", true},    {"'0'", true}, {"[]", false},    {"{}", false}};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char text[100];
        struct task_file t;
        snprintf(text, sizeof(text), "network_grading: %s", cases[i].value);
        t = parse(text);
        if (t.network_grading != cases[i].network)
            fail_msg("%s", text);
        task_file_clear(&t);
    }
}

static void faults_name_their_place(void **state)
{
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"- a\n", "task.yaml:1:1: a task file must have keys with values"},
        {"problems: []\n", "task.yaml:1:11: \"problems\" must have keys with values"},
        {"problems: {q1: x}\n", "task.yaml:1:16: a problem must have keys with values"},
        {"problems: {q1: }\n", "task.yaml:1:16: a problem must have keys with values"},
        {"problems: {[a]: {}}\n", "task.yaml:1:12: a problem's id must be plain text"},
        {"limits: 5\n", "task.yaml:1:9: \"limits\" must have keys with values"},
        {"environment_parameters: 5\n",
         "task.yaml:1:25: \"environment_parameters\" must have keys with values"},
        {"name: [a]\n", "task.yaml:1:7: \"name\" must be plain text"},
        {"a: 1\nrun_cmd: {}\n", "task.yaml:2:10: \"run_cmd\" must be plain text"},
        {"a: b: c\n", "task.yaml:1:5: mapping values are not allowed in this context"},
        {"<<: [{a: 1}]\n", "task.yaml:1:5: only one mapping can be merged"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct task_file t = {.time = 7};
        struct error e = ERROR_INIT;
        assert_int_equal(task_file_parse("task.yaml", cases[i].text, strlen(cases[i].text), &t, &e),
                         -EINVAL);
        assert_string_equal(e.text, cases[i].error);
        assert_true(t.time == 7);
    }
}

static void aliases_and_merges_are_followed(void **state)
{
    struct task_file t = parse("base: &base {type: multiple_choice, multiple: true}\n"
                               "more: &more\n"
                               "    q3: {type: match}\n"
                               "    q1: {type: file}\n"
                               "problems:\n"
                               "    q1: {<<: *base, multiple: false}\n"
                               "    q2: *base\n"
                               "    <<: *more\n");

    (void)state;
    assert_int_equal(t.n_problems, 3);
    assert_string_equal(t.problems[0].type, "multiple_choice");
    assert_false(t.problems[0].multiple);
    assert_true(t.problems[1].multiple);
    assert_string_equal(t.problems[2].id, "q3");
    task_file_clear(&t);
}

static void mappings_that_merge_themselves_end(void **state)
{
    struct task_file t = parse("&root\n<<: *root\nproblems: &p {<<: *p, q1: {}}\n");

    (void)state;
    assert_int_equal(t.n_problems, 1);
    assert_null(t.name);
    task_file_clear(&t);
}

static void last_of_equal_keys_wins(void **state)
{
    struct task_file t = parse("name: a\nname: b\nproblems: {q: {type: x}, q: {type: y}}\n");

    (void)state;
    assert_string_equal(t.name, "b");
    assert_int_equal(t.n_problems, 1);
    assert_string_equal(t.problems[0].type, "y");
    task_file_clear(&t);
}

static void json_is_read_too(void **state)
{
    struct task_file t = parse("{\"name\": \"T \\u00e9 \\/\", \"environment_id\": \"default\",\n"
                               " \"environment_parameters\": {\"limits\": {\"time\": 5}},\n"
                               " \"problems\": {\"q1\": {\"type\": \"code\"}}}");

    (void)state;
    assert_string_equal(t.name, "T \xc3\xa9 /");
    assert_true(t.time == 5);
    assert_int_equal(t.n_problems, 1);
    task_file_clear(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(present_layout_is_read),
        cmocka_unit_test(older_layout_is_read),
        cmocka_unit_test(present_layout_wins_over_left_overs_of_the_older),
        cmocka_unit_test(absent_things_have_defaults),
        cmocka_unit_test(limits_are_read_as_pyyaml_and_int_read_them),
        cmocka_unit_test(empty_hard_time_means_none),
        cmocka_unit_test(network_grading_is_what_python_finds_true),
        cmocka_unit_test(faults_name_their_place),
        cmocka_unit_test(aliases_and_merges_are_followed),
        cmocka_unit_test(mappings_that_merge_themselves_end),
        cmocka_unit_test(last_of_equal_keys_wins),
        cmocka_unit_test(json_is_read_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
