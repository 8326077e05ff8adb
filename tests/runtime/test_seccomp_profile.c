/* links: profile runtime */
/* Profiles of the administrator's own: what the kernel makes of them, and what is wrong with them.
 */
#include "seccomp_ask.h"

#include "profile/profile.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define ALLOW_ALL_BUT "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":["
/* What the child of seccomp_ask() needs. */
#define REPORTING "\"write\",\"exit_group\""
#define HIGH      (1UL << 32)
#define CALLS_MAX 24

#ifdef __x86_64__
#define OURS         "SCMP_ARCH_X86_64"
#define OURS_DOCKER  "amd64"
#define OTHER_DOCKER "arm64"
#else
#define OURS         "SCMP_ARCH_AARCH64"
#define OURS_DOCKER  "arm64"
#define OTHER_DOCKER "amd64"
#endif

struct question {
    struct call call;
    int answer;
};

static void check(const char *json, const struct question *questions, size_t n)
{
    struct seccomp_policy policy;
    struct seccomp_program program;
    struct call calls[CALLS_MAX];
    struct error e = ERROR_INIT;
    int answers[CALLS_MAX];

    if (profile_parse(json, strlen(json), &policy, &e) < 0 ||
        seccomp_compile_policy(&policy, &program, &e) < 0)
        fail_msg("%s", e.text);
    assert_true(n <= CALLS_MAX);
    for (size_t i = 0; i < n; i++)
        calls[i] = questions[i].call;
    seccomp_ask(&program, calls, n, answers);
    for (size_t i = 0; i < n; i++)
        if (answers[i] != questions[i].answer)
            fail_msg("call %ld (0x%lx, 0x%lx, 0x%lx): %d instead of %d", calls[i].number,
                     calls[i].arguments[0], calls[i].arguments[1], calls[i].arguments[2],
                     answers[i], questions[i].answer);
    seccomp_program_clear(&program);
    seccomp_policy_clear(&policy);
}

static void what_no_rule_names_gets_the_default(void **state)
{
    const struct question questions[] = {
        {{SYS_read, {0}}, MARK},     {{SYS_getpid, {0}}, MARK},   {{SYS_close, {0}}, EPERM},
        {{SYS_openat, {0}}, ENOENT}, {{0x40000001, {0}}, ENOSYS}, {{470, {0}}, ENOSYS},
        {{SYS_clone3, {0}}, EPERM},
    };

    (void)state;
    check("{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"architectures\":[\"" OURS "\"],\"syscalls\":["
          "{\"names\":[" REPORTING
          ",\"read\",\"getpid\",\"no_such_call\"],\"action\":\"SCMP_ACT_ALLOW\"},"
          "{\"name\":\"openat\",\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":2}]}",
          questions, ARRAY_SIZE(questions));
}

static void every_comparison_looks_at_all_64_bits(void **state)
{
    static const struct {
        const char *operator;
        int below, equal, above, high; /* 0x1_0000_0004, 5, 6 and 0x2_0000_0000: refused? */
    } cases[] = {
        {"NE", 1, 0, 1, 1}, {"LT", 1, 0, 0, 0}, {"LE", 1, 1, 0, 0},
        {"EQ", 0, 1, 0, 0}, {"GE", 0, 1, 1, 1}, {"GT", 0, 0, 1, 1},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct question questions[] = {
            {{SYS_lseek, {0, HIGH | 4}}, cases[i].below ? EACCES : MARK},
            {{SYS_lseek, {0, HIGH | 5}}, cases[i].equal ? EACCES : MARK},
            {{SYS_lseek, {0, HIGH | 6}}, cases[i].above ? EACCES : MARK},
            {{SYS_lseek, {0, 2 * HIGH}}, cases[i].high ? EACCES : MARK},
            {{SYS_read, {0, HIGH | 5}}, MARK},
        };
        char json[512];
        snprintf(json, sizeof(json),
                 ALLOW_ALL_BUT "{\"names\":[\"lseek\"],\"action\":\"SCMP_ACT_ERRNO\","
                               "\"errnoRet\":13,\"args\":[{\"index\":1,\"value\":4294967301,"
                               "\"op\":\"SCMP_CMP_%s\"}]}]}",
                 cases[i].operator);
        check(json, questions, ARRAY_SIZE(questions));
    }
}

