/* What runs inside the sandboxes of the security tests: attacker VERB [ARGUMENT...]. */
#include "attacker.h"

#include <asm/ioctls.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* exe: descriptor 9 is the program that was executed to get here. Tries to change its file. */
static int do_exe(void)
{
    char name[4096] = {0};
    int fd;

    if (readlink("/proc/self/fd/9", name, sizeof(name) - 1) < 0) {
        printf("no descriptor\n");
        return 0;
    }
    printf("program %s\n", name);
    fd = open("/proc/self/fd/9", O_WRONLY);
    printf("open for writing: %s\n", fd < 0 ? "refused" : "allowed");
    if (fd >= 0)
        printf("write: %s\n", write(fd, "#!/bin/attacker\n", 16) > 0 ? "done" : "refused");
    printf("truncate: %s\n", truncate("/proc/self/fd/9", 0) == 0 ? "done" : "refused");
    printf("chmod: %s\n", chmod("/proc/self/fd/9", 06777) == 0 ? "done" : "refused");
    fd = open("/proc/self/fd/9", O_RDONLY);
    printf("map shared and writable: %s\n",
           mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) != MAP_FAILED ? "done"
                                                                                     : "refused");
    return 0;
}

/* fds: what is open here beside 0, 1 and 2. */
static int do_fds(void)
{
    for (int fd = 3; fd < 4096; fd++) {
        char path[64], name[4096] = {0};
        if (fcntl(fd, F_GETFD) < 0)
            continue;
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        if (readlink(path, name, sizeof(name) - 1) < 0)
            name[0] = 0;
        printf("%d is open: %s\n", fd, name);
    }
    return 0;
}

static void say(const char *name, long r)
{
    if (r >= 0)
        printf("%s: allowed\n", name);
    else if (errno != EPERM && errno != ENOSYS)
        printf("%s: %s\n", name, strerror(errno));
}

/* calls: prints those that got anywhere. Arguments are such that an allowed call succeeds or fails
 * otherwise than by EPERM. */
static int do_calls(void)
{
    char uts[] = "attacker";

    say("keyctl", syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 1));
    say("add_key", syscall(SYS_add_key, "user", "k", "v", 1, KEY_SPEC_PROCESS_KEYRING));
    say("request_key", syscall(SYS_request_key, "user", "k", NULL, 0));
    say("bpf", syscall(SYS_bpf, 0, NULL, 0));
    say("perf_event_open", syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0));
    say("userfaultfd", syscall(SYS_userfaultfd, 1));
    say("io_uring_setup", syscall(SYS_io_uring_setup, 1, NULL));
    say("clone of a user namespace", syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0));
    say("clone of a network namespace", syscall(SYS_clone, CLONE_NEWNET | SIGCHLD, 0, 0, 0, 0));
    say("clone3", syscall(SYS_clone3, NULL, 0));
    say("unshare", unshare(CLONE_NEWUSER));
    say("setns", setns(0, 0));
    say("AF_ALG", socket(AF_ALG, SOCK_SEQPACKET, 0));
    say("AF_VSOCK", socket(AF_VSOCK, SOCK_STREAM, 0));
    say("AF_VSOCK in disguise", syscall(SYS_socket, AF_VSOCK | 1UL << 32, SOCK_STREAM, 0));
    say("TIOCSTI", syscall(SYS_ioctl, 0, TIOCSTI, "x"));
    say("TIOCLINUX", syscall(SYS_ioctl, 0, TIOCLINUX, "x"));
    say("mount", syscall(SYS_mount, "none", "/tmp", "tmpfs", 0, NULL));
    say("fsopen", syscall(SYS_fsopen, "tmpfs", 0));
    say("open_tree", syscall(SYS_open_tree, AT_FDCWD, "/", 1));
    say("move_mount", syscall(SYS_move_mount, AT_FDCWD, "/tmp", AT_FDCWD, "/bin", 0));
    say("umount", syscall(SYS_umount2, "/proc/sys", 2));
    say("pivot_root", syscall(SYS_pivot_root, ".", "."));
    say("open_by_handle_at", syscall(SYS_open_by_handle_at, 0, NULL, 0));
    say("kexec_load", syscall(SYS_kexec_load, 0, 0, NULL, 0));
    say("init_module", syscall(SYS_init_module, NULL, 0, ""));
    say("swapon", syscall(SYS_swapon, "/tmp", 0));
    say("reboot", syscall(SYS_reboot, 0, 0, 0, NULL));
    say("sethostname", sethostname(uts, sizeof(uts) - 1));
    say("settimeofday", syscall(SYS_settimeofday, NULL, NULL));
    say("syslog", syscall(SYS_syslog, 10, NULL, 0));
    say("quotactl", syscall(SYS_quotactl, 0, NULL, 0, NULL));
    say("pidfd_getfd", syscall(SYS_pidfd_getfd, 0, 0, 0));
    say("personality", personality(READ_IMPLIES_EXEC));
    say("mknod of a disk", mknod("/tmp/disk", S_IFBLK | 0600, 0xfe00));
    return 0;
}

/* privileges: tries to get more of them than it was given. */
static int do_privileges(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct all[2] = {{~0U, ~0U, ~0U}, {~0U, ~0U, ~0U}};
    struct __user_cap_data_struct admin[2] = {{1U << CAP_SYS_ADMIN, 1U << CAP_SYS_ADMIN, 0}, {0}};

    if (syscall(SYS_capset, &header, all) == 0 || syscall(SYS_capset, &header, admin) == 0)
        puts("capset gave more");
    if (prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN, 0, 0, 0) != 0)
        puts("CAP_SYS_ADMIN is within the bounds");
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_SYS_ADMIN, 0, 0) == 0)
        puts("an ambient capability was raised");
    if (setresuid(70000, 70000, 70000) == 0)
        puts("an id of nobody's range was taken");
    return 0;
}

/* core: the limit that decides whether a crash starts a program of the host. */
static int do_core(void)
{
    struct rlimit core;

    if (getrlimit(RLIMIT_CORE, &core) < 0)
        return 1;
    printf("%lu %lu\n", (unsigned long)core.rlim_cur, (unsigned long)core.rlim_max);
    return 0;
}

/* massacre: kills whatever a kill can reach. */
static int do_massacre(void)
{
    kill(-1, SIGKILL);
    for (int pid = 2; pid < 70000; pid++)
        if (pid != getpid())
            kill(pid, SIGKILL);
    puts("done");
    return 0;
}

int main(int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : "";

    setvbuf(stdout, NULL, _IOLBF, 0);
    if (strcmp(verb, "exe") == 0)
        return do_exe();
    if (strcmp(verb, "fds") == 0)
        return do_fds();
    if (strcmp(verb, "calls") == 0)
        return do_calls();
    if (strcmp(verb, "privileges") == 0)
        return do_privileges();
    if (strcmp(verb, "core") == 0)
        return do_core();
    if (strcmp(verb, "massacre") == 0)
        return do_massacre();
    if (strcmp(verb, "victim") == 0)
        return victim();
    if (strcmp(verb, "thief") == 0)
        return thief();
    if (strcmp(verb, "bomb") == 0 && argc == 4)
        return bomb(argv[2], strtoul(argv[3], NULL, 10));
    return 98;
}
