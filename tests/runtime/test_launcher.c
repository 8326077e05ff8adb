/* links: runtime */
/* The boundary with the real launcher and real sandboxes. */
#include "launcher_fixture.h"

static void a_program_starts_and_exits(void **state)
{
    struct fixture *f = *state;
    struct sandbox_report report;

    submit(f->launcher, 1, "exit", "7");
    expect(f->launcher, LAUNCHER_STARTED, 1);
    report = expect_exit(f->launcher, 1);
    assert_int_equal(report.verdict, SANDBOX_EXITED);
    assert_int_equal(report.exit_code, 7);
}

static void stdio_reaches_the_program(void **state)
{
    struct fixture *f = *state;
    struct sandbox_spec s = payload("cat", NULL);
    int in[2], out[2];
    char text[16] = {0};

    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    submit_spec(f->launcher, 1, &s, (int[]){in[0], out[1], -1});
    close(in[0]);
    close(out[1]);
    assert_int_equal(write(in[1], "through", 7), 7);
    close(in[1]);
    assert_int_equal(fd_read_full(out[0], text, sizeof(text)), 7);
    assert_string_equal(text, "through");
    close(out[0]);
    expect(f->launcher, LAUNCHER_STARTED, 1);
    assert_int_equal(expect_exit(f->launcher, 1).exit_code, 0);
}

static void programs_get_three_descriptors(void **state)
{
    struct fixture *f = *state;

    submit(f->launcher, 1, "fds", NULL);
    expect(f->launcher, LAUNCHER_STARTED, 1);
    assert_int_equal(expect_exit(f->launcher, 1).exit_code, 3);
}

static void a_kill_by_request_is_reported_as_one(void **state)
{
    struct fixture *f = *state;

    submit(f->launcher, 1, "wait", NULL);
    expect(f->launcher, LAUNCHER_STARTED, 1);
    assert_int_equal(launcher_kill(f->launcher, 99), 0);
    assert_int_equal(launcher_kill(f->launcher, 1), 0);
    assert_int_equal(expect_exit(f->launcher, 1).verdict, SANDBOX_KILLED);
    assert_int_equal(launcher_kill(f->launcher, 1), 0);
    submit(f->launcher, 1, "exit", "0");
    expect(f->launcher, LAUNCHER_STARTED, 1);
    assert_int_equal(expect_exit(f->launcher, 1).verdict, SANDBOX_EXITED);
}

static void a_kill_right_behind_the_submit_is_not_lost(void **state)
{
    struct fixture *f = *state;
    struct launcher_event event = {0};
    struct error e = ERROR_INIT;

    submit(f->launcher, 1, "wait", NULL);
    assert_int_equal(launcher_kill(f->launcher, 1), 0);
    do
        assert_int_equal(next_event(f->launcher, &event, &e), 1);
    while (event.type == LAUNCHER_STARTED);
    assert_int_equal(event.type, LAUNCHER_EXITED);
    assert_int_equal(event.report.verdict, SANDBOX_KILLED);
}

static void eight_run_at_once(void **state)
{
    struct fixture *f = *state;
    bool ended[9] = {false};

    for (uint64_t id = 1; id <= 8; id++)
        submit(f->launcher, id, "wait", NULL);
    for (uint64_t id = 1; id <= 8; id++)
        expect(f->launcher, LAUNCHER_STARTED, id);
    for (uint64_t id = 1; id <= 8; id++)
        assert_int_equal(launcher_kill(f->launcher, id), 0);
    for (int i = 0; i < 8; i++) {
        struct launcher_event event;
        assert_int_equal(next_event(f->launcher, &event, NULL), 1);
        assert_int_equal(event.type, LAUNCHER_EXITED);
        assert_in_range(event.id, 1, 8);
        assert_false(ended[event.id]);
        ended[event.id] = true;
    }
}

