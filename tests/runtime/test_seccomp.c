/* links: runtime */
/* The default filter, asked by the kernel itself about every system call: seccomp_ask.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/fdio.h"
#include "capabilities.h"

#include <asm/ioctls.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "seccomp_ask.h"

/* <seccomp.h> of libseccomp has the name of our own header and a function of the same name. */
char *seccomp_syscall_resolve_num_arch(uint32_t arch, int number);

#define NEWEST 466 /* removexattrat */
#define BEYOND 50

/* What Docker refuses to a container with its default capabilities: a list of its own, written from
 * the profile's other end. */
static const char *const refused[] = {
    "_sysctl",
    "acct",
    "add_key",
    "afs_syscall",
    "bpf",
    "clock_settime",
    "create_module",
    "delete_module",
    "fanotify_init",
    "finit_module",
    "fsconfig",
    "fsmount",
    "fsopen",
    "fspick",
    "get_kernel_syms",
    "get_mempolicy",
    "getpmsg",
    "init_module",
    "io_uring_enter",
    "io_uring_register",
    "io_uring_setup",
    "ioperm",
    "iopl",
    "kcmp",
    "kexec_file_load",
    "kexec_load",
    "keyctl",
    "lookup_dcookie",
    "mbind",
    "migrate_pages",
    "mount",
    "mount_setattr",
    "move_mount",
    "move_pages",
    "nfsservctl",
    "open_by_handle_at",
    "open_tree",
    "perf_event_open",
    "pidfd_getfd",
    "pivot_root",
    "process_madvise",
    "putpmsg",
    "query_module",
    "quotactl",
    "quotactl_fd",
    "reboot",
    "request_key",
    "security",
    "set_mempolicy",
    "set_mempolicy_home_node",
    "setdomainname",
    "sethostname",
    "setns",
    "settimeofday",
    "swapoff",
    "swapon",
    "sysfs",
    "syslog",
    "tuxcall",
    "umount2",
    "unshare",
    "uselib",
    "userfaultfd",
    "ustat",
    "vhangup",
    "vserver",
};

/* Calls newer than the libseccomp of Debian 12, with what is expected of them. */
static const struct {
    int number, expected;
} newer[] = {
    {450, EPERM}, /* set_mempolicy_home_node */
    {451, MARK},  /* cachestat */
    {452, MARK},  /* fchmodat2 */
    {453, MARK},  /* map_shadow_stack */
    {454, MARK},  /* futex_wake */
    {455, MARK},  /* futex_wait */
    {456, MARK},  /* futex_requeue */
    {457, MARK},  /* statmount */
    {458, MARK},  /* listmount */
    {459, EPERM}, /* lsm_get_self_attr */
    {460, EPERM}, /* lsm_set_self_attr */
    {461, EPERM}, /* lsm_list_modules */
    {462, MARK},  /* mseal */
    {463, MARK},  /* setxattrat */
    {464, MARK},  /* getxattrat */
    {465, MARK},  /* listxattrat */
    {466, MARK},  /* removexattrat */
};

/* What a call with all arguments 0 is expected to end with. */
static int expected(int number)
{
#if defined(__x86_64__)
    const uint32_t arch = AUDIT_ARCH_X86_64;
#else
    const uint32_t arch = AUDIT_ARCH_AARCH64;
#endif
    _cleanup_free_ char *name = NULL;

    if (number > NEWEST || number == SYS_clone3)
        return ENOSYS;
    for (size_t i = 0; i < ARRAY_SIZE(newer); i++)
        if (newer[i].number == number)
            return newer[i].expected;
    name = seccomp_syscall_resolve_num_arch(arch, number);
    if (!name)
        return EPERM; /* a hole in the table */
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
        if (strcmp(refused[i], name) == 0)
            return EPERM;
    return MARK;
}

/* uretprobe and uprobe (x86-64): newer kernels let them pass every filter, and made from anywhere
 * but their trampoline they are answered with SIGILL. */
static bool is_not_for_filters(int number)
{
#ifdef __x86_64__
    return number == 335 || number == 336;
#else
    return number < 0;
#endif
}

static void ask(const struct call *calls, size_t n, int *answers)
{
    struct seccomp_program ours;
    struct error e = ERROR_INIT;

    if (seccomp_compile_default(&ours, &e) < 0)
        fail_msg("%s", e.text);
    seccomp_ask(&ours, calls, n, answers);
    seccomp_program_clear(&ours);
}

