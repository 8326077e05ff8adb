#include "init.h"

#include "base/fdio.h"
#include "base/sanitizer.h"
#include "capabilities.h"
#include "child.h"
#include "seccomp.h"
#include "weaken.h"

#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* The kernel's bound on argv and environment together is 6 MiB. */
#define COMMAND_LINE_MAX ((size_t)8 << 20)

void init_block_signals(void)
{
    sigset_t all;

    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
}

void init_unblock_signals(void)
{
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

int init_hide(void)
{
    static const char name[] = "init";
    _cleanup_buffer_ struct buffer line = {0};
    int r = fd_read_file(AT_FDCWD, "/proc/self/cmdline", &line, COMMAND_LINE_MAX);

    if (r < 0)
        return r;
    /* argv[0]; the others follow it without a gap. */
    memset(program_invocation_name, 0, line.size);
    if (line.size >= sizeof(name))
        memcpy(program_invocation_name, name, sizeof(name));
    return prctl(PR_SET_NAME, name, 0, 0, 0) < 0 ? -errno : 0;
}

#if defined(__x86_64__)
#define NATIVE_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE_ARCH AUDIT_ARCH_AARCH64
#endif

/* All that init_serve() does. Its one descriptor is the status pipe, and signals go no farther than
 * the sandbox. All signals are blocked, so no call is ever resumed and no handler returned from.
 * AddressSanitizer asks where the stack is before it is left for good. */
static const uint32_t allowed[] = {
    __NR_waitid,      __NR_rt_sigtimedwait, __NR_kill, __NR_write, __NR_exit_group,
#ifdef WITH_SANITIZER
    __NR_sigaltstack,
#endif
};

/* Anything else ends the process, and with it the sandbox. */
static int load_filter(void)
{
    enum { HEAD = 4, N = ARRAY_SIZE(allowed), TAIL = 2 };
    struct sock_filter filter[HEAD + N + TAIL] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NATIVE_ARCH, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        [HEAD + N] = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct seccomp_program program = {filter, ARRAY_SIZE(filter)};

    for (size_t i = 0; i < N; i++)
        filter[HEAD + i] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, allowed[i],
                                                        (uint8_t)(N - i), 0);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -errno;
    return weakened("init-filter") ? 0 : seccomp_load(&program);
}

int init_confine(void)
{
    const uint64_t mask = 1ULL << CAP_KILL; /* the program may be another user */
    int r = capabilities_bound(mask);

    if (r == 0)
        r = capabilities_set(mask);
    return r < 0 ? r : load_filter();
}

/* Collects whoever has ended; ends with PROGRAM. */
static void collect(pid_t program, int status_fd)
{
    for (;;) {
        siginfo_t info = {0};
        struct child_status status = {0};
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG) < 0 || info.si_pid == 0)
            return;
        if (info.si_pid != program)
            continue;
        status.wait_code = info.si_code;
        status.wait_status = info.si_status;
        (void)fd_write_full(status_fd, &status, sizeof(status));
        _exit(0);
    }
}

_Noreturn void init_serve(pid_t program, int status_fd)
{
    sigset_t all;
    int number;

    sigfillset(&all);
    for (;;) {
        collect(program, status_fd);
        if (sigwait(&all, &number) != 0)
            continue;
        /* A session of its own is no shell's job: the kernel would not stop it for SIGTSTP. */
        if (number != SIGCHLD)
            kill(-program, number == SIGTSTP ? SIGSTOP : number);
    }
}
