/* The bare cycle of a sandbox, from the request to the report, with a payload that does nothing,
 * beside `bwrap --unshare-all`, `crun run` and `runc run` on the same root directory. The programs
 * take turns, so that what else the machine does falls on all of them alike.
 *
 *   sandbox_cycle [ROUNDS [SCRATCH]]
 *
 * "ahead" is ours with first processes made ahead (spare.h): the next is made while nothing is
 * measured. "image" and "quota" are ours with a limit on disk by either (disk.h); SCRATCH may be on
 * a file system with project quotas. crun and runc get a bundle with the same namespaces and
 * filter, but without limits; bwrap has neither filter nor ids. "cycle" is sandbox_start() to the
 * report, "whole" includes the cleaning that follows the report; for the others both are fork to
 * wait.  Medians, 10th and 90th percentiles in microseconds. */
#include "base/clock.h"
#include "base/fdio.h"
#include "base/text.h"
#include "host.h"
#include "life.h"
#include "seccomp_profile.h"
#include "spare.h"
#include "syscall_name.h"

#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS_DEFAULT 200
#define ROUNDS_MAX     100000
#define DISK_BYTES     ((uint64_t)64 << 20)

enum { OURS, AHEAD, IMAGE, QUOTA, BWRAP, CRUN, RUNC, SUBJECTS_ };

/* Each subject is run by a process of its own that runs one sandbox for each byte it reads. */
struct subject {
    const char *name;
    pid_t pid;
    int ask, answer;
    uint64_t *cycle, *whole;
    size_t n;
};

struct one {
    uint64_t cycle, whole;
    bool good;
};

static char base[] = "/tmp/dockless-bench-XXXXXX";
static struct subject subjects[SUBJECTS_] = {
    {.name = "dockless"}, {.name = "ahead"}, {.name = "image"}, {.name = "quota"},
    {.name = "bwrap"},    {.name = "crun"},  {.name = "runc"}};

