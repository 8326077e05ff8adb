/* links: run */
#include "run/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

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
        {"pids-limit", "many"}, {"copy-in", "/a:b"},
        {"copy-out", "a:/b"},   {"copy-out", "/a:"},
        {"copy-in", "a:/b:c"},  {"copy-in", "/a"},
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
    assert_int_equal(apply(&o, "pids-limit", "-1"), 0);
    assert_true(o.pids == 0);
    run_options_clear(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_have_units_and_fractions),
        cmocka_unit_test(volumes_are_taken_apart_and_wrong_ones_refused),
        cmocka_unit_test(numbers_and_names_are_strict),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
