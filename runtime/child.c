/* Theory of operation
 *
 * The child starts as a copy of the launcher in new user, mount, pid, uts and network namespaces,
 * in its cgroup, without ids yet. In order, and why in this order:
 *
 *   1. SIGKILL when the launcher dies; its ports of the host are let go; signals to default;
 *      loopback. A child that was cloned ahead of its sandbox (spare.c) waits here for its order,
 *      with everything of the launcher's closed and its own proc and sysfs made
 *   2. join the v1 cgroups: the files were opened by the launcher, whose rights count
 *   3. wait until the launcher has written the id maps; its end of the pipe closing means it died
 *   4. become root of the user namespace, so that everything made from here on has an owner
 *   5. IPC and cgroup namespaces: made before the maps, /dev/mqueue would belong to nobody; made
 *      before joining, the cgroup namespace would show the launcher's
 *   6. host name, session, keyring
 *   7. file system (childroot.c)
 *   8. stdio; every other fd but the status pipe is closed: from here on nothing of the host is
 *      open. Only then are files of the image parsed (/etc/passwd) and its paths walked (cwd)
 *   9. resource limits; with `init` the program becomes a process of its own (init.c)
 *  10. bounding set, ids, capabilities
 *  11. parent-death signal again (the kernel clears it when credentials change), filter, execve
 *
 * A failure is written to the status pipe with the step's name. After execve the pipe is closed. */
#include "child.h"

#include "base/fdio.h"
#include "capabilities.h"
#include "childroot.h"
#include "etcfiles.h"
#include "init.h"
#include "mountfd.h"
#include "netns.h"
#include "network.h"
#include "order.h"
#include "terminal.h"
#include "user.h"
#include "weaken.h"

#include <grp.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define PATH_DEFAULT "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
/* Where fds are put while 0, 1 and 2 are being filled. */
#define FD_BASE 16
/* Of an init's child until it executes its program: a path and texts of errors lie on it. */
#define PROGRAM_STACK ((size_t)64 << 10)

struct child {
    const struct child_plan *plan;
    struct user user;
    char **env;
    struct error error;
    char step[SANDBOX_STEP_MAX]; /* where a deeper layer has named it */
};

/* One step: R negative ends the child. */
static _Noreturn void die(struct child *c, const char *step, int r)
{
    struct child_status f = {.code = r};

    snprintf(f.step, sizeof(f.step), "%s", c->step[0] ? c->step : step);
    if (!c->error.text[0])
        error_sys(&c->error, r, "%s", step);
    snprintf(f.text, sizeof(f.text), "%.*s", (int)sizeof(f.text) - 1, c->error.text);
    (void)fd_write_full(c->plan->status_fd, &f, sizeof(f));
    _exit(127);
}

/* Handlers end with execve(2), ignored signals do not. */
static int reset_signals(struct child *c)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigset_t none;

    for (int number = 1; number < NSIG; number++)
        if (sigismember(&c->plan->host->ignored_signals, number) > 0 &&
            sigaction(number, &action, NULL) < 0)
            return -errno;
    sigemptyset(&none);
    return sigprocmask(SIG_SETMASK, &none, NULL) < 0 ? -errno : 0;
}

static int join_cgroups(struct child *c)
{
    for (size_t i = 0; i < c->plan->n_join; i++) {
        int r = fd_write_full(c->plan->join_fds[i], "0", 1);
        if (r < 0)
            return r;
    }
    return 0;
}

static int wait_for_maps(struct child *c)
{
    char byte;
    ssize_t n = fd_read_full(c->plan->go_fd, &byte, 1);

    if (n == 1)
        return 0;
    _exit(127); /* the launcher has died or given up; nobody listens */
}

static int become_root(void)
{
    if (setresgid(0, 0, 0) < 0 || setgroups(0, NULL) < 0 || setresuid(0, 0, 0) < 0)
        return -errno;
    return prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 ? -errno : 0;
}

