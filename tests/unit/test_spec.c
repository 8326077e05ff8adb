/* links: runtime */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/text.h"
#include <runtime/launcher.h>

#include <string.h>
#include <sys/resource.h>

/* A spec that uses every field and is valid; each test spoils one thing. */
static void fill(struct sandbox_spec *spec)
{
    struct sandbox_mount *m;

    memset(spec, 0, sizeof(*spec));
    assert_int_equal(strv_append(&spec->layers, "layers/aa"), 0);
    assert_int_equal(strv_append(&spec->layers, "layers/bb"), 0);
    assert_int_equal(strv_append(&spec->argv, "true"), 0);
    assert_int_equal(strv_append(&spec->env, "PATH=/bin"), 0);
    m = sandbox_spec_add_mount(spec, SANDBOX_MOUNT_OVERLAY, 1, "course/task", "/task");
    assert_non_null(m);
    assert_int_equal(sandbox_mount_add_dir(m, "student", 0777), 0);
    assert_non_null(sandbox_spec_add_mount(spec, SANDBOX_MOUNT_TMPFS, 0, NULL, "/tmp"));
    spec->mounts[1].size = 1 << 20;
    assert_non_null(sandbox_spec_add_mount(spec, SANDBOX_MOUNT_BIND, 1, "", "/course"));
    assert_non_null(sandbox_spec_add_mount(spec, SANDBOX_MOUNT_SCRATCH, 0, "", "/archive"));
    spec->cwd = strdup("/");
    spec->user = strdup("4242:worker");
    spec->hostname = strdup("job-1");
    spec->groups = calloc(SANDBOX_GROUPS_MAX + 1, sizeof(*spec->groups));
    spec->n_groups = 1;
    assert_true(spec->cwd && spec->user && spec->hostname && spec->groups);
}

static void set(char **field, const char *text)
{
    free(*field);
    *field = strdup(text);
    assert_non_null(*field);
}

/* Validates, expects CODE and the text TEXT, and frees. */
static void refused(struct sandbox_spec *spec, int code, const char *text)
{
    struct error e = ERROR_INIT;

    assert_int_equal(sandbox_spec_validate(spec, &e), code);
    assert_string_equal(e.text, text);
    sandbox_spec_clear(spec);
}

static void a_full_spec_is_accepted_and_cleared(void **state)
{
    struct sandbox_spec spec, zero = {0};
    struct error e = ERROR_INIT;

    (void)state;
    fill(&spec);
    if (sandbox_spec_validate(&spec, &e) < 0)
        fail_msg("%s", e.text);
    sandbox_spec_clear(&spec);
    assert_memory_equal(&spec, &zero, sizeof(spec));
    sandbox_spec_clear(&spec);
}

static void only_one_spelling_of_a_path_is_accepted(void **state)
{
    static const struct {
        const char *path, *fault;
    } cases[] = {
        {"a", NULL},
        {"a/b..c/...", NULL},
        {"", "has an empty component"},
        {"/a", "is not relative"},
        {"a/", "has an empty component"},
        {"a//b", "has an empty component"},
        {".", "has a \".\" component"},
        {"a/./b", "has a \".\" component"},
        {"..", "has a \"..\" component"},
        {"a/..", "has a \"..\" component"},
        {"../a", "has a \"..\" component"},
    };
    char name[258] = {0}, path[SANDBOX_PATH_MAX + 2] = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const char *fault = sandbox_relative_fault(cases[i].path);
        if (cases[i].fault)
            assert_string_equal(fault, cases[i].fault);
        else
            assert_null(fault);
    }
    memset(name, 'n', 255);
    assert_null(sandbox_relative_fault(name));
    name[255] = 'n';
    assert_non_null(sandbox_relative_fault(name));
    for (size_t i = 0; i < SANDBOX_PATH_MAX; i++)
        path[i] = i % 2 ? '/' : 'a';
    path[SANDBOX_PATH_MAX - 1] = 0;
    assert_null(sandbox_relative_fault(path));
    path[SANDBOX_PATH_MAX - 1] = '/';
    path[SANDBOX_PATH_MAX] = 'a';
    assert_string_equal(sandbox_relative_fault(path), "is too long");
    assert_null(sandbox_absolute_fault("/"));
    assert_null(sandbox_absolute_fault("/a/b"));
    assert_non_null(sandbox_absolute_fault("a"));
    assert_non_null(sandbox_absolute_fault(""));
    assert_non_null(sandbox_absolute_fault("//"));
    assert_non_null(sandbox_absolute_fault("/a/../b"));
}

