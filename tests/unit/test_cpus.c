/* links: runtime */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <runtime/cpus.h>

#include <string.h>

static void lists_come_out_as_they_went_in(void **state)
{
    static const char *const lists[] = {"0", "0-3", "0,2-4,63-65,1023", "1,3,5"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
        _cleanup_buffer_ struct buffer b = {0};
        struct cpus c;
        assert_int_equal(cpus_parse(lists[i], &c), 0);
        assert_int_equal(cpus_format(&c, &b), 0);
        assert_string_equal(buffer_string(&b), lists[i]);
    }
}

static void what_is_no_list_is_refused(void **state)
{
    static const char *const bad[] = {"", "a", "1-", "-1", "3-1", "1,", "1 2", "1\n\n", ",1"};
    struct cpus c;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(cpus_parse(bad[i], &c), -EINVAL);
    assert_int_equal(cpus_parse("1024", &c), -ERANGE);
    assert_int_equal(cpus_parse("0-99999999999999999999", &c), -ERANGE);
    assert_int_equal(cpus_parse("0-1\n", &c), 0);
    assert_int_equal(cpus_count(&c), 2);
}

/* Core I of the test's hosts has the CPUs 2I and 2I+1. */
static void make_cores(struct cpu_core *cores, size_t n, size_t per_node)
{
    memset(cores, 0, n * sizeof(*cores));
    for (size_t i = 0; i < n; i++) {
        cpus_add(&cores[i].cpus, (unsigned)(2 * i));
        cpus_add(&cores[i].cpus, (unsigned)(2 * i + 1));
        cores[i].node = (unsigned)(i / per_node);
    }
}

static void assert_list(const struct cpus *c, const char *expected)
{
    _cleanup_buffer_ struct buffer b = {0};

    assert_int_equal(cpus_format(c, &b), 0);
    assert_string_equal(buffer_string(&b), expected);
}

static void slots_get_whole_cores(void **state)
{
    struct cpu_core cores[4];
    struct cpus slots[4];

    (void)state;
    make_cores(cores, 4, 4);
    assert_int_equal(cpus_divide(cores, 4, 4, slots), 0);
    assert_list(&slots[0], "0-1");
    assert_list(&slots[3], "6-7");
    assert_int_equal(cpus_divide(cores, 4, 2, slots), 0);
    assert_list(&slots[1], "4-7");
    /* All get the same, however many are left over. */
    assert_int_equal(cpus_divide(cores, 4, 3, slots), 0);
    assert_list(&slots[2], "4-5");
}

static void no_slot_has_cores_of_two_nodes(void **state)
{
    struct cpu_core cores[6];
    struct cpus slots[6];

    (void)state;
    make_cores(cores, 6, 3);
    /* Three slots of two cores would need one that straddles: each gets one core then. */
    assert_int_equal(cpus_divide(cores, 6, 3, slots), 0);
    assert_list(&slots[0], "0-1");
    assert_list(&slots[2], "4-5");
    assert_int_equal(cpus_divide(cores, 6, 2, slots), 0);
    assert_list(&slots[0], "0-5");
    assert_list(&slots[1], "6-11");
}

static void more_slots_than_cores_cannot_be(void **state)
{
    struct cpu_core cores[2];
    struct cpus slots[3];

    (void)state;
    make_cores(cores, 2, 2);
    assert_int_equal(cpus_divide(cores, 2, 3, slots), -E2BIG);
    assert_int_equal(cpus_divide(cores, 0, 1, slots), -E2BIG);
}

static void this_hosts_cores_are_found(void **state)
{
    struct cpu_core *cores = NULL;
    struct cpus nodes;
    struct error e = ERROR_INIT;
    unsigned threads = 0;
    size_t n = 0;

    (void)state;
    if (cpus_find_cores(&cores, &n, &e) < 0)
        fail_msg("%s", e.text);
    assert_true(n > 0);
    for (size_t i = 0; i < n; i++) {
        threads += cpus_count(&cores[i].cpus);
        assert_int_equal(cpus_nodes(&cores[i].cpus, &nodes, &e), 0);
        assert_true(cpus_empty(&nodes) || cpus_has(&nodes, cores[i].node));
    }
    assert_true(threads >= n);
    free(cores);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_come_out_as_they_went_in),
        cmocka_unit_test(what_is_no_list_is_refused),
        cmocka_unit_test(slots_get_whole_cores),
        cmocka_unit_test(no_slot_has_cores_of_two_nodes),
        cmocka_unit_test(more_slots_than_cores_cannot_be),
        cmocka_unit_test(this_hosts_cores_are_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
