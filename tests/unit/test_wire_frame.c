/* links: wire */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "vectors.h"
#include "wire/frame.h"
#include "wire/frame_runner.h"

#define BYTES(text) (const uint8_t *)(text), sizeof(text) - 1

/* Calls CHECK for every framed vector of every release whose name begins with NAME. */
static void each_framed(const char *name, vector_check *check)
{
    int seen = 0;

    for (int g = 0; g < WIRE_GENERATIONS; g++) {
        json_t *root = vectors_load((enum wire_generation)g);
        for (size_t i = 0; i < vectors_count(root); i++) {
            struct vector v = vectors_at(root, i);
            if (v.head > 0 && strncmp(v.name, name, strlen(name)) == 0) {
                check((enum wire_generation)g, &v);
                seen++;
            }
            buffer_clear(&v.bytes);
        }
        json_decref(root);
    }
    assert_true(seen > 0);
}

/* ---- the stream ---- */

static void frames_come_out_however_the_stream_is_cut(void **state)
{
    static const uint8_t stream[] = "\0\0\0\1a\0\0\0\0\0\0\0\0\0\0\0\3bcd\0\0\0\2ef\0\0";

    (void)state;
    for (size_t step = 1; step <= sizeof(stream) - 1; step++) {
        struct frame_reader reader = {.order = FRAME_BIG_ENDIAN, .max = 3};
        char got[16] = "";
        for (size_t at = 0; at < sizeof(stream) - 1; at += step) {
            const uint8_t *body;
            size_t size;
            assert_int_equal(
                frame_reader_push(&reader, stream + at, MIN(step, sizeof(stream) - 1 - at)), 0);
            while (frame_reader_next(&reader, &body, &size) == 1) {
                strncat(got, (const char *)body, size);
                strcat(got, ";");
            }
        }
        assert_string_equal(got, "a;bcd;ef;");
        frame_reader_clear(&reader);
    }
}

static void little_endian_streams_are_read(void **state)
{
    struct frame_reader reader = {.order = FRAME_LITTLE_ENDIAN, .max = 1000};
    const uint8_t *body;
    size_t size;

    (void)state;
    assert_int_equal(frame_reader_push(&reader, "\2\0\0\0ab", 6), 0);
    assert_int_equal(frame_reader_next(&reader, &body, &size), 1);
    assert_int_equal(size, 2);
    assert_int_equal(frame_reader_next(&reader, &body, &size), 0);
    frame_reader_clear(&reader);
}

static void length_beyond_the_bound_loses_the_stream(void **state)
{
    struct frame_reader reader = {.order = FRAME_BIG_ENDIAN, .max = 10};
    const uint8_t *body;
    size_t size;

    (void)state;
    assert_int_equal(frame_reader_push(&reader, "\0\0\0\13", 4), 0);
    assert_int_equal(frame_reader_next(&reader, &body, &size), -EMSGSIZE);
    frame_reader_clear(&reader);
    assert_int_equal(frame_reader_push(&reader, "\xff\xff\xff\xff", 4), 0);
    assert_int_equal(frame_reader_next(&reader, &body, &size), -EMSGSIZE);
    frame_reader_clear(&reader);
}

static void reader_that_is_not_asked_stops_taking(void **state)
{
    struct frame_reader reader = {.order = FRAME_BIG_ENDIAN, .max = 10};
    int r = 0;

    (void)state;
    for (int i = 0; i < 100 && r == 0; i++)
        r = frame_reader_push(&reader, "\0\0\0\1a", 5);
    assert_int_equal(r, -EMSGSIZE);
    frame_reader_clear(&reader);
}

static void frames_are_written_with_their_length(void **state)
{
    _cleanup_buffer_ struct buffer out = {0};

    (void)state;
    assert_int_equal(frame_write(FRAME_BIG_ENDIAN, "abc", 3, &out), 0);
    assert_int_equal(frame_write(FRAME_LITTLE_ENDIAN, "de", 2, &out), 0);
    assert_span_equal(span_of(&out), (struct wire_span){BYTES("\0\0\0\3abc\2\0\0\0de")});
}

/* ---- the agent's side ---- */