static void every_number_is_answered_as_docker_does(void **state)
{
    struct call calls[NEWEST + BEYOND + 1] = {0};
    int answers[ARRAY_SIZE(calls)], wrong = 0;
    size_t n = 0;

    (void)state;
    for (int i = 0; i <= NEWEST + BEYOND; i++)
        if (!is_not_for_filters(i))
            calls[n++].number = i;
    ask(calls, n, answers);
    for (size_t i = 0; i < n; i++) {
        int number = (int)calls[i].number;
        if (answers[i] == expected(number))
            continue;
        print_error("system call %d: %d instead of %d\n", number, answers[i], expected(number));
        wrong++;
    }
    assert_int_equal(wrong, 0);
}

static void numbers_outside_the_table_do_not_exist(void **state)
{
    static const struct call calls[] = {
        {0x40000000}, {0x40000001}, {0x40000200}, {0x7fffffff}, {0x80000000}, {-1},
    };
    int answers[ARRAY_SIZE(calls)];

    (void)state;
    ask(calls, ARRAY_SIZE(calls), answers);
    for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
        assert_int_equal(answers[i], ENOSYS);
}

#define HIGH (1UL << 32) /* a bit that the kernel does not look at */

static void arguments_decide_in_the_bits_the_kernel_looks_at(void **state)
{
    static const struct {
        struct call call;
        int expected;
    } cases[] = {
        {{SYS_socket, {AF_UNIX}}, MARK},
        {{SYS_socket, {AF_INET6}}, MARK},
        {{SYS_socket, {AF_NETLINK}}, MARK},
        {{SYS_socket, {AF_ALG}}, EPERM},
        {{SYS_socket, {AF_ALG | HIGH}}, EPERM},
        {{SYS_socket, {39}}, MARK},
        {{SYS_socket, {AF_VSOCK}}, EPERM},
        {{SYS_socket, {AF_VSOCK | HIGH}}, EPERM},
        {{SYS_socket, {41}}, MARK},
        {{SYS_ioctl, {0, TCGETS}}, MARK},
        {{SYS_ioctl, {0, TIOCGWINSZ}}, MARK},
        {{SYS_ioctl, {0, TIOCSTI}}, EPERM},
        {{SYS_ioctl, {0, TIOCSTI | HIGH}}, EPERM},
        {{SYS_ioctl, {0, TIOCLINUX}}, EPERM},
        {{SYS_ioctl, {TIOCSTI, 0}}, MARK},
        {{SYS_personality, {0}}, MARK},
        {{SYS_personality, {8}}, MARK},
        {{SYS_personality, {0x20000}}, MARK},
        {{SYS_personality, {0x20008}}, MARK},
        {{SYS_personality, {0xffffffff}}, MARK},
        {{SYS_personality, {1}}, EPERM},
        {{SYS_personality, {0x0040000}}, EPERM},        /* ADDR_NO_RANDOMIZE */
        {{SYS_personality, {0x0400000}}, EPERM},        /* READ_IMPLIES_EXEC */
        {{SYS_personality, {0x0400000 | HIGH}}, EPERM}, /* the same to the kernel */
        {{SYS_clone, {SIGCHLD}}, MARK},
        {{SYS_clone, {CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD}}, MARK},
        {{SYS_clone, {CLONE_NEWUSER | SIGCHLD}}, EPERM},
        {{SYS_clone, {CLONE_NEWNS}}, EPERM},
        {{SYS_clone, {CLONE_NEWPID}}, EPERM},
        {{SYS_clone, {CLONE_NEWNET}}, EPERM},
        {{SYS_clone, {CLONE_NEWIPC}}, EPERM},
        {{SYS_clone, {CLONE_NEWUTS}}, EPERM},
        {{SYS_clone, {CLONE_NEWCGROUP | HIGH}}, EPERM},
    };
    struct call calls[ARRAY_SIZE(cases)];
    int answers[ARRAY_SIZE(cases)];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        calls[i] = cases[i].call;
    ask(calls, ARRAY_SIZE(calls), answers);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        if (answers[i] != cases[i].expected)
            fail_msg("call %ld (0x%lx, 0x%lx): %d instead of %d", calls[i].number,
                     calls[i].arguments[0], calls[i].arguments[1], answers[i], cases[i].expected);
}

