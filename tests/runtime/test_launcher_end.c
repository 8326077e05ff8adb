/* links: runtime */
/* How launchers begin and end: refused starts, broken and dying clients. */
#include "launcher_fixture.h"

#include "self.h"
#include "takeover.h"

#include <pthread.h>
#include <sys/mman.h>

static int make_fixture(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    *state = f;
    fixture_make(f);
    return 0;
}

static void start(struct fixture *f)
{
    struct error e = ERROR_INIT;

    if (fixture_start(f, 16, &f->launcher, &e) < 0)
        fail_msg("%s", e.text);
}

/* Runs BODY in a child, as a client process of its own; returns its exit status. */
static int as_client(int (*body)(struct fixture *f), struct fixture *f)
{
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0)
        _exit(body(f));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int start_as_nobody(struct fixture *f)
{
    struct error e = ERROR_INIT;
    struct launcher *l;

    if (setresuid(65534, 65534, 65534) < 0)
        return 1;
    if (fixture_start(f, 1, &l, &e) != -EPERM)
        return 2;
    return strstr(e.text, "root") ? 0 : 3;
}

static void a_start_without_root_is_refused(void **state)
{
    assert_int_equal(as_client(start_as_nobody, *state), 0);
}

static void *wait_for_cancel(void *unused)
{
    pause();
    return unused;
}

static int start_with_thread(struct fixture *f)
{
    struct error e = ERROR_INIT;
    struct launcher *l;
    pthread_t thread;

    if (pthread_create(&thread, NULL, wait_for_cancel, NULL) != 0)
        return 1;
    if (fixture_start(f, 1, &l, &e) < 0)
        return 2;
    launcher_stop(l);
    return 0;
}

static void a_start_beside_another_thread_is_none_of_its_business(void **state)
{
    assert_int_equal(as_client(start_with_thread, *state), 0);
}

static void a_start_that_fails_says_why(void **state)
{
    struct fixture *f = *state;
    struct error e = ERROR_INIT;
    struct launcher *l = NULL;
    /* tasks/file is a file: nothing can be made below it. */
    snprintf(f->scratch, sizeof(f->scratch), "%s/tasks/file/x", f->top);
    assert_true(fixture_start(f, 1, &l, &e) < 0);
    assert_non_null(strstr(e.text, "/tasks/file"));
    snprintf(f->scratch, sizeof(f->scratch), "%s/scratch", f->top);
    snprintf(f->tasks, sizeof(f->tasks), "%s/nowhere", f->top);
    assert_int_equal(fixture_start(f, 1, &l, &e), -ENOENT);
    assert_non_null(strstr(e.text, "nowhere"));
    assert_null(l);
}

static int work_without_privileges(struct fixture *f)
{
    struct launcher_event event;

    start(f);
    if (setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0)
        return 1;
    submit(f->launcher, 1, "wait", NULL);
    expect(f->launcher, LAUNCHER_STARTED, 1);
    if (launcher_kill(f->launcher, 1) < 0 || next_event(f->launcher, &event, NULL) != 1 ||
        event.report.verdict != SANDBOX_KILLED)
        return 2;
    if (kill(launcher_pid(f->launcher), SIGKILL) == 0)
        return 3;
    launcher_stop(f->launcher);
    return 0;
}

static void the_client_needs_no_privileges_after_the_start(void **state)
{
    assert_int_equal(as_client(work_without_privileges, *state), 0);
}

static void the_launcher_keeps_no_descriptor_of_its_caller(void **state)
{
    struct fixture *f = *state;
    int low[2], high[2];

    assert_int_equal(pipe(low), 0);
    assert_int_equal(pipe(high), 0);
    assert_int_equal(dup2(high[1], 200), 200); /* inherited by whoever does not look */
    start(f);
    close(low[1]);
    close(high[1]);
    close(200);
    expect_end_of_pipe(low[0]);
    expect_end_of_pipe(high[0]);
    close(low[0]);
    close(high[0]);
}

/* Starts a program that holds the other end of the pipe that is returned. */
static int start_holder(struct fixture *f, uint64_t id)
{
    struct sandbox_spec s = payload("wait", NULL);
    int out[2];

    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    submit_spec(f->launcher, id, &s, (int[]){-1, out[1], -1});
    close(out[1]);
    expect(f->launcher, LAUNCHER_STARTED, id);
    return out[0];
}

/* A packet no client of ours sends must end launcher and sandboxes, with the reason in TEXT. */
static void expect_end(struct fixture *f, const void *data, size_t size, const int *fds, size_t n,
                       const char *text)
{
    struct launcher_event event;
    struct error e = ERROR_INIT;
    pid_t pid;
    int held;

    start(f);
    pid = launcher_pid(f->launcher);
    held = start_holder(f, 1);
    assert_int_equal(fd_send(launcher_fd(f->launcher), data, size, fds, n), size);
    assert_int_equal(next_event(f->launcher, &event, &e), -EPIPE);
    if (!strstr(e.text, text))
        fail_msg("\"%s\" instead of \"%s\"", e.text, text);
    expect_end_of_pipe(held);
    close(held);
    expect_gone(pid);
    assert_int_equal(next_event(f->launcher, &event, &e), -EPIPE);
    assert_int_equal(launcher_kill(f->launcher, 1), -EPIPE);
    launcher_stop(TAKE_PTR(f->launcher));
}