static void a_masked_comparison_has_the_mask_first(void **state)
{
    const struct question questions[] = {
        {{SYS_lseek, {0, HIGH | 0x31}}, EPERM},
        {{SYS_lseek, {0, HIGH | 0x21}}, MARK},
        {{SYS_lseek, {0, 0x31}}, MARK},
    };

    (void)state;
    check(ALLOW_ALL_BUT "{\"names\":[\"lseek\"],\"action\":\"SCMP_ACT_ERRNO\",\"args\":[{\"index\":"
                        "1,\"value\":4294967536,\"valueTwo\":4294967344,\"op\":"
                        "\"SCMP_CMP_MASKED_EQ\"}]}]}",
          questions, ARRAY_SIZE(questions));
}

static void arguments_of_32_bits_cannot_be_disguised(void **state)
{
    const struct question questions[] = {
        {{SYS_socket, {AF_VSOCK}}, EPERM},
        {{SYS_socket, {AF_VSOCK | HIGH}}, EPERM},
        {{SYS_socket, {AF_UNIX}}, MARK},
    };

    (void)state;
    check(ALLOW_ALL_BUT "{\"names\":[\"socket\"],\"action\":\"SCMP_ACT_ERRNO\",\"args\":[{"
                        "\"index\":0,\"value\":40,\"op\":\"SCMP_CMP_EQ\"}]}]}",
          questions, ARRAY_SIZE(questions));
}

static void comparisons_of_a_rule_hold_together_and_of_one_argument_each_alone(void **state)
{
    const struct question questions[] = {
        {{SYS_lseek, {1, 2}}, EPERM}, {{SYS_lseek, {1, 3}}, MARK}, {{SYS_lseek, {0, 2}}, MARK},
        {{SYS_dup3, {7, 0}}, EPERM},  {{SYS_dup3, {8, 0}}, EPERM}, {{SYS_dup3, {9, 0}}, MARK},
    };

    (void)state;
    check(ALLOW_ALL_BUT "{\"names\":[\"lseek\"],\"action\":\"SCMP_ACT_ERRNO\",\"args\":["
                        "{\"index\":0,\"value\":1,\"op\":\"SCMP_CMP_EQ\"},"
                        "{\"index\":1,\"value\":2,\"op\":\"SCMP_CMP_EQ\"}]},"
                        "{\"names\":[\"dup3\"],\"action\":\"SCMP_ACT_ERRNO\",\"args\":["
                        "{\"index\":0,\"value\":7,\"op\":\"SCMP_CMP_EQ\"},"
                        "{\"index\":0,\"value\":8,\"op\":\"SCMP_CMP_EQ\"}]}]}",
          questions, ARRAY_SIZE(questions));
}

static void the_first_rule_that_matches_decides(void **state)
{
    const struct question questions[] = {
        {{SYS_lseek, {1, 0}}, ENOENT},
        {{SYS_lseek, {2, 0}}, EACCES},
        {{SYS_lseek, {3, 0}}, EACCES},
    };

    (void)state;
    check(ALLOW_ALL_BUT
          "{\"names\":[\"lseek\"],\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":2,\"args\":["
          "{\"index\":0,\"value\":1,\"op\":\"SCMP_CMP_EQ\"}]},"
          "{\"names\":[\"lseek\"],\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":13},"
          "{\"names\":[\"lseek\"],\"action\":\"SCMP_ACT_ALLOW\"}]}",
          questions, ARRAY_SIZE(questions));
}