static void check_start(enum wire_generation g, const struct vector *v)
{
    _cleanup_buffer_ struct buffer input = vectors_field(v, "input"),
                                   debug = vectors_field(v, "debug"), out = {0};
    json_t *types = json_object_get(v->decoded, "envtypes"), *yes;
    const char *names[4], *name;
    struct frame_start start = {.input = span_of(&input),
                                .debug = span_of(&debug),
                                .environment_types = names,
                                .run_cmd = vectors_text(v, "run_cmd"),
                                .run_as_root =
                                    json_is_true(json_object_get(v->decoded, "run_as_root"))};

    json_object_foreach (types, name, yes) {
        names[start.n_types++] = name;
    }
    assert_int_equal(frame_encode_start(g, &start, &out), 0);
    assert_golden(g, v, &out);
}

static void start_is_golden_in_every_release(void **state)
{
    (void)state;
    each_framed("start_", check_start);
}

static void start_of_0_5_has_no_run_cmd(void **state)
{
    struct frame_start start = {
        .input = {BYTES("\x80")}, .debug = {BYTES("\xc2")}, .run_cmd = "/task/other"};
    _cleanup_buffer_ struct buffer with = {0}, without = {0};

    (void)state;
    assert_int_equal(frame_encode_start(WIRE_0_5, &start, &with), 0);
    start.run_cmd = NULL;
    assert_int_equal(frame_encode_start(WIRE_0_5, &start, &without), 0);
    assert_buffer_equal(&with, &without);
}

static void start_with_undecodable_input_is_refused(void **state)
{
    struct frame_start start = {.input = {BYTES("\x81\xa1k\xa1\xff")}, .debug = {BYTES("\xc2")}};
    _cleanup_buffer_ struct buffer out = {0};

    (void)state;
    assert_int_equal(frame_encode_start(WIRE_MAIN, &start, &out), -EINVAL);
    assert_int_equal(out.size, 0);
}

static void check_student_to_container(enum wire_generation g, const struct vector *v)
{
    json_t *retval = json_object_get(v->decoded, "retval");
    _cleanup_buffer_ struct buffer out = {0};

    if (retval)
        assert_int_equal(frame_encode_student_retval(g, (int)json_integer_value(retval),
                                                     vectors_text(v, "socket_id"), &out),
                         0);
    else
        assert_int_equal(frame_encode_student_started(g, vectors_text(v, "socket_id"),
                                                      vectors_text(v, "container_id"), &out),
                         0);
    assert_golden(g, v, &out);
}

static void student_answers_are_golden_in_every_release(void **state)
{
    (void)state;
    each_framed("run_student_started", check_student_to_container);
    each_framed("run_student_retval", check_student_to_container);
}

static void assert_same_text(const char *got, const char *expected)
{
    if (expected)
        assert_string_equal(got, expected);
    else
        assert_null(got);
}

static void check_run_student(enum wire_generation g, const struct vector *v)
{
    _cleanup_container_message_ struct container_message m = CONTAINER_MESSAGE_INIT;
    json_t *o = v->decoded;

    if (strstr(v->name, "started") || strstr(v->name, "retval"))
        return;
    assert_int_equal(container_message_decode(g, v->bytes.data + 4, v->bytes.size - 4, &m, NULL),
                     0);
    assert_int_equal(m.type, CONTAINER_RUN_STUDENT);
    assert_same_text(m.environment, vectors_text(v, "environment"));
    assert_string_equal(m.socket_id, "p8xw0z_1");
    assert_int_equal(m.time_limit, json_integer_value(json_object_get(o, "time_limit")));
    assert_int_equal(m.hard_time_limit, json_integer_value(json_object_get(o, "hard_time_limit")));
    assert_int_equal(m.memory_limit, json_integer_value(json_object_get(o, "memory_limit")));
    assert_int_equal(m.share_network, json_is_true(json_object_get(o, "share_network")));
    assert_int_equal(m.ssh, json_is_true(json_object_get(o, "ssh")));
    assert_int_equal(m.run_as_root, json_is_true(json_object_get(o, "run_as_root")));
}

static void run_student_is_read_in_every_release(void **state)
{
    (void)state;
    each_framed("run_student_", check_run_student);
}

static void check_ssh(enum wire_generation g, const struct vector *v)
{
    _cleanup_container_message_ struct container_message m = CONTAINER_MESSAGE_INIT;

    assert_int_equal(container_message_decode(g, v->bytes.data + 4, v->bytes.size - 4, &m, NULL),
                     0);
    assert_int_equal(m.type, strcmp(v->name, "ssh_student") == 0 ? CONTAINER_SSH_STUDENT
                                                                 : CONTAINER_SSH_DEBUG);
    assert_same_text(m.ssh_user, vectors_text(v, "ssh_user"));
    assert_same_text(m.ssh_key, vectors_text(v, "ssh_key"));
    assert_same_text(m.container_id, vectors_text(v, "container_id"));
}

