/* links: runtime */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cgroup_internal.h"

#include "base/text.h"

#include <string.h>

/* /proc/self/cgroup of a hybrid host, of systemd's kind and with a manager of its own. */
static const char hybrid_self[] = "12:cpuset:/\n"
                                  "9:name=systemd:/system.slice/dockless.service\n"
                                  "8:pids:/system.slice/dockless.service\n"
                                  "4:memory:/manager/9272e4b5\n"
                                  "2:cpu,cpuacct:/system.slice\n"
                                  "0::/system.slice/dockless.service\n";
static const char unified_self[] = "0::/user.slice/user-0.slice/session-1.scope\n";

static const char hybrid_mounts[] =
    "22 27 0:21 / /proc rw,relatime - proc proc rw\n"
    "31 23 0:28 / /sys/fs/cgroup ro,nosuid shared:9 - tmpfs tmpfs ro,mode=755\n"
    "33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:11 master:2 - cgroup cgroup "
    "rw,cpu,cpuacct\n"
    "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
    "36 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd\n"
    "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate\n"
    "42 27 0:39 / /a\\040b\\134c rw - cgroup2 cgroup2 rw\n";

/* The first line for CONTROLLER, or "-". */
static const char *self(const char *text, const char *controller)
{
    static char buffer[256];
    _cleanup_free_ char *path = NULL;
    int r = cgroup_parse_self(text, controller, &path);

    assert_true(r == 0 || r == -ENOENT);
    snprintf(buffer, sizeof(buffer), "%s", r == 0 ? path : "-");
    return buffer;
}

/* All candidates, joined by spaces. */
static const char *mounts(const char *text, const char *controller, const char *path)
{
    static char buffer[512];
    _cleanup_strv_ char **list = NULL;

    assert_int_equal(cgroup_parse_mounts(text, controller, path, &list), 0);
    buffer[0] = 0;
    for (char **p = list; p && *p; p++)
        snprintf(buffer + strlen(buffer), sizeof(buffer) - strlen(buffer), "%s%s",
                 p == list ? "" : " ", *p);
    return buffer;
}

static void own_cgroup_is_found_by_controller(void **state)
{
    (void)state;
    assert_string_equal(self(hybrid_self, "memory"), "/manager/9272e4b5");
    assert_string_equal(self(hybrid_self, "pids"), "/system.slice/dockless.service");
    assert_string_equal(self(hybrid_self, "cpuacct"), "/system.slice");
    assert_string_equal(self(hybrid_self, ""), "/system.slice/dockless.service");
    assert_string_equal(self(hybrid_self, "cpu"), "/system.slice");
    assert_string_equal(self(unified_self, ""), "/user.slice/user-0.slice/session-1.scope");
    assert_string_equal(self(unified_self, "memory"), "-");
    assert_string_equal(self("4:memory:/\n", ""), "-");
    assert_string_equal(self(hybrid_self, "systemd"), "-");
    assert_string_equal(self(hybrid_self, "mem"), "-");
}

static void own_cgroup_may_have_a_colon_in_its_name(void **state)
{
    (void)state;
    assert_string_equal(self("4:memory:/a:b,c\n0::/x:y\n", "memory"), "/a:b,c");
    assert_string_equal(self("4:memory:/a:b,c\n0::/x:y\n", ""), "/x:y");
}

static void malformed_lines_are_passed_over(void **state)
{
    (void)state;
    assert_string_equal(self("", ""), "-");
    assert_string_equal(self("0:\n:\n0::\n0::relative\n\n", ""), "-");
    assert_string_equal(self("junk\n0::/x", ""), "/x");
    assert_string_equal(mounts("1 2 0:1 / /m rw -\n1 2 0:1 / /m\n\n1 2\n", "", "/"), "");
    assert_string_equal(mounts("1 2 0:1 / /m rw - cgroup2\n", "", "/"), "");
    assert_string_equal(mounts("1 2 0:1 / /m rw - cgroup none\n", "memory", "/"), "");
}

static void mount_points_are_taken_as_the_kernel_names_them(void **state)
{
    (void)state;
    assert_string_equal(mounts(hybrid_mounts, "memory", "/manager/9272e4b5"),
                        "/sys/fs/cgroup/memory/manager/9272e4b5");
    assert_string_equal(mounts(hybrid_mounts, "cpuacct", "/"), "/sys/fs/cgroup/cpu,cpuacct");
    assert_string_equal(mounts(hybrid_mounts, "", "/x"), "/sys/fs/cgroup/unified/x /a b\\c/x");
    assert_string_equal(mounts(hybrid_mounts, "pids", "/"), "");
    assert_string_equal(mounts(hybrid_mounts, "nsdelegate", "/"), "");
}

static void a_bound_part_of_the_tree_is_seen_from_its_root(void **state)
{
    static const char docker[] =
        "9 8 0:38 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n"
        "10 8 0:38 /docker/abcd /other rw - cgroup2 cgroup rw\n"
        "11 8 0:32 /docker /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n";

    (void)state;
    assert_string_equal(mounts(docker, "", "/docker/abc"), "/sys/fs/cgroup");
    assert_string_equal(mounts(docker, "", "/docker/abc/leaf"), "/sys/fs/cgroup/leaf");
    assert_string_equal(mounts(docker, "", "/docker/abcd"), "/other");
    assert_string_equal(mounts(docker, "memory", "/docker/abc"), "/sys/fs/cgroup/memory/abc");
    assert_string_equal(mounts(docker, "", "/docker"), "");
    assert_string_equal(mounts(docker, "", "/"), "");
}