static void probes_stay_below_their_root(void **state)
{
    static const struct {
        const char *path;
        uint32_t root;
        int result;
    } cases[] = {
        {"", ROOT_TASKS, 0},
        {"course", ROOT_TASKS, 0},
        {"course/task", ROOT_TASKS, 0},
        {"inner/task", ROOT_TASKS, 0},
        {"absolute/task", ROOT_TASKS, 0}, /* "/" is the root itself */
        {"course/none", ROOT_TASKS, -ENOENT},
        {"file", ROOT_TASKS, -ENOTDIR},
        {"up", ROOT_TASKS, -ENOENT}, /* exists outside, but ".." stops at the root */
        {"host", ROOT_TASKS, -ENOENT},
        {"magic", ROOT_TASKS, -ENOENT},
        {"loop", ROOT_TASKS, -ELOOP},
        {"course", 7, -EINVAL},
    };
    struct fixture *f = *state;
    struct error e = ERROR_INIT;

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct launcher_event event;
        assert_int_equal(launcher_probe(f->launcher, i + 1, cases[i].root, cases[i].path, &e), 0);
        event = expect(f->launcher, LAUNCHER_PROBED, i + 1);
        if (event.result != cases[i].result)
            fail_msg("%s: %d instead of %d", cases[i].path, event.result, cases[i].result);
    }
    assert_int_equal(launcher_probe(f->launcher, 1, ROOT_TASKS, "../outside", &e), -EINVAL);
    assert_int_equal(launcher_probe(f->launcher, 1, ROOT_TASKS, "/etc", &e), -EINVAL);
}

/* Sends what the client's own checks would stop. */
static void send_raw(struct fixture *f, const struct request *r, const int *fds, size_t n)
{
    _cleanup_buffer_ struct buffer b = {0};

    assert_int_equal(request_encode(r, &b), 0);
    assert_int_equal(fd_send(launcher_fd(f->launcher), b.data, b.size, fds, n), b.size);
}

static void the_launcher_checks_what_the_client_did_not(void **state)
{
    struct fixture *f = *state;
    struct request r = {.type = REQUEST_SUBMIT, .id = 1};
    struct request outside = {.type = REQUEST_PROBE, .id = 2, .root = ROOT_TASKS};

    r.spec = payload("exit", "0");
    assert_non_null(
        sandbox_spec_add_mount(&r.spec, SANDBOX_MOUNT_OVERLAY, ROOT_TASKS, "course/../..", "/x"));
    send_raw(f, &r, NULL, 0);
    expect_refused(f->launcher, 1, -EINVAL, "mounts[0].source has a \"..\" component");
    request_clear(&r);
    outside.path = strdup("../outside");
    send_raw(f, &outside, NULL, 0);
    assert_int_equal(expect(f->launcher, LAUNCHER_PROBED, 2).result, -EINVAL);
    request_clear(&outside);
}

static void impossible_requests_are_answered(void **state)
{
    struct fixture *f = *state;
    struct launcher *l = f->launcher;
    struct sandbox_spec s = payload("exit", "0");
    _cleanup_close_ int directory = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _cleanup_close_ int place = open("/etc/passwd", O_PATH | O_CLOEXEC);

    s.layers_root = 5;
    submit_spec(l, 1, &s, no_stdio);
    expect_refused(l, 1, -EINVAL, "layers_root: there is no root 5");
    s = payload("exit", "0");
    assert_non_null(sandbox_spec_add_mount(&s, SANDBOX_MOUNT_BIND, 9, "course", "/course"));
    submit_spec(l, 1, &s, no_stdio);
    expect_refused(l, 1, -EINVAL, "/course: there is no root 9");
    s = payload("exit", "0");
    assert_non_null(sandbox_spec_add_mount(&s, SANDBOX_MOUNT_BIND, ROOT_TASKS, "course", "/x"));
    submit_spec(l, 1, &s, no_stdio);
    expect_refused(l, 1, -EACCES, "/x: root \"tasks\" is never mounted writable");
    s = payload("exit", "0");
    assert_int_equal(sandbox_spec_add_copy(&s, true, ROOT_TASKS, "x", "/x"), 0);
    submit_spec(l, 1, &s, no_stdio);
    expect_refused(l, 1, -EACCES, "/x: root \"tasks\" takes no files");
    s = payload("exit", "0");
    s.parent = 55;
    submit_spec(l, 1, &s, no_stdio);
    expect_refused(l, 1, -ESRCH, "the parent 55 is not running");
    s = payload("exit", "0");
    submit_spec(l, 1, &s, (int[]){-1, directory, -1});
    expect_refused(l, 1, -EINVAL, "stdio 1 is no pipe, socket, file or terminal");
    s = payload("exit", "0");
    submit_spec(l, 1, &s, (int[]){place, -1, -1});
    expect_refused(l, 1, -EINVAL, "stdio 0 is no pipe, socket, file or terminal");
}