static void ssh_messages_are_read_in_every_release(void **state)
{
    (void)state;
    each_framed("ssh_", check_ssh);
}

static void check_result(enum wire_generation g, const struct vector *v)
{
    _cleanup_container_message_ struct container_message m = CONTAINER_MESSAGE_INIT;
    _cleanup_buffer_ struct buffer result = vectors_field(v, "result");

    assert_int_equal(container_message_decode(g, v->bytes.data + 4, v->bytes.size - 4, &m, NULL),
                     0);
    assert_int_equal(m.type, CONTAINER_RESULT);
    assert_span_equal(m.result, span_of(&result));
}

static void results_are_read_in_every_release(void **state)
{
    (void)state;
    each_framed("result_", check_result);
}

static int decode(const char *bytes, size_t size, struct container_message *m)
{
    return container_message_decode(WIRE_MAIN, bytes, size, m, NULL);
}

static void unreadable_messages_differ_from_wrong_ones(void **state)
{
    static const struct {
        const uint8_t *bytes;
        size_t size;
        int r;
    } cases[] = {
        {BYTES(""), -EBADMSG},
        {BYTES("\x90"), -EBADMSG},
        {BYTES("\xc0"), -EBADMSG},
        {BYTES("\x81\x01\x02"), -EBADMSG},
        {BYTES("\x82\xa4type\xa6result\xa6result\x81\x01\x02"), -EBADMSG},
        {BYTES("\x82\xa4type\xa6result\xa6result\xa1\xff"), -EBADMSG},
        {BYTES("\x82\xa4type\xa6result\xa6result\x80\x00"), -EBADMSG},
        {BYTES("\x80"), -EINVAL},
        {BYTES("\x81\xa4type\xa6result"), -EINVAL},
        {BYTES("\x81\xa4type\xc4\x06result"), -EINVAL},
        {BYTES("\x81\xc4\x04type\xa6result"), -EINVAL},
        {BYTES("\x81\xa4type\xa5start"), -EINVAL},
        {BYTES("\x81\xa4type\x01"), -EINVAL},
        {BYTES("\x82\xa4type\xa6result\xa6result\xc0"), 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_container_message_ struct container_message m = CONTAINER_MESSAGE_INIT;
        int r = decode((const char *)cases[i].bytes, cases[i].size, &m);
        if (r != cases[i].r)
            fail_msg("case %zu: %d", i, r);
    }
}

/* A run_student with one field changed; NULL leaves the field away. */
static struct buffer run_student_with(const char *field, const char *value, size_t size)
{
    static const char *const fields[][2] = {
        {"type", "\xabrun_student"}, {"environment", "\xc0"},  {"time_limit", "\x05"},
        {"hard_time_limit", "\x06"}, {"memory_limit", "\x07"}, {"share_network", "\xc2"},
        {"socket_id", "\xa2s1"},     {"ssh", "\xc2"},          {"run_as_root", "\xc2"},
    };
    struct buffer out = {0};
    struct wire_pack p = {.out = &out};

    wire_pack_map(&p, ARRAY_SIZE(fields) - !value);
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
        bool changed = strcmp(fields[i][0], field) == 0;
        if (changed && !value)
            continue;
        wire_pack_text(&p, fields[i][0]);
        if (changed)
            wire_pack_raw(&p, (struct wire_span){(const uint8_t *)value, size});
        else
            wire_pack_raw(&p,
                          (struct wire_span){(const uint8_t *)fields[i][1], strlen(fields[i][1])});
    }
    return out;
}

static void run_student_without_a_key_keeps_its_socket(void **state)
{
    static const char *const keys[] = {"environment",  "time_limit", "hard_time_limit",
                                       "memory_limit", "ssh",        "share_network",
                                       "run_as_root"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        _cleanup_buffer_ struct buffer b = run_student_with(keys[i], NULL, 0);
        _cleanup_container_message_ struct container_message m = CONTAINER_MESSAGE_INIT;
        assert_int_equal(decode((char *)b.data, b.size, &m), -EINVAL);
        assert_int_equal(m.type, CONTAINER_RUN_STUDENT);
        assert_string_equal(m.socket_id, "s1");
    }
}

