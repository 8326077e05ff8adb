/* links: runner */
/* run_student from end to end: PID 1 of a grading and of a student container, both the real
 * program, and an agent played by the test. Needs root. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runner_container.h"
#include "shell_words.h"

/* Runs a run file and compares what it says as its result. */
static void expect(struct job *j, const char *result)
{
    run_job(j);
    assert_string_equal(field(j, NULL, "result"), result);
}

#define RUN(script) "#!/bin/bash\n" script
#define TELL        "\nfeedback-result \"$o\"\n"

static void input_and_outputs_are_the_commands_own(void **state)
{
    _cleanup_job_ struct job plain = {.run = RUN("o=$(run_student echo hello world)$?" TELL)};
    _cleanup_job_ struct job in = {.run = RUN("o=$(printf 'a\\nb\\n' | run_student cat)" TELL)};
    _cleanup_job_ struct job err = {
        .run = RUN("o=$(run_student ls /no/such 2>&1 >/dev/null | wc -l)" TELL)};
    _cleanup_job_ struct job much = {
        .run = RUN("o=$(head -c 5000000 /dev/zero | run_student wc -c)" TELL)};

    (void)state;
    expect(&plain, "hello world0");
    expect(&in, "a\nb");
    expect(&err, "1");
    expect(&much, "5000000");
}

static void exit_statuses_are_the_commands_own(void **state)
{
    _cleanup_job_ struct job j = {
        .run =
            RUN("for c in 0 1 7 126 200 255; do run_student sh -c \"'exit $c'\"; o+=\"$? \"; done\n"
                "run_student sh -c \"'kill -9 \\$\\$'\"; o+=\"$? \"\n"
                "run_student sh -c \"'kill -15 \\$\\$'\"; o+=\"$? \"\n"
                "run_student /no/such/command 2>e; o+=\"$? \"\n"
                "run_student \"sh -c 'unclosed\" 2>>e; o+=\"$? \"; o+=$(<e)" TELL)};

    (void)state;
    expect(&j, "0 1 7 126 200 255 247 241 1 1 run_student: /no/such/command: No such file or "
               "directory\nrun_student: No closing quotation");
}

static void an_empty_command_says_so(void **state)
{
    _cleanup_job_ struct job j = {.run = RUN("o=$(run_student)$?$(run_student '')$?" TELL)};

    (void)state;
    expect(&j, "info: student container started with no command set0info: student container "
               "started with no command set0");
}

static void the_command_runs_as_worker_where_it_was_called(void **state)
{
    _cleanup_job_ struct job j = {
        .run =
            RUN("cd student; o=$(run_student bash -c \"'echo \\$(id -u):\\$(id -G) \\$PWD \\$HOME "
                "\\$(ulimit -u)'\")" TELL)};

    (void)state;
    expect(&j, "4242:4242 0 /task/student /task 1000");
}

static void as_root_it_runs_as_root(void **state)
{
    _cleanup_job_ struct job j = {.run = RUN("o=$(run_student --run-as-root id -u)" TELL)};

    (void)state;
    expect(&j, "0");
    assert_true(j.asked.run_as_root);
}

static void a_working_directory_that_is_not_there_fails(void **state)
{
    _cleanup_job_ struct job j = {
        .run = RUN("mkdir /tmp/own; cd /tmp/own; o=$(run_student true 2>&1)$?" TELL)};

    (void)state;
    expect(&j, "run_student: /tmp/own: No such file or directory1");
}

static void options_reach_the_agent(void **state)
{
    _cleanup_job_ struct job all = {
        .run = RUN("run_student --container other --time 2 --hard-time=5 --mem 60 --share-network "
                   "true --time 9; o=$?" TELL)};
    _cleanup_job_ struct job none = {.run = RUN("run_student true; o=$?" TELL)};
    _cleanup_job_ struct job wrong = {.run = RUN("run_student --time x true; o=$?" TELL)};

    (void)state;
    expect(&all, "0");
    assert_string_equal(all.asked.environment, "other");
    assert_int_equal(all.asked.time_limit, 2);
    assert_int_equal(all.asked.hard_time_limit, 5);
    assert_int_equal(all.asked.memory_limit, 60);
    assert_true(all.asked.share_network);
    assert_false(all.asked.ssh);
    expect(&none, "0");
    assert_null(none.asked.environment);
    assert_int_equal(none.asked.time_limit, 0);
    assert_int_equal(none.asked.memory_limit, 0);
    assert_false(none.asked.share_network);
    assert_false(none.asked.run_as_root);
    expect(&wrong, "2");
    assert_int_equal(wrong.n_asked, 0);
}

