/* What runs inside the sandboxes of the tests where a shell does not do. Static, own file. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/keyctl.h>
#include <linux/quota.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

static int unix_socket(const char *path, struct sockaddr_un *address)
{
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    strncpy(address->sun_path, path, sizeof(address->sun_path) - 1);
    return socket(AF_UNIX, SOCK_STREAM, 0);
}

/* listen PATH: gives one peer "served", then waits for the end of standard input. */
static int do_listen(const char *path)
{
    struct sockaddr_un address;
    int fd = unix_socket(path, &address), peer;

    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 1) < 0)
        return 2;
    puts("listening");
    fflush(stdout);
    peer = accept(fd, NULL, NULL);
    if (peer < 0 || write(peer, "served\n", 7) != 7)
        return 3;
    close(peer);
    while (read(STDIN_FILENO, &address, sizeof(address)) > 0)
        ;
    return 0;
}

/* connect PATH: prints what the peer says. */
static int do_connect(const char *path)
{
    struct sockaddr_un address;
    int fd = unix_socket(path, &address);
    char data[64];
    ssize_t n;

    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        printf("connect: %s\n", strerror(errno));
        return 2;
    }
    while ((n = read(fd, data, sizeof(data))) > 0)
        fwrite(data, 1, (size_t)n, stdout);
    return 0;
}

static int do_spin(void)
{
    for (volatile unsigned long i = 0;; i++)
        ;
}

/* eat MIB: touches so much memory. */
static int do_eat(const char *mib)
{
    size_t size = (size_t)atol(mib) << 20;
    char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED)
        return 2;
    for (size_t i = 0; i < size; i += 4096)
        p[i] = 1;
    puts("eaten");
    return 0;
}

/* daemons: processes that try to survive in every way we know, then the first process exits. */
static int do_daemons(void)
{
    for (int i = 0; i < 20; i++) {
        if (fork() == 0) {
            setsid();
            if (fork() > 0)
                _exit(0);
            prctl(PR_SET_PDEATHSIG, 0);
            for (int number = 1; number < NSIG; number++)
                signal(number, SIG_IGN);
            for (;;)
                pause();
        }
    }
    return 5;
}

/* stubborn: does not die with its parent, and says so. */
static int do_stubborn(void)
{
    int now = -1;

    prctl(PR_SET_PDEATHSIG, 0);
    prctl(PR_GET_PDEATHSIG, &now);
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_IGN);
    printf("stubborn %d\n", now);
    fflush(stdout);
    for (;;)
        pause();
}

/* deep N: N directories, each in the one before. */
static int do_deep(const char *n)
{
    for (long i = atol(n); i > 0; i--)
        if (mkdir("d", 0700) < 0 || chdir("d") < 0)
            return 2;
    return 0;
}

static void say(const char *name, long r)
{
    printf("%s: %s\n", name, r < 0 ? strerror(errno) : "allowed");
}

/* forbidden: tries what a container must not do. */
static int do_forbidden(void)
{
    say("mount", mount("none", "/tmp", "tmpfs", 0, NULL));
    say("umount", umount2("/proc/sys", MNT_DETACH));
    say("unshare user", unshare(CLONE_NEWUSER));
    say("unshare mount", unshare(CLONE_NEWNS));
    say("setns", setns(0, 0));
    say("keyctl", syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, -3, 0));
    say("bpf", syscall(SYS_bpf, 0, NULL, 0));
    say("sethostname", sethostname("x", 1));
    say("pivot_root", syscall(SYS_pivot_root, ".", "."));
    say("open_by_handle_at", syscall(SYS_open_by_handle_at, 0, NULL, 0));
    say("init_module", syscall(SYS_init_module, NULL, 0, ""));
    say("fsopen", syscall(SYS_fsopen, "tmpfs", 0));
    return 0;
}

/* project PATH: tries to leave the project whose quota bounds what is written. */
static int do_project(const char *path)
{
    struct if_dqblk none = {.dqb_valid = QIF_LIMITS};
    int fd = open(path, O_RDONLY | O_CLOEXEC), flags = 0;
    struct fsxattr x;

    if (fd < 0 || ioctl(fd, FS_IOC_FSGETXATTR, &x) < 0 || ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0)
        return 2;
    for (int change = 0; change < 3; change++) {
        struct fsxattr new = x;
        new.fsx_projid = change == 0 ? 0 : change == 1 ? x.fsx_projid + 1 : x.fsx_projid;
        new.fsx_xflags ^= change == 2 ? FS_XFLAG_PROJINHERIT : 0;
        say("set attributes", ioctl(fd, FS_IOC_FSSETXATTR, &new));
    }
    flags ^= FS_PROJINHERIT_FL;
    say("set flags", ioctl(fd, FS_IOC_SETFLAGS, &flags));
    say("set limits",
        syscall(SYS_quotactl_fd, fd, QCMD(Q_SETQUOTA, PRJQUOTA), x.fsx_projid, &none));
    return 0;
}

/* read PATH: reads the file again and again, past the page cache; a byte on standard output for
 * each 256 KiB. */
static int do_read(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
    void *data = NULL;
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0 || st.st_size < 65536 ||
        posix_memalign(&data, 4096, 65536) != 0)
        return 2;
    for (off_t n = 1;; n++) {
        if (pread(fd, data, 65536, n * 65536 % st.st_size) <= 0)
            return 3;
        if (n % 4 == 0 && write(STDOUT_FILENO, ".", 1) != 1)
            return 0;
    }
}

/* nap N: sleeps N times for a moment. */
static int do_nap(const char *times)
{
    for (long i = strtol(times, NULL, 10); i > 0; i--)
        if (usleep(200) < 0)
            return 1;
    return 0;
}

/* network_payload.c */
int network_main(int argc, char **argv);

int main(int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : "";
    const char *argument = argc > 2 ? argv[2] : "";

    if (strcmp(verb, "listen") == 0)
        return do_listen(argument);
    if (strcmp(verb, "connect") == 0)
        return do_connect(argument);
    if (strcmp(verb, "spin") == 0)
        return do_spin();
    if (strcmp(verb, "eat") == 0)
        return do_eat(argument);
    if (strcmp(verb, "daemons") == 0)
        return do_daemons();
    if (strcmp(verb, "stubborn") == 0)
        return do_stubborn();
    if (strcmp(verb, "deep") == 0)
        return do_deep(argument);
    if (strcmp(verb, "forbidden") == 0)
        return do_forbidden();
    if (strcmp(verb, "project") == 0)
        return do_project(argument);
    if (strcmp(verb, "read") == 0)
        return do_read(argument);
    if (strcmp(verb, "nap") == 0)
        return do_nap(argument);
    return network_main(argc, argv);
}
