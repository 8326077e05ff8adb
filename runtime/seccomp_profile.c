#include "seccomp_profile.h"

#include "base/cleanup.h"

#include <asm/ioctls.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/personality.h>
#include <sys/socket.h>
#include <sys/syscall.h>

/* Calls newer than the kernel headers of some supported system. From 424 on every architecture that
 * we build for has the same numbers. */
#define NR_cachestat               451
#define NR_fchmodat2               452
#define NR_map_shadow_stack        453
#define NR_futex_wake              454
#define NR_futex_wait              455
#define NR_futex_requeue           456
#define NR_statmount               457
#define NR_listmount               458
#define NR_lsm_get_self_attr       459
#define NR_lsm_set_self_attr       460
#define NR_lsm_list_modules        461
#define NR_mseal                   462
#define NR_setxattrat              463
#define NR_getxattrat              464
#define NR_listxattrat             465
#define NR_removexattrat           466
#define NR_set_mempolicy_home_node 450

_Static_assert(SECCOMP_NEWEST == NR_removexattrat, "the newest call of the table");

const int seccomp_allowed[] = {
    /* Files by name. Reach is decided by the mount namespace, rights by the id range. */
    __NR_openat, __NR_openat2, __NR_faccessat, __NR_faccessat2, __NR_fchmodat, NR_fchmodat2,
    __NR_fchownat, __NR_linkat, __NR_mkdirat, __NR_mknodat, __NR_name_to_handle_at, __NR_newfstatat,
    __NR_readlinkat, __NR_renameat, __NR_renameat2, __NR_statfs, __NR_statx, __NR_symlinkat,
    __NR_truncate, __NR_unlinkat, __NR_utimensat, __NR_chdir, __NR_getcwd, __NR_umask,

    /* Extended attributes: trusted.* and security.* are guarded by the user namespace. */
    __NR_getxattr, __NR_lgetxattr, __NR_fgetxattr, NR_getxattrat, __NR_setxattr, __NR_lsetxattr,
    __NR_fsetxattr, NR_setxattrat, __NR_listxattr, __NR_llistxattr, __NR_flistxattr, NR_listxattrat,
    __NR_removexattr, __NR_lremovexattr, __NR_fremovexattr, NR_removexattrat,

    /* Files by descriptor. */
    __NR_read, __NR_readv, __NR_pread64, __NR_preadv, __NR_preadv2, __NR_write, __NR_writev,
    __NR_pwrite64, __NR_pwritev, __NR_pwritev2, __NR_lseek, __NR_close, __NR_close_range, __NR_dup,
    __NR_dup3, __NR_fcntl, __NR_flock, __NR_fstat, __NR_fstatfs, __NR_fchdir, __NR_fchmod,
    __NR_fchown, __NR_ftruncate, __NR_fallocate, __NR_fadvise64, __NR_readahead, __NR_sync,
    __NR_syncfs, __NR_fsync, __NR_fdatasync, __NR_sync_file_range, __NR_getdents64,
    __NR_copy_file_range, __NR_sendfile, __NR_splice, __NR_tee, __NR_vmsplice, __NR_pipe2,
    NR_cachestat,

    /* Memory of the process itself. */
    __NR_brk, __NR_mmap, __NR_munmap, __NR_mremap, __NR_mprotect, __NR_madvise, __NR_mincore,
    __NR_msync, __NR_mlock, __NR_mlock2, __NR_mlockall, __NR_munlock, __NR_munlockall,
    __NR_remap_file_pages, __NR_memfd_create, __NR_memfd_secret, __NR_membarrier, __NR_pkey_alloc,
    __NR_pkey_free, __NR_pkey_mprotect, NR_map_shadow_stack, NR_mseal,

    /* Processes and threads; clone is among the conditional ones. */
    __NR_execve, __NR_execveat, __NR_exit, __NR_exit_group, __NR_wait4, __NR_waitid, __NR_getpid,
    __NR_getppid, __NR_gettid, __NR_getpgid, __NR_setpgid, __NR_getsid, __NR_setsid,
    __NR_set_tid_address, __NR_set_robust_list, __NR_get_robust_list, __NR_rseq, __NR_prctl,
    __NR_getrlimit, __NR_setrlimit, __NR_prlimit64, __NR_getrusage, __NR_times,
    __NR_restart_syscall, __NR_pidfd_open, __NR_pidfd_send_signal, __NR_process_mrelease,

    /* Debuggers: safe since seccomp runs after ptrace (Linux 4.8); only the own id range is in
     * reach. */
    __NR_ptrace, __NR_process_vm_readv, __NR_process_vm_writev,

    /* Locks between threads. */
    __NR_futex, __NR_futex_waitv, NR_futex_wait, NR_futex_wake, NR_futex_requeue,

    /* Signals. */
    __NR_kill, __NR_tkill, __NR_tgkill, __NR_rt_sigaction, __NR_rt_sigpending, __NR_rt_sigprocmask,
    __NR_rt_sigqueueinfo, __NR_rt_tgsigqueueinfo, __NR_rt_sigreturn, __NR_rt_sigsuspend,
    __NR_rt_sigtimedwait, __NR_sigaltstack, __NR_signalfd4,

    /* Clocks and timers; setting the clock by adjtimex needs a capability the kernel asks for. */
    __NR_adjtimex, __NR_clock_adjtime, __NR_clock_getres, __NR_clock_gettime, __NR_clock_nanosleep,
    __NR_gettimeofday, __NR_nanosleep, __NR_getitimer, __NR_setitimer, __NR_timer_create,
    __NR_timer_delete, __NR_timer_getoverrun, __NR_timer_gettime, __NR_timer_settime,
    __NR_timerfd_create, __NR_timerfd_gettime, __NR_timerfd_settime,

    /* Scheduling. */
    __NR_sched_yield, __NR_sched_getaffinity, __NR_sched_setaffinity, __NR_sched_getattr,
    __NR_sched_setattr, __NR_sched_getparam, __NR_sched_setparam, __NR_sched_getscheduler,
    __NR_sched_setscheduler, __NR_sched_get_priority_max, __NR_sched_get_priority_min,
    __NR_sched_rr_get_interval, __NR_getpriority, __NR_setpriority, __NR_ioprio_get,
    __NR_ioprio_set, __NR_getcpu,

    /* Identity: all inside the id range. */
    __NR_getuid, __NR_geteuid, __NR_getgid, __NR_getegid, __NR_getresuid, __NR_getresgid,
    __NR_getgroups, __NR_setuid, __NR_setgid, __NR_setreuid, __NR_setregid, __NR_setresuid,
    __NR_setresgid, __NR_setfsuid, __NR_setfsgid, __NR_setgroups, __NR_capget, __NR_capset,

    /* Sockets; socket itself is among the conditional ones. */
    __NR_accept, __NR_accept4, __NR_bind, __NR_connect, __NR_getpeername, __NR_getsockname,
    __NR_getsockopt, __NR_setsockopt, __NR_listen, __NR_recvfrom, __NR_recvmsg, __NR_recvmmsg,
    __NR_sendto, __NR_sendmsg, __NR_sendmmsg, __NR_shutdown, __NR_socketpair,

    /* System V and POSIX IPC, in the container's own ipc namespace. */
    __NR_msgctl, __NR_msgget, __NR_msgrcv, __NR_msgsnd, __NR_semctl, __NR_semget, __NR_semop,
    __NR_semtimedop, __NR_shmat, __NR_shmctl, __NR_shmdt, __NR_shmget, __NR_mq_getsetattr,
    __NR_mq_notify, __NR_mq_open, __NR_mq_timedreceive, __NR_mq_timedsend, __NR_mq_unlink,

    /* Waiting for events. */
    __NR_epoll_create1, __NR_epoll_ctl, __NR_epoll_pwait, __NR_epoll_pwait2, __NR_eventfd2,
    __NR_fanotify_mark, __NR_inotify_init1, __NR_inotify_add_watch, __NR_inotify_rm_watch,
    __NR_ppoll, __NR_pselect6,

    /* Asynchronous I/O of the old kind. io_uring is left out: it starts calls behind the filter. */
    __NR_io_setup, __NR_io_destroy, __NR_io_submit, __NR_io_cancel, __NR_io_getevents,
    __NR_io_pgetevents,

    /* Sandboxes inside the sandbox. */
    __NR_seccomp, __NR_landlock_create_ruleset, __NR_landlock_add_rule, __NR_landlock_restrict_self,

    /* About the system. */
    __NR_getrandom, __NR_sysinfo, __NR_uname, NR_statmount, NR_listmount,

#ifdef __x86_64__
    /* What only x86-64 has: the old spellings of calls above, and its own. */
    __NR_open, __NR_creat, __NR_access, __NR_chmod, __NR_chown, __NR_lchown, __NR_link, __NR_mkdir,
    __NR_mknod, __NR_readlink, __NR_rename, __NR_rmdir, __NR_stat, __NR_lstat, __NR_symlink,
    __NR_unlink, __NR_utime, __NR_utimes, __NR_futimesat, __NR_dup2, __NR_pipe, __NR_getdents,
    __NR_fork, __NR_vfork, __NR_getpgrp, __NR_pause, __NR_alarm, __NR_time, __NR_signalfd,
    __NR_epoll_create, __NR_epoll_ctl_old, __NR_epoll_wait, __NR_epoll_wait_old, __NR_eventfd,
    __NR_inotify_init, __NR_poll, __NR_select, __NR_get_thread_area, __NR_set_thread_area,
    __NR_arch_prctl, __NR_modify_ldt,
    335, /* uretprobe, Linux 6.11: the kernel's own trampoline makes it */
#endif
};
const size_t seccomp_n_allowed = ARRAY_SIZE(seccomp_allowed);

