/* links: runner */
/* PID 1 of a grading container, driven over pipes: the real program in namespaces of its own, with
 * this machine's /usr for a root file system. Needs root. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "archive_file.h"
#include "prepare.h"
#include "result.h"
#include "runner_container.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#define NO_FEEDBACK "No feedback was given !"
#define RUN_FAILED                                                                                 \
    "An error occured while running the grading script. It is possible that it is non-executable " \
    "or made a timeout"

static void expect_crash(struct job *j, const char *text)
{
    run_job(j);
    assert_string_equal(field(j, NULL, "result"), "crash");
    assert_string_equal(field(j, NULL, "text"), text);
}

static void feedback_becomes_the_result(void **state)
{
    _cleanup_job_ struct job j = {.run =
                                      "#!/bin/bash\nfeedback-result success\nfeedback-grade 88.5\n"
                                      "feedback-msg -i q1 -m 'd\xc3\xa9j\xc3\xa0'\n"
                                      "feedback-custom -j n '{\"a\": [1, -3, true]}'\n"
                                      "feedback-custom big 18446744073709551615\n"
                                      "feedback-state s\n"};
    struct wire_value v;

    (void)state;
    run_job(&j);
    assert_string_equal(field(&j, NULL, "result"), "success");
    assert_true(number_field(&j, NULL, "grade") == 88.5);
    assert_string_equal(field(&j, "problems", "q1"), "d\xc3\xa9j\xc3\xa0");
    assert_string_equal(field(&j, NULL, "state"), "s");
    assert_true(wire_map_get(j.result, "custom", &v) && wire_map_get(v.raw, "big", &v));
    assert_memory_equal(v.raw.data, "\xcf\xff\xff\xff\xff\xff\xff\xff\xff", 9);
    assert_string_equal(field(&j, NULL, "stdout"), "(none)");
}

static void a_run_file_that_says_nothing_is_a_crash(void **state)
{
    _cleanup_job_ struct job quiet = {.run = "#!/bin/bash\n:"};
    _cleanup_job_ struct job failing = {.run = "#!/bin/bash\nexit 3"};
    _cleanup_job_ struct job killed = {.run = "#!/bin/bash\nkill -SEGV $$"};
    struct wire_value v;

    (void)state;
    expect_crash(&quiet, NO_FEEDBACK);
    assert_true(wire_map_get(quiet.result, "problems", &v) && v.kind == WIRE_MAP && v.count == 0);
    assert_true(wire_map_get(quiet.result, "tests", &v) && v.kind == WIRE_MAP && v.count == 0);
    assert_false(wire_map_get(quiet.result, "archive", &v));
    expect_crash(&failing, NO_FEEDBACK);
    expect_crash(&killed, NO_FEEDBACK);
}

static void exit_status_of_the_run_file_does_not_matter(void **state)
{
    _cleanup_job_ struct job j = {.run = "#!/bin/bash\nfeedback-result success\nexit 3"};

    (void)state;
    run_job(&j);
    assert_string_equal(field(&j, NULL, "result"), "success");
}

static void a_missing_run_file_is_told(void **state)
{
    _cleanup_job_ struct job j = {.run = NULL};
    struct wire_value v;

    (void)state;
    expect_crash(&j, "'/task/run' could not be found");
    assert_true(wire_map_get(j.result, "archive", &v));
}

static void a_run_file_that_cannot_be_executed_is_told(void **state)
{
    _cleanup_job_ struct job interpreter = {.run = "#!/no/such/interpreter\n"};
    _cleanup_job_ struct job plain = {.run = "feedback-result success\n"};
    _cleanup_job_ struct job directory = {.files = {{.path = "/task/run/file", .text = ""}}};

    (void)state;
    expect_crash(&interpreter, RUN_FAILED);
    expect_crash(&plain, RUN_FAILED);
    expect_crash(&directory, RUN_FAILED);
}

static void run_files_are_found_in_their_order(void **state)
{
    _cleanup_job_ struct job shell = {
        .files = {{.path = "/task/run.sh", .text = "feedback-result task-sh"},
                  {.path = "/course/common/run", .text = "", .mode = 0755}}};
    _cleanup_job_ struct job common = {
        .files = {{.path = "/course/common/run",
                   .text = "#!/bin/bash\nfeedback-result \"common $PWD\"",
                   .mode = 0755},
                  {.path = "/course/run.sh", .text = ""}}};
    _cleanup_job_ struct job course = {
        .files = {{.path = "/course/run.sh", .text = "feedback-result course"}}};
    _cleanup_job_ struct job first = {
        .run = "#!/bin/bash\nfeedback-result run",
        .files = {{.path = "/task/run.sh", .text = "feedback-result task-sh"}}};

    (void)state;
    run_job(&shell);
    assert_string_equal(field(&shell, NULL, "result"), "task-sh");
    run_job(&common);
    assert_string_equal(field(&common, NULL, "result"), "common /task");
    run_job(&course);
    assert_string_equal(field(&course, NULL, "result"), "course");
    run_job(&first);
    assert_string_equal(field(&first, NULL, "result"), "run");
}

static void a_run_command_comes_before_run_files(void **state)
{
    const struct file other = {.path = "/task/other",
                               .text = "#!/bin/bash\nfeedback-result \"$*\""};
    _cleanup_job_ struct job path = {
        .run = "#!/bin/bash\n", .files = {other}, .run_cmd = "/task/other a  b"};
    _cleanup_job_ struct job name = {.files = {other}, .run_cmd = "bash other x"};
    _cleanup_job_ struct job none = {.files = {other}, .run_cmd = "no-such-program"};
    _cleanup_job_ struct job blank = {.run = "#!/bin/bash\nfeedback-result run", .run_cmd = " "};

    (void)state;
    run_job(&path);
    assert_string_equal(field(&path, NULL, "result"), "a b");
    run_job(&name);
    assert_string_equal(field(&name, NULL, "result"), "x");
    expect_crash(&none, RUN_FAILED);
    run_job(&blank);
    assert_string_equal(field(&blank, NULL, "result"), "run");
}

#define IDENTITY                                                                                   \
    "#!/bin/bash\nfeedback-result \"$(id -u):$(id -g):$(id -G) $HOME $PWD $(ulimit -u)\"\n"        \
    "feedback-msg -m \"$(for p in /task /tmp /archive /.__output /task/sub/file; do\n"             \
    "stat -c '%a %u %g' $p; done)$(touch /.__input/x /etc/x 2>&1 | wc -l)\"\n"

static void the_worker_runs_it_and_owns_what_it_needs(void **state)
{
    const struct file file = {.path = "/task/sub/file", .text = "", .mode = 0600};
    _cleanup_job_ struct job worker = {.run = IDENTITY, .files = {file}};
    _cleanup_job_ struct job root = {.run = IDENTITY, .files = {file}, .as_root = true};

    (void)state;
    run_job(&worker);
    assert_string_equal(field(&worker, NULL, "result"), "4242:4242:4242 0 /task /task 1000");
    assert_string_equal(field(&worker, NULL, "text"),
                        "777 4242 4242\n777 4242 4242\n777 4242 4242\n777 4242 4242\n"
                        "777 4242 42422");
    run_job(&root);
    assert_memory_equal(field(&root, NULL, "result"), "0:0:", 4);
}

static void links_of_a_task_are_left_alone(void **state)
{
    _cleanup_job_ struct job j = {
        .run = "#!/bin/bash\nfeedback-result \"$(stat -c %a /etc/hosts.x) $(readlink dangling)\"",
        .files = {{.path = "/etc/hosts.x", .text = "", .mode = 0640},
                  {.path = "/task/link", .target = "/etc/hosts.x"},
                  {.path = "/task/dangling", .target = "no/where"}}};

    (void)state;
    run_job(&j);
    assert_string_equal(field(&j, NULL, "result"), "640 no/where");
}

#define CHATTY                                                                                     \
    "#!/bin/bash\nprintf 'out\\xff\\n' >/dev/stdout; echo err >&2\n"                               \
    "head -c 5000000 /dev/zero | tr '\\0' x\nfeedback-result success\n"

static void outputs_are_kept_for_debugging_up_to_their_bound(void **state)
{
    _cleanup_job_ struct job j = {.run = CHATTY, .debug = true};
    _cleanup_job_ struct job option = {.run = "#!/bin/bash\necho x", .option = "--debug"};
    _cleanup_job_ struct job quiet = {.run = CHATTY};
    struct wire_value v;

    (void)state;
    run_job(&j);
    assert_true(wire_map_get(j.result, "stdout", &v));
    assert_memory_equal(v.text, "out\xef\xbf\xbd\nxxx", 10);
    assert_int_equal(v.size, RESULT_OUTPUT_MAX + 2); /* the bad byte became three */
    assert_string_equal(field(&j, NULL, "stderr"), "err\n");
    expect_crash(&option, NO_FEEDBACK);
    assert_string_equal(field(&option, NULL, "stdout"), "x\n");
    run_job(&quiet);
    assert_string_equal(field(&quiet, NULL, "result"), "success");
    assert_false(wire_map_get(quiet.result, "stdout", &v));
}

