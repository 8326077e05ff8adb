/* links: wire */
/* What comes from the backend: golden messages of every release, and broken ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "vectors.h"
#include "wire/backend.h"
#include "wire/backend_side.h"

static void assert_same_text(const char *got, const char *expected)
{
    if (expected)
        assert_string_equal(got, expected);
    else
        assert_null(got);
}

static void check_new_job(enum wire_generation g, const struct vector *v)
{
    _cleanup_backend_message_ struct backend_message m = BACKEND_MESSAGE_INIT;
    _cleanup_buffer_ struct buffer input = vectors_field(v, "inputdata"), again = {0};
    _cleanup_buffer_ struct buffer id = vectors_field(v, "job_id");
    struct error e = ERROR_INIT;
    const char *type = vectors_text(v, "environment_type");
    struct backend_new_job job;

    if (backend_message_decode(g, v->bytes.data, v->bytes.size, &m, &e) < 0)
        fail_msg("%s: %s", v->name, e.text);
    assert_int_equal(m.type, BACKEND_NEW_JOB);
    assert_string_equal(m.job_id.text, "7f2c2c66-3f10-4f0e-8a5c-5c2a0d3f9c11");
    assert_span_equal((struct wire_span){m.job_id.raw, m.job_id.raw_size}, span_of(&id));
    assert_same_text(m.course_id, vectors_text(v, "course_id"));
    assert_same_text(m.task_id, vectors_text(v, "task_id"));
    assert_string_equal(m.environment, vectors_text(v, "environment"));
    assert_string_equal(m.environment_type, type ? type : "docker");
    assert_span_equal(m.inputdata, span_of(&input));
    assert_true(m.inputdata_is_map);
    assert_int_equal(m.debug_ssh, vectors_text(v, "debug") != NULL);
    assert_string_equal(m.state, "");
    job = (struct backend_new_job){.job_id = &m.job_id,
                                   .course_id = m.course_id,
                                   .task_id = m.task_id,
                                   .task_problems = m.task_problems,
                                   .inputdata = m.inputdata,
                                   .parameters = m.parameters,
                                   .debug = m.debug,
                                   .environment_type = m.environment_type,
                                   .environment = m.environment};
    assert_int_equal(backend_encode_new_job(g, &job, &again), 0);
    assert_golden(g, v, &again);
}

static void new_jobs_of_every_release_are_read_and_written(void **state)
{
    (void)state;
    each_vector("backend->agent", "BackendNewJob", check_new_job);
}

static void check_kill(enum wire_generation g, const struct vector *v)
{
    _cleanup_backend_message_ struct backend_message m = BACKEND_MESSAGE_INIT;
    _cleanup_buffer_ struct buffer again = {0};
    const char *state = vectors_text(v, "state");

    assert_int_equal(backend_message_decode(g, v->bytes.data, v->bytes.size, &m, NULL), 0);
    assert_int_equal(m.type, BACKEND_KILL_JOB);
    assert_string_equal(m.job_id.text, "7f2c2c66-3f10-4f0e-8a5c-5c2a0d3f9c11");
    assert_string_equal(m.state, state ? state : "");
    assert_int_equal(m.state_size, strlen(m.state));
    assert_int_equal(backend_encode_kill(g, &m.job_id, m.state, &again), 0);
    assert_golden(g, v, &again);
}

static void kills_of_every_release_are_read_and_written(void **state)
{
    (void)state;
    each_vector("backend->agent", "BackendKillJob", check_kill);
}

static void check_ping(enum wire_generation g, const struct vector *v)
{
    _cleanup_backend_message_ struct backend_message m = BACKEND_MESSAGE_INIT;
    _cleanup_buffer_ struct buffer again = {0};

    assert_int_equal(backend_message_decode(g, v->bytes.data, v->bytes.size, &m, NULL), 0);
    assert_int_equal(m.type, BACKEND_PING);
    assert_int_equal(backend_encode_ping(g, &again), 0);
    assert_golden(g, v, &again);
}

static void pings_of_every_release_are_read_and_written(void **state)
{
    (void)state;
    each_vector("backend->agent", "Ping", check_ping);
}

static void kill_is_read_with_and_without_state_by_all(void **state)
{
    (void)state;
    for (int g = 0; g < WIRE_GENERATIONS; g++) {
        bool old = g >= WIRE_0_6;
        for (int with = 0; with < 2; with++) {
            _cleanup_backend_message_ struct backend_message m = BACKEND_MESSAGE_INIT;
            _cleanup_buffer_ struct buffer b = {0};
            struct wire_pack p = {.out = &b};
            wire_pack_map(&p, with ? 3 : 2);
            wire_pack_text(&p, "job_id");
            wire_pack_text(&p, "j");
            wire_pack_text(&p, old ? "type" : "@type");
            wire_pack_text(&p, old ? "backend_kill_job" : "BackendKillJob");
            if (with) {
                wire_pack_text(&p, "state");
                wire_pack_str(&p, "a\0b", 3);
            }
            assert_int_equal(
                backend_message_decode((enum wire_generation)g, b.data, b.size, &m, NULL), 0);
            assert_int_equal(m.state_size, with ? 3 : 0);
            assert_memory_equal(m.state, "a\0b", m.state_size);
        }
    }
}

/* ---- broken new jobs: what can be known of them ---- */

