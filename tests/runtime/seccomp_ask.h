/* Asks the kernel what a filter answers to system calls, without making any.
 *
 * Below the filter lies one that answers every call with an errno of its own (MARK). The kernel
 * takes the strictest action of all filters, and among equal ones that of the newest, so a call
 * that ours allows ends as MARK, one that ours refuses as what ours says. Only calls whose sixth
 * argument is PASS get through: those with which the child reports. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/fdio.h"
#include "seccomp.h"

#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define MARK 4000
#define PASS 0x7a55

static inline int load_marker(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[5])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PASS, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | MARK),
    };
    const struct seccomp_program marker = {code, ARRAY_SIZE(code)};

    return seccomp_load(&marker);
}

struct call {
    long number;
    unsigned long arguments[3];
};

/* Makes the N calls in a child below both filters; ANSWERS gets their errnos. The filter is loaded
 * below no_new_privs, so this needs no privilege. */
static inline void seccomp_ask(const struct seccomp_program *ours, const struct call *calls,
                               size_t n, int *answers)
{
    int pipe_fds[2], status;
    pid_t pid;

    assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        /* The marker would refuse loading ours: it is told to let that call pass by loading ours
         * with the magic argument, too. */
        struct sock_fprog program = {ours->length, ours->filter};
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || load_marker() < 0 ||
            syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program, 0, 0, PASS) < 0)
            _exit(1);
        for (size_t i = 0; i < n; i++) {
            long r = syscall(calls[i].number, calls[i].arguments[0], calls[i].arguments[1],
                             calls[i].arguments[2], 0, 0, 0);
            int answer = r < 0 ? errno : 0;
            syscall(SYS_write, pipe_fds[1], &answer, sizeof(answer), 0, 0, PASS);
        }
        for (;;)
            syscall(SYS_exit_group, 0, 0, 0, 0, 0, PASS);
    }
    close(pipe_fds[1]);
    assert_int_equal(fd_read_full(pipe_fds[0], answers, n * sizeof(int)), n * sizeof(int));
    close(pipe_fds[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}
