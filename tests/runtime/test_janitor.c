/* links: runtime */
/* The process that removes what sandboxes leave, on its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "janitor.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

/* Far more than a socket holds. */
#define LEFTOVERS 1500

static int count(int dir_fd)
{
    DIR *dir = fdopendir(openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    int n = -2; /* "." and ".." */

    assert_non_null(dir);
    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

/* Our only child. */
static pid_t find_child(void)
{
    DIR *dir = opendir("/proc");
    struct dirent *entry;
    pid_t found = -1;

    assert_non_null(dir);
    while (found < 0 && (entry = readdir(dir))) {
        char path[300], text[512] = {0};
        const char *at;
        int parent, fd;
        snprintf(path, sizeof(path), "/proc/%s/stat", entry->d_name);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            continue;
        at = read(fd, text, sizeof(text) - 1) > 0 ? strrchr(text, ')') : NULL;
        if (at && sscanf(at, ") %*c %d", &parent) == 1 && parent == getpid())
            found = (pid_t)strtol(entry->d_name, NULL, 10);
        close(fd);
    }
    closedir(dir);
    return found;
}

struct fixture {
    char directory[256];
    struct janitor *janitor;
    struct loop *loop;
    pid_t pid; /* the janitor's */
    int dir, null;
};

/* A janitor that does nothing and has been handed far more than it can be told. */
static int set_up(void **state)
{
    const char *base = getenv("TMPDIR");
    struct fixture *f = calloc(1, sizeof(*f));
    char name[32];

    snprintf(f->directory, sizeof(f->directory), "%s/dockless-rt-XXXXXX", base ? base : "/tmp");
    assert_non_null(mkdtemp(f->directory));
    f->dir = open(f->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    f->null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    for (int i = 0; i < LEFTOVERS; i++) {
        snprintf(name, sizeof(name), "s%d", i);
        assert_int_equal(mkdirat(f->dir, name, 0700), 0);
    }
    assert_int_equal(loop_new(&f->loop), 0);
    assert_int_equal(janitor_open(f->dir, f->null, f->loop, &f->janitor, NULL), 0);
    assert_int_equal(janitor_start(f->janitor, NULL), 0);
    f->pid = find_child();
    assert_true(f->pid > 0);
    assert_int_equal(kill(f->pid, SIGSTOP), 0);
    for (int i = 0; i < LEFTOVERS; i++) {
        snprintf(name, sizeof(name), "s%d", i);
        janitor_remove(f->janitor, name);
    }
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    kill(f->pid, SIGCONT);
    if (f->janitor)
        janitor_close(f->janitor);
    loop_unref(f->loop);
    close(f->dir);
    close(f->null);
    rmdir(f->directory);
    free(f);
    return 0;
}

/* What programs leave may take it long (millions of files): whoever hands over more meanwhile keeps
 * the time of running sandboxes, and must not do the work himself. What waits goes on by itself. */
static void a_busy_janitor_holds_nobody_up(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(count(f->dir), LEFTOVERS);
    assert_int_equal(kill(f->pid, SIGCONT), 0);
    for (int i = 0; i < 6000 && count(f->dir) > 0; i++)
        assert_true(loop_run(f->loop, 10 * USEC_PER_MSEC) >= 0);
    assert_int_equal(count(f->dir), 0);
    /* Nothing waits any more, so there is nothing to be told. */
    assert_int_equal(loop_run(f->loop, 0), 0);
}

/* It gives way to jobs, but not for ever: a busy machine's disk would fill. */
static void a_janitor_gives_way_until_it_has_fallen_behind(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(getpriority(PRIO_PROCESS, (id_t)f->pid), 0);
    assert_int_equal(kill(f->pid, SIGCONT), 0);
    for (int i = 0; i < 6000 && count(f->dir) > 0; i++)
        assert_true(loop_run(f->loop, 10 * USEC_PER_MSEC) >= 0);
    assert_int_equal(count(f->dir), 0);
    assert_int_equal(getpriority(PRIO_PROCESS, (id_t)f->pid), 10);
}

static void at_the_end_nothing_is_left(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(kill(f->pid, SIGCONT), 0);
    janitor_close(TAKE_PTR(f->janitor));
    assert_int_equal(count(f->dir), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_busy_janitor_holds_nobody_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_janitor_gives_way_until_it_has_fallen_behind, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(at_the_end_nothing_is_left, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