static void a_feedback_file_of_the_user_is_taken_or_told(void **state)
{
    _cleanup_job_ struct job garbage = {.run = "#!/bin/bash\necho x >/.__output/__feedback.json"};
    _cleanup_job_ struct job list = {.run = "#!/bin/bash\necho '[1]' >/.__output/__feedback.json"};
    _cleanup_job_ struct job gone = {.run = "#!/bin/bash\nrm /.__output/__feedback.json"};
    _cleanup_job_ struct job link = {
        .run = "#!/bin/bash\nln -sf /etc/passwd /.__output/__feedback.json"};
    _cleanup_job_ struct job own = {
        .run = "#!/bin/bash\necho '{\"result\": \"success\", \"stdout\": \"mine\", \"archive\": 1, "
               "\"foo\": 2}' >/.__output/__feedback.json"};

    (void)state;
    expect_crash(&garbage, "Feedback file has been modified by user !");
    expect_crash(&list, "Feedback file has been modified by user !");
    expect_crash(&gone, NO_FEEDBACK);
    expect_crash(&link, "Feedback file has been modified by user !");
    run_job(&own);
    assert_string_equal(field(&own, NULL, "stdout"), "mine");
    assert_true(number_field(&own, NULL, "foo") == 2);
    assert_true(strlen(field(&own, NULL, "archive")) > 60);
}