static void conditions_are_dockers(void **state)
{
    const struct question questions[] = {
        {{SYS_read, {0}}, EPERM},   /* wants a capability that we do not leave */
        {{SYS_fsync, {0}}, MARK},   /* wants one that we do */
        {{SYS_lseek, {0}}, EPERM},  /* excluded by one that we leave */
        {{SYS_dup3, {0}}, MARK},    /* excluded by one that we do not leave */
        {{SYS_close, {0}}, EPERM},  /* another architecture's */
        {{SYS_openat, {0}}, MARK},  /* ours */
        {{SYS_getpid, {0}}, MARK},  /* this kernel is new enough */
        {{SYS_getppid, {0}}, EPERM} /* and for this not */
    };

    (void)state;
    check("{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"archMap\":[{\"architecture\":\"" OURS
          "\",\"subArchitectures\":[]}],\"syscalls\":["
          "{\"names\":[\"read\"],\"action\":\"SCMP_ACT_ALLOW\","
          "\"includes\":{\"caps\":[\"CAP_SYS_ADMIN\",\"CAP_CHOWN\"]}},"
          "{\"names\":[" REPORTING
          ",\"fsync\"],\"action\":\"SCMP_ACT_ALLOW\",\"includes\":{\"caps\":["
          "\"CAP_CHOWN\"]}},"
          "{\"names\":[\"lseek\"],\"action\":\"SCMP_ACT_ALLOW\",\"excludes\":{\"caps\":["
          "\"CAP_CHOWN\"]}},"
          "{\"names\":[\"dup3\"],\"action\":\"SCMP_ACT_ALLOW\",\"includes\":{},\"excludes\":{"
          "\"caps\":[\"CAP_SYS_ADMIN\"]}},"
          "{\"names\":[\"close\"],\"action\":\"SCMP_ACT_ALLOW\",\"includes\":{\"arches\":["
          "\"" OTHER_DOCKER "\"]}},"
          "{\"names\":[\"openat\"],\"action\":\"SCMP_ACT_ALLOW\",\"includes\":{\"arches\":["
          "\"" OTHER_DOCKER "\",\"" OURS_DOCKER "\"]}},"
          "{\"names\":[\"getpid\"],\"action\":\"SCMP_ACT_ALLOW\",\"includes\":{\"minKernel\":"
          "\"4.8\"}},"
          "{\"names\":[\"getppid\"],\"action\":\"SCMP_ACT_ALLOW\",\"includes\":{\"minKernel\":"
          "\"999.0\"}}]}",
          questions, ARRAY_SIZE(questions));
}

/* Its tree has jumps over more instructions than a conditional jump can. */
static void a_long_profile_is_compiled(void **state)
{
    const struct question questions[] = {
        {{SYS_lseek, {0, 700}}, EPERM}, {{SYS_lseek, {0, 701}}, EPERM},
        {{SYS_lseek, {0, 999}}, MARK},  {{SYS_read, {0}}, MARK},
        {{SYS_statx, {0}}, ENOENT},     {{SYS_getcwd, {0}}, EACCES},
    };
    _cleanup_buffer_ struct buffer json = {0};

    (void)state;
    buffer_printf(&json, "%s", ALLOW_ALL_BUT);
    for (int i = 700; i < 800; i++)
        buffer_printf(&json,
                      "{\"names\":[\"lseek\"],\"action\":\"SCMP_ACT_ERRNO\",\"args\":[{\"index\":1,"
                      "\"value\":%d,\"op\":\"SCMP_CMP_EQ\"}]},",
                      i);
    buffer_printf(&json,
                  "{\"names\":[\"statx\"],\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":2},"
                  "{\"names\":[\"getcwd\"],\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":13}]}");
    check(buffer_string(&json), questions, ARRAY_SIZE(questions));
}

static void a_profile_that_fits_no_filter_is_refused(void **state)
{
    _cleanup_buffer_ struct buffer json = {0};
    struct seccomp_policy policy;
    struct seccomp_program program;
    struct error e = ERROR_INIT;

    (void)state;
    buffer_printf(&json, "%s", ALLOW_ALL_BUT);
    for (int i = 0; i < 1200; i++)
        buffer_printf(
            &json,
            "%s{\"names\":[\"lseek\"],\"action\":\"SCMP_ACT_ERRNO\",\"args\":[{\"index\":1,"
            "\"value\":%d,\"op\":\"SCMP_CMP_EQ\"}]}",
            i ? "," : "", i);
    buffer_printf(&json, "]}");
    assert_int_equal(profile_parse(json.data, json.size, &policy, &e), 0);
    assert_int_equal(seccomp_compile_policy(&policy, &program, &e), -E2BIG);
    assert_string_equal(e.text, "seccomp: the profile does not fit a filter");
    seccomp_policy_clear(&policy);
}

