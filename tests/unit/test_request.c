/* links: runtime */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/text.h"
#include "request.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

static char *copy(const char *text)
{
    char *c = strdup(text);

    assert_non_null(c);
    return c;
}

/* A submit with something in every field. */
static struct request full_submit(void)
{
    struct request r = {.type = REQUEST_SUBMIT, .id = UINT64_MAX, .stdio = 5};
    struct sandbox_spec *s = &r.spec;
    struct sandbox_mount *m;

    s->layers_root = 3;
    assert_int_equal(strv_append(&s->layers, "sha256/ab"), 0);
    assert_int_equal(strv_append(&s->layers, "sha256/cd"), 0);
    m = sandbox_spec_add_mount(s, SANDBOX_MOUNT_OVERLAY, 2, "course/task", "/task");
    assert_non_null(m);
    m->mode = 0777;
    m->optional = true;
    assert_int_equal(sandbox_mount_add_dir(m, "student", 01777), 0);
    m = sandbox_spec_add_mount(s, SANDBOX_MOUNT_TMPFS, 0, NULL, "/tmp");
    assert_non_null(m);
    m->size = 1ULL << 33;
    m->read_only = true;
    assert_int_equal(strv_append(&s->argv, "/bin/sh"), 0);
    assert_int_equal(strv_append(&s->argv, ""), 0);
    assert_int_equal(strv_append(&s->env, "A=\xff\n=x"), 0);
    s->cwd = copy("/task");
    s->user = copy("");
    s->groups = calloc(2, sizeof(*s->groups));
    assert_non_null(s->groups);
    s->groups[0] = 4242;
    s->groups[1] = 65535;
    s->n_groups = 2;
    s->hostname = copy("h");
    s->no_new_privs = true;
    s->init = true;
    s->label = copy("course/task");
    s->terminal = true;
    s->terminal_rows = 24;
    s->terminal_columns = UINT16_MAX;
    s->read_only = true;
    s->dropped_capabilities = 1ULL << 40 | 1;
    assert_int_equal(sandbox_spec_add_rlimit(s, 7, 64, UINT64_MAX), 0);
    s->parent = 77;
    s->network = SANDBOX_NETWORK_NAT;
    assert_int_equal(sandbox_spec_add_port(s, 64120, 22), 0);
    assert_int_equal(sandbox_spec_add_port(s, 1, UINT16_MAX), 0);
    s->limits = (struct sandbox_limits){1, 2, 3, 4, 5, UINT64_MAX, 7, 8, 9, 10, 11, {12}};
    s->limits.cpus[SANDBOX_CPU_WORDS - 1] = 1ULL << 63;
    assert_int_equal(sandbox_spec_add_copy(s, true, 4, NULL, "/out"), 0);
    assert_int_equal(sandbox_spec_add_copy(s, false, 5, "name", "/in"), 0);
    return r;
}

static void encode(const struct request *r, struct buffer *b)
{
    assert_int_equal(request_encode(r, b), 0);
}