static int set_hostname(struct child *c)
{
    const char *name = c->plan->spec->hostname;

    if (!name)
        name = ETC_HOSTNAME_DEFAULT;
    return sethostname(name, strlen(name)) < 0 ? -errno : 0;
}

static int new_session(void)
{
    if (setsid() < 0)
        return -errno;
    if (weakened("keyring"))
        return 0;
    /* Where keys are not compiled in there is no keyring to share either. */
    if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 && errno != ENOSYS)
        return -errno;
    return 0;
}

/* Containers are to be killed before the launcher and its agent. Done while still root of the host:
 * afterwards the process's files in /proc belong to nobody until execve(2). */
static int set_oom_score(struct child *c)
{
    if (c->plan->host->oom_score_adj >= 0)
        return 0;
    return fd_write_file(AT_FDCWD, "/proc/self/oom_score_adj", "0");
}

/* The container's own devpts, which nobody else can be in yet. */
static int set_terminal(struct child *c)
{
    const struct sandbox_spec *spec = c->plan->spec;
    _cleanup_close_ int terminal =
        terminal_make(c->plan->stdio[0], spec->terminal_rows, spec->terminal_columns, &c->error);

    if (terminal < 0)
        return terminal;
    for (int i = 0; i < 3; i++)
        if (dup2(terminal, i) < 0)
            return -errno;
    return 0;
}

static int set_stdio(struct child *c)
{
    int fds[3];

    if (c->plan->spec->terminal)
        return set_terminal(c);
    for (int i = 0; i < 3; i++) {
        int fd = c->plan->stdio[i];
        _cleanup_close_ int null = -EBADF;
        if (fd < 0)
            fd = null = open("/dev/null", O_RDWR | O_CLOEXEC | O_NOCTTY);
        fds[i] = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, FD_BASE);
        if (fds[i] < 0)
            return -errno;
    }
    for (int i = 0; i < 3; i++)
        if (dup2(fds[i], i) < 0)
            return -errno;
    return 0;
}

/* Leaves 0, 1, 2 and the status pipe, which moves to 3 (nothing but the child's copy of the plan
 * knows its number). */
static int close_others(struct child_plan *plan)
{
    if (plan->status_fd != 3 && dup3(plan->status_fd, 3, O_CLOEXEC) < 0)
        return -errno;
    plan->status_fd = 3;
    if (weakened("closed-files")) {
        for (int fd = 4; fd < 256; fd++)
            (void)fcntl(fd, F_SETFD, 0);
        return 0;
    }
    return close_range(4, ~0U, 0) < 0 ? -errno : 0;
}

static int find_user(struct child *c)
{
    _cleanup_close_ int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

    return root < 0 ? -errno : user_lookup_at(root, c->plan->spec, &c->user, &c->error);
}

static int set_limit(int resource, rlim_t value)
{
    struct rlimit now, limit = {value, value};

    if (getrlimit((__rlimit_resource_t)resource, &now) < 0)
        return -errno;
    /* Raising the hard limit needs CAP_SYS_RESOURCE of the initial namespace. */
    if (value == 0 && resource == RLIMIT_NOFILE)
        limit.rlim_cur = limit.rlim_max = now.rlim_max;
    if (limit.rlim_max > now.rlim_max)
        limit.rlim_cur = limit.rlim_max = now.rlim_max;
    return setrlimit((__rlimit_resource_t)resource, &limit) < 0 ? -errno : 0;
}

static int set_limits(struct child *c)
{
    const struct sandbox_spec *spec = c->plan->spec;
    int r = set_limit(RLIMIT_NOFILE, spec->limits.nofile);

    /* Not 0: where kernel.core_pattern is a pipe, a crash would then still start a program of the
     * host, as root. One byte holds no core file and is what keeps the kernel from it (core(5),
     * vfs_coredump() in fs/coredump.c). */
    if (r == 0 && !weakened("core-limit"))
        r = set_limit(RLIMIT_CORE, 1);
    for (size_t i = 0; r == 0 && i < spec->n_rlimits; i++) {
        const struct sandbox_rlimit *l = &spec->rlimits[i];
        const struct rlimit limit = {l->soft, l->hard};
        if (l->resource == RLIMIT_CORE && l->soft != 1)
            continue; /* for the same reason */
        if (setrlimit((__rlimit_resource_t)l->resource, &limit) < 0)
            r = error_sys(&c->error, -errno, "resource limit %u: %llu", l->resource,
                          (unsigned long long)l->hard);
    }
    return r;
}

