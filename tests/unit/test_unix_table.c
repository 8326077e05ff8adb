/* links: runtime */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "connect.h"

#define HEAD "Num       RefCount Protocol Flags    Type St Inode Path\n"
#define LINE(state, path)                                                                          \
    "00000000affebd1: 00000003 00000000 00000000 0001 " state " 1097166" path "\n"

static void a_connection_is_found_by_the_file_name(void **state)
{
    (void)state;
    assert_true(unix_table_has(HEAD LINE("03", " /sockets/a.sock"), "a.sock"));
    assert_true(unix_table_has(HEAD LINE("02", " /sockets/a.sock"), "a.sock"));
    assert_true(unix_table_has(HEAD LINE("03", "") LINE("03", " a.sock"), "a.sock"));
    assert_true(
        unix_table_has(HEAD LINE("03", "") LINE("03", " /x") LINE("03", " ./a.sock"), "a.sock"));
    assert_true(unix_table_has(HEAD "000001: 0003 0 0 0001 03 1 /sockets/a.sock", "a.sock"));
}

static void listeners_and_other_names_are_not_connections_to_it(void **state)
{
    (void)state;
    assert_false(unix_table_has("", "a.sock"));
    assert_false(unix_table_has(HEAD, "a.sock"));
    assert_false(unix_table_has(HEAD LINE("01", " /sockets/a.sock"), "a.sock"));
    assert_false(unix_table_has(HEAD LINE("03", ""), "a.sock"));
    assert_false(unix_table_has(HEAD LINE("03", " /sockets/aa.sock"), "a.sock"));
    assert_false(unix_table_has(HEAD LINE("03", " /a.sock/b"), "a.sock"));
    assert_false(unix_table_has(HEAD LINE("03", " sock"), "a.sock"));
    /* A name as long as the line before it may not be found across the two. */
    assert_false(unix_table_has(HEAD LINE("03", " /x") "a.sock\n", "a.sock"));
}

static void a_table_cut_anywhere_is_no_harm(void **state)
{
    static const char whole[] = HEAD LINE("03", " /sockets/b.sock") LINE("03", " /sockets/a.sock");
    char cut[sizeof(whole)];

    (void)state;
    for (size_t n = 0; n < sizeof(whole) - 1; n++) {
        snprintf(cut, sizeof(cut), "%.*s", (int)n, whole);
        if (n < sizeof(whole) - 2)
            assert_false(unix_table_has(cut, "a.sock"));
    }
    assert_true(unix_table_has(whole, "a.sock"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_is_found_by_the_file_name),
        cmocka_unit_test(listeners_and_other_names_are_not_connections_to_it),
        cmocka_unit_test(a_table_cut_anywhere_is_no_harm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
