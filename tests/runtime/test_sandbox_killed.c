/* links: runtime */
/* The launcher is killed: what it ran is gone, and the next start sweeps what it left. */
#include "sandbox_harness.h"

#include "base/fdio.h"
#include "spare.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* A launcher of its own with a sandbox that ignores signals and the death of its parent, and with a
 * first process made ahead. Writes the host's ids of the two to FD, then runs its loop. */
static _Noreturn void launcher(int fd)
{
    struct run r;
    pid_t pids[2];

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    H.spares = 1;
    if (loop_new(&H.event) < 0 || harness_open_host() < 0)
        _exit(1);
    run_init(&r, "");
    run_set_argv(&r, (const char *const[]){"payload", "stubborn", NULL});
    run_start(&r);
    run_until(&r, "stubborn 0");
    pids[0] = run_host_pid(&r);
    while (spares_count(H.host->spares) == 0)
        if (loop_run(H.event, 10000) < 0)
            _exit(1);
    pids[1] = newest_first_process();
    if (pids[0] == pids[1] || write(fd, pids, sizeof(pids)) != sizeof(pids))
        _exit(1);
    loop_serve(H.event);
    _exit(1);
}

static void a_killed_launcher_leaves_no_process_and_the_next_start_sweeps(void **state)
{
    pid_t child, pids[2];
    int pair[2];

    (void)state;
    for (int round = 0; round < 3; round++) {
        struct pollfd gone[2];
        assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
        child = fork();
        assert_true(child >= 0);
        if (child == 0)
            launcher(pair[1]);
        safe_close(pair[1]);
        assert_int_equal(fd_read_full(pair[0], pids, sizeof(pids)), sizeof(pids));
        safe_close(pair[0]);
        for (size_t i = 0; i < ARRAY_SIZE(gone); i++) {
            gone[i] = (struct pollfd){(int)syscall(SYS_pidfd_open, pids[i], 0), POLLIN, 0};
            assert_true(gone[i].fd >= 0);
        }
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, NULL, 0), child);
        for (size_t i = 0; i < ARRAY_SIZE(gone); i++) {
            assert_int_equal(poll(&gone[i], 1, (int)(scaled_usec(5000000) / 1000)), 1);
            safe_close(gone[i].fd);
        }
        /* One instance: each start sweeps the one before. */
        assert_int_equal(count_entries(H.base_fd, "scratch"), 1);
    }
    /* In a child, since the host takes its process's mount namespace. */
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (loop_new(&H.event) < 0 || harness_open_host() < 0)
            _exit(1);
        if (count_entries(H.base_fd, "scratch") != 1)
            _exit(2);
        host_close(H.host);
        _exit(count_entries(H.base_fd, "scratch"));
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static int setup(void **state)
{
    (void)state;
    if (geteuid() != 0)
        exit(77);
    signal(SIGPIPE, SIG_IGN);
    if (harness_make_tree() < 0)
        exit(77);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    harness_remove_tree();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_killed_launcher_leaves_no_process_and_the_next_start_sweeps),
    };

    return cmocka_run_group_tests_name("killed", tests, setup, teardown);
}