/* Runs BODY in a child, below our filter alone where FILTERED; returns its wait status. */
static int run(int (*body)(void), bool filtered)
{
    struct seccomp_program ours;
    int status;
    pid_t pid;

    assert_int_equal(seccomp_compile_default(&ours, NULL), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        signal(SIGSEGV, SIG_DFL); /* cmocka has its own, and goes on with the next test */
        signal(SIGSYS, SIG_DFL);
        if (!filtered)
            _exit(body());
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || seccomp_load(&ours) < 0)
            _exit(100);
        _exit(body());
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    seccomp_program_clear(&ours);
    return status;
}

static int do_ordinary_things(void)
{
    int status, fds[2];
    pid_t pid = fork();

    if (pid == 0)
        _exit(7);
    if (pid < 0 || waitpid(pid, &status, 0) != pid || WEXITSTATUS(status) != 7)
        return 1;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0 || write(fds[0], "x", 1) != 1)
        return 2;
    if (unshare(CLONE_NEWUSER) == 0 || errno != EPERM)
        return 3;
    return 0;
}

static void ordinary_programs_run_below_the_filter(void **state)
{
    (void)state;
    assert_int_equal(run(do_ordinary_things, true), 0);
}

#ifdef __x86_64__
static int call_by_i386_gate(void)
{
    int r;

    signal(SIGSEGV, SIG_DFL); /* not cmocka's handler */
    /* 20 is getpid there and writev here. */
    __asm__ volatile("int $0x80" : "=a"(r) : "a"(20) : "memory", "r8", "r9", "r10", "r11");
    return r >= 0 ? 0 : 1;
}

/* Kernels may be built or booted without the gate: then it is a fault, with or without a filter. */
static bool kernel_has_i386_gate(void)
{
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0)
        _exit(call_by_i386_gate());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status))
        return true;
    assert_int_equal(WTERMSIG(status), SIGSEGV);
    return false;
}

static void a_foreign_architecture_is_killed(void **state)
{
    bool has_gate = kernel_has_i386_gate();
    int status;

    (void)state;
    status = run(call_by_i386_gate, false);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV) {
        print_message("this kernel has no i386 system calls\n");
        return;
    }
    status = run(call_by_i386_gate, true);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), has_gate ? SIGSYS : SIGSEGV);
}
#endif

static void the_filter_stays_small(void **state)
{
    struct seccomp_program ours;

    (void)state;
    assert_int_equal(seccomp_compile_default(&ours, NULL), 0);
    print_message("%u instructions\n", ours.length);
    assert_in_range(ours.length, 100, 255);
    seccomp_program_clear(&ours);
}

static int lose_all_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    uint64_t permitted;

    if (capabilities_bound(capabilities_default()) < 0)
        return 1;
    if (prctl(PR_CAPBSET_READ, CAP_CHOWN, 0, 0, 0) != 1 ||
        prctl(PR_CAPBSET_READ, CAP_SYS_CHROOT, 0, 0, 0) != 1 ||
        prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN, 0, 0, 0) != 0 ||
        prctl(PR_CAPBSET_READ, CAP_CHECKPOINT_RESTORE, 0, 0, 0) != 0)
        return 2;
    if (capabilities_set(capabilities_default()) < 0 || syscall(SYS_capget, &header, data) < 0)
        return 3;
    permitted = data[0].permitted | (uint64_t)data[1].permitted << 32;
    if (permitted != 0xa80425fb || data[0].effective != 0xa80425fb)
        return 4;
    if (data[0].inheritable || data[1].inheritable)
        return 5;
    if (capabilities_set(0) < 0 || syscall(SYS_capget, &header, data) < 0)
        return 6;
    if (data[0].permitted || data[0].effective || data[1].permitted)
        return 7;
    return capabilities_set(1) == -EPERM ? 0 : 8;
}

static void capabilities_shrink_to_dockers_fourteen_and_to_none(void **state)
{
    int status;
    pid_t pid;

    (void)state;
    if (geteuid() != 0)
        skip();
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(lose_all_capabilities());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_number_is_answered_as_docker_does),
        cmocka_unit_test(numbers_outside_the_table_do_not_exist),
        cmocka_unit_test(arguments_decide_in_the_bits_the_kernel_looks_at),
        cmocka_unit_test(ordinary_programs_run_below_the_filter),
#ifdef __x86_64__
        cmocka_unit_test(a_foreign_architecture_is_killed),
#endif
        cmocka_unit_test(the_filter_stays_small),
        cmocka_unit_test(capabilities_shrink_to_dockers_fourteen_and_to_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