/* Makes the working directory where it is missing, enters it, and makes sure that it lies in the
 * root: a directory outside has a path that says so (CVE-2024-21626). */
static int enter_cwd(struct child *c)
{
    const char *cwd = c->plan->spec->cwd;
    char path[SANDBOX_PATH_MAX];

    if (!cwd)
        cwd = "/";
    if (chdir(cwd) < 0) {
        if (errno != ENOENT)
            return error_sys(&c->error, -errno, "%s", cwd);
        for (const char *slash = strchr(cwd + 1, '/');; slash = strchr(slash + 1, '/')) {
            snprintf(path, sizeof(path), "%.*s", slash ? (int)(slash - cwd) : (int)strlen(cwd),
                     cwd);
            if (mkdir(path, 0755) < 0 && errno != EEXIST)
                return error_sys(&c->error, -errno, "make %s", path);
            if (!slash)
                break;
        }
        if (chdir(cwd) < 0)
            return error_sys(&c->error, -errno, "%s", cwd);
    }
    if (!weakened("cwd-check") && (syscall(SYS_getcwd, path, sizeof(path)) < 0 || path[0] != '/'))
        return error_set(&c->error, -EXDEV, "%s lies outside the root", cwd);
    return 0;
}

/* Everything but the filter. From here on CAP_SYS_ADMIN, which loading the filter wants, is the
 * only thing that the program will not have: execve(2) gives it what the bounding set leaves to
 * root, and to anybody else nothing. */
static int confine(struct child *c)
{
    const struct sandbox_spec *spec = c->plan->spec;
    const uint64_t allowed = capabilities_default() & ~spec->dropped_capabilities;
    uint64_t own = c->user.uid == 0 ? allowed : 0;
    int r = weakened("bounding-set") ? 0 : capabilities_bound(allowed);

    if (r < 0)
        return error_sys(&c->error, r, "bounding set");
    if (spec->no_new_privs && !weakened("no-new-privs") &&
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return error_sys(&c->error, -errno, "no_new_privs");
    if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0 || setgroups(c->user.n_groups, c->user.groups) < 0 ||
        setresgid(c->user.gid, c->user.gid, c->user.gid) < 0 ||
        setresuid(c->user.uid, c->user.uid, c->user.uid) < 0)
        return error_sys(&c->error, -errno, "set ids");
    r = capabilities_set(own | 1ULL << CAP_SYS_ADMIN);
    if (r < 0)
        return error_sys(&c->error, r, "set capabilities");
    return 0;
}

static bool env_has(char *const *env, const char *name)
{
    size_t length = strlen(name);

    for (; env && *env; env++)
        if (strncmp(*env, name, length) == 0 && (*env)[length] == '=')
            return true;
    return false;
}

/* The spec's environment with PATH, HOSTNAME and HOME added, as Docker does. */
static int make_env(struct child *c)
{
    static char hostname[SANDBOX_HOSTNAME_MAX + 16], home[USER_HOME_MAX + 8];
    const struct sandbox_spec *spec = c->plan->spec;
    size_t n = 0;

    while (spec->env && spec->env[n])
        n++;
    c->env = calloc(n + 4, sizeof(*c->env));
    if (!c->env)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++)
        c->env[i] = spec->env[i];
    snprintf(hostname, sizeof(hostname), "HOSTNAME=%s",
             spec->hostname ? spec->hostname : ETC_HOSTNAME_DEFAULT);
    snprintf(home, sizeof(home), "HOME=%s", c->user.home);
    if (!env_has(spec->env, "PATH"))
        c->env[n++] = (char *)(uintptr_t) "PATH=" PATH_DEFAULT;
    if (!env_has(spec->env, "HOSTNAME"))
        c->env[n++] = hostname;
    if (!env_has(spec->env, "HOME"))
        c->env[n++] = home;
    return 0;
}

