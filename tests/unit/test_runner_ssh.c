/* links: runner */
/* Logging in to the grading container and to a student container: real servers, a real client.
 * Needs root, dropbear and ssh. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "prepare.h"
#include "runner_container.h"
#include "ssh.h"

#include "base/clock.h"

static int needs_ssh(void **state)
{
    if (access("/usr/bin/ssh", X_OK) < 0 ||
        (access("/usr/sbin/dropbear", X_OK) < 0 && access("/usr/sbin/sshd", X_OK) < 0)) {
        print_message("needs an ssh client and server\n");
        skip();
    }
    return needs_root(state);
}

static void who_debugs_logs_in_and_gives_the_feedback(void **state)
{
    _cleanup_job_ struct job j = {.run = "#!/bin/bash\nfeedback-result never-run",
                                  .debug_ssh = true,
                                  .typed = "feedback-result \"by $(id -un) in $PWD\"\nexit\n"};

    (void)state;
    run_job(&j);
    assert_int_equal(j.offered.type, CONTAINER_SSH_DEBUG);
    assert_string_equal(j.offered.ssh_user, "worker");
    assert_int_equal(strlen(j.offered.ssh_key), 16);
    assert_string_equal(field(&j, NULL, "result"), "by worker in /task");
    assert_string_equal(field(&j, NULL, "stdout"), "");
}

static void without_feedback_a_login_is_a_crash(void **state)
{
    _cleanup_job_ struct job j = {.run = "#!/bin/bash\n", .debug_ssh = true, .typed = "exit\n"};

    (void)state;
    run_job(&j);
    assert_string_equal(field(&j, NULL, "text"), "No feedback was given !");
}

static void as_root_root_logs_in(void **state)
{
    _cleanup_job_ struct job j = {
        .debug_ssh = true, .as_root = true, .typed = "feedback-result \"by $(id -un)\"\nexit\n"};

    (void)state;
    run_job(&j);
    assert_string_equal(j.offered.ssh_user, "root");
    assert_string_equal(field(&j, NULL, "result"), "by root");
}

static void students_log_in_to_a_container_of_their_own(void **state)
{
    _cleanup_job_ struct job j = {
        .run = "#!/bin/bash\necho secret >/task/secret\n"
               "ssh_student --setup-script 'touch student/made' --teardown-script 'touch "
               "student/torn'\n"
               "feedback-result \"$? $(ls student | tr '\\n' ' ')$(tail -n 1 student/typed)\"\n"
               "feedback-msg -m \"$(grep -c hello student/.ssh_logs)\"",
        .typed = "cat /task/secret; ls student/scripts; echo hello; id -un >student/typed\nexit\n"};

    (void)state;
    run_job(&j);
    assert_int_equal(j.offered.type, CONTAINER_SSH_STUDENT);
    assert_string_equal(j.offered.container_id, "c0ffee");
    assert_string_equal(j.offered.ssh_user, "worker");
    assert_true(j.asked.ssh);
    assert_string_equal(field(&j, NULL, "result"), "0 made scripts torn typed worker");
    assert_true(atoi(field(&j, NULL, "text")) > 0);
}

static void a_login_that_nobody_waits_for_ends(void **state)
{
    _cleanup_job_ struct job j = {
        .run = "#!/bin/bash\nssh_student & p=$!; sleep 1; kill -KILL $p; feedback-result left"};

    (void)state;
    alarm(30);
    run_job(&j);
    alarm(0);
    assert_string_equal(field(&j, NULL, "result"), "left");
}

static void only_the_users_line_of_shadow_changes(void **state)
{
    static const char *const table[][2] = {
        {"root:*:1:0:99999:7:::\nworker:!:2::::::\nx:y:3::::::\n",
         "root:*:1:0:99999:7:::\nworker:HASH:2::::::\nx:y:3::::::\n"},
        {"worker:old", "worker:HASH\n"},
        {"workers:a:\nxworker:b:", "workers:a:\nxworker:b:\nworker:HASH:::::::\n"},
        {"", "worker:HASH:::::::\n"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        _cleanup_buffer_ struct buffer b = {.max = 4096};
        assert_int_equal(ssh_set_hash(table[i][0], strlen(table[i][0]), "worker", "HASH", &b), 0);
        assert_string_equal(buffer_string(&b), table[i][1]);
    }
}

/* A process tree as a server makes it: SERVER, and below it a shell of the worker's until END is
 * closed. */