static void ids_and_numbers_of_sandboxes_are_watched(void **state)
{
    struct fixture *f = *state;
    struct launcher *l = f->launcher;

    for (uint64_t id = 1; id <= 16; id++) {
        submit(l, id, "wait", NULL);
        expect(l, LAUNCHER_STARTED, id);
    }
    submit(l, 17, "wait", NULL);
    expect_refused(l, 17, -EAGAIN, "16 sandboxes are running already");
    assert_int_equal(launcher_kill(l, 16), 0);
    expect_exit(l, 16);
    submit(l, 3, "wait", NULL);
    expect_refused(l, 3, -EEXIST, "id 3 is that of a running sandbox");
}

static void an_environment_beyond_a_packet_arrives_whole(void **state)
{
    struct fixture *f = *state;
    struct sandbox_spec s = payload("environment", NULL);
    char *big = malloc(100001), text[32] = {0};
    int out[2];

    assert_non_null(big);
    for (int i = 0; i < 10; i++) {
        memset(big, 'x', 100000);
        big[100000] = 0;
        memcpy(big, (char[]){'B', 'I', 'G', (char)('0' + i), '='}, 5);
        assert_int_equal(strv_append(&s.env, big), 0);
    }
    free(big);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    submit_spec(f->launcher, 1, &s, (int[]){-1, out[1], -1});
    close(out[1]);
    expect(f->launcher, LAUNCHER_STARTED, 1);
    assert_int_equal(expect_exit(f->launcher, 1).exit_code, 0);
    assert_true(fd_read_full(out[0], text, sizeof(text) - 1) > 0);
    assert_string_equal(text, "1000000");
    close(out[0]);
}

static void a_request_beyond_the_bound_is_not_sent(void **state)
{
    struct fixture *f = *state;
    struct sandbox_spec s = payload("exit", "0");
    struct error e = ERROR_INIT;
    char *big = malloc(SANDBOX_TEXT_MAX);

    assert_non_null(big);
    memset(big, 'x', SANDBOX_TEXT_MAX - 1);
    big[SANDBOX_TEXT_MAX - 1] = 0;
    for (size_t i = 0; i < REQUEST_MAX / SANDBOX_TEXT_MAX + 1; i++)
        assert_int_equal(strv_append(&s.argv, big), 0);
    free(big);
    assert_int_equal(launcher_submit(f->launcher, 1, &s, no_stdio, &e), -EMSGSIZE);
    sandbox_spec_clear(&s);
    assert_int_equal(launcher_probe(f->launcher, 2, ROOT_TASKS, "", &e), 0);
    expect(f->launcher, LAUNCHER_PROBED, 2);
}

static int count_fds(pid_t pid)
{
    _cleanup_free_ char *path = text_printf("/proc/%d/fd", (int)pid);
    _cleanup_close_ int fd = -EBADF;
    char entries[32768];
    int n = 0;

    assert_non_null(path);
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    for (;;) {
        long size = syscall(SYS_getdents64, fd, entries, sizeof(entries));
        assert_true(size >= 0);
        if (size == 0)
            return n;
        for (long at = 0; at < size; n++)
            at += *(unsigned short *)(void *)(entries + at + 16);
    }
}

static void two_hundred_sandboxes_leak_no_descriptor(void **state)
{
    struct fixture *f = *state;
    int before = 0, after;

    for (uint64_t id = 1; id <= 210; id++) {
        int out[2];
        struct sandbox_spec s = payload("exit", "0");
        if (id == 11) /* the first ones may fill pools and caches */
            before = count_fds(launcher_pid(f->launcher));
        assert_int_equal(pipe2(out, O_CLOEXEC), 0);
        submit_spec(f->launcher, id, &s, (int[]){-1, out[1], out[1]});
        close(out[0]);
        close(out[1]);
        expect(f->launcher, LAUNCHER_STARTED, id);
        assert_int_equal(expect_exit(f->launcher, id).exit_code, 0);
    }
    /* The event comes before the cleaning; a probe is answered behind it. */
    assert_int_equal(launcher_probe(f->launcher, 1, ROOT_TASKS, "", NULL), 0);
    expect(f->launcher, LAUNCHER_PROBED, 1);
    after = count_fds(launcher_pid(f->launcher));
    if (after > before)
        fail_msg("%d descriptors became %d", before, after);
}

