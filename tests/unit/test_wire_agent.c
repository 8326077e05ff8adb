/* links: wire */
/* What the agent tells the backend: golden messages of every release, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "vectors.h"
#include "wire/backend.h"
#include "wire/backend_side.h"

static struct wire_job_id id_of(const struct vector *v)
{
    struct buffer raw = vectors_field(v, "job_id");

    return (struct wire_job_id){.raw = raw.data, .raw_size = raw.size, .text = strdup("")};
}

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
