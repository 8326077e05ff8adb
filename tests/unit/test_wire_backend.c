/* links: wire */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "vectors.h"
#include "wire/backend.h"
#include "wire/backend_side.h"

typedef void vector_check(enum wire_generation g, const struct vector *v);

/* Calls CHECK for every vector of every release that is a MESSAGE going in DIRECTION; there must be
 * at least one in each release. */
static void each_vector(const char *direction, const char *message, vector_check *check)
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

static void assert_golden(enum wire_generation g, const struct vector *v, const struct buffer *out)
{
    if (out->size != v->bytes.size || memcmp(out->data, v->bytes.data, out->size) != 0)
        fail_msg("%s %s is not the golden message", wire_generation_name(g), v->name);
}

static struct wire_job_id id_of(const struct vector *v)
{
    struct buffer raw = vectors_field(v, "job_id");

    return (struct wire_job_id){.raw = raw.data, .raw_size = raw.size, .text = strdup("")};
}

static void assert_same_text(const char *got, const char *expected)
{
    if (expected)
        assert_string_equal(got, expected);
    else
        assert_null(got);
}

/* ---- from the backend ---- */

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

static void pack_if(struct wire_pack *p, const char *key, const char *raw)
{
    if (!raw)
        return;
    wire_pack_text(p, key);
    wire_pack_raw(p, (struct wire_span){(const uint8_t *)raw, strlen(raw)});
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

/* ---- to the backend ---- */

static struct wire_environment environment_of(const char *type, const char *name, json_t *o,
                                              uint16_t *ports)
{
    json_t *created = json_object_get(o, "created"), *port;
    struct wire_environment env = {.type = type, .name = name, .ports = ports};
    size_t i;

    env.id = json_string_value(json_object_get(o, "id"));
    env.created = json_is_object(created)
                      ? strtod(json_string_value(json_object_get(created, "$float")), NULL)
                      : (double)json_integer_value(created);
    env.advertised = json_is_true(json_object_get(o, "advertised"));
    env.runtime = json_string_value(json_object_get(o, "runtime"));
    json_array_foreach (json_object_get(o, "ports"), i, port)
        ports[env.n_ports++] = (uint16_t)json_integer_value(port);
    return env;
}

static void check_hello(enum wire_generation g, const struct vector *v)
{
    json_t *typed = json_object_get(v->decoded, "available_environments"), *names, *o;
    json_t *flat = json_object_get(v->decoded, "available_containers");
    struct wire_environment environments[8];
    const char *types[8] = {"docker"}, *type, *name;
    uint16_t ports[8][4];
    size_t n = 0, n_types = 0;
    _cleanup_buffer_ struct buffer out = {0};
    struct agent_message m;

    json_object_foreach (typed, type, names) {
        types[n_types++] = type;
        json_object_foreach (names, name, o) {
            environments[n] = environment_of(type, name, o, ports[n]);
            n++;
        }
    }
    if (flat)
        n_types = 1;
    json_object_foreach (flat, name, o) {
        environments[n] = environment_of("docker", name, o, ports[n]);
        n++;
    }
    assert_int_equal(backend_encode_hello(g, vectors_text(v, "friendly_name"),
                                          (uint32_t)json_integer_value(
                                              json_object_get(v->decoded, "available_job_slots")),
                                          types, n_types, environments, n, &out),
                     0);
    assert_golden(g, v, &out);
    assert_int_equal(agent_message_decode(g, out.data, out.size, &m, NULL), 0);
    assert_int_equal(m.type, AGENT_HELLO);
    assert_true(m.environments.size > 0);
}

static void hello_is_golden_in_every_release(void **state)
{
    (void)state;
    each_vector("agent->backend", "AgentHello", check_hello);
}

static void environment_of_a_type_not_announced_is_refused(void **state)
{
    static const struct wire_environment env = {.type = "kata", .name = "n", .id = "i"};
    static const char *const types[] = {"docker"};
    _cleanup_buffer_ struct buffer out = {0};

    (void)state;
    assert_int_equal(backend_encode_hello(WIRE_MAIN, "a", 1, types, 1, &env, 1, &out), -EINVAL);
    assert_int_equal(out.size, 0);
}

static void check_started(enum wire_generation g, const struct vector *v)
{
    _cleanup_(wire_job_id_clear) struct wire_job_id id = id_of(v);
    _cleanup_buffer_ struct buffer out = {0};
    struct agent_message m;

    assert_int_equal(backend_encode_started(g, &id, &out), 0);
    assert_golden(g, v, &out);
    assert_int_equal(agent_message_decode(g, out.data, out.size, &m, NULL), 0);
    assert_int_equal(m.type, AGENT_JOB_STARTED);
    assert_span_equal(m.job_id, (struct wire_span){id.raw, id.raw_size});
}

static void started_is_golden_in_every_release(void **state)
{
    (void)state;
    each_vector("agent->backend", "AgentJobStarted", check_started);
}

static void check_done(enum wire_generation g, const struct vector *v)
{
    _cleanup_(wire_job_id_clear) struct wire_job_id id = id_of(v);
    _cleanup_buffer_ struct buffer problems = vectors_field(v, "problems");
    _cleanup_buffer_ struct buffer tests = vectors_field(v, "tests");
    _cleanup_buffer_ struct buffer custom = vectors_field(v, "custom");
    _cleanup_buffer_ struct buffer archive = vectors_field(v, "archive"), out = {0};
    json_t *result = json_object_get(v->decoded, "result");
    struct wire_value value;
    struct buffer content;
    struct agent_message m;
    struct job_done done = {
        .job_id = &id,
        .result = json_string_value(json_array_get(result, 0)),
        .text = json_string_value(json_array_get(result, 1)),
        .grade = strtod(
            json_string_value(json_object_get(json_object_get(v->decoded, "grade"), "$float")),
            NULL),
        .problems = &problems,
        .tests = &tests,
        .custom = &custom,
        .state = vectors_text(v, "state"),
        .stdout_text = vectors_text(v, "stdout"),
        .stderr_text = vectors_text(v, "stderr"),
    };

    assert_true(wire_read(span_of(&archive), &value));
    content = (struct buffer){.data = (uint8_t *)(uintptr_t)value.text, .size = value.size};
    if (value.kind == WIRE_BIN)
        done.archive = &content;
    assert_int_equal(backend_encode_done(g, &done, &out), 0);
    assert_golden(g, v, &out);
    assert_int_equal(agent_message_decode(g, out.data, out.size, &m, NULL), 0);
    assert_int_equal(m.type, AGENT_JOB_DONE);
    assert_span_equal(m.problems, span_of(&problems));
    assert_true(wire_read(m.result, &value));
    assert_true(wire_is_text(&value, done.result));
}

static void done_is_golden_in_every_release(void **state)
{
    (void)state;
    each_vector("agent->backend", "AgentJobDone", check_done);
}

static void done_sends_nothing_a_backend_cannot_decode(void **state)
{
    _cleanup_(wire_job_id_clear) struct wire_job_id id = {0};
    struct buffer not_a_map = {.data = (uint8_t *)"\x90", .size = 1};
    struct buffer not_utf8 = {.data = (uint8_t *)"\x81\xa1k\xa1\xff", .size = 5};
    struct buffer two = {.data = (uint8_t *)"\x80\x80", .size = 2};
    struct buffer cut = {.data = (uint8_t *)"\x81\xa1k", .size = 3};
    struct buffer *const bad[] = {&not_a_map, &not_utf8, &two, &cut};
    _cleanup_buffer_ struct buffer out = {0};
    struct agent_message m;

    (void)state;
    assert_int_equal(wire_job_id_from_text("j", &id), 0);
    assert_int_equal(buffer_append(&out, "x", 1), 0);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct job_done done = {.job_id = &id, .result = "success", .custom = bad[i]};
        assert_int_equal(backend_encode_done(WIRE_MAIN, &done, &out), -EINVAL);
        assert_int_equal(out.size, 1);
    }
    buffer_clear(&out);
    assert_int_equal(backend_encode_done(WIRE_MAIN,
                                         &(struct job_done){.job_id = &id,
                                                            .result = "crash\xff",
                                                            .text = "\xc3(",
                                                            .state = "\xed\xa0\x80",
                                                            .stdout_text = "\x80"},
                                         &out),
                     0);
    assert_int_equal(agent_message_decode(WIRE_MAIN, out.data, out.size, &m, NULL), 0);
}