static pid_t start_server_with_login(int *ret_end)
{
    int end[2], ready[2];
    char c;
    pid_t server;

    assert_int_equal(pipe2(end, O_CLOEXEC), 0);
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    server = fork();
    assert_true(server >= 0);
    if (server == 0) {
        pid_t shell = fork();
        close(end[1]);
        if (shell == 0) {
            if (setuid(WORKER_ID) < 0 || write(ready[1], "", 1) != 1)
                _exit(1);
            _exit(read(end[0], &c, 1) != 0);
        }
        waitpid(shell, NULL, 0);
        _exit(0);
    }
    close(end[0]);
    close(ready[1]);
    assert_int_equal(read(ready[0], &c, 1), 1);
    close(ready[0]);
    *ret_end = end[1];
    return server;
}

static void a_login_lasts_half_an_hour(void **state)
{
    _cleanup_close_ int root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    uint64_t before = clock_monotonic_usec(), half_an_hour = 1800 * USEC_PER_SEC;
    struct ssh_session s = {.uid = WORKER_ID, .stay = SSH_STAY_SECONDS};
    int end;

    (void)state;
    s.server = start_server_with_login(&end);
    assert_int_equal(ssh_look(&s, root_fd), -EAGAIN);
    assert_true(s.logged_in);
    assert_in_range(s.stay_until, before + half_an_hour, clock_monotonic_usec() + half_an_hour);
    s.stay_until = clock_monotonic_usec() + 60 * USEC_PER_SEC;
    assert_int_equal(ssh_look(&s, root_fd), -EAGAIN);
    s.stay_until = clock_monotonic_usec();
    assert_int_equal(ssh_look(&s, root_fd), SSH_NOBODY);
    s.stay = 0; /* a student's own login: its container's limits end it */
    assert_int_equal(ssh_look(&s, root_fd), -EAGAIN);
    close(end);
    waitpid(s.server, NULL, 0);
    assert_int_equal(ssh_look(&s, root_fd), 0);
}

static void nobody_is_waited_for_longer_than_two_minutes(void **state)
{
    _cleanup_close_ int root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct ssh_session s = {.uid = WORKER_ID, .server = getpid(), .stay = SSH_STAY_SECONDS};

    (void)state;
    assert_int_equal(SSH_LOGIN_SECONDS, 120);
    s.login_until = clock_monotonic_usec() + 60 * USEC_PER_SEC;
    assert_int_equal(ssh_look(&s, root_fd), -EAGAIN);
    s.login_until = clock_monotonic_usec();
    assert_int_equal(ssh_look(&s, root_fd), SSH_NOBODY);
    assert_false(s.logged_in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_users_line_of_shadow_changes),
        cmocka_unit_test_setup(who_debugs_logs_in_and_gives_the_feedback, needs_ssh),
        cmocka_unit_test_setup(without_feedback_a_login_is_a_crash, needs_ssh),
        cmocka_unit_test_setup(as_root_root_logs_in, needs_ssh),
        cmocka_unit_test_setup(students_log_in_to_a_container_of_their_own, needs_ssh),
        cmocka_unit_test_setup(a_login_that_nobody_waits_for_ends, needs_ssh),
        cmocka_unit_test_setup(a_login_lasts_half_an_hour, needs_root),
        cmocka_unit_test(nobody_is_waited_for_longer_than_two_minutes),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