static void sources_and_targets_are_named_where_they_are_wrong(void **state)
{
    static const char *const own[] = {"/proc", "/proc/sys", "/sys/fs", "/dev", "/dev/shm"};
    struct sandbox_spec spec;
    struct error e = ERROR_INIT;

    (void)state;
    fill(&spec);
    set(&spec.layers[1], "layers/../../etc");
    refused(&spec, -EINVAL, "layers[1] has a \"..\" component");
    fill(&spec);
    set(&spec.mounts[0].source, "/etc");
    refused(&spec, -EINVAL, "mounts[0].source is not relative");
    fill(&spec);
    set(&spec.mounts[1].target, "/tmp/../etc");
    refused(&spec, -EINVAL, "mounts[1].target has a \"..\" component");
    fill(&spec);
    set(&spec.mounts[1].target, "/");
    refused(&spec, -EINVAL, "mounts[1].target is the root itself");
    fill(&spec);
    set(&spec.mounts[0].dirs[0].path, "../x");
    refused(&spec, -EINVAL, "mounts[0].dirs[0].path has a \"..\" component");
    for (size_t i = 0; i < ARRAY_SIZE(own); i++) {
        fill(&spec);
        assert_int_equal(sandbox_spec_add_copy(&spec, true, 0, "x", own[i]), 0);
        refused(&spec, -EINVAL, "copies[0].path lies in /proc, /sys or /dev");
    }
    fill(&spec);
    assert_int_equal(sandbox_spec_add_copy(&spec, true, 0, "..", "/x"), 0);
    refused(&spec, -EINVAL, "copies[0].name has a \"..\" component");
    fill(&spec);
    assert_int_equal(sandbox_spec_add_copy(&spec, true, 0, "a/b", "/x"), 0);
    refused(&spec, -EINVAL, "copies[0].name has a slash");
    fill(&spec);
    set(&spec.cwd, "task");
    refused(&spec, -EINVAL, "cwd is not absolute");
    fill(&spec);
    for (size_t i = 0; i < ARRAY_SIZE(own); i++) {
        set(&spec.mounts[0].target, own[i]);
        assert_int_equal(sandbox_spec_validate(&spec, &e), -EINVAL);
        assert_string_equal(e.text, "mounts[0].target lies in /proc, /sys or /dev");
    }
    set(&spec.mounts[0].target, "/developer");
    assert_int_equal(sandbox_spec_validate(&spec, &e), 0);
    sandbox_spec_clear(&spec);
}

static void a_kind_takes_only_its_own_fields(void **state)
{
    struct sandbox_spec spec;

    (void)state;
    fill(&spec);
    spec.mounts[0].kind = SANDBOX_MOUNT_KINDS_;
    refused(&spec, -EINVAL, "mounts[0].kind is unknown");
    fill(&spec);
    spec.mounts[0].kind = (enum sandbox_mount_kind) - 1;
    refused(&spec, -EINVAL, "mounts[0].kind is unknown");
    fill(&spec);
    spec.mounts[0].size = 1;
    refused(&spec, -EINVAL, "mounts[0].size: only a tmpfs has one");
    fill(&spec);
    set(&spec.mounts[1].source, "x");
    refused(&spec, -EINVAL, "mounts[1].source: this kind has none");
    fill(&spec);
    spec.mounts[1].optional = true;
    refused(&spec, -EINVAL, "mounts[1].optional: this kind has no source");
    fill(&spec);
    spec.mounts[0].root = LAUNCHER_ROOTS_MAX;
    refused(&spec, -EINVAL, "mounts[0].root: there is no root 40");
    fill(&spec);
    spec.mounts[0].mode = 010000;
    refused(&spec, -EINVAL, "mounts[0].mode is not one");
    fill(&spec);
    spec.mounts[0].kind = SANDBOX_MOUNT_BIND;
    refused(&spec, -EINVAL, "mounts[0].dirs: only an overlay or scratch has them");
    fill(&spec);
    spec.mounts[2].kind = SANDBOX_MOUNT_PARENT;
    refused(&spec, -EINVAL, "mounts[2].kind: there is no parent");
    fill(&spec);
    spec.network = SANDBOX_NETWORK_PARENT;
    refused(&spec, -EINVAL, "network: there is no parent");
    fill(&spec);
    assert_int_equal(sandbox_spec_add_port(&spec, 64120, 22), 0);
    refused(&spec, -EINVAL, "ports: this network has none");
    fill(&spec);
    spec.network = SANDBOX_NETWORK_NAT;
    assert_int_equal(sandbox_spec_add_port(&spec, 64120, 0), 0);
    refused(&spec, -EINVAL, "ports[0] is 0");
}

