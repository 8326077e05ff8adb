/* links: base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fdio.h"
#include "base/log.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static void errors_grow_outwards(void **state)
{
    struct error e = ERROR_INIT;

    (void)state;
    assert_int_equal(error_sys(&e, -EACCES, "openat2"), -EACCES);
    error_prefix(&e, -EACCES, "entry \"%s\"", "etc/passwd");
    assert_string_equal(e.text, "entry \"etc/passwd\": openat2: Permission denied");
    assert_int_equal(e.code, -EACCES);
    assert_int_equal(error_set(NULL, -EINVAL, "nobody listens"), -EINVAL);
}

static void long_errors_are_cut_not_overflowed(void **state)
{
    struct error e = ERROR_INIT;
    char text[2 * ERROR_TEXT_MAX];

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = 0;
    error_sys(&e, -EIO, "%s", text);
    error_prefix(&e, -EIO, "%s", text);
    assert_int_equal(strlen(e.text), ERROR_TEXT_MAX - 1);
}

static void buffer_stops_at_its_bound(void **state)
{
    _cleanup_buffer_ struct buffer b = {.max = 10};

    (void)state;
    assert_int_equal(buffer_append(&b, "12345678", 8), 0);
    assert_int_equal(buffer_append(&b, "abc", 3), -EMSGSIZE);
    assert_int_equal(b.size, 8);
    buffer_consume(&b, 6);
    assert_memory_equal(b.data, "78", 2);
    assert_int_equal(buffer_append(&b, "abcdefgh", 8), 0);
    assert_int_equal(buffer_reserve(&b, SIZE_MAX), -EMSGSIZE);
}

static void numbers_are_parsed_strictly(void **state)
{
    static const char *const bad[] = {"", "-1", "+1", " 1", "1 ", "0x1", "1.0", "a"};
    uint64_t value = 7;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(text_parse_uint(bad[i], UINT64_MAX, &value), -EINVAL);
    assert_int_equal(text_parse_uint("18446744073709551616", UINT64_MAX, &value), -ERANGE);
    assert_int_equal(text_parse_uint("11", 10, &value), -ERANGE);
    assert_int_equal(value, 7);
    assert_int_equal(text_parse_uint("18446744073709551615", UINT64_MAX, &value), 0);
    assert_true(value == UINT64_MAX);
    assert_int_equal(text_parse_size("64M", UINT64_MAX, &value), 0);
    assert_int_equal(value, 64 << 20);
    assert_int_equal(text_parse_size("64MB", UINT64_MAX, &value), -EINVAL);
    assert_int_equal(text_parse_size("99999999999999999t", UINT64_MAX, &value), -ERANGE);
}

static void utf8_is_strict(void **state)
{
    static const char *const good[] = {
        "", "a", "\xc3\xa9", "\xe2\x82\xac", "\xed\x9f\xbf", "\xf4\x8f\xbf\xbf"};
    static const char *const bad[] = {"\x80",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xe0\x9f\xbf",
                                      "\xed\xa0\x80",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf4\x90\x80\x80",
                                      "\xff",
                                      "\xe2\x82",
                                      "a\xc3"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(good); i++)
        assert_true(text_is_utf8(good[i], strlen(good[i])));
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_false(text_is_utf8(bad[i], strlen(bad[i])));
}

static void utf8_is_strict_anywhere_in_long_text(void **state)
{
    char text[40];

    (void)state;
    memset(text, 'a', sizeof(text));
    assert_true(text_is_utf8(text, sizeof(text)));
    for (size_t i = 0; i < sizeof(text); i++) {
        text[i] = '\xff';
        assert_false(text_is_utf8(text, sizeof(text)));
        text[i] = '\xc3';
        assert_false(text_is_utf8(text, sizeof(text)));
        if (i + 1 < sizeof(text)) {
            text[i + 1] = '\xa9';
            assert_true(text_is_utf8(text, sizeof(text)));
            text[i + 1] = 'a';
        }
        text[i] = 'a';
    }
}

static void string_lists_grow_and_copy(void **state)
{
    _cleanup_strv_ char **list = NULL, **copy = NULL;

    (void)state;
    assert_int_equal(strv_length(list), 0);
    assert_int_equal(strv_append(&list, "one"), 0);
    assert_int_equal(strv_append(&list, "two"), 0);
    copy = strv_copy(list);
    assert_int_equal(strv_length(copy), 2);
    assert_string_equal(copy[1], "two");
}

static void paths_are_cleaned_lexically(void **state)
{
    static const char *const cases[][2] = {
        {"", "/"},         {"/", "/"},      {"//a//b/", "/a/b"}, {"a", "/a"}, {"/a/./b/.", "/a/b"},
        {"/a/../b", "/b"}, {"/../..", "/"}, {"/a/b/..", "/a"},   {"..", "/"}, {"/...", "/..."},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_free_ char *clean = text_clean_path(cases[i][0]);
        assert_string_equal(clean, cases[i][1]);
    }
}

static void trees_are_removed_without_following_links(void **state)
{
    char dir[] = "/tmp/dockless-test-XXXXXX";
    _cleanup_close_ int fd = -EBADF, kept = -EBADF;

    (void)state;
    assert_non_null(mkdtemp(dir));
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(mkdirat(fd, "keep", 0755), 0);
    kept = openat(fd, "keep/file", O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
    assert_true(kept >= 0);
    assert_int_equal(mkdirat(fd, "gone", 0755), 0);
    assert_int_equal(mkdirat(fd, "gone/deep", 0700), 0);
    assert_int_equal(symlinkat("../keep", fd, "gone/link"), 0);
    assert_int_equal(symlinkat("../../keep", fd, "gone/deep/link"), 0);
    assert_int_equal(fd_remove_tree(fd, "gone"), 0);
    assert_int_equal(faccessat(fd, "gone", F_OK, 0), -1);
    assert_int_equal(faccessat(fd, "keep/file", F_OK, 0), 0);
    assert_int_equal(fd_remove_tree(fd, "gone"), 0);
    assert_int_equal(fd_remove_tree(AT_FDCWD, dir), 0);
}

/* Deeper than any path may be long, and than this process may have files open. */
static void trees_of_any_depth_are_removed(void **state)
{
    char dir[] = "/tmp/dockless-test-XXXXXX";
    int fd;

    (void)state;
    assert_non_null(mkdtemp(dir));
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; i < 3000; i++) {
        int next;
        assert_int_equal(mkdirat(fd, "d", 0700), 0);
        assert_int_equal(mkdirat(fd, ".raised-0", 0700), 0);
        next = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(next >= 0);
        close(fd);
        fd = next;
    }
    close(fd);
    assert_int_equal(fd_remove_tree(AT_FDCWD, dir), 0);
    assert_int_equal(access(dir, F_OK), -1);
}

