/* links: runtime */
/* The process that removes what sandboxes leave, on its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/fdio.h"
#include "janitor.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
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

/* What programs leave may take it long (millions of files): whoever hands over more meanwhile keeps
 * the time of running sandboxes, and must not do the work himself. */
static void a_busy_janitor_holds_nobody_up(void **state)
{
    const char *base = getenv("TMPDIR");
    char directory[256], name[32];
    struct janitor *j = NULL;
    _cleanup_close_ int dir = -EBADF, null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    pid_t pid;

    (void)state;
    snprintf(directory, sizeof(directory), "%s/dockless-rt-XXXXXX", base ? base : "/tmp");
    assert_non_null(mkdtemp(directory));
    dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; i < LEFTOVERS; i++) {
        snprintf(name, sizeof(name), "s%d", i);
        assert_int_equal(mkdirat(dir, name, 0700), 0);
    }
    assert_int_equal(janitor_open(dir, null, &j, NULL), 0);
    assert_int_equal(janitor_start(j, NULL), 0);
    pid = find_child();
    assert_true(pid > 0);
    assert_int_equal(kill(pid, SIGSTOP), 0);
    for (int i = 0; i < LEFTOVERS; i++) {
        snprintf(name, sizeof(name), "s%d", i);
        janitor_remove(j, name);
    }
    assert_int_equal(count(dir), LEFTOVERS);
    assert_int_equal(kill(pid, SIGCONT), 0);
    for (int i = 0; i < 6000 && count(dir) > 0; i++) {
        janitor_close_fds(j, NULL, 0); /* as with every start: what waits goes on */
        usleep(10000);
    }
    assert_int_equal(count(dir), 0);
    janitor_close(j);
    assert_int_equal(rmdir(directory), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_busy_janitor_holds_nobody_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
