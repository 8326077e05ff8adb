/* links: runtime */
#include "sandbox_harness.h"

#include "base/fdio.h"
#include "base/text.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void check_user(const char *user, const char *output)
{
    struct run r;

    run_init(&r, "echo $(id -u) $(id -g) $(id -G) $HOME");
    r.spec.user = strdup(user);
    assert_string_equal(run_output(&r, 0), output);
    run_clear(&r);
}

/* Starts R and expects it to fail at STEP with CODE and TEXT in the line. */
static void check_failure(struct run *r, const char *step, int code, const char *text)
{
    run_start(r);
    run_wait(r);
    if (r->report.verdict != SANDBOX_START_FAILED || strcmp(r->report.failed_step, step) != 0 ||
        r->report.error_code != code || !strstr(r->report.error, text))
        fail_msg("%s at \"%s\" (%d): %s", sandbox_verdict_name(r->report.verdict),
                 r->report.failed_step, r->report.error_code, r->report.error);
    run_clear(r);
}

static void users_are_found_in_the_image(void **state)
{
    (void)state;
    check_user("", "0 0 0 /root");
    check_user("root", "0 0 0 /root");
    check_user("worker", "4242 4242 4242 500 /home/worker");
    check_user("4242", "4242 4242 4242 500 /home/worker");
    check_user("worker:users", "4242 100 100 /home/worker");
    check_user("worker:0", "4242 0 0 /home/worker");
    check_user("9999", "9999 0 0 /");
    check_user("9999:8888", "9999 8888 8888 /");
    /* A name made of digits is a number: the image's user called "1000" has uid 77. */
    check_user("1000", "1000 0 0 /");
    check_user("65535:65535", "65535 65535 65535 /");
}

static void odd_users_are_refused(void **state)
{
    static const struct {
        const char *user;
        int code;
    } odd[] = {
        {"1000:", -EINVAL},        {":100", -EINVAL},       {":", -EINVAL},
        {"a:b:c", -EINVAL},        {"nobody", -ENOENT},     {"worker:nobody", -ENOENT},
        {"65536", -ERANGE},        {"4294967296", -ERANGE}, {"18446744073709551616", -ERANGE},
        {"0:4294967295", -ERANGE}, {"-1", -ENOENT},         {"+0", -ENOENT},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
        struct run r;
        run_init(&r, "id");
        r.spec.user = strdup(odd[i].user);
        check_failure(&r, "user", odd[i].code, "");
    }
}

static void further_groups_are_added(void **state)
{
    static const uint32_t groups[] = {7, 0, 500};
    struct run r;

    (void)state;
    run_init(&r, "id -G");
    r.spec.user = strdup("worker");
    r.spec.groups = malloc(sizeof(groups));
    memcpy(r.spec.groups, groups, sizeof(groups));
    r.spec.n_groups = ARRAY_SIZE(groups);
    assert_string_equal(run_output(&r, 0), "4242 0 7 500");
    run_clear(&r);
}

static void a_hostile_passwd_does_no_harm(void **state)
{
    struct run r;

    (void)state;
    (void)fd_remove_tree(H.store_fd, "extra");
    assert_int_equal(mkdirat(H.store_fd, "extra", 0755), 0);
    assert_int_equal(mkdirat(H.store_fd, "extra/etc", 0755), 0);
    /* A fifo nobody writes to must not hang the start. */
    assert_int_equal(mkfifoat(H.store_fd, "extra/etc/passwd", 0644), 0);
    run_init(&r, "true");
    assert_int_equal(strv_append(&r.spec.layers, "extra"), 0);
    check_failure(&r, "user", -EINVAL, "etc/passwd");
    /* A link to a file of the host shows the image's. */
    assert_int_equal(unlinkat(H.store_fd, "extra/etc/passwd", 0), 0);
    assert_int_equal(
        symlinkat("../../../../../../proc/1/root/etc/passwd", H.store_fd, "extra/etc/passwd"), 0);
    run_init(&r, "true");
    assert_int_equal(strv_append(&r.spec.layers, "extra"), 0);
    check_failure(&r, "user", -ELOOP, "etc/passwd");
}

static void only_stdio_is_open(void **state)
{
    struct run r;

    (void)state;
    run_init(&r, "");
    run_set_argv(&r, (const char *const[]){"ls", "/proc/self/fd", NULL});
    /* 3 is the directory ls reads. */
    assert_string_equal(run_output(&r, 0), "0\n1\n2\n3");
    run_clear(&r);
}

static void missing_stdio_is_the_containers_null_device(void **state)
{
    struct run r;

    (void)state;
    run_init(&r,
             "test \"$(stat -L -c %t:%T /proc/1/fd/0 /proc/1/fd/2 | tr '\\n' ' ')\" = '1:3 1:3 '");
    run_start_without_stdio(&r);
    run_wait(&r);
    assert_int_equal(r.report.verdict, SANDBOX_EXITED);
    assert_int_equal(r.report.exit_code, 0);
    run_clear(&r);
}