static void fatal(const char *what)
{
    fprintf(stderr, "sandbox_cycle: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* ---- ours ---- */

struct waiting {
    bool over;
    struct sandbox_report report;
};

static void on_over(struct sandbox *s, const struct sandbox_report *report, void *userdata)
{
    struct waiting *w = userdata;

    (void)s;
    w->report = *report;
    w->over = true;
}

static struct one run_ours(struct host *host, struct loop *event, const struct sandbox_spec *spec)
{
    struct waiting w = {0};
    struct one result = {0};
    struct sandbox *s;
    uint64_t start = clock_monotonic_usec();

    if (sandbox_start(host, 1, spec, (int[]){-1, -1, -1}, NULL, on_over, &w, &s) < 0)
        return result;
    while (!w.over)
        if (loop_run(event, UINT64_MAX) < 0)
            return result;
    result.cycle = clock_monotonic_usec() - start;
    sandbox_free(s);
    result.whole = clock_monotonic_usec() - start;
    result.good = w.report.verdict == SANDBOX_EXITED && w.report.exit_code == 0;
    if (!result.good)
        fprintf(stderr, "%s: %s: %s\n", sandbox_verdict_name(w.report.verdict),
                w.report.failed_step, w.report.error);
    return result;
}

/* Until there is one for the next round. */
static void wait_for_spare(struct host *host, struct loop *event)
{
    while (spares_count(host->spares) == 0)
        if (loop_run(event, UINT64_MAX) < 0)
            return;
}

static _Noreturn void serve(int which, int in, int out, const char *scratch)
{
    _cleanup_free_ char *run_dir = text_printf("%s/run", base);
    struct launcher_root root = {"store", base, true};
    const uint32_t spares = which == AHEAD;
    const bool disk = which == IMAGE || which == QUOTA;
    struct launcher_config config = {.roots = &root,
                                     .n_roots = 1,
                                     .scratch = scratch,
                                     .run_dir = run_dir,
                                     .spares = spares,
                                     .disk =
                                         which == QUOTA ? LAUNCHER_DISK_QUOTA : LAUNCHER_DISK_IMAGE,
                                     .needed = disk ? LAUNCHER_LIMIT_DISK : 0};
    struct sandbox_spec spec = {0};
    struct error e = ERROR_INIT;
    struct host *host;
    struct loop *event;
    char byte;

    if (loop_new(&event) < 0 || host_open(&config, event, &host, &e) < 0) {
        fprintf(stderr, "sandbox_cycle: %s\n", e.text);
        exit(1);
    }
    strv_append(&spec.layers, "root");
    strv_append(&spec.argv, "/true");
    spec.hostname = strdup("bench");
    spec.limits = (struct sandbox_limits){.memory_bytes = 200 << 20,
                                          .pids = 100,
                                          .disk_bytes = disk ? DISK_BYTES : 0,
                                          .cpu_time_usec = 10 * USEC_PER_SEC,
                                          .wall_time_usec = 30 * USEC_PER_SEC};
    while (read(in, &byte, 1) == 1) {
        struct one result;
        if (spares > 0)
            wait_for_spare(host, event);
        result = run_ours(host, event, &spec);
        if (write(out, &result, sizeof(result)) != sizeof(result))
            break;
    }
    sandbox_spec_clear(&spec);
    host_close(host);
    exit(0);
}

/* ---- the others ---- */

static struct one run_other(const char *const argv[])
{
    struct one result = {0};
    uint64_t start = clock_monotonic_usec();
    int status;
    pid_t pid;

    if (posix_spawnp(&pid, argv[0], NULL, NULL, (char *const *)(uintptr_t)argv, environ) != 0)
        return result;
    if (waitpid(pid, &status, 0) != pid)
        return result;
    result.cycle = result.whole = clock_monotonic_usec() - start;
    result.good = status == 0;
    return result;
}

/* What `runc spec` writes, with what ours has too: a user namespace, our filter, our paths. No
 * limits: the two cannot set them on every host. */
static const char bundle_head[] =
    "{\"ociVersion\":\"1.0.2\",\"process\":{\"terminal\":false,\"user\":{\"uid\":0,\"gid\":0},"
    "\"args\":[\"/true\"],\"env\":[\"PATH=/bin\"],\"cwd\":\"/\",\"noNewPrivileges\":true,"
    "\"capabilities\":{\"bounding\":[\"CAP_KILL\"],\"effective\":[\"CAP_KILL\"],"
    "\"permitted\":[\"CAP_KILL\"]}},\"root\":{\"path\":\"../root\",\"readonly\":true},"
    "\"hostname\":\"bench\",\"mounts\":["
    "{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\"},"
    "{\"destination\":\"/dev\",\"type\":\"tmpfs\",\"source\":\"tmpfs\","
    "\"options\":[\"nosuid\",\"mode=755\",\"size=65536k\"]},"
    "{\"destination\":\"/dev/pts\",\"type\":\"devpts\",\"source\":\"devpts\","
    "\"options\":[\"nosuid\",\"noexec\",\"newinstance\",\"ptmxmode=0666\",\"mode=0620\"]},"
    "{\"destination\":\"/dev/shm\",\"type\":\"tmpfs\",\"source\":\"shm\","
    "\"options\":[\"nosuid\",\"noexec\",\"nodev\",\"mode=1777\",\"size=65536k\"]},"
    "{\"destination\":\"/dev/mqueue\",\"type\":\"mqueue\",\"source\":\"mqueue\","
    "\"options\":[\"nosuid\",\"noexec\",\"nodev\"]},"
    "{\"destination\":\"/sys\",\"type\":\"sysfs\",\"source\":\"sysfs\","
    "\"options\":[\"nosuid\",\"noexec\",\"nodev\",\"ro\"]}],"
    "\"linux\":{\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"network\"},{\"type\":\"ipc\"},"
    "{\"type\":\"uts\"},{\"type\":\"mount\"},{\"type\":\"user\"}],"
    "\"uidMappings\":[{\"containerID\":0,\"hostID\":1879048192,\"size\":65536}],"
    "\"gidMappings\":[{\"containerID\":0,\"hostID\":1879048192,\"size\":65536}],"
    "\"maskedPaths\":[\"/proc/acpi\",\"/proc/kcore\",\"/proc/keys\",\"/proc/timer_list\","
    "\"/sys/firmware\"],\"readonlyPaths\":[\"/proc/bus\",\"/proc/fs\",\"/proc/irq\",\"/proc/sys\","
    "\"/proc/sysrq-trigger\"],\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ERRNO\","
    "\"syscalls\":[{\"action\":\"SCMP_ACT_ALLOW\",\"names\":[\"chroot\"";

static void write_bundle(int dir)
{
    _cleanup_close_ int fd =
        openat(dir, "bundle/config.json", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    _cleanup_buffer_ struct buffer b = {0};
    int r = buffer_printf(&b, "%s", bundle_head);

    for (size_t i = 0; r == 0 && i < seccomp_n_allowed; i++) {
        _cleanup_free_ char *name = syscall_name(seccomp_allowed[i]);
        if (name)
            r = buffer_printf(&b, ",\"%s\"", name);
    }
    if (r == 0)
        r = buffer_printf(&b, "]}]}}}");
    if (r < 0 || fd < 0 || fd_write_full(fd, b.data, b.size) < 0)
        fatal("bundle/config.json");
}

/* crun 1.8 gives up where v1 hierarchies stand beside a v2 tree that has a controller: it is shown
 * the v2 tree alone. */
static void hide_hybrid(void)
{
    if (access("/sys/fs/cgroup/unified", F_OK) == 0 &&
        (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
         mount("/sys/fs/cgroup/unified", "/sys/fs/cgroup", NULL, MS_BIND, NULL) < 0))
        fatal("show crun a v2 tree");
}

static _Noreturn void serve_other(int which, int in, int out)
{
    char root[64], bundle[64], name[64], byte;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    snprintf(root, sizeof(root), "%s/root", base);
    snprintf(bundle, sizeof(bundle), "%s/bundle", base);
    snprintf(name, sizeof(name), "dockless-bench-%d", (int)getpid());
    const char *const bwrap[] = {"bwrap", "--unshare-all", "--ro-bind", root,    "/", "--proc",
                                 "/proc", "--dev",         "/dev",      "/true", NULL};
    const char *const crun[] = {"crun", "run", "-b", bundle, name, NULL};
    const char *const runc[] = {"runc", "run", "-b", bundle, name, NULL};
    const char *const *const commands[] = {[BWRAP] = bwrap, [CRUN] = crun, [RUNC] = runc};

    if (which == CRUN)
        hide_hybrid();
    if (!getenv("BENCH_VERBOSE") && (dup2(null, 1) < 0 || dup2(null, 2) < 0))
        exit(1);
    while (read(in, &byte, 1) == 1) {
        struct one result = run_other(commands[which]);
        if (write(out, &result, sizeof(result)) != sizeof(result))
            break;
    }
    exit(0);
}

static void start_server(int which, const char *scratch)
{
    struct subject *s = &subjects[which];
    int ask[2], answer[2];

    if (pipe2(ask, O_CLOEXEC) < 0 || pipe2(answer, O_CLOEXEC) < 0)
        fatal("pipe");
    s->pid = fork();
    if (s->pid < 0)
        fatal("fork");
    if (s->pid == 0) {
        for (int i = 0; i < which; i++)
            safe_close(subjects[i].ask);
        safe_close(ask[1]);
        if (which < BWRAP)
            serve(which, ask[0], answer[1], scratch);
        serve_other(which, ask[0], answer[1]);
    }
    safe_close(ask[0]);
    safe_close(answer[1]);
    s->ask = ask[1];
    s->answer = answer[0];
}

static struct one run_subject(struct subject *s)
{
    struct one result = {0};

    if (write(s->ask, "x", 1) != 1 ||
        fd_read_full(s->answer, &result, sizeof(result)) != (ssize_t)sizeof(result))
        result.good = false;
    return result;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static uint64_t percentile(uint64_t *values, size_t n, size_t percent)
{
    qsort(values, n, sizeof(*values), compare);
    return values[(n - 1) * percent / 100];
}

static void print_table(void)
{
    uint64_t ours = subjects[OURS].n ? percentile(subjects[OURS].cycle, subjects[OURS].n, 50) : 0;

    printf("%-10s %7s %9s %9s %9s %9s %9s\n", "", "runs", "cycle", "p10", "p90", "whole", "ratio");
    for (int i = 0; i < SUBJECTS_; i++) {
        struct subject *s = &subjects[i];
        if (s->n == 0) {
            printf("%-10s not there, or it does not work here\n", s->name);
            continue;
        }
        printf("%-10s %7zu %9llu %9llu %9llu %9llu %9.2f\n", s->name, s->n,
               (unsigned long long)percentile(s->cycle, s->n, 50),
               (unsigned long long)percentile(s->cycle, s->n, 10),
               (unsigned long long)percentile(s->cycle, s->n, 90),
               (unsigned long long)percentile(s->whole, s->n, 50),
               (double)percentile(s->cycle, s->n, 50) / (double)MAX(ours, 1));
    }
}

static void make_root(void)
{
    _cleanup_buffer_ struct buffer program = {0};
    _cleanup_close_ int dir = -EBADF, fd = -EBADF;
    static const char *const dirs[] = {"root",     "root/proc", "root/dev", "root/sys",
                                       "root/etc", "root/tmp",  "bundle"};

    if (!mkdtemp(base) || chmod(base, 0755) < 0)
        fatal("make a directory");
    dir = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
        if (mkdirat(dir, dirs[i], 0755) < 0)
            fatal(dirs[i]);
    if (fd_read_file(AT_FDCWD, BENCH_TRUE, &program, 16 << 20) < 0)
        fatal(BENCH_TRUE);
    fd = openat(dir, "root/true", O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
    if (fd < 0 || fd_write_full(fd, program.data, program.size) < 0)
        fatal("root/true");
    write_bundle(dir);
}

int main(int argc, char **argv)
{
    unsigned long rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : ROUNDS_DEFAULT;
    const char *only = getenv("BENCH_ONLY"); /* "dockless,ahead": nothing beside them */
    char scratch[128];

    if (rounds < 1 || rounds > ROUNDS_MAX)
        rounds = ROUNDS_DEFAULT;
    signal(SIGPIPE, SIG_IGN); /* a subject may have given up */
    make_root();
    snprintf(scratch, sizeof(scratch), "%s/scratch", base);
    for (int i = 0; i < SUBJECTS_; i++) {
        subjects[i].cycle = calloc(rounds, sizeof(uint64_t));
        subjects[i].whole = calloc(rounds, sizeof(uint64_t));
        start_server(i, argc > 2 ? argv[2] : scratch);
    }
    for (unsigned long round = 0; round < rounds + 5; round++) {
        for (int i = 0; i < SUBJECTS_; i++) {
            struct subject *s = &subjects[i];
            struct one one = {0};
            if (!only || strstr(only, s->name))
                one = run_subject(s);
            if (round < 5 || !one.good) /* the first ones warm caches */
                continue;
            s->cycle[s->n] = one.cycle;
            s->whole[s->n++] = one.whole;
        }
    }
    for (int i = 0; i < SUBJECTS_; i++)
        safe_close(subjects[i].ask);
    for (int i = 0; i < SUBJECTS_; i++)
        waitpid(subjects[i].pid, NULL, 0);
    print_table();
    (void)fd_remove_tree(AT_FDCWD, base);
    return 0;
}