const struct seccomp_privileged seccomp_privileged[] = {
    {CAP_DAC_READ_SEARCH, __NR_open_by_handle_at},
    {CAP_SYS_ADMIN, __NR_bpf},
    {CAP_SYS_ADMIN, __NR_clone},
    {CAP_SYS_ADMIN, __NR_clone3},
    {CAP_SYS_ADMIN, __NR_fanotify_init},
    {CAP_SYS_ADMIN, __NR_fsconfig},
    {CAP_SYS_ADMIN, __NR_fsmount},
    {CAP_SYS_ADMIN, __NR_fsopen},
    {CAP_SYS_ADMIN, __NR_fspick},
    {CAP_SYS_ADMIN, __NR_lookup_dcookie},
    {CAP_SYS_ADMIN, NR_lsm_get_self_attr},
    {CAP_SYS_ADMIN, NR_lsm_list_modules},
    {CAP_SYS_ADMIN, NR_lsm_set_self_attr},
    {CAP_SYS_ADMIN, __NR_mount},
    {CAP_SYS_ADMIN, __NR_mount_setattr},
    {CAP_SYS_ADMIN, __NR_move_mount},
    {CAP_SYS_ADMIN, __NR_open_tree},
    {CAP_SYS_ADMIN, __NR_perf_event_open},
    {CAP_SYS_ADMIN, __NR_quotactl},
    {CAP_SYS_ADMIN, __NR_quotactl_fd},
    {CAP_SYS_ADMIN, __NR_setdomainname},
    {CAP_SYS_ADMIN, __NR_sethostname},
    {CAP_SYS_ADMIN, __NR_setns},
    {CAP_SYS_ADMIN, __NR_syslog},
    {CAP_SYS_ADMIN, __NR_umount2},
    {CAP_SYS_ADMIN, __NR_unshare},
    {CAP_SYS_BOOT, __NR_reboot},
    {CAP_SYS_CHROOT, __NR_chroot},
    {CAP_SYS_MODULE, __NR_delete_module},
    {CAP_SYS_MODULE, __NR_init_module},
    {CAP_SYS_MODULE, __NR_finit_module},
    {CAP_SYS_PACCT, __NR_acct},
    {CAP_SYS_PTRACE, __NR_kcmp},
    {CAP_SYS_PTRACE, __NR_pidfd_getfd},
    {CAP_SYS_PTRACE, __NR_process_madvise},
    {CAP_SYS_TIME, __NR_settimeofday},
    {CAP_SYS_TIME, __NR_clock_settime},
    {CAP_SYS_TTY_CONFIG, __NR_vhangup},
    {CAP_SYS_NICE, __NR_get_mempolicy},
    {CAP_SYS_NICE, __NR_mbind},
    {CAP_SYS_NICE, __NR_set_mempolicy},
    {CAP_SYS_NICE, NR_set_mempolicy_home_node},
    {CAP_SYSLOG, __NR_syslog},
    {CAP_BPF, __NR_bpf},
    {CAP_PERFMON, __NR_perf_event_open},
#ifdef __x86_64__
    {CAP_SYS_RAWIO, __NR_iopl},
    {CAP_SYS_RAWIO, __NR_ioperm},
#endif
};
const size_t seccomp_n_privileged = ARRAY_SIZE(seccomp_privileged);

const struct seccomp_conditional seccomp_conditional[] = {
    /* No new namespace of any kind: a user namespace would bring back every capability. Flags are
     * the first argument on x86-64 and arm64. */
    {__NR_clone,
     0,
     SECCOMP_NO_BITS,
     1,
     {CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET |
      CLONE_NEWCGROUP}},
    /* The kernel's crypto sockets have had many holes; vsock knows no network namespace and reaches
     * the hypervisor. */
    {__NR_socket, 0, SECCOMP_NONE_OF, 2, {AF_ALG, AF_VSOCK}},
    /* Execution domains that change no protection; all ones asks for the present one. */
    {__NR_personality,
     0,
     SECCOMP_ONE_OF,
     5,
     {PER_LINUX, PER_LINUX32, UNAME26, PER_LINUX32 | UNAME26, 0xffffffff}},
    {__NR_ioctl, 1, SECCOMP_NONE_OF, 2, {TIOCSTI, TIOCLINUX}},
};
const size_t seccomp_n_conditional = ARRAY_SIZE(seccomp_conditional);

const int seccomp_absent[] = {__NR_clone3};
const size_t seccomp_n_absent = ARRAY_SIZE(seccomp_absent);