static void a_broken_packet_ends_everything(void **state)
{
    static const uint32_t kill_request[] = {REQUEST_MAGIC, REQUEST_KILL, 1, 0};
    static const uint32_t large[] = {REQUEST_MAGIC, REQUEST_LARGE, 0, 0};
    static const uint32_t submit_head[] = {REQUEST_MAGIC, REQUEST_SUBMIT, 1, 0, 0, 0, 1000};
    static const uint8_t too_large[REQUEST_PACKET_MAX + 1];
    struct fixture *f = *state;
    _cleanup_close_ int open_memory = memfd_create("test", MFD_CLOEXEC);
    _cleanup_close_ int sealed = request_seal("nonsense", 8);
    const int many[FD_PASS_MAX] = {0, 0, 0, 0, 0, 0, 0, 0};

    assert_true(open_memory >= 0 && sealed >= 0);
    expect_end(f, "x", 1, NULL, 0, "magic is cut off");
    expect_end(f, submit_head, sizeof(submit_head), NULL, 0, "layers has too many entries");
    expect_end(f, kill_request, sizeof(kill_request) - 1, NULL, 0, "id is cut off");
    expect_end(f, kill_request, sizeof(kill_request), (int[]){0}, 1, "1 fds are not those");
    expect_end(f, kill_request, sizeof(kill_request), many, FD_PASS_MAX, "too many fds");
    expect_end(f, too_large, sizeof(too_large), NULL, 0, "too large");
    expect_end(f, large, sizeof(large), NULL, 0, "its memory is missing");
    expect_end(f, large, sizeof(large), &open_memory, 1, "not sealed");
    expect_end(f, large, sizeof(large), (int[]){0}, 1, "not sealed");
    expect_end(f, large, sizeof(large), &sealed, 1, "magic is not that of a request");
}

static void stopping_kills_and_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    pid_t pid;
    int held;

    start(f);
    pid = launcher_pid(f->launcher);
    held = start_holder(f, 1);
    launcher_stop(TAKE_PTR(f->launcher));
    expect_end_of_pipe(held);
    close(held);
    assert_int_equal(kill(pid, 0), -1);
}

/* A client that starts a launcher and two programs, tells the launcher's id, and waits to be
 * killed. */
static void run_doomed_client(struct fixture *f, int report_fd, int held_fd)
{
    pid_t pid;

    start(f);
    for (uint64_t id = 1; id <= 2; id++) {
        struct sandbox_spec s = payload("wait", NULL);
        submit_spec(f->launcher, id, &s, (int[]){-1, held_fd, -1});
        expect(f->launcher, LAUNCHER_STARTED, id);
    }
    pid = launcher_pid(f->launcher);
    if (write(report_fd, &pid, sizeof(pid)) == sizeof(pid))
        for (;;)
            pause();
}

static void all_is_gone_after_the_client_was_killed(void **state)
{
    struct fixture *f = *state;
    pid_t client, pid = -1;
    int report[2], held[2];

    assert_int_equal(pipe2(report, O_CLOEXEC), 0);
    assert_int_equal(pipe2(held, O_CLOEXEC), 0);
    client = fork();
    assert_true(client >= 0);
    if (client == 0) {
        run_doomed_client(f, report[1], held[1]);
        _exit(1);
    }
    close(report[1]);
    close(held[1]);
    assert_int_equal(read(report[0], &pid, sizeof(pid)), sizeof(pid));
    assert_int_equal(kill(client, SIGKILL), 0);
    assert_int_equal(waitpid(client, NULL, 0), client);
    expect_end_of_pipe(held[0]);
    expect_gone(pid);
    close(report[0]);
    close(held[0]);
}

static void a_killed_launcher_is_noticed_and_takes_its_sandboxes_along(void **state)
{
    struct fixture *f = *state;
    struct launcher_event event;
    struct error e = ERROR_INIT;
    int held;

    start(f);
    held = start_holder(f, 1);
    assert_int_equal(kill(launcher_pid(f->launcher), SIGKILL), 0);
    assert_int_equal(next_event(f->launcher, &event, &e), -EPIPE);
    assert_string_equal(e.text, "the launcher is gone");
    expect_end_of_pipe(held);
    close(held);
    launcher_stop(TAKE_PTR(f->launcher));
    start(f); /* sweeps what is left */
}

/* Its client was killed before it could say what the launcher is for. */
static void a_launcher_without_a_client_just_ends(void **state)
{
    int pair[2], status;
    pid_t pid;

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        _cleanup_close_ int program = self_copy(NULL);
        char *const argv[] = {(char[]){LAUNCHER_NAME}, NULL};
        close(pair[0]);
        if (dup2(pair[1], LAUNCHER_SOCKET) == LAUNCHER_SOCKET)
            fexecve(program, argv, environ);
        _exit(2);
    }
    close(pair[0]);
    close(pair[1]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
}

int main(void)
{
#define with_fixture(test) cmocka_unit_test_setup_teardown(test, make_fixture, fixture_tear_down)
    const struct CMUnitTest tests[] = {
        with_fixture(a_start_without_root_is_refused),
        with_fixture(a_start_beside_another_thread_is_none_of_its_business),
        with_fixture(a_start_that_fails_says_why),
        with_fixture(a_launcher_without_a_client_just_ends),
        with_fixture(the_client_needs_no_privileges_after_the_start),
        with_fixture(the_launcher_keeps_no_descriptor_of_its_caller),
        with_fixture(a_broken_packet_ends_everything),
        with_fixture(stopping_kills_and_leaves_nothing),
        with_fixture(all_is_gone_after_the_client_was_killed),
        with_fixture(a_killed_launcher_is_noticed_and_takes_its_sandboxes_along),
    };

    if (geteuid() != 0) {
        print_message("[  SKIPPED ] needs root\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
