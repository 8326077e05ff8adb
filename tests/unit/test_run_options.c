/* links: bench run image runtime */
#include "bench/bench.h"
#include "run/kernel_names.h"
#include "run/options.h"
#include "run/plan.h"

#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#define WORDS_MAX 15

/* Takes one long option as getopt_long() would have found it. */
static int apply(struct run_options *o, const char *name, const char *value)
{
    struct option table[RUN_LONG_OPTIONS];
    size_t n = run_options_long(table);

    for (size_t i = 0; i < n; i++)
        if (strcmp(table[i].name, name) == 0)
            return run_options_apply(o, table[i].val, value, NULL);
    fail_msg("there is no option %s", name);
    return -ENOENT;
}

static void times_have_units_and_fractions(void **state)
{
    static const struct {
        const char *text;
        int r;
        uint64_t usec;
    } cases[] = {
        {"10", 0, 10000000},
        {"1.5", 0, 1500000},
        {"200ms", 0, 200000},
        {"2m", 0, 120000000},
        {"0.5h", 0, 1800000000},
        {"0.000001s", 0, 1},
        {"", -EINVAL, 0},
        {"1.", -EINVAL, 0},
        {"-1", -EINVAL, 0},
        {"1 s", -EINVAL, 0},
        {"1d", -EINVAL, 0},
        {"1e3", -EINVAL, 0},
        {"99999999999999999999", -ERANGE, 0},
        {"1000000000h", -ERANGE, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uint64_t usec = 0;
        assert_int_equal(run_parse_time(cases[i].text, &usec), cases[i].r);
        assert_true(usec == cases[i].usec);
    }
}

static void volumes_are_taken_apart_and_wrong_ones_refused(void **state)
{
    static const char *const wrong[] = {"", "/a", ":/b", "/a:b", "/a:/b:rx", "/a:/b:ro:x"};
    struct run_options o;

    (void)state;
    assert_int_equal(run_options_init(&o), 0);
    assert_int_equal(apply(&o, "volume", "./a:/b/../c"), 0);
    assert_int_equal(apply(&o, "volume", "/a:/b:ro"), 0);
    assert_int_equal(apply(&o, "volume", "/a:/b:overlay"), 0);
    assert_string_equal(o.volumes[0].source, "./a");
    assert_string_equal(o.volumes[0].target, "/c");
    assert_int_equal(o.volumes[0].mode, RUN_VOLUME_RW);
    assert_int_equal(o.volumes[1].mode, RUN_VOLUME_RO);
    assert_int_equal(o.volumes[2].mode, RUN_VOLUME_OVERLAY);
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
        assert_int_equal(apply(&o, "volume", wrong[i]), -EINVAL);
    assert_int_equal(o.n_volumes, 3);
    run_options_clear(&o);
}

static void numbers_and_names_are_strict(void **state)
{
    static const char *const wrong[][2] = {
        {"memory", "12q"},      {"memory", "-1"},
        {"publish", "80"},      {"publish", "0:80"},
        {"publish", "1:65536"}, {"cpus", "0"},
        {"cpus", "1x"},         {"cpuset-cpus", ""},
        {"ulimit", "nofile"},   {"ulimit", "files=1"},
        {"ulimit", "core=2:1"}, {"cap-drop", "root"},
        {"network", "host"},    {"tmpfs", "tmp"},
        {"tmpfs", "/t:mode=9"}, {"security-opt", "seccomp="},
        {"pids-limit", "many"}, {"disk-by", "luck"},
        {"copy-in", "/a:b"},    {"copy-out", "a:/b"},
        {"copy-out", "/a:"},    {"copy-in", "a:/b:c"},
        {"copy-in", "/a"},
    };
    struct run_options o;

    (void)state;
    assert_int_equal(run_options_init(&o), 0);
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
        if (apply(&o, wrong[i][0], wrong[i][1]) != -EINVAL)
            fail_msg("--%s %s was taken", wrong[i][0], wrong[i][1]);
    assert_int_equal(apply(&o, "memory", "64mb"), 0);
    assert_true(o.memory_bytes == 64 << 20);
    assert_int_equal(apply(&o, "cpus", "0.5"), 0);
    assert_true(o.cpu_share == 500);
    assert_int_equal(apply(&o, "publish", "8080:80/tcp"), 0);
    assert_int_equal(o.ports[0].host, 8080);
    assert_int_equal(apply(&o, "cap-drop", "CAP_NET_RAW"), 0);
    assert_true(o.dropped_capabilities == 1U << 13);
    assert_int_equal(apply(&o, "ulimit", "nofile=64:unlimited"), 0);
    assert_true(o.rlimits[0].soft == 64 && o.rlimits[0].hard == UINT64_MAX);
    assert_int_equal(apply(&o, "copy-in", "dir/.:/x/"), 0);
    assert_true(o.copies[0].content && !o.copies[0].out);
    assert_string_equal(o.copies[0].inside, "/x");
    assert_int_equal(apply(&o, "disk-by", "image"), 0);
    assert_int_equal(o.disk_by, LAUNCHER_DISK_IMAGE);
    assert_int_equal(apply(&o, "pids-limit", "-1"), 0);
    assert_true(o.pids == 0);
    run_options_clear(&o);
}

/* Takes LINE, words with a blank between, as main() would. Returns how many were options. */
static int take(struct run_options *o, char *line)
{
    struct option table[RUN_LONG_OPTIONS];
    char name[] = "run", *words[WORDS_MAX + 1] = {name};
    int n = 1, option;

    table[run_options_long(table)] = (struct option){NULL};
    for (char *word = strtok(line, " "); word && n < WORDS_MAX; word = strtok(NULL, " "))
        words[n++] = word;
    words[n] = NULL;
    optind = 0; /* glibc: from the beginning, whatever was parsed before */
    assert_int_equal(run_options_init(o), 0);
    while ((option = getopt_long(n, words, "+" RUN_SHORT_OPTIONS, table, NULL)) >= 0)
        assert_int_equal(run_options_apply(o, option, optarg, NULL), 0);
    return optind - 1;
}

static void the_short_and_the_long_forms_mean_the_same(void **state)
{
    char lines[][120] = {
        "-e A=b -v /a:/b:ro -w /w -u 1:2 -p 80:90 -m 1m -it image -e",
        "--env A=b --volume /a:/b:ro --workdir /w --user 1:2 --publish 80:90 --memory 1m -i -t "
        "image",
        "--env=A=b --volume=/a:/b:ro --workdir=/w --user=1:2 --publish=80:90 --memory=1m "
        "--interactive --tty image",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        struct run_options o;
        take(&o, lines[i]);
        assert_string_equal(o.env[0], "A=b");
        assert_int_equal(strv_length(o.env), 1);
        assert_string_equal(o.volumes[0].target, "/b");
        assert_string_equal(o.working_dir, "/w");
        assert_string_equal(o.user, "1:2");
        assert_true(o.n_ports == 1 && o.ports[0].host == 80 && o.ports[0].container == 90);
        assert_true(o.memory_bytes == 1 << 20 && o.interactive && o.terminal);
        run_options_clear(&o);
    }
}

static void more_than_a_bound_is_refused(void **state)
{
    static const struct {
        const char *name, *value;
        size_t max;
    } cases[] = {
        {"volume", "/a:/b", RUN_VOLUMES_MAX}, {"tmpfs", "/t", RUN_TMPFS_MAX},
        {"copy-in", "/a:/b", RUN_COPIES_MAX}, {"copy-out", "/a:/b", RUN_COPIES_MAX},
        {"publish", "1:1", RUN_PORTS_MAX},    {"ulimit", "core=0", SANDBOX_RLIMITS_MAX},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct run_options o;
        assert_int_equal(run_options_init(&o), 0);
        for (size_t n = 0; n < cases[i].max; n++)
            assert_int_equal(apply(&o, cases[i].name, cases[i].value), 0);
        assert_int_equal(apply(&o, cases[i].name, cases[i].value), -EINVAL);
        run_options_clear(&o);
    }
}

static void names_are_the_kernels(void **state)
{
    static const struct {
        const char *name;
        int number;
    } limits[] = {
        {"as", RLIMIT_AS},
        {"core", RLIMIT_CORE},
        {"cpu", RLIMIT_CPU},
        {"data", RLIMIT_DATA},
        {"fsize", RLIMIT_FSIZE},
        {"locks", RLIMIT_LOCKS},
        {"memlock", RLIMIT_MEMLOCK},
        {"msgqueue", RLIMIT_MSGQUEUE},
        {"nice", RLIMIT_NICE},
        {"nofile", RLIMIT_NOFILE},
        {"nproc", RLIMIT_NPROC},
        {"rss", RLIMIT_RSS},
        {"rtprio", RLIMIT_RTPRIO},
        {"rttime", RLIMIT_RTTIME},
        {"stack", RLIMIT_STACK},
        {"files", -1},
        {"sigpending", RLIMIT_SIGPENDING},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(limits); i++)
        assert_int_equal(rlimit_by_name(limits[i].name), limits[i].number);
    assert_int_equal(capability_by_name("chown"), 0);
    assert_int_equal(capability_by_name("SYS_ADMIN"), 21);
    assert_int_equal(capability_by_name("checkpoint_restore"), 40);
    assert_int_equal(capability_by_name("root"), -1);
}

/* ---- which command ---- */

/* LINE: the words that are run, with a blank between; COMMAND may be NULL. */
static void assert_command(const char *entrypoint, char *command, const char *line)
{
    char entry[] = "image-entry", first[] = "a", second[] = "b";
    char *own[] = {entry, first, NULL}, *cmd[] = {second, NULL}, *words[] = {command, NULL};
    struct image image = {.entrypoint = own, .cmd = cmd};
    struct run_options o = {.entrypoint = (char *)(uintptr_t)entrypoint}; /* only read */
    const struct run_plan plan = {.options = &o, .image = &image};
    struct sandbox_spec spec = {0};
    _cleanup_free_ char *found = NULL;

    assert_int_equal(run_plan_set_command(&plan, words, &spec, NULL), 0);
    found = bench_quote(spec.argv);
    assert_string_equal(found, line);
    strv_free(spec.argv);
}

static void a_command_replaces_the_images_arguments_and_an_entry_point_both(void **state)
{
    char entry[] = "e", nothing[] = "", command[] = "c";

    (void)state;
    assert_command(NULL, NULL, "image-entry a b");
    assert_command(NULL, command, "image-entry a c");
    assert_command(entry, NULL, "e");
    assert_command(entry, command, "e c");
    assert_command(nothing, command, "c");
}

static void without_any_command_there_is_an_error(void **state)
{
    char *none[] = {NULL};
    struct image image = {0};
    struct run_options o = {0};
    const struct run_plan plan = {.options = &o, .image = &image};
    struct sandbox_spec spec = {0};

    (void)state;
    assert_int_equal(run_plan_set_command(&plan, none, &spec, NULL), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_have_units_and_fractions),
        cmocka_unit_test(volumes_are_taken_apart_and_wrong_ones_refused),
        cmocka_unit_test(numbers_and_names_are_strict),
        cmocka_unit_test(the_short_and_the_long_forms_mean_the_same),
        cmocka_unit_test(more_than_a_bound_is_refused),
        cmocka_unit_test(names_are_the_kernels),
        cmocka_unit_test(a_command_replaces_the_images_arguments_and_an_entry_point_both),
        cmocka_unit_test(without_any_command_there_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
