/* links: runtime */
/* Sockets between a sandbox and its children, with the client calling in a child's place. */
#include "launcher_fixture.h"

#include <dirent.h>

/* Number of the mount /sockets in parent(). */
#define SOCKETS 1

/* A sandbox that runs VERB ARGUMENT and has told that it is ready. */
static void start_parent(struct launcher *l, uint64_t id, const char *verb, const char *argument)
{
    struct sandbox_spec s = payload(verb, argument);
    struct sandbox_mount *m;
    char byte;
    int out[2];

    m = sandbox_spec_add_mount(&s, SANDBOX_MOUNT_OVERLAY, ROOT_TASKS, "course", "/task");
    assert_non_null(m);
    m = sandbox_spec_add_mount(&s, SANDBOX_MOUNT_SCRATCH, 0, NULL, "/sockets");
    assert_non_null(m);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    submit_spec(l, id, &s, (int[]){-1, out[1], -1});
    close(out[1]);
    expect(l, LAUNCHER_STARTED, id);
    assert_int_equal(read(out[0], &byte, 1), 1);
    close(out[0]);
}

/* What became of a child of sandbox 1 that got the socket NAME as /parent.sock. */
static struct sandbox_report run_child(struct launcher *l, const char *name,
                                       enum sandbox_network network, const char *verb,
                                       const char *argument)
{
    struct sandbox_spec s = payload(verb, argument);

    s.parent = 1;
    s.network = network;
    assert_non_null(
        sandbox_spec_add_mount(&s, SANDBOX_MOUNT_PARENT, SOCKETS, name, "/parent.sock"));
    submit_spec(l, 2, &s, no_stdio);
    expect(l, LAUNCHER_STARTED, 2);
    return expect_exit(l, 2);
}

static struct launcher_event ask(struct launcher *l, uint64_t sandbox, uint32_t mount,
                                 const char *path)
{
    struct error e = ERROR_INIT;

    if (launcher_connect(l, 77, sandbox, mount, path, &e) < 0)
        fail_msg("%s", e.text);
    return expect(l, LAUNCHER_CONNECTED, 77);
}