static void the_program_is_checked(void **state)
{
    struct sandbox_spec spec;

    (void)state;
    fill(&spec);
    assert_int_equal(sandbox_spec_add_rlimit(&spec, RLIM_NLIMITS, 1, 1), 0);
    refused(&spec, -EINVAL, "rlimits[0].resource is unknown");
    fill(&spec);
    assert_int_equal(sandbox_spec_add_rlimit(&spec, RLIMIT_STACK, 2, 1), 0);
    refused(&spec, -EINVAL, "rlimits[0]: the soft limit is above the hard one");
    fill(&spec);
    spec.mounts[1].keep = true;
    refused(&spec, -EINVAL, "mounts[1].keep: only an overlay can");
    fill(&spec);
    set(&spec.argv[0], "");
    refused(&spec, -EINVAL, "argv: there is no program");
    fill(&spec);
    set(&spec.env[0], "PATH");
    refused(&spec, -EINVAL, "env[0] is not NAME=VALUE");
    fill(&spec);
    set(&spec.env[0], "=x");
    refused(&spec, -EINVAL, "env[0] is not NAME=VALUE");
    fill(&spec);
    set(&spec.user, "root\nroot");
    refused(&spec, -EINVAL, "user has a character that no name has");
    fill(&spec);
    set(&spec.hostname, "a b");
    refused(&spec, -EINVAL, "hostname has a character that no host name has");
    fill(&spec);
    spec.groups[0] = SANDBOX_ID_RANGE;
    refused(&spec, -EINVAL, "groups[0] is not an id of a container");
}

static void every_bound_holds(void **state)
{
    struct sandbox_spec spec;
    char *text = calloc(1, SANDBOX_TEXT_MAX + 1);
    char **many = calloc(SANDBOX_STRINGS_MAX + 2, sizeof(char *));

    (void)state;
    assert_true(text && many);
    memset(text, 'a', SANDBOX_TEXT_MAX);
    fill(&spec);
    assert_int_equal(strv_append(&spec.argv, text), 0);
    refused(&spec, -E2BIG, "argv[1] is longer than 131071");
    fill(&spec);
    strv_free(spec.argv);
    for (size_t i = 0; i <= SANDBOX_STRINGS_MAX; i++)
        many[i] = strdup("x");
    spec.argv = many;
    refused(&spec, -E2BIG, "argv: more than 4096");
    fill(&spec);
    for (size_t i = 2; i <= SANDBOX_LAYERS_MAX; i++)
        assert_int_equal(strv_append(&spec.layers, "l"), 0);
    refused(&spec, -E2BIG, "layers: more than 512");
    fill(&spec);
    spec.n_groups = SANDBOX_GROUPS_MAX + 1;
    refused(&spec, -E2BIG, "groups: more than 64");
    fill(&spec);
    text[SANDBOX_HOSTNAME_MAX + 1] = 0;
    set(&spec.hostname, text);
    refused(&spec, -E2BIG, "hostname is longer than 64");
    fill(&spec);
    spec.limits.wall_time_usec = SANDBOX_TIME_MAX + 1;
    refused(&spec, -EINVAL, "limits.wall_time_usec is too large");
    fill(&spec);
    while (sandbox_spec_add_port(&spec, 1, 1) == 0)
        ;
    assert_int_equal(spec.n_ports, SANDBOX_PORTS_MAX);
    while (sandbox_spec_add_mount(&spec, SANDBOX_MOUNT_SCRATCH, 0, NULL, "/x"))
        ;
    assert_int_equal(spec.n_mounts, SANDBOX_MOUNTS_MAX);
    while (spec.mounts[0].n_dirs < SANDBOX_DIRS_MAX)
        assert_int_equal(sandbox_mount_add_dir(&spec.mounts[0], "d", 0), 0);
    assert_int_equal(sandbox_mount_add_dir(&spec.mounts[0], "d", 0), -E2BIG);
    sandbox_spec_clear(&spec);
    free(text);
}

static void an_empty_spec_is_refused(void **state)
{
    struct sandbox_spec spec = {0};

    (void)state;
    refused(&spec, -EINVAL, "layers: there is none");
}

static void verdicts_have_names(void **state)
{
    (void)state;
    for (int i = 0; i < SANDBOX_VERDICTS_; i++)
        assert_string_not_equal(sandbox_verdict_name((enum sandbox_verdict)i), "unknown");
    assert_string_equal(sandbox_verdict_name(SANDBOX_OUT_OF_MEMORY), "out-of-memory");
    assert_string_equal(sandbox_verdict_name(SANDBOX_VERDICTS_), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_spec_is_accepted_and_cleared),
        cmocka_unit_test(only_one_spelling_of_a_path_is_accepted),
        cmocka_unit_test(sources_and_targets_are_named_where_they_are_wrong),
        cmocka_unit_test(a_kind_takes_only_its_own_fields),
        cmocka_unit_test(the_program_is_checked),
        cmocka_unit_test(every_bound_holds),
        cmocka_unit_test(an_empty_spec_is_refused),
        cmocka_unit_test(verdicts_have_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