static void a_submit_comes_out_as_it_went_in(void **state)
{
    struct request in = full_submit(), out;
    _cleanup_buffer_ struct buffer b = {0}, again = {0};
    struct error e = ERROR_INIT;

    (void)state;
    encode(&in, &b);
    if (request_decode(b.data, b.size, &out, &e) < 0)
        fail_msg("%s", e.text);
    assert_int_equal(out.type, REQUEST_SUBMIT);
    assert_true(out.id == UINT64_MAX);
    assert_int_equal(out.stdio, 5);
    assert_int_equal(out.spec.layers_root, 3);
    assert_string_equal(out.spec.layers[1], "sha256/cd");
    assert_null(out.spec.layers[2]);
    assert_int_equal(out.spec.n_mounts, 2);
    assert_int_equal(out.spec.mounts[0].kind, SANDBOX_MOUNT_OVERLAY);
    assert_int_equal(out.spec.mounts[0].root, 2);
    assert_string_equal(out.spec.mounts[0].source, "course/task");
    assert_string_equal(out.spec.mounts[0].target, "/task");
    assert_int_equal(out.spec.mounts[0].mode, 0777);
    assert_true(out.spec.mounts[0].optional);
    assert_false(out.spec.mounts[0].read_only);
    assert_int_equal(out.spec.mounts[0].n_dirs, 1);
    assert_string_equal(out.spec.mounts[0].dirs[0].path, "student");
    assert_int_equal(out.spec.mounts[0].dirs[0].mode, 01777);
    assert_string_equal(out.spec.mounts[1].source, "");
    assert_true(out.spec.mounts[1].size == 1ULL << 33);
    assert_true(out.spec.mounts[1].read_only);
    assert_string_equal(out.spec.argv[1], "");
    assert_string_equal(out.spec.env[0], "A=\xff\n=x");
    assert_string_equal(out.spec.cwd, "/task");
    assert_string_equal(out.spec.user, "");
    assert_int_equal(out.spec.n_groups, 2);
    assert_int_equal(out.spec.groups[1], 65535);
    assert_string_equal(out.spec.hostname, "h");
    assert_true(out.spec.no_new_privs);
    assert_true(out.spec.init);
    assert_string_equal(out.spec.label, "course/task");
    assert_true(out.spec.terminal);
    assert_int_equal(out.spec.terminal_rows, 24);
    assert_int_equal(out.spec.terminal_columns, UINT16_MAX);
    assert_true(out.spec.read_only);
    assert_int_equal(out.spec.n_copies, 2);
    assert_true(out.spec.copies[0].out);
    assert_null(out.spec.copies[0].name);
    assert_string_equal(out.spec.copies[0].path, "/out");
    assert_false(out.spec.copies[1].out);
    assert_int_equal(out.spec.copies[1].root, 5);
    assert_string_equal(out.spec.copies[1].name, "name");
    assert_true(out.spec.dropped_capabilities == (1ULL << 40 | 1));
    assert_int_equal(out.spec.n_rlimits, 1);
    assert_true(out.spec.rlimits[0].hard == UINT64_MAX);
    assert_int_equal(out.spec.parent, 77);
    assert_int_equal(out.spec.network, SANDBOX_NETWORK_NAT);
    assert_int_equal(out.spec.n_ports, 2);
    assert_int_equal(out.spec.ports[0].host, 64120);
    assert_int_equal(out.spec.ports[0].container, 22);
    assert_int_equal(out.spec.ports[1].container, UINT16_MAX);
    assert_memory_equal(&out.spec.limits, &in.spec.limits, sizeof(in.spec.limits));
    encode(&out, &again);
    assert_int_equal(again.size, b.size);
    assert_memory_equal(again.data, b.data, b.size);
    request_clear(&in);
    request_clear(&out);
}

static void an_empty_spec_and_absent_texts_survive(void **state)
{
    const struct request in = {.type = REQUEST_SUBMIT, .id = 1};
    _cleanup_buffer_ struct buffer b = {0};
    struct request out;

    (void)state;
    encode(&in, &b);
    assert_int_equal(request_decode(b.data, b.size, &out, NULL), 0);
    assert_null(out.spec.cwd);
    assert_null(out.spec.user);
    assert_null(out.spec.hostname);
    assert_null(out.spec.mounts);
    assert_int_equal(strv_length(out.spec.argv), 0);
    request_clear(&out);
}

static void kill_and_probe_come_out_as_they_went_in(void **state)
{
    struct request kill = {.type = REQUEST_KILL, .id = 9}, out;
    struct request probe = {.type = REQUEST_PROBE, .id = 10, .root = 1, .path = copy("a/b")};
    _cleanup_buffer_ struct buffer b = {0}, c = {0};

    (void)state;
    encode(&kill, &b);
    assert_int_equal(request_decode(b.data, b.size, &out, NULL), 0);
    assert_int_equal(out.type, REQUEST_KILL);
    assert_int_equal(out.id, 9);
    encode(&probe, &c);
    assert_int_equal(request_decode(c.data, c.size, &out, NULL), 0);
    assert_int_equal(out.type, REQUEST_PROBE);
    assert_int_equal(out.root, 1);
    assert_string_equal(out.path, "a/b");
    request_clear(&out);
    request_clear(&probe);
}