static void a_connection_reaches_the_program_that_listens(void **state)
{
    struct fixture *f = *state;
    struct launcher_event event;
    struct pollfd p;
    char byte = 'a';

    start_parent(f->launcher, 1, "serve", "/sockets/a.sock");
    event = ask(f->launcher, 1, SOCKETS, "a.sock");
    assert_int_equal(event.result, 0);
    assert_true(event.fd >= 0);
    assert_true(fcntl(event.fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(event.fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(write(event.fd, "H", 1), 1);
    p = (struct pollfd){event.fd, POLLIN, 0};
    assert_int_equal(poll(&p, 1, EVENT_WAIT_MSEC), 1);
    assert_int_equal(read(event.fd, &byte, 1), 1);
    assert_int_equal(byte, 'H');
    close(event.fd);
}

static void nothing_but_a_listening_socket_of_the_sandbox_is_reached(void **state)
{
    static const struct {
        uint64_t sandbox;
        uint32_t mount;
        const char *path;
        int result;
    } cases[] = {
        {1, SOCKETS, "none", -ENOENT},
        {1, SOCKETS, "directory/none", -ENOENT},
        {1, SOCKETS, "file", -ENOTSOCK},
        {1, SOCKETS, "directory", -ENOTSOCK},
        {1, SOCKETS, "deaf.sock", -ECONNREFUSED},
        {1, SOCKETS, "link.sock", -ELOOP},
        {1, SOCKETS, "directory-link/full.sock", -ELOOP},
        {1, 0, "task", -EACCES}, /* an overlay: what it shows may be the host's */
        {1, 2, "full.sock", -EINVAL},
        {1, UINT32_MAX, "full.sock", -EINVAL},
        {9, SOCKETS, "full.sock", -ESRCH},
    };
    struct fixture *f = *state;
    struct error e = ERROR_INIT;

    start_parent(f->launcher, 1, "kinds", "/sockets");
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct launcher_event event =
            ask(f->launcher, cases[i].sandbox, cases[i].mount, cases[i].path);
        if (event.result != cases[i].result)
            fail_msg("%s: %d instead of %d", cases[i].path, event.result, cases[i].result);
        assert_true(event.fd < 0);
    }
    assert_int_equal(launcher_connect(f->launcher, 77, 1, SOCKETS, "../x", &e), -EINVAL);
    assert_int_equal(launcher_connect(f->launcher, 77, 1, SOCKETS, "", &e), -EINVAL);
}

static void the_launcher_checks_the_path_again(void **state)
{
    struct fixture *f = *state;
    struct request r = {.type = REQUEST_CONNECT, .id = 77, .sandbox = 1, .root = SOCKETS};
    _cleanup_buffer_ struct buffer b = {0};

    start_parent(f->launcher, 1, "kinds", "/sockets");
    r.path = strdup("/../../full.sock");
    assert_int_equal(request_encode(&r, &b), 0);
    assert_int_equal(fd_send(launcher_fd(f->launcher), b.data, b.size, NULL, 0), b.size);
    assert_int_equal(expect(f->launcher, LAUNCHER_CONNECTED, 77).result, -EINVAL);
    request_clear(&r);
}

static void a_full_queue_is_an_answer_not_a_wait(void **state)
{
    struct fixture *f = *state;
    struct launcher_event first, second;

    start_parent(f->launcher, 1, "kinds", "/sockets");
    first = ask(f->launcher, 1, SOCKETS, "full.sock");
    assert_int_equal(first.result, 0);
    second = ask(f->launcher, 1, SOCKETS, "full.sock");
    assert_int_equal(second.result, -EAGAIN);
    close(first.fd);
}

static void a_report_tells_whether_the_child_has_called(void **state)
{
    static const enum sandbox_network networks[] = {SANDBOX_NETWORK_NONE, SANDBOX_NETWORK_PARENT};
    struct fixture *f = *state;
    struct sandbox_report report;

    start_parent(f->launcher, 1, "serve", "/sockets/a.sock");
    start_parent(f->launcher, 3, "serve", "/sockets/a.sock"); /* another's of the same name */
    report = run_child(f->launcher, "a.sock", SANDBOX_NETWORK_NONE, "exit", "0");
    assert_false(report.called);
    report = run_child(f->launcher, "a.sock", SANDBOX_NETWORK_PARENT, "exit", "0");
    assert_false(report.called);
    report = run_child(f->launcher, "a.sock", SANDBOX_NETWORK_NONE, "call", "/parent.sock");
    assert_int_equal(report.exit_code, 0);
    assert_true(report.called);
    for (size_t i = 0; i < ARRAY_SIZE(networks); i++) {
        report = run_child(f->launcher, "a.sock", networks[i], "call", "/parent.sock");
        assert_int_equal(report.exit_code, 0);
        assert_true(report.called);
    }
}

static void a_caller_that_was_not_let_in_yet_has_called(void **state)
{
    struct fixture *f = *state;
    struct sandbox_report report;

    start_parent(f->launcher, 1, "kinds", "/sockets");
    report =
        run_child(f->launcher, "full.sock", SANDBOX_NETWORK_NONE, "call-and-leave", "/parent.sock");
    assert_int_equal(report.exit_code, 0);
    assert_true(report.called);
}

static int count_fds(pid_t pid)
{
    _cleanup_free_ char *path = text_printf("/proc/%d/fd", (int)pid);
    DIR *dir = path ? opendir(path) : NULL;
    int n = 0;

    assert_non_null(dir);
    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

static void the_launcher_keeps_no_end_of_a_connection(void **state)
{
    struct fixture *f = *state;
    struct launcher_event event;
    int before;

    start_parent(f->launcher, 1, "kinds", "/sockets");
    ask(f->launcher, 1, SOCKETS, "deaf.sock");
    before = count_fds(launcher_pid(f->launcher));
    event = ask(f->launcher, 1, SOCKETS, "full.sock");
    assert_int_equal(event.result, 0);
    for (int i = 0; i < 20; i++)
        assert_int_equal(ask(f->launcher, 1, SOCKETS, i % 2 ? "full.sock" : "deaf.sock").result,
                         i % 2 ? -EAGAIN : -ECONNREFUSED);
    assert_int_equal(count_fds(launcher_pid(f->launcher)), before);
    close(event.fd);
}

int main(void)
{
#define with_launcher(test) cmocka_unit_test_setup_teardown(test, fixture_set_up, fixture_tear_down)
    const struct CMUnitTest tests[] = {
        with_launcher(a_connection_reaches_the_program_that_listens),
        with_launcher(nothing_but_a_listening_socket_of_the_sandbox_is_reached),
        with_launcher(the_launcher_checks_the_path_again),
        with_launcher(a_full_queue_is_an_answer_not_a_wait),
        with_launcher(a_report_tells_whether_the_child_has_called),
        with_launcher(a_caller_that_was_not_let_in_yet_has_called),
        with_launcher(the_launcher_keeps_no_end_of_a_connection),
    };

    if (geteuid() != 0) {
        print_message("[  SKIPPED ] needs root\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