/* A BackendNewJob of the main generation. Strings that are NULL leave their field away; SPANs are
 * written as they are. */
struct broken {
    const char *job_id, *course_id, *inputdata, *environment, *extra;
};

#define STR(text) "\xa1" text /* one character */
#define FINE                                                                                       \
    {                                                                                              \
        STR("j"), STR("c"), "\x80", STR("e"), NULL                                                 \
    }

static struct buffer make_broken(const struct broken *b)
{
    struct buffer out = {0};
    struct wire_pack p = {.out = &out};
    size_t keys =
        6U + !!b->job_id + !!b->course_id + !!b->inputdata + !!b->environment + !!b->extra;

    wire_pack_map(&p, keys);
    pack_if(&p, "job_id", b->job_id);
    pack_if(&p, "course_id", b->course_id);
    pack_if(&p, "task_id", STR("t"));
    pack_if(&p, "task_problems", "\x80");
    pack_if(&p, "inputdata", b->inputdata);
    pack_if(&p, "environment_type", STR("d"));
    pack_if(&p, "environment", b->environment);
    pack_if(&p, "environment_parameters", "\x80");
    pack_if(&p, "debug", "\xc2");
    pack_if(&p, "extra", b->extra);
    wire_pack_text(&p, "@type");
    wire_pack_text(&p, "BackendNewJob");
    assert_int_equal(p.error, 0);
    return out;
}

static int decode_broken(const struct broken *b, struct backend_message *m, struct error *e)
{
    _cleanup_buffer_ struct buffer bytes = make_broken(b);
    int r = backend_message_decode(WIRE_MAIN, bytes.data, bytes.size, m, e);

    m->inputdata = m->task_problems = m->parameters = m->debug = (struct wire_span){0};
    return r;
}

static void refused_new_jobs_can_still_be_answered(void **state)
{
    static const struct {
        struct broken message;
        const char *text;
    } refused[] = {
        {{STR("j"), NULL, "\x80", STR("e"), NULL}, "lacks the field course_id"},
        {{STR("j"), STR("c"), "\x80", STR("e"), STR("x")}, "unknown field"},
        {{STR("j"), "\x05", "\x80", STR("e"), NULL}, "course_id is no plain text"},
        {{STR("j"), STR("c"), "\x80", "\xc0", NULL}, "environment is no plain text"},
        {{STR("j"), STR("c"), "\x81\xa1\xff\xc0", STR("e"), NULL}, "not UTF-8"},
        {{STR("j"), STR("c"), "\x81\x80\xc0", STR("e"), NULL}, "map inside a map key"},
        {{STR("j"), STR("c"), "\xc1", STR("e"), NULL}, "reserved"},
        {{STR("j"), STR("c"), "\xdd\xff\xff\xff\xff", STR("e"), NULL}, "more elements"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        _cleanup_backend_message_ struct backend_message m = BACKEND_MESSAGE_INIT;
        struct error e = ERROR_INIT;
        assert_int_equal(decode_broken(&refused[i].message, &m, &e), -EBADMSG);
        if (!strstr(e.text, refused[i].text))
            fail_msg("case %zu: %s", i, e.text);
        assert_int_equal(m.type, BACKEND_NEW_JOB);
        assert_string_equal(m.job_id.text, "j");
        assert_string_equal(m.state, "");
    }
}

static void new_job_cut_anywhere_behind_its_id_can_be_answered(void **state)
{
    const struct broken fine = FINE;
    _cleanup_buffer_ struct buffer bytes = make_broken(&fine);
    size_t answerable = 0;

    (void)state;
    for (size_t n = 0; n < bytes.size; n++) {
        _cleanup_backend_message_ struct backend_message m = BACKEND_MESSAGE_INIT;
        assert_int_equal(backend_message_decode(WIRE_MAIN, bytes.data, n, &m, NULL), -EBADMSG);
        if (m.type == BACKEND_NEW_JOB && m.job_id.raw)
            answerable++;
    }
    /* From "task_id" on it can only be a new job. */
    assert_true(answerable > bytes.size - 40);
}

static void state_of_a_refused_job_is_kept(void **state)
{
    static const struct broken no_course = {STR("j"), NULL, "\x81\xa6@state\xa2st", STR("e"), NULL};
    _cleanup_backend_message_ struct backend_message m = BACKEND_MESSAGE_INIT;

    (void)state;
    assert_int_equal(decode_broken(&no_course, &m, NULL), -EBADMSG);
    assert_string_equal(m.state, "st");
}

static void unusable_job_ids_leave_nothing_to_answer(void **state)
{
    static const char *const ids[] = {NULL, "\xc0", "\x80", "\x81\xa1k\x01", "\xa1\xff"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
        struct broken b = FINE;
        _cleanup_backend_message_ struct backend_message m = BACKEND_MESSAGE_INIT;
        b.job_id = ids[i];
        assert_int_equal(decode_broken(&b, &m, NULL), -EBADMSG);
        assert_null(m.job_id.raw);
        assert_non_null(m.state);
    }
}

static void inputdata_that_is_no_map_is_told(void **state)
{
    static const char *const inputs[] = {"\xc0", "\x93\x01\x02\x03", STR("x")};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(inputs); i++) {
        struct broken b = FINE;
        _cleanup_backend_message_ struct backend_message m = BACKEND_MESSAGE_INIT;
        b.inputdata = inputs[i];
        assert_int_equal(decode_broken(&b, &m, NULL), 0);
        assert_false(m.inputdata_is_map);
        assert_string_equal(m.state, "");
    }
}