static void a_signal_comes_out_as_it_went_in(void **state)
{
    struct request in = {.type = REQUEST_SIGNAL, .id = 12, .signal = 15}, out;
    _cleanup_buffer_ struct buffer b = {0};

    (void)state;
    encode(&in, &b);
    for (size_t size = 0; size < b.size; size++)
        assert_int_equal(request_decode(b.data, size, &out, NULL), -EBADMSG);
    assert_int_equal(request_decode(b.data, b.size, &out, NULL), 0);
    assert_int_equal(out.type, REQUEST_SIGNAL);
    assert_int_equal(out.signal, 15);
}

static void connect_comes_out_as_it_went_in(void **state)
{
    struct request in = {.type = REQUEST_CONNECT,
                         .id = 11,
                         .sandbox = 1ULL << 40,
                         .root = 2,
                         .path = copy("x.sock")};
    _cleanup_buffer_ struct buffer b = {0};
    struct request out;

    (void)state;
    encode(&in, &b);
    for (size_t size = 0; size < b.size; size++)
        assert_int_equal(request_decode(b.data, size, &out, NULL), -EBADMSG);
    assert_int_equal(request_decode(b.data, b.size, &out, NULL), 0);
    assert_int_equal(out.type, REQUEST_CONNECT);
    assert_int_equal(out.id, 11);
    assert_true(out.sandbox == 1ULL << 40);
    assert_int_equal(out.root, 2);
    assert_string_equal(out.path, "x.sock");
    request_clear(&out);
    request_clear(&in);
}

/* Decodes a heap copy of exactly SIZE bytes, so that AddressSanitizer sees one byte too many. */
static int decode_exact(const void *data, size_t size, struct request *ret, struct error *e)
{
    _cleanup_free_ void *exact = malloc(size ? size : 1);

    assert_non_null(exact);
    memcpy(exact, data, size);
    return request_decode(exact, size, ret, e);
}

static void every_cut_and_every_surplus_is_refused(void **state)
{
    struct request in = full_submit(), out;
    _cleanup_buffer_ struct buffer b = {0};
    struct error e = ERROR_INIT;

    (void)state;
    encode(&in, &b);
    for (size_t size = 0; size < b.size; size++) {
        e = (struct error)ERROR_INIT;
        assert_int_equal(decode_exact(b.data, size, &out, &e), -EBADMSG);
        assert_int_not_equal(e.text[0], 0);
    }
    assert_int_equal(buffer_append(&b, "", 1), 0);
    assert_int_equal(decode_exact(b.data, b.size, &out, &e), -EBADMSG);
    assert_string_equal(e.text, "message has bytes behind its end");
    request_clear(&in);
}

static void what_decodes_after_a_change_encodes_to_the_same_bytes(void **state)
{
    static const uint8_t changes[] = {0x01, 0x80, 0xff};
    struct request in = full_submit(), out;
    _cleanup_buffer_ struct buffer b = {0};

    (void)state;
    encode(&in, &b);
    for (size_t i = 0; i < b.size * ARRAY_SIZE(changes); i++) {
        _cleanup_buffer_ struct buffer again = {0};
        uint8_t *byte = &b.data[i / ARRAY_SIZE(changes)];
        uint8_t change = changes[i % ARRAY_SIZE(changes)];
        *byte ^= change;
        if (decode_exact(b.data, b.size, &out, NULL) == 0) {
            encode(&out, &again);
            assert_int_equal(again.size, b.size);
            assert_memory_equal(again.data, b.data, b.size);
            request_clear(&out);
        }
        *byte ^= change;
    }
    request_clear(&in);
}

static void put32(struct buffer *b, uint32_t value)
{
    assert_int_equal(buffer_append(b, &value, sizeof(value)), 0);
}

/* The head of a submit up to and with layers_root, then the given words. */
static void refused_submit(const uint32_t *words, size_t n, const char *text)
{
    const uint32_t head[] = {REQUEST_MAGIC, REQUEST_SUBMIT, 1, 0, 0, 0};
    _cleanup_buffer_ struct buffer b = {0};
    struct error e = ERROR_INIT;
    struct request out;

    for (size_t i = 0; i < ARRAY_SIZE(head); i++)
        put32(&b, head[i]);
    for (size_t i = 0; i < n; i++)
        put32(&b, words[i]);
    assert_int_equal(decode_exact(b.data, b.size, &out, &e), -EBADMSG);
    assert_string_equal(e.text, text);
}

