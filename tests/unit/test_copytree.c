/* links: runtime */
/* The bounds of a copy out of a sandbox or into it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "copytree.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Where is copied from and to. */
struct world {
    char path[64];
    int proc, source, target;
};

static int make(int dir_fd, const char *name)
{
    int r = mkdirat(dir_fd, name, 0700);

    return r < 0 ? r : openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    _cleanup_close_ int dir = -EBADF;

    strcpy(w->path, "/tmp/dockless-copytree.XXXXXX");
    assert_non_null(mkdtemp(w->path));
    dir = open(w->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    w->proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    w->source = make(dir, "source");
    w->target = make(dir, "target");
    assert_true(w->proc >= 0 && w->source >= 0 && w->target >= 0);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    char command[128];

    safe_close(w->proc);
    safe_close(w->source);
    safe_close(w->target);
    snprintf(command, sizeof(command), "rm -r %s", w->path);
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c): a path of our own */
    free(w);
    return 0;
}

static void add_file(int dir_fd, const char *name, off_t size)
{
    _cleanup_close_ int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, size), 0);
}

static bool is_there(int dir_fd, const char *name)
{
    struct stat st;

    return fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static void entries_are_counted_at_every_level(void **state)
{
    struct world *w = *state;
    _cleanup_close_ int below = make(w->source, "below");
    struct error e = ERROR_INIT;

    add_file(w->source, "first", 1);
    add_file(below, "second", 1);
    assert_int_equal(copytree_place(w->proc, w->source, w->target, "two", 2, &e), -E2BIG);
    assert_non_null(strstr(e.text, "more than 2 entries"));
    assert_int_equal(copytree_place(w->proc, w->source, w->target, "three", 3, &e), 0);
    assert_true(is_there(w->target, "three/below/second") && is_there(w->target, "three/first"));
}

static void levels_are_bounded(void **state)
{
    struct world *w = *state;
    struct error e = ERROR_INIT;
    int fd = w->source;

    for (int level = 1; level <= COPYTREE_DEPTH_MAX; level++) {
        int next = make(fd, "d");
        assert_true(next >= 0);
        if (fd != w->source)
            safe_close(fd);
        fd = next;
    }
    assert_int_equal(copytree_place(w->proc, w->source, w->target, NULL, 1000, &e), 0);
    add_file(fd, "deeper", 0);
    safe_close(fd);
    assert_int_equal(copytree_place(w->proc, w->source, w->target, NULL, 1000, &e), -ELOOP);
    assert_non_null(strstr(e.text, "\"deeper\": nested deeper than 64"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(entries_are_counted_at_every_level, set_up, tear_down),
        cmocka_unit_test_setup_teardown(levels_are_bounded, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
