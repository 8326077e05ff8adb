/* The kernel: system calls, namespaces, ids, filters. */
#include "check/check_internal.h"

#include "base/fdio.h"
#include "base/text.h"
#include "netlink.h"
#include "seccomp_policy.h"
#include "self.h"

#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>

/* The pool of launcher_config: 4096 ranges of 65,536 ids. */
#define POOL_FIRST 0x80000ULL
#define POOL_COUNT (4096ULL * 65536)
#define POOL_LAST  (POOL_FIRST + POOL_COUNT - 1)

#define UPGRADE "install a kernel of 6.3 or newer, e.g. apt install linux-image-amd64"

static bool has_clone_into_cgroup(void)
{
    struct clone_args args = {.flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = 4095};

    /* The descriptor is none: a kernel that knows the flag says so. */
    return syscall(SYS_clone3, &args, sizeof(args)) < 0 && errno == EBADF;
}

/* A call that exists finds something else wrong with these arguments. */
static bool exists(long number)
{
    return syscall(number, -1, NULL, -1, NULL, 0) >= 0 || errno != ENOSYS;
}

static const char *missing_call(void)
{
    static const struct {
        const char *name;
        long number;
    } calls[] = {
        {"openat2", SYS_openat2},         {"pidfd_open", SYS_pidfd_open},
        {"close_range", SYS_close_range}, {"mount_setattr", SYS_mount_setattr},
        {"fsopen", SYS_fsopen},           {"open_tree", SYS_open_tree},
        {"move_mount", SYS_move_mount},
    };

    /* close_range(-1, ...) is refused before anything is closed: its flags are none. */
    for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
        if (!exists(calls[i].number))
            return calls[i].name;
    return has_clone_into_cgroup() ? NULL : "clone3 with CLONE_INTO_CGROUP";
}

void check_kernel(struct check_report *report)
{
    struct error e = ERROR_INIT;
    _cleanup_close_ int program = self_copy(&e);
    const char *missing = missing_call();
    unsigned major = 0, minor = 0;
    struct utsname host;

    if (uname(&host) < 0)
        host.release[0] = 0;
    (void)sscanf(host.release, "%6u.%6u", &major, &minor); // NOLINT(cert-err34-c): 0.0 is old
    if (missing) {
        check_mend(check_add(report, "kernel", CHECK_FAIL,
                             "containers are made by these system calls; Linux 5.19 has all",
                             "Linux %s has no %s", host.release, missing),
                   UPGRADE);
    } else if (major < 6 || (major == 6 && minor < 3)) {
        check_mend(check_add(report, "kernel", CHECK_WARN,
                             "before Linux 6.3 many containers at once wait for one lock of the "
                             "cgroups: correct programs may time out",
                             "Linux %s", host.release),
                   UPGRADE);
    } else {
        check_add(report, "kernel", CHECK_OK, NULL, "Linux %s", host.release);
    }
    if (program >= 0)
        check_add(report, "sealed program", CHECK_OK, NULL, "can run from sealed memory");
    else
        check_mend(check_add(report, "sealed program", CHECK_FAIL,
                             "a container must not get hold of the program's file",
                             "cannot run from sealed memory: %s", e.text),
                   "sysctl -w vm.memfd_noexec=0");
}

static int try_namespaces(void *argument)
{
    (void)argument;
    return unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC |
                   CLONE_NEWNET | CLONE_NEWCGROUP) < 0
               ? -errno
               : 0;
}

void check_namespaces(struct check_report *report)
{
    static const char why[] = "every container has seven namespaces of its own";
    int r = check_in_child(try_namespaces, NULL);

    if (r == 0) {
        check_add(report, "namespaces", CHECK_OK, NULL,
                  "user, mount, pid, uts, ipc, network and cgroup namespaces can be made");
        return;
    }
    check_mend(
        check_add(report, "namespaces", CHECK_FAIL, why, "they cannot be made: %s", strerror(-r)),
        r == -ENOSPC ? "sysctl -w user.max_user_namespaces=65536"
                     : "boot a kernel with all namespaces (CONFIG_USER_NS and others)");
}