static void counts_and_lengths_are_bounded_before_memory_is_taken(void **state)
{
    (void)state;
    refused_submit((uint32_t[]){SANDBOX_LAYERS_MAX + 1}, 1, "layers has too many entries");
    refused_submit((uint32_t[]){SANDBOX_LAYERS_MAX, 0}, 2, "layers is cut off");
    refused_submit((uint32_t[]){1, SANDBOX_PATH_MAX}, 2, "layers is too long");
    refused_submit((uint32_t[]){1, 5, 0}, 3, "layers is cut off");
    refused_submit((uint32_t[]){1, 4, 0x00616161}, 3, "layers has a NUL in it");
    refused_submit((uint32_t[]){1, UINT32_MAX}, 2, "layers is missing");
    refused_submit((uint32_t[]){0, SANDBOX_MOUNTS_MAX + 1}, 2, "mounts has too many entries");
    refused_submit((uint32_t[]){0, 1, 0}, 3, "mounts is cut off");
    refused_submit((uint32_t[]){0, 0, SANDBOX_STRINGS_MAX + 1}, 3, "argv has too many entries");
    refused_submit((uint32_t[]){0, 0, 1, SANDBOX_TEXT_MAX}, 4, "argv is too long");
    refused_submit((uint32_t[]){0, 0, 0, 0, UINT32_MAX, UINT32_MAX, SANDBOX_GROUPS_MAX + 1}, 7,
                   "groups has too many entries");
    refused_submit((uint32_t[]){0, 0, 0, 0, UINT32_MAX, UINT32_MAX, 0, UINT32_MAX, UINT32_MAX, 2},
                   10, "no_new_privs is neither yes nor no");
}

static void strange_headers_are_refused(void **state)
{
    static const struct {
        uint32_t words[4];
        const char *text;
    } cases[] = {
        {{0, REQUEST_KILL, 1, 0}, "magic is not that of a request"},
        {{EVENT_MAGIC, REQUEST_KILL, 1, 0}, "magic is not that of a request"},
        {{REQUEST_MAGIC, 0, 1, 0}, "type is unknown"},
        {{REQUEST_MAGIC, REQUEST_LARGE, 1, 0}, "type is unknown"},
        {{REQUEST_MAGIC, 0xffffffff, 1, 0}, "type is unknown"},
        {{REQUEST_MAGIC, REQUEST_KILL, 0, 0}, "id is 0"},
    };
    struct request out;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct error e = ERROR_INIT;
        assert_int_equal(decode_exact(cases[i].words, sizeof(cases[i].words), &out, &e), -EBADMSG);
        assert_string_equal(e.text, cases[i].text);
    }
}