static void a_cgroup_outside_the_namespace_is_not_below_a_mount(void **state)
{
    static const char outside[] = "9 8 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n"
                                  "10 8 0:38 /.. /up rw - cgroup2 cgroup rw\n";

    (void)state;
    assert_string_equal(mounts(outside, "", "/.."), "/up");
    assert_string_equal(mounts(outside, "", "/../sibling"), "/up/sibling");
    assert_string_equal(mounts(outside, "", "/../../cousin"), "");
    assert_string_equal(mounts(outside, "", "/..x"), "/sys/fs/cgroup/..x");
}

static void flat_keyed_files_are_read_by_whole_keys(void **state)
{
    static const char events[] = "low 0\noom 3\noom_kill 4\nbig 18446744073709551615\nbad -1\n";
    uint64_t value = 7;

    (void)state;
    assert_int_equal(cgroup_parse_key(events, "oom", &value), 0);
    assert_int_equal(value, 3);
    assert_int_equal(cgroup_parse_key(events, "oom_kill", &value), 0);
    assert_int_equal(value, 4);
    assert_int_equal(cgroup_parse_key(events, "big", &value), 0);
    assert_true(value == UINT64_MAX);
    value = 7;
    assert_int_equal(cgroup_parse_key(events, "kill", &value), -ENOENT);
    assert_int_equal(cgroup_parse_key(events, "bad", &value), -EINVAL);
    assert_int_equal(cgroup_parse_key("oom 99999999999999999999999999\n", "oom", &value), -EINVAL);
    assert_int_equal(cgroup_parse_key("oom", "oom", &value), -ENOENT);
    assert_int_equal(value, 7);
}

static void single_values_are_numbers_and_nothing_else(void **state)
{
    uint64_t value = 7;

    (void)state;
    assert_int_equal(cgroup_parse_value("29999104\n", &value), 0);
    assert_int_equal(value, 29999104);
    assert_int_equal(cgroup_parse_value("max\n", &value), -EINVAL);
    assert_int_equal(cgroup_parse_value("\n", &value), -EINVAL);
    assert_int_equal(value, 29999104);
}

static void words_are_matched_whole(void **state)
{
    (void)state;
    assert_true(cgroup_has_word("cpuset cpu io memory pids\n", "pids"));
    assert_true(cgroup_has_word("cpuset cpu io memory pids\n", "cpu"));
    assert_false(cgroup_has_word("cpuset io hugetlb\n", "cpu"));
    assert_false(cgroup_has_word("\n", "cpu"));
    assert_false(cgroup_has_word("", "cpu"));
}

static void disks_are_added_up_without_the_loops(void **state)
{
    (void)state;
    assert_int_equal(cgroup_sum_of_disks("254:0 rbytes=100 wbytes=7 rios=1\n"
                                         "7:0 rbytes=50 wbytes=50 rios=2\n"
                                         "8:16 rbytes=20 wbytes=1 rios=9\n",
                                         "rbytes="),
                     120);
    assert_int_equal(
        cgroup_sum_of_disks("8:0 Read 4096\n8:0 Write 12\n8:16 Read 1\nTotal 9\n", " Read "), 4097);
    assert_int_equal(cgroup_sum_of_disks("", "rbytes="), 0);
}

static void pressure_is_read_by_the_words_of_its_lines(void **state)
{
    struct sandbox_pressure p = {SANDBOX_ABSENT, SANDBOX_ABSENT};

    (void)state;
    assert_int_equal(cgroup_parse_pressure("", &p), -ENOENT);
    assert_int_equal(
        cgroup_parse_pressure("some avg10=0.00 avg60=1.00 avg300=0.10 total=123\n", &p), 0);
    assert_int_equal(p.some_usec, 123);
    assert_true(p.full_usec == SANDBOX_ABSENT);
    assert_int_equal(
        cgroup_parse_pressure("some avg10=0.00 total=5\nfull avg10=0.00 total=4\n", &p), 0);
    assert_int_equal(p.some_usec, 5);
    assert_int_equal(p.full_usec, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(own_cgroup_is_found_by_controller),
        cmocka_unit_test(own_cgroup_may_have_a_colon_in_its_name),
        cmocka_unit_test(malformed_lines_are_passed_over),
        cmocka_unit_test(mount_points_are_taken_as_the_kernel_names_them),
        cmocka_unit_test(a_bound_part_of_the_tree_is_seen_from_its_root),
        cmocka_unit_test(a_cgroup_outside_the_namespace_is_not_below_a_mount),
        cmocka_unit_test(flat_keyed_files_are_read_by_whole_keys),
        cmocka_unit_test(single_values_are_numbers_and_nothing_else),
        cmocka_unit_test(words_are_matched_whole),
        cmocka_unit_test(disks_are_added_up_without_the_loops),
        cmocka_unit_test(pressure_is_read_by_the_words_of_its_lines),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