static void done_beyond_the_bound_leaves_the_buffer_alone(void **state)
{
    _cleanup_(wire_job_id_clear) struct wire_job_id id = {0};
    _cleanup_buffer_ struct buffer out = {.max = 100};

    (void)state;
    assert_int_equal(wire_job_id_from_text("j", &id), 0);
    assert_int_equal(backend_encode_done(
                         WIRE_MAIN, &(struct job_done){.job_id = &id, .result = "success"}, &out),
                     -EMSGSIZE);
    assert_int_equal(out.size, 0);
}

static void check_ssh(enum wire_generation g, const struct vector *v)
{
    _cleanup_(wire_job_id_clear) struct wire_job_id id = id_of(v);
    _cleanup_buffer_ struct buffer out = {0};
    struct agent_message m;

    assert_int_equal(
        backend_encode_ssh(g, &id, vectors_text(v, "host"),
                           (uint16_t)json_integer_value(json_object_get(v->decoded, "port")),
                           vectors_text(v, "user"), vectors_text(v, "password"), &out),
        0);
    assert_golden(g, v, &out);
    assert_int_equal(agent_message_decode(g, out.data, out.size, &m, NULL), 0);
    assert_int_equal(m.type, AGENT_JOB_SSH_DEBUG);
}

static void ssh_is_golden_in_every_release(void **state)
{
    (void)state;
    each_vector("agent->backend", "AgentJobSSHDebug", check_ssh);
}