static void a_container_that_cannot_be_had_is_254(void **state)
{
    _cleanup_job_ struct job refused = {.run = RUN("run_student true; o=$?" TELL),
                                        .habit = AGENT_REFUSES};
    _cleanup_job_ struct job alone = {.run = RUN("run_student true; o=$?" TELL),
                                      .no_sockets = true};

    (void)state;
    expect(&refused, "254");
    expect(&alone, "254");
}

static void a_container_that_dies_before_it_connects_hangs_nobody(void **state)
{
    _cleanup_job_ struct job lost = {.run = RUN("run_student true; o=$?" TELL),
                                     .habit = AGENT_LOSES_STUDENTS};
    _cleanup_job_ struct job replaced = {.run = RUN("run_student true; o=$?" TELL),
                                         .habit = AGENT_STANDS_IN};

    (void)state;
    expect(&lost, "252");
    expect(&replaced, "252");
}

static void signals_are_passed_on(void **state)
{
    _cleanup_job_ struct job j = {
        .run = RUN(
            "run_student sleep 1000 & p=$!; sleep 0.5; kill -TERM $p; wait $p; o=$?\n"
            "run_student sh -c \"'trap \\\"echo caught; exit 3\\\" USR1; echo up; while :; do "
            "sleep "
            "0.1; done'\" >out & p=$!\n"
            "until grep -q up out; do sleep 0.05; done; kill -USR1 $p; wait $p; o+=\" $? $(tail "
            "-n 1 out)\"" TELL)};

    (void)state;
    expect(&j, "241 3 caught");
}

static void a_container_ends_when_nobody_waits_for_it(void **state)
{
    _cleanup_job_ struct job j = {
        .run = RUN("run_student sh -c \"'echo up >student/up; sleep 1000'\" & p=$!\n"
                   "until [ -s student/up ]; do sleep 0.05; done; kill -KILL $p; wait $p; o=$?\n"
                   "run_student true; o+=\" $?\"; sleep 0.5" TELL)};

    (void)state;
    expect(&j, "137 0");
    /* The container of the first has told its end before the job's was told. */
    assert_int_equal(j.n_asked, 2);
}

static void several_run_at_once_and_many_in_sequence(void **state)
{
    _cleanup_job_ struct job parallel = {.run = RUN("for i in 1 2 3 4 5 6 7 8; do (run_student sh "
                                                    "-c \"'sleep 0.3; exit $i'\"; echo $? >r$i) & "
                                                    "done; wait; o=$(cat r? | tr -d '\\n')" TELL)};
    _cleanup_job_ struct job sequence = {
        .run = RUN("for i in {1..40}; do run_student sh -c \"'exit $i'\"; ((o += $?)); done\n"
                   "o+=\" $(ls /sockets | wc -l)\"" TELL)};

    (void)state;
    expect(&parallel, "12345678");
    expect(&sequence, "820 1"); /* main.sock alone is left */
}

static void processes_left_behind_end_with_the_container(void **state)
{
    _cleanup_job_ struct job j = {
        .run = RUN("run_student sh -c \"'sleep 1000 & exit 4'\"; o=$?" TELL)};

    (void)state;
    expect(&j, "4");
}

static void a_teardown_script_runs_at_the_end(void **state)
{
    _cleanup_job_ struct job j = {
        .run = RUN("echo 'touch student/torn' >student/scripts/t.sh; chmod 700 student/scripts\n"
                   "run_student --teardown-script 'sh student/scripts/t.sh' sh -c \"'ls student; "
                   "exit 2'\" "
                   ">out; o=\"$? $(tr '\\n' ' ' <out)$(ls student/torn)\"" TELL)};

    (void)state;
    expect(&j, "2 scripts student/torn");
}

static void scripts_are_hidden_after_the_command(void **state)
{
    _cleanup_job_ struct job j = {
        .run = RUN("echo 'echo script' >student/scripts/s.sh\n"
                   "o=$(run_student sh student/scripts/s.sh)\n"
                   "o+=\" $(stat -c %a student/scripts) $(run_student sh student/scripts/s.sh "
                   "2>/dev/null)\"" TELL)};

    (void)state;
    expect(&j, "script 0 ");
}

static void system_files_are_the_students_too(void **state)
{
    _cleanup_job_ struct job j = {
        .run = RUN("o=$(run_student grep -c example /etc/hosts)" TELL),
        .files = {{.path = "/task/systemfiles/hosts", .text = "1.2.3.4 host.example\n"}}};

    (void)state;
    expect(&j, "1");
}