static void pack_input(struct wire_pack *p)
{
    wire_pack_map(p, 3);
    wire_pack_text(p, "q1");
    wire_pack_text(p, "answer");
    wire_pack_text(p, "f");
    wire_pack_map(p, 2);
    wire_pack_text(p, "filename");
    wire_pack_text(p, "name.bin");
    wire_pack_text(p, "value");
    wire_pack_bin(p, "\0\xff\n", 3);
    wire_pack_text(p, "n");
    wire_pack_float(p, 1e22);
}

static void submitted_input_reaches_the_run_file(void **state)
{
    _cleanup_buffer_ struct buffer input = {.max = 4096};
    struct wire_pack p = {.out = &input};
    _cleanup_job_ struct job j = {
        .run =
            "#!/bin/bash\nfeedback-result \"$(getinput q1) $(getinput f:filename) $(getinput f | "
            "od -An -tx1 | tr -d ' ') $(getinput n) $(getinput absent 2>/dev/null; echo $?)\"\n"
            "feedback-msg -m \"$(</.__input/__inputdata.json)\""};

    (void)state;
    pack_input(&p);
    j.input = (struct wire_span){input.data, input.size};
    run_job(&j);
    assert_string_equal(field(&j, NULL, "result"), "answer name.bin 00ff0a 1e+22 1");
    assert_string_equal(
        field(&j, NULL, "text"),
        "{\"type\": \"start\", \"input\": {\"q1\": \"answer\", \"f\": {\"filename\": "
        "\"name.bin\", \"value\": \"/.__input/__inputfile_0\"}, \"n\": 1e+22}, "
        "\"debug\": false}");
}

static void input_that_json_cannot_hold_is_told(void **state)
{
    _cleanup_buffer_ struct buffer input = {.max = 4096};
    struct wire_pack p = {.out = &input};
    _cleanup_job_ struct job j = {.run = "#!/bin/bash\nfeedback-result success"};

    (void)state;
    wire_pack_map(&p, 1);
    wire_pack_text(&p, "q1");
    wire_pack_bin(&p, "x", 1);
    j.input = (struct wire_span){input.data, input.size};
    expect_crash(&j, "Exception occured in container (Object of type bytes is not JSON "
                     "serializable)");
}