static void the_working_directory_is_made_and_entered(void **state)
{
    struct run r;

    (void)state;
    run_init(&r, "pwd; stat -c '%u %a' .");
    r.spec.cwd = strdup("/made/deep/er");
    assert_string_equal(run_output(&r, 0), "/made/deep/er\n0 755");
    run_clear(&r);
    run_init(&r, "pwd");
    r.spec.cwd = strdup("/tmp");
    assert_string_equal(run_output(&r, 0), "/tmp");
    run_clear(&r);
}

static void odd_working_directories_are_refused(void **state)
{
    static const char *const odd[] = {"/proc/self/fd/3", "/proc/self/fd/7", "/proc/self/fd/9",
                                      "/etc/passwd"};
    struct run r;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
        run_init(&r, "pwd");
        r.spec.cwd = strdup(odd[i]);
        run_start(&r);
        run_wait(&r);
        assert_int_equal(r.report.verdict, SANDBOX_START_FAILED);
        assert_string_equal(r.report.failed_step, "cwd");
        run_clear(&r);
    }
}

static void programs_are_looked_up_in_the_path(void **state)
{
    struct run r;

    (void)state;
    run_init(&r, "");
    run_set_argv(&r, (const char *const[]){"echo", "found", NULL});
    r.spec.env = strv_free(r.spec.env); /* Docker's default PATH then */
    assert_string_equal(run_output(&r, 0), "found");
    run_clear(&r);
    run_init(&r, "");
    run_set_argv(&r, (const char *const[]){"echo", "found", NULL});
    r.spec.env = strv_free(r.spec.env);
    assert_int_equal(strv_append(&r.spec.env, "PATH=/nowhere:/etc/passwd::/bin"), 0);
    assert_string_equal(run_output(&r, 0), "found");
    run_clear(&r);
}

static void what_cannot_be_executed_is_told(void **state)
{
    struct run r;

    (void)state;
    run_init(&r, "");
    run_set_argv(&r, (const char *const[]){"no-such-program", NULL});
    check_failure(&r, "execve", -ENOENT, "\"no-such-program\": not found");
    run_init(&r, "");
    run_set_argv(&r, (const char *const[]){"/no/such", NULL});
    check_failure(&r, "execve", -ENOENT, "\"/no/such\": not found");
    run_init(&r, "");
    run_set_argv(&r, (const char *const[]){"/etc/passwd", NULL});
    check_failure(&r, "execve", -EACCES, "not executable");
    run_init(&r, "");
    run_set_argv(&r, (const char *const[]){"/bin", NULL});
    check_failure(&r, "execve", -EACCES, "not executable");

    put_file(H.store_fd, "image/bin/text", "no program at all\n", 0755);
    put_file(H.store_fd, "image/bin/script", "#!/no/interpreter\n", 0755);
    run_init(&r, "");
    run_set_argv(&r, (const char *const[]){"text", NULL});
    check_failure(&r, "execve", -ENOEXEC, "not executable");
    run_init(&r, "");
    run_set_argv(&r, (const char *const[]){"/bin/script", NULL});
    check_failure(&r, "execve", -ENOENT, "interpreter");
    assert_int_equal(unlinkat(H.store_fd, "image/bin/text", 0), 0);
    assert_int_equal(unlinkat(H.store_fd, "image/bin/script", 0), 0);
}

static void the_environment_is_the_specs_with_two_additions(void **state)
{
    struct run r;

    (void)state;
    run_init(&r, "");
    run_set_argv(&r, (const char *const[]){"env", NULL});
    assert_int_equal(strv_append(&r.spec.env, "A=b=c"), 0);
    assert_string_equal(run_output(&r, 0), "PATH=/bin\nA=b=c\nHOSTNAME=box\nHOME=/root");
    run_clear(&r);
    run_init(&r, "");
    run_set_argv(&r, (const char *const[]){"env", NULL});
    assert_int_equal(strv_append(&r.spec.env, "HOME=/x"), 0);
    assert_int_equal(strv_append(&r.spec.env, "HOSTNAME="), 0);
    assert_string_equal(run_output(&r, 0), "PATH=/bin\nHOME=/x\nHOSTNAME=");
    run_clear(&r);
}

static void missing_layers_are_told(void **state)
{
    struct run r;

    (void)state;
    run_init(&r, "true");
    assert_int_equal(strv_append(&r.spec.layers, "no/such"), 0);
    check_failure(&r, "root file system", -ENOENT, "layer \"no/such\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(users_are_found_in_the_image),
        cmocka_unit_test(odd_users_are_refused),
        cmocka_unit_test(further_groups_are_added),
        cmocka_unit_test(a_hostile_passwd_does_no_harm),
        cmocka_unit_test(only_stdio_is_open),
        cmocka_unit_test(missing_stdio_is_the_containers_null_device),
        cmocka_unit_test(the_working_directory_is_made_and_entered),
        cmocka_unit_test(odd_working_directories_are_refused),
        cmocka_unit_test(programs_are_looked_up_in_the_path),
        cmocka_unit_test(what_cannot_be_executed_is_told),
        cmocka_unit_test(the_environment_is_the_specs_with_two_additions),
        cmocka_unit_test(missing_layers_are_told),
    };

    return harness_main("program", tests, ARRAY_SIZE(tests));
}