#define NONSENSE                                                                                   \
    "import socket, os\n"                                                                          \
    "def say(*packets):\n"                                                                         \
    "    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); "                               \
    "s.connect('/sockets/main.sock')\n"                                                            \
    "    for p in packets:\n"                                                                      \
    "        try: s.send(p)\n"                                                                     \
    "        except OSError: pass\n"                                                               \
    "    return s\n"                                                                               \
    "kept = [say(b'garbage'), say(b''), say(b'\\x80'), say(b'\\xc1' * 20000), "                    \
    "say(b'\\x81\\xa4type\\xa4done')]\n"                                                           \
    "kept += [say() for _ in range(300)]\n"

static void nonsense_on_the_socket_harms_nobody(void **state)
{
    _cleanup_job_ struct job j = {.run = RUN("python3 - <<'EOF'\n" NONSENSE "EOF\n"
                                             "o=$(run_student echo fine)" TELL)};

    (void)state;
    expect(&j, "fine");
    assert_int_equal(j.n_asked, 1);
}

static void students_of_a_grader_that_leaves_are_not_waited_for(void **state)
{
    _cleanup_job_ struct job j = {.run = RUN("run_student sleep 1000 & sleep 0.3; o=left" TELL)};

    (void)state;
    alarm(30);
    expect(&j, "left");
    alarm(0);
}

static void words_are_cut_as_shlex_cuts_them(void **state)
{
    static const struct {
        const char *line, *words; /* words end with "|" */
    } table[] = {
        {"a b  c", "a|b|c|"},
        {"", ""},
        {" \t\n", ""},
        {"'a b' \"c d\"", "a b|c d|"},
        {"a'b'\"c\"d", "abcd|"},
        {"''", "|"},
        {"a ''", "a||"},
        {"\\ a\\b", " ab|"},
        {"'a\\b'", "a\\b|"},
        {"\"a\\b\\\"c\\\\d\\$\"", "a\\b\"c\\d\\$|"},
        {"a#b # c", "a#b|#|c|"},
        {"$x *", "$x|*|"},
        {"\xc3\xa9 'x\ny'", "\xc3\xa9|x\ny|"},
        {"\\\na", "\na|"},
    };
    static const char *const bad[] = {"'a", "\"a", "a\\", "\"a\\\"", "a'"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        _cleanup_buffer_ struct buffer b = {.max = 4096};
        _cleanup_strv_ char **words = NULL;
        assert_int_equal(shell_words(table[i].line, &words, NULL), 0);
        for (char **w = words; w && *w; w++)
            assert_int_equal(buffer_printf(&b, "%s|", *w), 0);
        assert_string_equal(buffer_string(&b), table[i].words);
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        char **words;
        assert_int_equal(shell_words(bad[i], &words, NULL), -EINVAL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_cut_as_shlex_cuts_them),
        cmocka_unit_test_setup(input_and_outputs_are_the_commands_own, needs_root),
        cmocka_unit_test_setup(exit_statuses_are_the_commands_own, needs_root),
        cmocka_unit_test_setup(an_empty_command_says_so, needs_root),
        cmocka_unit_test_setup(the_command_runs_as_worker_where_it_was_called, needs_root),
        cmocka_unit_test_setup(as_root_it_runs_as_root, needs_root),
        cmocka_unit_test_setup(a_working_directory_that_is_not_there_fails, needs_root),
        cmocka_unit_test_setup(options_reach_the_agent, needs_root),
        cmocka_unit_test_setup(a_container_that_cannot_be_had_is_254, needs_root),
        cmocka_unit_test_setup(a_container_that_dies_before_it_connects_hangs_nobody, needs_root),
        cmocka_unit_test_setup(signals_are_passed_on, needs_root),
        cmocka_unit_test_setup(a_container_ends_when_nobody_waits_for_it, needs_root),
        cmocka_unit_test_setup(several_run_at_once_and_many_in_sequence, needs_root),
        cmocka_unit_test_setup(processes_left_behind_end_with_the_container, needs_root),
        cmocka_unit_test_setup(a_teardown_script_runs_at_the_end, needs_root),
        cmocka_unit_test_setup(scripts_are_hidden_after_the_command, needs_root),
        cmocka_unit_test_setup(system_files_are_the_students_too, needs_root),
        cmocka_unit_test_setup(nonsense_on_the_socket_harms_nobody, needs_root),
        cmocka_unit_test_setup(students_of_a_grader_that_leaves_are_not_waited_for, needs_root),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