static void socket_ids_are_plain_file_names(void **state)
{
    static const char *const bad[] = {"", ".", "..", "a/b", "/a", "a/", "../a"};
    char long_id[CONTAINER_SOCKET_ID_MAX + 2];

    (void)state;
    for (size_t i = 0; i <= ARRAY_SIZE(bad); i++) {
        _cleanup_buffer_ struct buffer value = {0}, b = {0};
        _cleanup_container_message_ struct container_message m = CONTAINER_MESSAGE_INIT;
        struct wire_pack p = {.out = &value};
        memset(long_id, 'x', sizeof(long_id));
        wire_pack_str(&p, i < ARRAY_SIZE(bad) ? bad[i] : long_id,
                      i < ARRAY_SIZE(bad) ? strlen(bad[i]) : sizeof(long_id) - 1);
        b = run_student_with("socket_id", (char *)value.data, value.size);
        if (decode((char *)b.data, b.size, &m) != -EINVAL)
            fail_msg("\"%s\" is taken", i < ARRAY_SIZE(bad) ? bad[i] : "long");
        assert_null(m.socket_id);
    }
    {
        _cleanup_buffer_ struct buffer b = run_student_with("socket_id",
                                                            "\xa3"
                                                            "a\0b",
                                                            4);
        _cleanup_container_message_ struct container_message m = CONTAINER_MESSAGE_INIT;
        assert_int_equal(decode((char *)b.data, b.size, &m), -EINVAL);
    }
}