/* "name:first:count": whether it has ids of the pool. */
static bool overlaps(const char *line, char *owner, size_t size)
{
    const char *first_text = strchr(line, ':');
    const char *count_text = first_text ? strchr(first_text + 1, ':') : NULL;
    unsigned long long first, count;

    if (!count_text)
        return false;
    snprintf(owner, size, "%.*s", (int)(first_text - line), line);
    first = strtoull(first_text + 1, NULL, 10);
    count = strtoull(count_text + 1, NULL, 10);
    /* Root's own (LXD's) are nobody else's. */
    return strcmp(owner, "root") != 0 && count > 0 && first <= POOL_LAST &&
           first + count > POOL_FIRST;
}

static bool find_overlap(const char *path, char *owner, size_t size)
{
    _cleanup_buffer_ struct buffer b = {0};
    char *next, *line;

    if (fd_read_file(AT_FDCWD, path, &b, 1 << 20) < 0 || !buffer_string(&b))
        return false;
    next = (char *)b.data;
    while ((line = strsep(&next, "\n")))
        if (overlaps(line, owner, size))
            return true;
    return false;
}

void check_ids(struct check_report *report)
{
    char owner[128], value[64];

    for (int group = 0; group < 2; group++) {
        const char *path = group ? "/etc/subgid" : "/etc/subuid";
        if (!find_overlap(path, owner, sizeof(owner)))
            continue;
        check_mend(check_add(report, "ids", CHECK_WARN,
                             "that user may become any id of a container and signal or trace its "
                             "processes",
                             "%s gives ids of the containers (%llu to %llu) to user %s", path,
                             POOL_FIRST, POOL_LAST, owner),
                   "edit %s: give %s a range outside", path, owner);
        return;
    }
    if (check_read("/proc/sys/user/max_user_namespaces", value, sizeof(value)) &&
        strtoul(value, NULL, 10) < 1000) {
        check_mend(check_add(report, "ids", CHECK_WARN,
                             "every container and every range of ids has a user namespace",
                             "user.max_user_namespaces is %s", value),
                   "sysctl -w user.max_user_namespaces=65536");
        return;
    }
    check_add(report, "ids", CHECK_OK, NULL, "%llu to %llu belong to nobody else", POOL_FIRST,
              POOL_LAST);
}

void check_filter(struct check_report *report)
{
    static const char why[] = "containers may make only the system calls that Docker allows";
    struct seccomp_program program = {0};
    struct error e = ERROR_INIT;
    int r = seccomp_compile_default(&program, &e);

    if (r == 0)
        r = seccomp_try(&program, &e);
    seccomp_program_clear(&program);
    if (r == 0)
        check_add(report, "seccomp", CHECK_OK, NULL, "the system call filter loads");
    else
        check_mend(check_add(report, "seccomp", CHECK_FAIL, why, "%s", e.text),
                   "boot a kernel with CONFIG_SECCOMP_FILTER");
}

/* Asks nf_tables for its generation: the smallest request there is. */
static int try_packet_filter(void *argument)
{
    _cleanup_(netlink_close) struct netlink n = NETLINK_INIT;
    struct nfgenmsg *message;
    int r = unshare(CLONE_NEWNET) < 0 ? -errno : 0;

    (void)argument;
    if (r == 0)
        r = netlink_open(NETLINK_NETFILTER, &n, NULL);
    if (r < 0)
        return r;
    message = mnl_nlmsg_put_extra_header(
        netlink_begin(&n, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN, 0), sizeof(*message));
    *message = (struct nfgenmsg){.nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0};
    return netlink_commit(&n, "nftables", NULL);
}

void check_packet_filter(struct check_report *report)
{
    int r = check_in_child(try_packet_filter, NULL);

    if (r == 0)
        check_add(report, "nftables", CHECK_OK, NULL, "the packet filter answers");
    else
        check_mend(check_add(report, "nftables", CHECK_WARN,
                             "containers with a network to the outside need it; others do not",
                             "the packet filter does not answer: %s", strerror(-r)),
                   "modprobe nf_tables");
}

void check_core(struct check_report *report)
{
    char pattern[256];

    if (check_read("/proc/sys/kernel/core_pattern", pattern, sizeof(pattern)) && pattern[0] == '|')
        check_mend(check_add(report, "core pattern", CHECK_WARN,
                             "a program in a container that sets its core limit to 0 and crashes "
                             "starts this program of the host as root",
                             "%s", pattern),
                   "sysctl -w kernel.core_pattern=core");
    else
        check_add(report, "core pattern", CHECK_OK, NULL, "crashes start no program of the host");
}