static void faults_name_the_rule(void **state)
{
#define RULE(rest) "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[" rest "]}"
    static const struct {
        const char *json, *text;
    } cases[] = {
        {"", "empty"},
        {"{}", "defaultAction: missing"},
        {"{\"defaultAction\":\"ALLOW\"}", "defaultAction: \"ALLOW\" is no action"},
        {"{\"defaultAction\":\"SCMP_ACT_TRACE\"}",
         "defaultAction: \"SCMP_ACT_TRACE\" wants a supervisor, which dockless is not"},
        {"{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":5000}",
         "defaultErrnoRet: 5000 is more than 4095"},
        {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"architectures\":[\"SCMP_ARCH_MIPS\"]}",
         "architectures: " OURS " is not among them"},
        {RULE("7"), "syscalls[0]: expected an object"},
        {RULE("{\"action\":\"SCMP_ACT_ALLOW\"}"), "syscalls[0].names: missing"},
        {RULE("{\"names\":[\"read\"]}"), "syscalls[0] (\"read\"): action: missing"},
        {RULE("{\"names\":[\"read\"],\"action\":\"SCMP_ACT_ALLOW\"},"
              "{\"names\":[\"write\"],\"action\":\"SCMP_ACT_ALOW\"}"),
         "syscalls[1] (\"write\"): action: \"SCMP_ACT_ALOW\" is no action"},
        {RULE("{\"names\":[\"read\"],\"action\":\"SCMP_ACT_ALLOW\",\"args\":[{\"index\":6,"
              "\"value\":1,\"op\":\"SCMP_CMP_EQ\"}]}"),
         "syscalls[0] (\"read\"): args[0].index: 6 is more than 5"},
        {RULE("{\"names\":[\"read\"],\"action\":\"SCMP_ACT_ALLOW\",\"args\":[{\"index\":0,"
              "\"value\":1,\"op\":\"==\"}]}"),
         "syscalls[0] (\"read\"): args[0].op: \"==\" is no comparison"},
        {RULE("{\"names\":[\"read\"],\"action\":\"SCMP_ACT_ALLOW\",\"args\":[{\"index\":0,"
              "\"value\":\"1\",\"op\":\"SCMP_CMP_EQ\"}]}"),
         "syscalls[0] (\"read\"): args[0].value: expected an integer"},
        {RULE("{\"names\":[\"read\"],\"action\":\"SCMP_ACT_ALLOW\",\"args\":[{\"index\":0,"
              "\"value\":1,\"valueTwo\":2,\"op\":\"SCMP_CMP_MASKED_EQ\"}]}"),
         "syscalls[0] (\"read\"): args[0].valueTwo: has bits that the mask \"value\" has not"},
        {RULE("{\"names\":[\"opne\"],\"action\":\"SCMP_ACT_KILL\"}"),
         "syscalls[0] (\"opne\"): names: \"opne\" is no system call of this architecture"},
        {RULE("{\"names\":[\"read\"],\"action\":\"SCMP_ACT_ALLOW\",\"includes\":{\"caps\":["
              "\"SYS_ADMIN\"]}}"),
         "syscalls[0] (\"read\"): includes.caps: \"SYS_ADMIN\" is no capability"},
        {RULE("{\"names\":[\"read\"],\"action\":\"SCMP_ACT_ALLOW\",\"excludes\":{\"minKernel\":"
              "\"new\"}}"),
         "syscalls[0] (\"read\"): excludes.minKernel: \"new\" is no version such as 4.8"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct seccomp_policy policy;
        struct error e = ERROR_INIT;
        if (profile_parse(cases[i].json, strlen(cases[i].json), &policy, &e) != -EBADMSG)
            fail_msg("taken: %s", cases[i].json);
        assert_string_equal(e.text, cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_no_rule_names_gets_the_default),
        cmocka_unit_test(every_comparison_looks_at_all_64_bits),
        cmocka_unit_test(a_masked_comparison_has_the_mask_first),
        cmocka_unit_test(arguments_of_32_bits_cannot_be_disguised),
        cmocka_unit_test(comparisons_of_a_rule_hold_together_and_of_one_argument_each_alone),
        cmocka_unit_test(the_first_rule_that_matches_decides),
        cmocka_unit_test(conditions_are_dockers),
        cmocka_unit_test(a_long_profile_is_compiled),
        cmocka_unit_test(a_profile_that_fits_no_filter_is_refused),
        cmocka_unit_test(faults_name_the_rule),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
