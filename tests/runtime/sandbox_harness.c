#include "sandbox_harness.h"

#include "base/clock.h"
#include "base/fdio.h"
#include "base/text.h"
#include "sandbox_internal.h"
#include "self.h"
#include "spare.h"

#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A sandbox that is not over by then hangs; long because of slow virtual machines. TEST_WAIT in the
 * environment (seconds) is for those who expect just that. */
#define RUN_SEC_MAX 120

struct harness H;

/* Before main(): the sandboxes of these tests are made by this process, which so runs from a sealed
 * copy, as launchers do. */
__attribute__((constructor)) static void seal_program(int argc, char **argv)
{
    struct error e = ERROR_INIT;
    int fd;

    (void)argc;
    if (self_is_sealed() > 0)
        return;
    fd = self_copy(&e);
    if (fd >= 0 && fcntl(fd, F_GET_SEALS) < 0) { /* that defence is off: weaken.h */
        close(fd);
        return;
    }
    if (fd >= 0)
        syscall(SYS_execveat, fd, "", argv, environ, AT_EMPTY_PATH);
    fprintf(stderr, "%s\n", fd < 0 ? e.text : strerror(errno));
    exit(1);
}

void put_file(int dir_fd, const char *path, const char *text, unsigned mode)
{
    _cleanup_close_ int fd =
        openat(dir_fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(fd_write_full(fd, text, strlen(text)), 0);
    assert_int_equal(fchmod(fd, mode), 0);
}

const char *get_file(int dir_fd, const char *path, struct buffer *b)
{
    buffer_clear(b);
    if (fd_read_file(dir_fd, path, b, 1 << 20) < 0)
        return NULL;
    return buffer_string(b);
}

int count_entries(int dir_fd, const char *path)
{
    int fd = openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    int n = 0;

    if (!dir)
        return -errno;
    while (readdir(dir))
        n++;
    closedir(dir);
    return n - 2;
}

uint64_t scaled_usec(uint64_t usec)
{
    const char *text = getenv("DOCKLESS_TIME_SCALE");
    long scale = text ? strtol(text, NULL, 10) : 1;

    return usec * (uint64_t)MAX(scale, 1);
}

static int open_new_dir(int dir_fd, const char *name, unsigned mode)
{
    int fd;

    if (mkdirat(dir_fd, name, 0700) < 0 && errno != EEXIST)
        return -errno;
    fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd >= 0 && fchmod(fd, mode) == 0 ? fd : -errno;
}

static int copy_program(const char *from, int to_fd, const char *to)
{
    _cleanup_buffer_ struct buffer b = {0};
    _cleanup_close_ int fd = -EBADF;

    if (fd_read_file(AT_FDCWD, from, &b, 16 << 20) < 0)
        return -ENOENT;
    fd = openat(to_fd, to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
    return fd < 0 ? -errno : fd_write_full(fd, b.data, b.size);
}

/* An image as small as they come: busybox, passwd, group. No /proc, /sys, /dev: the runtime makes
 * what is missing. */
static int make_image(int store_fd)
{
    static const char *const applets[] = {
        "sh",       "cat",   "ls",    "id",     "stat",  "sleep",   "echo",   "mkdir",  "touch",
        "rm",       "ln",    "mv",    "chmod",  "chown", "mount",   "head",   "tail",   "grep",
        "sed",      "wc",    "dd",    "true",   "false", "kill",    "env",    "pwd",    "sort",
        "tr",       "test",  "find",  "ping",   "nc",    "ip",      "ps",     "tty",    "hostname",
        "readlink", "mknod", "df",    "usleep", "awk",   "timeout", "setsid", "mkfifo", "cut",
        "printf",   "yes",   "xargs", "seq",    "date"};
    _cleanup_close_ int image = open_new_dir(store_fd, "image", 0755);
    _cleanup_close_ int bin = image < 0 ? -1 : open_new_dir(image, "bin", 0755);
    _cleanup_close_ int etc = image < 0 ? -1 : open_new_dir(image, "etc", 0755);
    _cleanup_close_ int tmp = image < 0 ? -1 : open_new_dir(image, "tmp", 01777);

    if (bin < 0 || etc < 0 || tmp < 0 || copy_program("/bin/busybox", bin, "busybox") < 0 ||
        copy_program(SANDBOX_PAYLOAD, bin, "payload") < 0)
        return -ENOENT;
    for (size_t i = 0; i < ARRAY_SIZE(applets); i++)
        if (symlinkat("busybox", bin, applets[i]) < 0)
            return -errno;
    put_file(etc, "passwd",
             "root:x:0:0:root:/root:/bin/sh\n"
             "worker:x:4242:4242::/home/worker:/bin/sh\n"
             "1000:x:77:77::/:/bin/sh\n",
             0644);
    put_file(etc, "group", "root:x:0:\nworker:x:4242:\nextra:x:500:worker,other\nusers:x:100:\n",
             0644);
    put_file(etc, "hosts", "the image's own\n", 0644);
    if (symlinkat("/run/elsewhere/resolv.conf", etc, "resolv.conf") < 0)
        return -errno;
    return 0;
}

int harness_make_tree(void)
{
    const char *tmp = getenv("TMPDIR");
    _cleanup_close_ int extra = -EBADF;

    /* Not the ids of other tests that run beside this one. */
    H.first_id = 0x10000000 + (uint32_t)(getpid() % 1024) * 16 * SANDBOX_ID_RANGE;
    snprintf(H.dir, sizeof(H.dir), "%s/dockless-rt-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(H.dir))
        return -errno;
    H.host_proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    H.base_fd = open(H.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    H.store_fd = open_new_dir(H.base_fd, "store", 0755);
    H.tasks_fd = open_new_dir(H.base_fd, "tasks", 0755);
    H.shared_fd = open_new_dir(H.base_fd, "shared", 0755);
    extra = open_new_dir(H.store_fd, "extra", 0755);
    if (extra < 0 || H.tasks_fd < 0 || H.shared_fd < 0)
        return -EIO;
    return make_image(H.store_fd);
}

int harness_open_host(void)
{
    char paths[ROOTS_][300], scratch[300], run_dir[300];
    static const char *const names[ROOTS_] = {"store", "tasks", "shared"};
    struct launcher_root roots[ROOTS_];
    struct launcher_config config = {.roots = roots,
                                     .n_roots = ROOTS_,
                                     .scratch = scratch,
                                     .run_dir = run_dir,
                                     .first_id = H.first_id,
                                     .ranges = 16,
                                     .spares = H.spares,
                                     .disk = H.disk,
                                     .network = H.network};
    struct error e = ERROR_INIT;
    int r;

    if (getenv("TEST_SPARES"))
        config.spares = MAX(H.spares, 1U);
    for (int i = 0; i < ROOTS_; i++) {
        snprintf(paths[i], sizeof(paths[i]), "%s/%s", H.dir, names[i]);
        roots[i] = (struct launcher_root){names[i], paths[i], i != ROOT_SHARED};
    }
    snprintf(scratch, sizeof(scratch), "%s/scratch", H.dir);
    snprintf(run_dir, sizeof(run_dir), "%s/run", H.dir);
    r = host_open(&config, H.event, &H.host, &e);
    if (r < 0)
        fprintf(stderr, "host_open: %s\n", e.text);
    /* For tests/security/without: a test that fails leaves cgroups of this name behind. */
    else if (getenv("DOCKLESS_WEAKEN"))
        fprintf(stderr, "instance %s\n", H.host->instance);
    return r;
}

int harness_setup(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        fprintf(stderr, "needs root\n");
        exit(77);
    }
    signal(SIGPIPE, SIG_IGN);
    if (harness_make_tree() < 0) {
        fprintf(stderr, "needs /bin/busybox (package busybox-static)\n");
        exit(77);
    }
    if (loop_new(&H.event) < 0)
        return -1;
    return harness_open_host() < 0 ? -1 : 0;
}

void harness_remove_tree(void)
{
    static const char *const names[] = {"store", "tasks", "shared", "run", "scratch"};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        (void)fd_remove_tree(H.base_fd, names[i]);
    safe_close(H.store_fd);
    safe_close(H.tasks_fd);
    safe_close(H.shared_fd);
    safe_close(H.base_fd);
    safe_close(H.host_proc_fd);
}

int harness_teardown(void **state)
{
    int r;

    (void)state;
    if (H.host)
        host_close(H.host);
    loop_unref(H.event);
    /* Everything made for sandboxes goes with the host. */
    r = count_entries(H.base_fd, "scratch");
    if (r != 0)
        fprintf(stderr, "%d entries are left in the scratch\n", r);
    harness_remove_tree();
    return r == 0 ? 0 : -1;
}

int harness_main(const char *name, const struct CMUnitTest *tests, size_t n)
{
    const char *only = getenv("TEST_ONLY");

    if (only)
        cmocka_set_test_filter(only);
    return _cmocka_run_group_tests(name, tests, n, harness_setup, harness_teardown);
}

void run_set_argv(struct run *r, const char *const *argv)
{
    r->spec.argv = strv_free(r->spec.argv);
    for (; *argv; argv++)
        assert_int_equal(strv_append(&r->spec.argv, *argv), 0);
}

void run_init(struct run *r, const char *script)
{
    memset(r, 0, sizeof(*r));
    r->out_fd = r->in_fd = -EBADF;
    r->spec.layers_root = ROOT_STORE;
    assert_int_equal(strv_append(&r->spec.layers, "image"), 0);
    assert_int_equal(strv_append(&r->spec.env, "PATH=/bin"), 0);
    r->spec.hostname = strdup("box");
    run_set_argv(r, (const char *const[]){"sh", "-c", script, NULL});
}

static void on_over(struct sandbox *s, const struct sandbox_report *report, void *userdata)
{
    struct run *r = userdata;

    assert_ptr_equal(s, r->sandbox);
    assert_false(r->over);
    r->report = *report;
    r->over = true;
}

void spare_wait(void)
{
    while (getenv("TEST_SPARES") && spares_count(H.host->spares) == 0)
        assert_true(loop_run(H.event, 10000) >= 0);
}

static void start(struct run *r, const int stdio[3])
{
    struct error e = ERROR_INIT;

    if (r->parent)
        r->spec.parent = sandbox_id(r->parent);
    if (sandbox_spec_validate(&r->spec, &e) < 0)
        fail_msg("%s", e.text);
    spare_wait();
    assert_int_equal(sandbox_start(H.host, 7, &r->spec, stdio, r->parent, on_over, r, &r->sandbox),
                     0);
}

void run_start_without_stdio(struct run *r)
{
    start(r, (const int[3]){-1, -1, -1});
}

void run_start(struct run *r)
{
    int out[2], in[2];

    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    fd_set_nonblock(out[0], true);
    r->out_fd = out[0];
    r->in_fd = in[1];
    start(r, (const int[3]){in[0], out[1], out[1]});
    safe_close(in[0]);
    safe_close(out[1]);
}

/* Takes what is there; true at the end. */
static bool drain(struct run *r)
{
    char data[4096];
    ssize_t n;

    if (r->out_fd < 0)
        return true;
    while ((n = read(r->out_fd, data, sizeof(data))) > 0)
        assert_int_equal(buffer_append(&r->out, data, (size_t)n), 0);
    return n == 0;
}

static uint64_t run_usec_max(void)
{
    const char *text = getenv("TEST_WAIT");

    return (text ? strtoull(text, NULL, 10) : RUN_SEC_MAX) * USEC_PER_SEC;
}

void run_until(struct run *r, const char *text)
{
    uint64_t end = clock_monotonic_usec() + run_usec_max();

    for (;;) {
        drain(r);
        if (r->out.size > 0 && strstr(buffer_string(&r->out), text))
            return;
        if (r->over || clock_monotonic_usec() > end)
            fail_msg(
                "no \"%s\" in: %s (%s %s: %s)", text, r->out.size ? buffer_string(&r->out) : "",
                sandbox_verdict_name(r->report.verdict), r->report.failed_step, r->report.error);
        assert_true(loop_run(H.event, 2000) >= 0);
    }
}

void run_wait(struct run *r)
{
    uint64_t end = clock_monotonic_usec() + run_usec_max();

    while (!r->over) {
        drain(r);
        if (clock_monotonic_usec() > end) {
            sandbox_free(r->sandbox); /* nothing of it may outlive the host */
            fail_msg("the sandbox hangs");
        }
        assert_true(loop_run(H.event, 10000) >= 0);
    }
    drain(r);
}

void run_clear(struct run *r)
{
    if (r->sandbox)
        sandbox_free(r->sandbox);
    sandbox_spec_clear(&r->spec);
    buffer_clear(&r->out);
    safe_close(r->out_fd);
    safe_close(r->in_fd);
}

const char *run_output(struct run *r, int status)
{
    char *text;

    run_start(r);
    run_wait(r);
    text = buffer_string(&r->out);
    assert_non_null(text);
    if (r->report.verdict != SANDBOX_EXITED || r->report.exit_code != status)
        fail_msg("%s %d signal %d, step \"%s\": %s; output: %s",
                 sandbox_verdict_name(r->report.verdict), r->report.exit_code, r->report.signal,
                 r->report.failed_step, r->report.error, text);
    if (r->out.size > 0 && text[r->out.size - 1] == '\n')
        text[r->out.size - 1] = 0;
    return text;
}

void check_script(const char *script, int status, const char *output)
{
    struct run r;

    run_init(&r, script);
    assert_string_equal(run_output(&r, status), output);
    run_clear(&r);
}

pid_t run_host_pid(const struct run *r)
{
    assert_true(r->sandbox->pid > 0);
    return r->sandbox->pid;
}

pid_t newest_first_process(void)
{
    DIR *dir = fdopendir(openat(H.host_proc_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    struct dirent *entry;
    pid_t found = -1;

    assert_non_null(dir);
    /* Our child that is the first process of a pid namespace, the newest of them. */
    while ((entry = readdir(dir))) {
        _cleanup_buffer_ struct buffer b = {0};
        char path[300], mine[32];
        const char *text;
        snprintf(path, sizeof(path), "%s/status", entry->d_name);
        snprintf(mine, sizeof(mine), "\nPPid:\t%d\n", (int)getpid());
        text = entry->d_name[0] >= '0' && entry->d_name[0] <= '9'
                   ? get_file(H.host_proc_fd, path, &b)
                   : NULL;
        if (text && strstr(text, mine) && strstr(text, "\t1\nNSpgid:"))
            found = MAX(found, (pid_t)strtol(entry->d_name, NULL, 10));
    }
    closedir(dir);
    assert_true(found > 0);
    return found;
}

int count_processes_of(uint32_t first, uint32_t n)
{
    DIR *dir = fdopendir(openat(H.host_proc_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    struct dirent *entry;
    int found = 0;

    assert_non_null(dir);
    while ((entry = readdir(dir))) {
        struct stat st;
        if (entry->d_name[0] >= '0' && entry->d_name[0] <= '9' &&
            fstatat(dirfd(dir), entry->d_name, &st, 0) == 0)
            found += st.st_uid >= first && st.st_uid - first < n;
    }
    closedir(dir);
    return found;
}