static void a_start_in_pieces_is_put_together(void **state)
{
    _cleanup_job_ struct job j = {.run = "#!/bin/bash\nfeedback-result success", .piece = 1};

    (void)state;
    run_job(&j);
    assert_string_equal(field(&j, NULL, "result"), "success");
}

static void without_a_start_there_is_no_result(void **state)
{
    _cleanup_job_ struct job j = {.run = "#!/bin/bash\n", .no_start = true};

    (void)state;
    run_job(&j);
    assert_int_equal(j.output.size, 0);
    assert_int_equal(j.status, 1);
}

static void orphans_are_reaped(void **state)
{
    _cleanup_job_ struct job j = {
        .run = "#!/bin/bash\nfor i in {1..20}; do (true & ); done; sleep 0.3\n"
               "feedback-result \"$(grep -l 'State:.Z' /proc/[0-9]*/status | wc -l)\""};

    (void)state;
    run_job(&j);
    assert_string_equal(field(&j, NULL, "result"), "0");
}

static void processes_left_behind_do_not_delay_the_result(void **state)
{
    _cleanup_job_ struct job j = {.run = "#!/bin/bash\nsetsid sleep 1000 & sleep 1000 & disown -a\n"
                                         "feedback-result success"};

    (void)state;
    alarm(20);
    run_job(&j);
    alarm(0);
    assert_string_equal(field(&j, NULL, "result"), "success");
}

static void system_files_of_a_task_are_applied(void **state)
{
    _cleanup_job_ struct job j = {
        .run = "#!/bin/bash\nfeedback-result \"$(tr '\\n' '|' </etc/hosts)$(tr '\\n' '|' "
               "</etc/resolv.conf)\"; echo x >>/etc/hosts && feedback-grade 1",
        .files = {{.path = "/task/systemfiles/hosts", .text = "1.2.3.4 h\n"},
                  {.path = "/task/systemfiles/resolv.conf", .text = "nameserver 1.1.1.1\n"}}};
    _cleanup_job_ struct job unreadable = {
        .run = "#!/bin/bash\n", .files = {{.path = "/task/systemfiles/hosts/x", .text = ""}}};

    (void)state;
    run_job(&j);
    assert_string_equal(field(&j, NULL, "result"),
                        "127.0.0.1 localhost||1.2.3.4 h||nameserver 1.1.1.1|");
    assert_true(number_field(&j, NULL, "grade") == 1);
    expect_crash(&unreadable, "Cannot read/use /task/systemfiles/hosts");
}

static void a_missing_oom_group_flag_is_told(void **state)
{
    _cleanup_job_ struct job off = {
        .run = "#!/bin/bash\nfeedback-result success",
        .files = {{.path = "/sys/fs/cgroup/memory.oom.group", .text = "0\n"}}};
    _cleanup_job_ struct job on = {
        .run = "#!/bin/bash\nfeedback-result success",
        .files = {{.path = "/sys/fs/cgroup/memory.oom.group", .text = "1\n"}}};

    (void)state;
    expect_crash(&off, "Cgroup flag memory.oom.group is not set. Please refer to the setup "
                       "documentation.");
    run_job(&on);
    assert_string_equal(field(&on, NULL, "result"), "success");
}

/* What tar(1) lists of the archive in the result. */
static const char *list_archive(struct job *j, const char *options)
{
    static char listing[1 << 16];
    struct wire_value v;
    char command[256];
    size_t n;
    FILE *f;
    int fd;
    char path[] = "/tmp/dockless-test-XXXXXX";

    assert_true(wire_map_get(j->result, "archive", &v) && v.kind == WIRE_STR);
    fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(fd_write_full(fd, v.text, v.size), 0);
    close(fd);
    snprintf(command, sizeof(command), "base64 -d <%s | tar -z %s 2>/dev/null", path, options);
    f = popen(command, "r"); /* NOLINT(cert-env33-c): a test may use tar(1) */
    assert_non_null(f);
    n = fread(listing, 1, sizeof(listing) - 1, f);
    listing[n] = 0;
    assert_int_equal(pclose(f), 0);
    unlink(path);
    return listing;
}