/* Nobody fills the disk through our log, and nobody hides an error in a flood. */
static void a_flood_of_lines_is_cut_and_hides_no_error(void **state)
{
    _cleanup_buffer_ struct buffer b = {0};
    FILE *file = tmpfile();
    int real = dup(STDERR_FILENO), lines = 0;
    uint64_t start = clock_monotonic_usec(), seconds;

    (void)state;
    assert_true(file && real >= 0);
    fflush(stderr);
    dup2(fileno(file), STDERR_FILENO);
    for (int i = 0; i < 5000; i++)
        log_warning("flood %d", i);
    log_error("the %s is gone", "launcher\n");
    dup2(real, STDERR_FILENO);
    close(real);
    seconds = (clock_monotonic_usec() - start) / USEC_PER_SEC + 2;
    rewind(file);
    assert_int_equal(fd_read_all(fileno(file), &b, 1 << 20), 0);
    fclose(file);
    for (const char *at = buffer_string(&b); (at = strstr(at, "flood")); at++)
        lines++;
    assert_in_range(lines, LOG_BURST, LOG_BURST * seconds);
    assert_non_null(strstr(buffer_string(&b), "dockless: the launcher? is gone\n"));
}

static void fds_travel_and_surplus_ones_are_closed(void **state)
{
    _cleanup_close_ int in = -EBADF, out = -EBADF;
    int pair[2], got[2];
    size_t n;
    char byte;

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    in = pair[0], out = pair[1];
    assert_int_equal(fd_send(in, "x", 1, (int[]){0, 1}, 2), 1);
    assert_int_equal(fd_receive(out, &byte, 1, got, 2, &n), 1);
    assert_int_equal(n, 2);
    assert_true(fcntl(got[0], F_GETFD) & FD_CLOEXEC);
    safe_close(got[0]);
    safe_close(got[1]);
    assert_int_equal(fd_send(in, "x", 1, (int[]){0, 1}, 2), 1);
    assert_int_equal(fd_receive(out, &byte, 1, got, 1, &n), -EMSGSIZE);
    assert_int_equal(fd_send(in, "xy", 2, NULL, 0), 2);
    assert_int_equal(fd_receive(out, &byte, 1, got, 0, &n), -EMSGSIZE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_grow_outwards),
        cmocka_unit_test(long_errors_are_cut_not_overflowed),
        cmocka_unit_test(buffer_stops_at_its_bound),
        cmocka_unit_test(numbers_are_parsed_strictly),
        cmocka_unit_test(utf8_is_strict),
        cmocka_unit_test(utf8_is_strict_anywhere_in_long_text),
        cmocka_unit_test(string_lists_grow_and_copy),
        cmocka_unit_test(paths_are_cleaned_lexically),
        cmocka_unit_test(trees_are_removed_without_following_links),
        cmocka_unit_test(trees_of_any_depth_are_removed),
        cmocka_unit_test(a_flood_of_lines_is_cut_and_hides_no_error),
        cmocka_unit_test(fds_travel_and_surplus_ones_are_closed),
    };

    if (getenv("TEST_ONLY"))
        cmocka_set_test_filter(getenv("TEST_ONLY"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