static void student_limits_follow_python(void **state)
{
    static const struct {
        const char *bytes;
        size_t size;
        int r;
        int64_t limit;
    } limits[] = {
        {"\xc0", 1, 0, 0},
        {"\xc2", 1, 0, 0},
        {"\xc3", 1, 0, 1},
        {"\xa0", 1, 0, 0},
        {"\xff", 1, 0, -1},
        {"\xcc\x80", 2, 0, 128},
        {"\xa1"
         "5",
         2, -EINVAL, 0},
        {"\xcb\x40\x59\0\0\0\0\0\0", 9, -EINVAL, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
        _cleanup_buffer_ struct buffer b =
            run_student_with("memory_limit", limits[i].bytes, limits[i].size);
        _cleanup_container_message_ struct container_message m = CONTAINER_MESSAGE_INIT;
        assert_int_equal(decode((char *)b.data, b.size, &m), limits[i].r);
        if (limits[i].r == 0)
            assert_int_equal(m.memory_limit, limits[i].limit);
    }
}

/* ---- the container's side ---- */

static void check_runner_start(enum wire_generation g, const struct vector *v)
{
    _cleanup_runner_message_ struct runner_message m = RUNNER_MESSAGE_INIT;
    _cleanup_buffer_ struct buffer input = {0}, debug = {0};

    if (g != WIRE_MAIN)
        return;
    input = vectors_field(v, "input");
    debug = vectors_field(v, "debug");
    assert_int_equal(runner_message_decode(v->bytes.data + 4, v->bytes.size - 4, &m, NULL), 0);
    assert_int_equal(m.type, RUNNER_START);
    assert_span_equal(m.input, span_of(&input));
    assert_span_equal(m.debug, span_of(&debug));
    assert_same_text(m.run_cmd, vectors_text(v, "run_cmd"));
    assert_true(m.environment_types.size > 1);
}

static void runner_reads_start(void **state)
{
    (void)state;
    each_framed("start_", check_runner_start);
}

static void check_runner_student(enum wire_generation g, const struct vector *v)
{
    _cleanup_runner_message_ struct runner_message m = RUNNER_MESSAGE_INIT;
    json_t *retval = json_object_get(v->decoded, "retval");

    if (g != WIRE_MAIN)
        return;
    assert_int_equal(runner_message_decode(v->bytes.data + 4, v->bytes.size - 4, &m, NULL), 0);
    assert_int_equal(m.type, retval ? RUNNER_STUDENT_RETVAL : RUNNER_STUDENT_STARTED);
    assert_string_equal(m.socket_id, vectors_text(v, "socket_id"));
    assert_same_text(m.container_id, vectors_text(v, "container_id"));
    assert_int_equal(m.retval, retval ? json_integer_value(retval) : 0);
}

static void runner_reads_student_answers(void **state)
{
    (void)state;
    each_framed("run_student_started", check_runner_student);
    each_framed("run_student_retval", check_runner_student);
}

static void check_runner_writes(enum wire_generation g, const struct vector *v)
{
    _cleanup_buffer_ struct buffer out = {0}, result = {0};
    json_t *o = v->decoded;

    if (g != WIRE_MAIN || strstr(v->name, "started") || strstr(v->name, "retval"))
        return;
    if (strncmp(v->name, "result", 6) == 0) {
        result = vectors_field(v, "result");
        assert_int_equal(runner_encode_result(span_of(&result), &out), 0);
    } else if (strcmp(v->name, "ssh_debug") == 0) {
        assert_int_equal(
            runner_encode_ssh_debug(vectors_text(v, "ssh_user"), vectors_text(v, "ssh_key"), &out),
            0);
    } else if (strcmp(v->name, "ssh_student") == 0) {
        assert_int_equal(runner_encode_ssh_student(vectors_text(v, "ssh_user"),
                                                   vectors_text(v, "ssh_key"),
                                                   vectors_text(v, "container_id"), &out),
                         0);
    } else {
        struct runner_student student = {
            .environment = vectors_text(v, "environment"),
            .time_limit = json_integer_value(json_object_get(o, "time_limit")),
            .hard_time_limit = json_integer_value(json_object_get(o, "hard_time_limit")),
            .memory_limit = json_integer_value(json_object_get(o, "memory_limit")),
            .share_network = json_is_true(json_object_get(o, "share_network")),
            .ssh = json_is_true(json_object_get(o, "ssh")),
            .run_as_root = json_is_true(json_object_get(o, "run_as_root")),
            .socket_id = vectors_text(v, "socket_id"),
        };
        assert_int_equal(runner_encode_run_student(&student, &out), 0);
    }
    assert_golden(g, v, &out);
}

static void runner_writes_golden_messages(void **state)
{
    (void)state;
    each_framed("result_", check_runner_writes);
    each_framed("ssh_", check_runner_writes);
    each_framed("run_student_", check_runner_writes);
}

static void runner_refuses_wrong_messages(void **state)
{
    static const struct {
        const uint8_t *bytes;
        size_t size;
        int r;
    } cases[] = {
        {BYTES("\x90"), -EBADMSG},
        {BYTES("\x81\xa4type\xc1"), -EBADMSG},
        {BYTES("\x81\xa4type\xa5other"), -EINVAL},
        {BYTES("\x81\xa4type\xa5start"), -EINVAL},
        {BYTES("\x82\xa4type\xb2run_student_retval\xa6retval\x01"), -EINVAL},
        {BYTES("\x83\xa4type\xb2run_student_retval\xa6retval\xc0\xa9socket_id\xa1s"), -EINVAL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_runner_message_ struct runner_message m = RUNNER_MESSAGE_INIT;
        assert_int_equal(runner_message_decode(cases[i].bytes, cases[i].size, &m, NULL),
                         cases[i].r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_come_out_however_the_stream_is_cut),
        cmocka_unit_test(little_endian_streams_are_read),
        cmocka_unit_test(length_beyond_the_bound_loses_the_stream),
        cmocka_unit_test(reader_that_is_not_asked_stops_taking),
        cmocka_unit_test(frames_are_written_with_their_length),
        cmocka_unit_test(start_is_golden_in_every_release),
        cmocka_unit_test(start_of_0_5_has_no_run_cmd),
        cmocka_unit_test(start_with_undecodable_input_is_refused),
        cmocka_unit_test(student_answers_are_golden_in_every_release),
        cmocka_unit_test(run_student_is_read_in_every_release),
        cmocka_unit_test(ssh_messages_are_read_in_every_release),
        cmocka_unit_test(results_are_read_in_every_release),
        cmocka_unit_test(unreadable_messages_differ_from_wrong_ones),
        cmocka_unit_test(run_student_without_a_key_keeps_its_socket),
        cmocka_unit_test(socket_ids_are_plain_file_names),
        cmocka_unit_test(student_limits_follow_python),
        cmocka_unit_test(runner_reads_start),
        cmocka_unit_test(runner_reads_student_answers),
        cmocka_unit_test(runner_writes_golden_messages),
        cmocka_unit_test(runner_refuses_wrong_messages),
    };

    if (getenv("TEST_ONLY"))
        cmocka_set_test_filter(getenv("TEST_ONLY"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
