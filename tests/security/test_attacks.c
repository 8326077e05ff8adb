/* links: runtime */
/* Attacks of docs/security.md, made by a program inside a sandbox, with the outcome seen from the
 * host. */
#include "sandbox_harness.h"

#include "base/fdio.h"
#include "base/text.h"
#include "self.h"

#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#ifdef __x86_64__
#define INTERPRETER_DIR  "lib64"
#define INTERPRETER_NAME "ld-linux-x86-64.so.2"
#else
#define INTERPRETER_DIR  "lib"
#define INTERPRETER_NAME "ld-linux-aarch64.so.1"
#endif

/* Descriptors that the launcher or the child might have open; the harness has less than fifty. */
#define FDS_FIRST 3
#define FDS_LAST  40

static void copy_program(const char *from, int to_dir, const char *to)
{
    _cleanup_buffer_ struct buffer b = {0};
    _cleanup_close_ int fd = -EBADF;

    assert_int_equal(fd_read_file(AT_FDCWD, from, &b, 16 << 20), 0);
    fd = openat(to_dir, to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
    assert_true(fd >= 0);
    assert_int_equal(fd_write_full(fd, b.data, b.size), 0);
    assert_int_equal(fchmod(fd, 0755), 0);
}

/* The hostile layer "extra": the attacker, a dynamic linker, and links to where it hurts. The
 * programs of the host are out of reach once the host is open, so it is made before. */
static int set_up(void **state)
{
    _cleanup_close_ int bin = -EBADF, lib = -EBADF, extra = -EBADF;

    (void)state;
    if (geteuid() != 0 || harness_make_tree() < 0)
        exit(77);
    extra = openat(H.store_fd, "extra", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(mkdirat(extra, "bin", 0755), 0);
    assert_int_equal(mkdirat(extra, INTERPRETER_DIR, 0755), 0);
    bin = openat(extra, "bin", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    lib = openat(extra, INTERPRETER_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    copy_program(SECURITY_ATTACKER, bin, "attacker");
    copy_program(SECURITY_INTERPRETER, lib, INTERPRETER_NAME);
    assert_int_equal(symlinkat("/proc/self/exe", bin, "link"), 0);
    put_file(bin, "script", "#!/proc/self/exe\n", 0755);
    for (int fd = FDS_FIRST; fd <= FDS_LAST; fd++) {
        char name[16], to[32];
        snprintf(name, sizeof(name), "fd%d", fd);
        snprintf(to, sizeof(to), "/proc/self/fd/%d", fd);
        assert_int_equal(symlinkat(to, extra, name), 0);
    }
    assert_true(loop_new(&H.event) >= 0);
    return harness_open_host();
}

static void attack_init(struct run *r, const char *const *argv)
{
    run_init(r, "");
    assert_int_equal(strv_append(&r->spec.layers, "extra"), 0);
    run_set_argv(r, argv);
}

static void check_attack(const char *verb, const char *output)
{
    struct run r;

    attack_init(&r, (const char *const[]){"attacker", verb, NULL});
    assert_string_equal(run_output(&r, 0), output);
    run_clear(&r);
}

/* Row 1 (CVE-2019-5736). The image makes the runtime execute itself, and takes it over there. */
static void a_container_that_executes_the_runtime_gets_no_file_of_the_host(void **state)
{
    static const char *const ways[] = {"/proc/self/exe", "/bin/link", "/bin/script"};
    struct run r;

    (void)state;
    assert_int_equal(self_is_sealed(), 1);
    for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
        const char *out;
        attack_init(&r, (const char *const[]){ways[i], NULL});
        out = run_output(&r, 0);
        if (strncmp(out, "program /memfd:dockless (deleted)\n", 34) != 0)
            fail_msg("%s: %s", ways[i], out);
        assert_non_null(strstr(out, "truncate: refused\n"));
        assert_non_null(strstr(out, "chmod: refused\n"));
        assert_non_null(strstr(out, "map shared and writable: refused"));
        assert_null(strstr(out, "write: done"));
        run_clear(&r);
    }
}

/* Row 2 (CVE-2024-21626). */
static void nothing_but_stdio_is_open(void **state)
{
    (void)state;
    check_attack("fds", "");
}

static void a_working_directory_behind_a_descriptor_is_refused(void **state)
{
    (void)state;
    for (int fd = FDS_FIRST; fd <= FDS_LAST; fd++) {
        struct run r;
        attack_init(&r, (const char *const[]){"ls", "-a", "..", NULL});
        assert_true(asprintf(&r.spec.cwd, "/fd%d", fd) > 0);
        run_start(&r);
        run_wait(&r);
        if (r.report.verdict != SANDBOX_START_FAILED)
            fail_msg("descriptor %d: %s", fd, buffer_string(&r.out));
        assert_string_equal(r.report.failed_step, "cwd");
        run_clear(&r);
    }
}

/* Row 4. With 0 a crash starts what core_pattern names, as root of the host. */
static void a_crash_starts_no_program_of_the_host(void **state)
{
    (void)state;
    check_attack("core", "1 1");
}

/* Row 6. */
static void privileges_do_not_grow(void **state)
{
    struct run r;

    (void)state;
    check_attack("privileges", "");
    attack_init(&r, (const char *const[]){"attacker", "privileges", NULL});
    r.spec.user = strdup("worker");
    r.spec.no_new_privs = true;
    assert_string_equal(run_output(&r, 0), "");
    run_clear(&r);
}

/* Row 7. */
static void forbidden_calls_get_nowhere(void **state)
{
    (void)state;
    check_attack("calls", "");
}

/* The thief, in the namespaces of KINDS that belong to process PID: what it would find if it were
 * not for these. */
static void steal_from_inside(pid_t pid, const char *const *kinds, struct buffer *out)
{
    _cleanup_close_ int program = openat(H.store_fd, "extra/bin/attacker", O_PATH | O_CLOEXEC);
    char *const argv[] = {(char *)(uintptr_t) "attacker", (char *)(uintptr_t) "thief", NULL};
    int fds[2], namespaces[8], n = 0, status;
    pid_t child;

    assert_true(program >= 0);
    for (; *kinds; kinds++) {
        char path[64];
        snprintf(path, sizeof(path), "%d/ns/%s", (int)pid, *kinds);
        namespaces[n] = openat(H.host_proc_fd, path, O_RDONLY | O_CLOEXEC);
        assert_true(namespaces[n++] >= 0);
    }
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        for (int i = 0; i < n; i++)
            if (setns(namespaces[i], 0) < 0)
                _exit(90);
        dup2(fds[1], STDOUT_FILENO);
        syscall(SYS_execveat, program, "", argv, environ, AT_EMPTY_PATH);
        _exit(91);
    }
    close(fds[1]);
    while (n > 0)
        close(namespaces[--n]);
    assert_int_equal(fd_read_all(fds[0], out, 1 << 20), 0);
    close(fds[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void end_victim(struct run *victim)
{
    assert_int_equal(write(victim->in_fd, "x", 1), 1);
    run_wait(victim);
    assert_int_equal(victim->report.verdict, SANDBOX_EXITED);
    assert_non_null(strstr(buffer_string(&victim->out), "alive"));
}

/* Row 8 (and abstract sockets: CVE-2020-15257). */
static void what_one_job_shares_no_other_finds(void **state)
{
    static const char *const ipc[] = {"ipc", NULL}, *const net[] = {"net", NULL};
    static const char *const mnt[] = {"mnt", NULL};
    _cleanup_buffer_ struct buffer with_ipc = {0}, with_net = {0}, with_mnt = {0};
    struct run victim, thief;
    pid_t pid;

    (void)state;
    attack_init(&victim, (const char *const[]){"attacker", "victim", NULL});
    run_start(&victim);
    run_until(&victim, "ready");
    pid = run_host_pid(&victim);
    attack_init(&thief, (const char *const[]){"attacker", "thief", NULL});
    assert_string_equal(run_output(&thief, 0), "searched");
    run_clear(&thief);

    /* The thief does know how to find things. */
    steal_from_inside(pid, ipc, &with_ipc);
    assert_non_null(strstr(buffer_string(&with_ipc), "found: System V shared memory\n"));
    assert_non_null(strstr(buffer_string(&with_ipc), "found: System V message\n"));
    assert_non_null(strstr(buffer_string(&with_ipc), "found: System V semaphore\n"));
    assert_non_null(strstr(buffer_string(&with_ipc), "found: POSIX message queue\n"));
    steal_from_inside(pid, net, &with_net);
    assert_non_null(strstr(buffer_string(&with_net), "found: abstract socket\n"));
    assert_non_null(strstr(buffer_string(&with_net), "found: port\n"));
    steal_from_inside(pid, mnt, &with_mnt);
    assert_non_null(strstr(buffer_string(&with_mnt), "found: /dev/shm/dockless-security\n"));
    assert_non_null(strstr(buffer_string(&with_mnt), "found: /tmp/dockless-security\n"));
    end_victim(&victim);
    run_clear(&victim);
}

static void a_massacre_reaches_nobody_else(void **state)
{
    struct run victim, killer;

    (void)state;
    attack_init(&victim, (const char *const[]){"attacker", "victim", NULL});
    run_start(&victim);
    run_until(&victim, "ready");
    attack_init(&killer, (const char *const[]){"attacker", "massacre", NULL});
    assert_string_equal(run_output(&killer, 0), "done");
    run_clear(&killer);
    end_victim(&victim);
    run_clear(&victim);
}

/* The owner of /tmp/mine in the Nth sandbox's layer of changes. */
static uid_t owner_of_mine(unsigned long long n)
{
    struct stat st;
    char path[64];

    snprintf(path, sizeof(path), "s%llu/u/tmp/mine", n);
    assert_int_equal(fstatat(H.host->scratch_fd, path, &st, AT_SYMLINK_NOFOLLOW), 0);
    return st.st_uid;
}

/* Row 5: what container root of one job owns, that of another is a stranger to. */
static void files_of_two_jobs_have_no_owner_in_common(void **state)
{
    struct run a, b;

    (void)state;
    run_init(&a, "echo x >/tmp/mine; echo ready; read x");
    run_init(&b, "echo x >/tmp/mine; echo ready; read x");
    run_start(&a);
    run_until(&a, "ready");
    run_start(&b);
    run_until(&b, "ready");
    assert_true(owner_of_mine(H.host->made) >= SANDBOX_ID_RANGE);
    assert_true(owner_of_mine(H.host->made - 1) >= SANDBOX_ID_RANGE);
    assert_int_not_equal(owner_of_mine(H.host->made), owner_of_mine(H.host->made - 1));
    run_clear(&a); /* kills them */
    run_clear(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_container_that_executes_the_runtime_gets_no_file_of_the_host),
        cmocka_unit_test(nothing_but_stdio_is_open),
        cmocka_unit_test(a_working_directory_behind_a_descriptor_is_refused),
        cmocka_unit_test(a_crash_starts_no_program_of_the_host),
        cmocka_unit_test(privileges_do_not_grow),
        cmocka_unit_test(forbidden_calls_get_nowhere),
        cmocka_unit_test(what_one_job_shares_no_other_finds),
        cmocka_unit_test(a_massacre_reaches_nobody_else),
        cmocka_unit_test(files_of_two_jobs_have_no_owner_in_common),
    };

    if (getenv("TEST_ONLY"))
        cmocka_set_test_filter(getenv("TEST_ONLY"));
    return cmocka_run_group_tests_name("attacks", tests, set_up, harness_teardown);
}
