/* links: runtime */
/* The launcher is killed: what it ran is gone, and the next start sweeps what it left. */
#include "sandbox_harness.h"

#include "base/fdio.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* A launcher of its own with a sandbox that ignores signals and the death of its parent. Writes the
 * host's id of its first process to FD, then runs its loop. */
static _Noreturn void launcher(int fd)
{
    struct run r;
    pid_t pid;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (sd_event_new(&H.event) < 0 || harness_open_host() < 0)
        _exit(1);
    run_init(&r, "");
    run_set_argv(&r, (const char *const[]){"payload", "stubborn", NULL});
    run_start(&r);
    run_until(&r, "stubborn 0");
    pid = run_host_pid(&r);
    if (write(fd, &pid, sizeof(pid)) != sizeof(pid))
        _exit(1);
    sd_event_loop(H.event);
    _exit(1);
}

static void a_killed_launcher_leaves_no_process_and_the_next_start_sweeps(void **state)
{
    pid_t child, pid;
    int pair[2];

    (void)state;
    for (int round = 0; round < 3; round++) {
        _cleanup_close_ int pidfd = -EBADF;
        struct pollfd poll_fd;
        assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
        child = fork();
        assert_true(child >= 0);
        if (child == 0)
            launcher(pair[1]);
        safe_close(pair[1]);
        assert_int_equal(fd_read_full(pair[0], &pid, sizeof(pid)), sizeof(pid));
        safe_close(pair[0]);
        pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
        assert_true(pidfd >= 0);
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, NULL, 0), child);
        poll_fd = (struct pollfd){pidfd, POLLIN, 0};
        assert_int_equal(poll(&poll_fd, 1, (int)(scaled_usec(5000000) / 1000)), 1);
        /* One instance: each start sweeps the one before. */
        assert_int_equal(count_entries(H.base_fd, "scratch"), 1);
    }
    /* In a child, since the host takes its process's mount namespace. */
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (sd_event_new(&H.event) < 0 || harness_open_host() < 0)
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