static void the_archive_holds_what_was_put_there(void **state)
{
    _cleanup_job_ struct job j = {
        .run =
            "#!/bin/bash\ncd /archive; mkdir -p sub/dir; echo one >b; head -c 100000 /dev/urandom "
            ">sub/dir/big; ln -s ../b sub/link; mkfifo fifo; chmod 640 b\n"
            "long=$(printf 'n%.0s' {1..150}); echo deep >$long; echo u >\xc3\xa9; cd /task; "
            "archive "
            "-a run -s s; feedback-msg -m \"$(sha256sum </archive/sub/dir/big)\"\n"
            "feedback-result success"};

    (void)state;
    run_job(&j);
    assert_string_equal(
        list_archive(
            &j, "-t --quoting-style=literal --show-transformed-names | sed 's/n\\{100,\\}/LONG/'"),
        ".\nb\nfifo\nLONG\ns/\ns/run\nsub/\nsub/dir/\n"
        "sub/dir/big\nsub/link\n\xc3\xa9\n");
    assert_string_equal(list_archive(&j, "-xO sub/dir/big | sha256sum | tr -d '\\n'"),
                        field(&j, NULL, "text"));
    assert_string_equal(list_archive(&j, "-tv b | awk '{print $1, $2, $3}'"),
                        "-rw-r----- 4242/4242 4\n");
}

static void an_archive_beyond_its_bounds_is_told(void **state)
{
    _cleanup_job_ struct job j = {.run = "#!/bin/bash\nfeedback-result success\n"
                                         "truncate -s 2G /archive/sparse"};
    _cleanup_job_ struct job deep = {
        .run = "#!/bin/bash\nfeedback-result success\ncd /archive\n"
               "for i in {1..200}; do mkdir d; cd d; done 2>/dev/null; true"};

    (void)state;
    run_job(&j);
    assert_string_equal(field(&j, NULL, "result"), "crash");
    assert_non_null(strstr(field(&j, NULL, "text"), "sparse: more than 1024 MiB in the archive"));
    run_job(&deep);
    assert_string_equal(field(&deep, NULL, "result"), "crash");
    assert_non_null(strstr(field(&deep, NULL, "text"), "more than 128 directories deep"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(feedback_becomes_the_result, needs_root),
        cmocka_unit_test_setup(a_run_file_that_says_nothing_is_a_crash, needs_root),
        cmocka_unit_test_setup(exit_status_of_the_run_file_does_not_matter, needs_root),
        cmocka_unit_test_setup(a_missing_run_file_is_told, needs_root),
        cmocka_unit_test_setup(a_run_file_that_cannot_be_executed_is_told, needs_root),
        cmocka_unit_test_setup(run_files_are_found_in_their_order, needs_root),
        cmocka_unit_test_setup(a_run_command_comes_before_run_files, needs_root),
        cmocka_unit_test_setup(the_worker_runs_it_and_owns_what_it_needs, needs_root),
        cmocka_unit_test_setup(links_of_a_task_are_left_alone, needs_root),
        cmocka_unit_test_setup(outputs_are_kept_for_debugging_up_to_their_bound, needs_root),
        cmocka_unit_test_setup(a_feedback_file_of_the_user_is_taken_or_told, needs_root),
        cmocka_unit_test_setup(submitted_input_reaches_the_run_file, needs_root),
        cmocka_unit_test_setup(input_that_json_cannot_hold_is_told, needs_root),
        cmocka_unit_test_setup(a_start_in_pieces_is_put_together, needs_root),
        cmocka_unit_test_setup(without_a_start_there_is_no_result, needs_root),
        cmocka_unit_test_setup(orphans_are_reaped, needs_root),
        cmocka_unit_test_setup(processes_left_behind_do_not_delay_the_result, needs_root),
        cmocka_unit_test_setup(system_files_of_a_task_are_applied, needs_root),
        cmocka_unit_test_setup(a_missing_oom_group_flag_is_told, needs_root),
        cmocka_unit_test_setup(the_archive_holds_what_was_put_there, needs_root),
        cmocka_unit_test_setup(an_archive_beyond_its_bounds_is_told, needs_root),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