static void check_pong(enum wire_generation g, const struct vector *v)
{
    _cleanup_buffer_ struct buffer out = {0};
    struct agent_message m;

    assert_int_equal(backend_encode_pong(g, &out), 0);
    assert_golden(g, v, &out);
    assert_int_equal(agent_message_decode(g, out.data, out.size, &m, NULL), 0);
    assert_int_equal(m.type, AGENT_PONG);
}

static void pong_is_golden_in_every_release(void **state)
{
    (void)state;
    each_vector("agent->backend", "Pong", check_pong);
}

static void load_refuses_what_upstream_refuses(void **state)
{
    (void)state;
    for (int g = 0; g < WIRE_GENERATIONS; g++) {
        json_t *root = vectors_load((enum wire_generation)g), *outcome;
        json_t *outcomes = json_object_get(root, "load_outcomes");
        size_t i;
        assert_true(json_array_size(outcomes) > 10);
        json_array_foreach (outcomes, i, outcome) {
            const char *load = json_string_value(json_object_get(outcome, "load"));
            _cleanup_buffer_ struct buffer b =
                vectors_hex(json_string_value(json_object_get(outcome, "hex")));
            bool accepted = strncmp(load, "accepted", 8) == 0;
            struct agent_message m;
            int r = agent_message_decode((enum wire_generation)g, b.data, b.size, &m, NULL);
            if (r != (accepted ? 0 : -EBADMSG))
                fail_msg("%s: %s: %d", wire_generation_name((enum wire_generation)g),
                         json_string_value(json_object_get(outcome, "name")), r);
        }
        json_decref(root);
    }
}

static void done_without_a_pair_is_refused(void **state)
{
    static const char *const results[] = {"\xc0", "\x91\xa1x", "\x92\xa1x\xc0",
                                          "\x93\xa1x\xa1x\xa1x"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(results); i++) {
        static const char *const fields[] = {"grade",   "problems", "tests",  "custom", "state",
                                             "archive", "stdout",   "stderr", "job_id"};
        _cleanup_buffer_ struct buffer b = {0};
        struct wire_pack p = {.out = &b};
        struct agent_message m;
        struct error e = ERROR_INIT;
        wire_pack_map(&p, ARRAY_SIZE(fields) + 2);
        for (size_t f = 0; f < ARRAY_SIZE(fields); f++)
            pack_if(&p, fields[f], "\xa0");
        pack_if(&p, "result", results[i]);
        wire_pack_text(&p, "@type");
        wire_pack_text(&p, "AgentJobDone");
        assert_int_equal(agent_message_decode(WIRE_MAIN, b.data, b.size, &m, &e), -EBADMSG);
        assert_string_equal(e.text, "result is no pair of strings");
    }
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
        cmocka_unit_test(hello_is_golden_in_every_release),
        cmocka_unit_test(environment_of_a_type_not_announced_is_refused),
        cmocka_unit_test(started_is_golden_in_every_release),
        cmocka_unit_test(done_is_golden_in_every_release),
        cmocka_unit_test(done_sends_nothing_a_backend_cannot_decode),
        cmocka_unit_test(done_beyond_the_bound_leaves_the_buffer_alone),
        cmocka_unit_test(ssh_is_golden_in_every_release),
        cmocka_unit_test(pong_is_golden_in_every_release),
        cmocka_unit_test(load_refuses_what_upstream_refuses),
        cmocka_unit_test(done_without_a_pair_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