static void large_requests_travel_in_sealed_memory_only(void **state)
{
    _cleanup_close_ int sealed = -EBADF, open = -EBADF, half = -EBADF, huge = -EBADF;
    _cleanup_buffer_ struct buffer b = {0}, packet = {0};
    struct error e = ERROR_INIT;

    (void)state;
    assert_int_equal(request_encode_large(&packet), 0);
    assert_true(request_is_large(packet.data, packet.size));
    assert_false(request_is_large(packet.data, packet.size - 1));
    assert_int_equal(buffer_append(&packet, "", 1), 0);
    assert_false(request_is_large(packet.data, packet.size));

    sealed = request_seal("hello", 5);
    assert_true(sealed >= 0);
    assert_int_equal(write(sealed, "x", 1), -1);
    assert_int_equal(request_unseal(sealed, &b, &e), 0);
    assert_int_equal(b.size, 5);
    assert_memory_equal(b.data, "hello", 5);

    open = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_true(open >= 0);
    assert_int_equal(request_unseal(open, &b, &e), -EBADMSG);
    half = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_true(half >= 0);
    assert_int_equal(fcntl(half, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
    assert_int_equal(request_unseal(half, &b, &e), -EBADMSG);
    assert_string_equal(e.text, "the memory of a large request is not sealed");
    huge = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_true(huge >= 0);
    assert_int_equal(ftruncate(huge, (off_t)REQUEST_MAX + 1), 0);
    assert_int_equal(fcntl(huge, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE), 0);
    assert_int_equal(request_unseal(huge, &b, &e), -EBADMSG);
    assert_int_equal(b.size, 5);
}

static void events_come_out_as_they_went_in(void **state)
{
    struct event in = {.type = EVENT_EXITED, .id = 3}, out;
    _cleanup_buffer_ struct buffer b = {.max = EVENT_MAX};

    (void)state;
    in.report = (struct sandbox_report){.verdict = SANDBOX_START_FAILED,
                                        .exit_code = -1,
                                        .signal = 9,
                                        .error_code = -ENOENT,
                                        .user_usec = 1,
                                        .system_usec = 2,
                                        .wall_usec = 3,
                                        .memory_peak = SANDBOX_ABSENT,
                                        .pids_peak = 4,
                                        .read_bytes = 5,
                                        .write_bytes = 6,
                                        .voluntary_switches = 7,
                                        .involuntary_switches = 8,
                                        .oom_kills = 9,
                                        .throttled_periods = 10,
                                        .throttled_usec = 11,
                                        .output_bytes = 12,
                                        .cpu_pressure = {13, 14},
                                        .memory_pressure = {15, 16},
                                        .io_pressure = {17, SANDBOX_ABSENT},
                                        .called = true};
    memset(in.report.failed_step, 's', sizeof(in.report.failed_step) - 1);
    memset(in.report.error, 'e', sizeof(in.report.error) - 1);
    memset(in.report.copy_error, 'c', sizeof(in.report.copy_error) - 1);
    assert_int_equal(event_encode(&in, &b), 0);
    assert_int_equal(event_decode(b.data, b.size, &out, NULL), 0);
    assert_int_equal(out.type, EVENT_EXITED);
    assert_int_equal(out.id, 3);
    assert_memory_equal(&out.report, &in.report, sizeof(in.report));
    for (size_t size = 0; size < b.size; size++)
        assert_int_equal(event_decode(b.data, size, &out, NULL), -EBADMSG);

    buffer_clear(&b);
    in = (struct event){.type = EVENT_PROBED, .id = 4, .result = -ENOTDIR};
    assert_int_equal(event_encode(&in, &b), 0);
    assert_int_equal(event_decode(b.data, b.size, &out, NULL), 0);
    assert_int_equal(out.result, -ENOTDIR);

    buffer_clear(&b);
    in = (struct event){.type = EVENT_CONNECTED, .id = 5, .result = -ECONNREFUSED};
    assert_int_equal(event_encode(&in, &b), 0);
    assert_int_equal(event_decode(b.data, b.size, &out, NULL), 0);
    assert_int_equal(out.type, EVENT_CONNECTED);
    assert_int_equal(out.result, -ECONNREFUSED);

    buffer_clear(&b);
    in = (struct event){.type = EVENT_FAILED, .result = -EPERM};
    strcpy(in.report.error, "no memory controller");
    assert_int_equal(event_encode(&in, &b), 0);
    assert_int_equal(event_decode(b.data, b.size, &out, NULL), 0);
    assert_string_equal(out.report.error, "no memory controller");
    assert_int_equal(out.result, -EPERM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_submit_comes_out_as_it_went_in),
        cmocka_unit_test(an_empty_spec_and_absent_texts_survive),
        cmocka_unit_test(kill_and_probe_come_out_as_they_went_in),
        cmocka_unit_test(a_signal_comes_out_as_it_went_in),
        cmocka_unit_test(connect_comes_out_as_it_went_in),
        cmocka_unit_test(every_cut_and_every_surplus_is_refused),
        cmocka_unit_test(what_decodes_after_a_change_encodes_to_the_same_bytes),
        cmocka_unit_test(counts_and_lengths_are_bounded_before_memory_is_taken),
        cmocka_unit_test(strange_headers_are_refused),
        cmocka_unit_test(large_requests_travel_in_sealed_memory_only),
        cmocka_unit_test(events_come_out_as_they_went_in),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