static const char *path_of(char *const *env)
{
    for (; *env; env++)
        if (strncmp(*env, "PATH=", 5) == 0)
            return *env + 5;
    return PATH_DEFAULT;
}

/* execvp(3)'s search without its shell fallback; returns what stopped it: the most telling of the
 * errors, that is any but "not there". */
static int execute(struct child *c)
{
    char *const *argv = c->plan->spec->argv;
    char path[SANDBOX_PATH_MAX];
    int telling = -ENOENT;

    if (strchr(argv[0], '/')) {
        execve(argv[0], argv, c->env);
        return -errno;
    }
    for (const char *dir = path_of(c->env); dir;) {
        size_t length = strcspn(dir, ":");
        int n = length > 0 ? snprintf(path, sizeof(path), "%.*s/%s", (int)length, dir, argv[0])
                           : snprintf(path, sizeof(path), "./%s", argv[0]);
        if (n > 0 && (size_t)n < sizeof(path)) {
            execve(path, argv, c->env);
            if (errno != ENOENT && errno != ENOTDIR && telling == -ENOENT)
                telling = -errno;
        }
        dir = dir[length] ? dir + length + 1 : NULL;
    }
    return telling;
}

static int run_program(struct child *c)
{
    struct pollfd status = {.fd = c->plan->status_fd};
    const char *name = c->plan->spec->argv[0];
    struct stat st;
    int r;

    /* Changes of ids have cleared it. A launcher that died in between has closed its end of the
     * status pipe (getppid(2) tells nothing to the first process of a pid namespace). */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        return -errno;
    if (poll(&status, 1, 0) != 0)
        _exit(127);
    /* Last of all: a profile of the administrator's may answer any call in any way, and none that
     * takes a privilege away may be left to it. */
    r = weakened("filter") ? 0 : seccomp_load(&c->plan->host->filter);
    if (r < 0)
        return error_sys(&c->error, r, "system call filter");
    r = execute(c);
    if (r == -ENOENT && strchr(name, '/') && stat(name, &st) == 0)
        return error_set(&c->error, r, "\"%s\": its interpreter is not found", name);
    if (r == -ENOENT)
        return error_set(&c->error, r, "\"%s\": not found", name);
    if (r == -EACCES || r == -ENOEXEC || r == -EISDIR || r == -EPERM)
        return error_sys(&c->error, r, "\"%s\": not executable", name);
    return error_sys(&c->error, r, "\"%s\"", name);
}

/* After setsid(2), which makes the leader of a session that has no terminal yet. */
static int control_terminal(struct child *c)
{
    if (!c->plan->spec->terminal)
        return 0;
    if (fchown(STDIN_FILENO, c->user.uid, (gid_t)-1) < 0 || ioctl(STDIN_FILENO, TIOCSCTTY, 0) < 0)
        return -errno;
    return 0;
}

static void must(struct child *c, const char *step, int r)
{
    if (r < 0)
        die(c, step, r);
}

/* What the program's own process does, be it the first of its namespaces or the init's child. */
static _Noreturn void end_in_program(struct child *c)
{
    must(c, "terminal", control_terminal(c));
    must(c, "confine", confine(c));
    must(c, "execve", run_program(c));
    die(c, "execve", -EIO);
}

static int program_below_init(void *userdata)
{
    struct child *c = userdata;

    init_unblock_signals();
    must(c, "init", setsid() < 0 ? -errno : 0);
    end_in_program(c);
}

/* The process becomes the init and the program's a child of it. That has the init's memory until it
 * executes its program, and the init waits for that, as after vfork(2): a copy of the memory would
 * take longer than all that is done in it. */