static void state_comes_from_inputdata_where_it_is_text(void **state)
{
    static const struct {
        const char *inputdata, *state;
    } inputs[] = {
        {"\x81\xa6@state\xa2st", "st"}, {"\x81\xa6@state\xc0", ""},
        {"\x81\xa6@state\x05", ""},     {"\x82\xa6@state\xa1x\xa6@state\xa1y", "y"},
        {"\x81\x01\x02", ""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(inputs); i++) {
        struct broken b = FINE;
        _cleanup_backend_message_ struct backend_message m = BACKEND_MESSAGE_INIT;
        b.inputdata = inputs[i].inputdata;
        assert_int_equal(decode_broken(&b, &m, NULL), 0);
        assert_string_equal(m.state, inputs[i].state);
    }
}

static void generations_before_0_8_have_no_state_in_inputdata(void **state)
{
    struct broken b = FINE;
    _cleanup_backend_message_ struct backend_message m = BACKEND_MESSAGE_INIT;
    _cleanup_buffer_ struct buffer bytes = {0};

    (void)state;
    b.inputdata = "\x81\xa6@state\xa2st";
    bytes = make_broken(&b);
    assert_int_equal(backend_message_decode(WIRE_0_7, bytes.data, bytes.size, &m, NULL), 0);
    assert_string_equal(m.state, "");
    backend_message_clear(&m);
    assert_int_equal(backend_message_decode(WIRE_0_8, bytes.data, bytes.size, &m, NULL), 0);
    assert_string_equal(m.state, "st");
}

static void nil_course_and_task_are_null(void **state)
{
    struct broken b = FINE;
    _cleanup_backend_message_ struct backend_message m = BACKEND_MESSAGE_INIT;

    (void)state;
    b.course_id = "\xc0";
    assert_int_equal(decode_broken(&b, &m, NULL), 0);
    assert_null(m.course_id);
    assert_string_equal(m.task_id, "t");
}

static void messages_of_agents_are_refused_from_backends(void **state)
{
    static const uint8_t pong[] = "\x81\xa5@type\xa4Pong";
    static const uint8_t nope[] = "\x81\xa5@type\xa4Nope";
    _cleanup_backend_message_ struct backend_message m = BACKEND_MESSAGE_INIT;

    (void)state;
    assert_int_equal(backend_message_decode(WIRE_MAIN, pong, sizeof(pong) - 1, &m, NULL), -EBADMSG);
    assert_int_equal(m.type, BACKEND_UNKNOWN);
    backend_message_clear(&m);
    assert_int_equal(backend_message_decode(WIRE_MAIN, nope, sizeof(nope) - 1, &m, NULL), -EBADMSG);
    assert_int_equal(m.type, BACKEND_UNKNOWN);
}

static void job_ids_compare_by_their_bytes(void **state)
{
    _cleanup_(wire_job_id_clear) struct wire_job_id a = {0}, b = {0}, c = {0};

    (void)state;
    assert_int_equal(wire_job_id_from_text("same", &a), 0);
    assert_int_equal(wire_job_id_copy(&a, &b), 0);
    assert_int_equal(wire_job_id_from_text("sam", &c), 0);
    assert_true(wire_job_id_equals(&a, &b));
    assert_false(wire_job_id_equals(&a, &c));
    assert_string_equal(b.text, "same");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_jobs_of_every_release_are_read_and_written),
        cmocka_unit_test(kills_of_every_release_are_read_and_written),
        cmocka_unit_test(pings_of_every_release_are_read_and_written),
        cmocka_unit_test(kill_is_read_with_and_without_state_by_all),
        cmocka_unit_test(refused_new_jobs_can_still_be_answered),
        cmocka_unit_test(new_job_cut_anywhere_behind_its_id_can_be_answered),
        cmocka_unit_test(state_of_a_refused_job_is_kept),
        cmocka_unit_test(unusable_job_ids_leave_nothing_to_answer),
        cmocka_unit_test(inputdata_that_is_no_map_is_told),
        cmocka_unit_test(state_comes_from_inputdata_where_it_is_text),
        cmocka_unit_test(generations_before_0_8_have_no_state_in_inputdata),
        cmocka_unit_test(nil_course_and_task_are_null),
        cmocka_unit_test(messages_of_agents_are_refused_from_backends),
        cmocka_unit_test(job_ids_compare_by_their_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