static void a_client_that_does_not_read_is_waited_for(void **state)
{
    struct fixture *f = *state;
    struct request r = {
        .type = REQUEST_PROBE, .id = 1, .root = ROOT_TASKS, .path = strdup("course")};
    _cleanup_buffer_ struct buffer b = {0};
    struct pollfd p = {launcher_fd(f->launcher), POLLOUT, 0};
    size_t sent = 0;

    assert_int_equal(request_encode(&r, &b), 0);
    request_clear(&r);
    while (poll(&p, 1, 500) == 1) {
        ssize_t n = fd_send(launcher_fd(f->launcher), b.data, b.size, NULL, 0);
        if (n == (ssize_t)b.size)
            sent++;
        else
            assert_int_equal(n, -EAGAIN);
        assert_in_range(sent, 0, 1000000);
    }
    assert_true(sent > 256);
    for (size_t i = 0; i < sent; i++)
        assert_int_equal(expect(f->launcher, LAUNCHER_PROBED, 1).result, 0);
}

/* An agent that has lost its backend kills all that runs, one after the other, and reads nothing
 * before it has. More than the sockets hold of either. */
static void a_client_may_ask_for_as_much_as_may_run_before_it_reads(void **state)
{
    enum { RUNNING_MAX = 1000, REQUESTS = 2 * RUNNING_MAX };
    struct launcher *l = NULL;
    struct error e = ERROR_INIT;

    if (fixture_start(*state, RUNNING_MAX, &l, &e) < 0)
        fail_msg("%s", e.text);
    for (uint64_t id = 1; id <= REQUESTS; id++)
        if (launcher_probe(l, id, ROOT_TASKS, "course", &e) < 0)
            fail_msg("request %d: %s", (int)id, e.text);
    for (uint64_t id = 1; id <= REQUESTS; id++)
        assert_int_equal(expect(l, LAUNCHER_PROBED, id).result, 0);
    launcher_stop(l);
}

static void signals_of_a_terminal_do_not_end_the_launcher(void **state)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE};
    struct fixture *f = *state;

    for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
        assert_int_equal(kill(launcher_pid(f->launcher), signals[i]), 0);
    assert_int_equal(getsid(launcher_pid(f->launcher)), launcher_pid(f->launcher));
    submit(f->launcher, 1, "exit", "3");
    expect(f->launcher, LAUNCHER_STARTED, 1);
    assert_int_equal(expect_exit(f->launcher, 1).exit_code, 3);
}

int main(void)
{
#define with_launcher(test) cmocka_unit_test_setup_teardown(test, fixture_set_up, fixture_tear_down)
    const struct CMUnitTest tests[] = {
        with_launcher(a_program_starts_and_exits),
        with_launcher(stdio_reaches_the_program),
        with_launcher(programs_get_three_descriptors),
        with_launcher(a_kill_by_request_is_reported_as_one),
        with_launcher(a_kill_right_behind_the_submit_is_not_lost),
        with_launcher(eight_run_at_once),
        with_launcher(probes_stay_below_their_root),
        with_launcher(the_launcher_checks_what_the_client_did_not),
        with_launcher(impossible_requests_are_answered),
        with_launcher(ids_and_numbers_of_sandboxes_are_watched),
        with_launcher(an_environment_beyond_a_packet_arrives_whole),
        with_launcher(a_request_beyond_the_bound_is_not_sent),
        with_launcher(two_hundred_sandboxes_leak_no_descriptor),
        with_launcher(a_client_that_does_not_read_is_waited_for),
        with_launcher(a_client_may_ask_for_as_much_as_may_run_before_it_reads),
        with_launcher(signals_of_a_terminal_do_not_end_the_launcher),
    };

    if (geteuid() != 0) {
        print_message("[  SKIPPED ] needs root\n");
        return 77;
    }
    if (getenv("TEST_ONLY"))
        cmocka_set_test_filter(getenv("TEST_ONLY"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