static _Noreturn void become_init(struct child *c)
{
    _Alignas(16) char stack[PROGRAM_STACK];
    pid_t pid;

    init_block_signals();
    must(c, "init", init_hide());
    pid = clone(program_below_init, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, c);
    must(c, "init", pid < 0 ? -errno : 0);
    must(c, "init", init_confine());
    init_serve(pid, c->plan->status_fd);
}

pid_t child_clone(uint64_t flags, int cgroup_fd, int *ret_pidfd)
{
    int pidfd = -EBADF;
    struct clone_args args = {
        .flags = flags | CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_PIDFD |
                 CLONE_INTO_CGROUP,
        .pidfd = (uint64_t)(uintptr_t)&pidfd,
        .exit_signal = SIGCHLD,
        .cgroup = (uint64_t)cgroup_fd,
    };
    long pid = syscall(SYS_clone3, &args, sizeof(args));

    if (pid < 0)
        return -errno;
    if (pid > 0)
        *ret_pidfd = pidfd;
    return (pid_t)pid;
}

static int make_namespaces(void)
{
    int flags = weakened("ipc-namespace") ? CLONE_NEWCGROUP : CLONE_NEWIPC | CLONE_NEWCGROUP;

    return unshare(flags) < 0 ? -errno : 0;
}

/* What needs neither ids nor a spec. */
static void settle(struct child *c, bool own_network)
{
    must(c, "signals", reset_signals(c));
    must(c, "oom score", set_oom_score(c));
    if (own_network)
        must(c, "loopback", netns_loopback_up());
}

/* From the order on. */
static _Noreturn void become(struct child *c, struct child_plan *plan)
{
    must(c, "join cgroups", join_cgroups(c));
    must(c, "id maps", wait_for_maps(c));
    must(c, "become root", become_root());
    must(c, "make namespaces", make_namespaces());
    must(c, "hostname", set_hostname(c));
    must(c, "session", new_session());
    umask(022);
    must(c, "file system", childroot_enter(plan, c->step, &c->error));
    must(c, "stdio", set_stdio(c));
    must(c, "close files", close_others(plan));
    must(c, "user", find_user(c));
    must(c, "environment", make_env(c));
    must(c, "cwd", enter_cwd(c));
    must(c, "resource limits", set_limits(c));
    if (plan->spec->init)
        become_init(c);
    end_in_program(c);
}

_Noreturn void child_run(const struct child_plan *plan)
{
    static struct child_plan own;
    static struct child c;

    own = *plan;
    c = (struct child){.plan = &own};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (size_t i = 0; i < ARRAY_SIZE(own.launcher_fds); i++)
        safe_close(own.launcher_fds[i]);
    if (own.host->network)
        network_drop_ports(own.host->network);
    settle(&c, own.spec->network != SANDBOX_NETWORK_PARENT);
    become(&c, &own);
}

/* Nobody listens yet: who cannot go on just ends, and is not used. */
_Noreturn void child_wait(const struct host *host, int order_fd)
{
    static struct request request;
    static struct child_plan own;
    static struct child c;
    const int order = STDERR_FILENO + 1;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    /* Nothing of the launcher's is kept: not its locks, and no end of another sandbox's pipes. */
    if (order_fd != order && dup3(order_fd, order, O_CLOEXEC) < 0)
        _exit(127);
    if (close_range(order + 1, ~0U, 0) < 0)
        _exit(127);
    own = (struct child_plan){.host = host, .status_fd = -EBADF};
    c = (struct child){.plan = &own};
    settle(&c, true);
    own.proc_fd = mount_new("proc", NULL, 0, MOUNT_NOTHING_SPECIAL, &c.error);
    own.sys_fd = mount_new("sysfs", NULL, 0, MOUNT_NOTHING_SPECIAL | MOUNT_ATTR_RDONLY, &c.error);
    if (own.proc_fd < 0 || own.sys_fd < 0 || order_receive(order, &own, &request) < 0)
        _exit(127);
    become(&c, &own);
}
