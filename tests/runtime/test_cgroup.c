/* links: runtime */
/* Cgroups on the real kernel: the same behaviours on both layouts, then what is special to one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cgroup_fixture.h"

#include <sys/resource.h>
#include <sys/stat.h>

static bool oom_notice_is_ready(struct cgroup *cg)
{
    uint32_t events = 0;
    struct pollfd p = {cgroup_oom_fd(cg, &events), 0, 0};

    p.events = (short)events;
    return poll(&p, 1, (int)(1000 * time_scale())) == 1;
}

static void check_where_there(struct fixture *f, const char *name, const char *expected)
{
    const char *text = value(f, name);

    if (strcmp(text, "-") != 0)
        assert_string_equal(text, expected);
}

static void limits_are_in_force_before_anybody_is_inside(void **state)
{
    struct fixture *f = *state;
    bool unified = strcmp(cgroup_host_driver(f->host), "unified") == 0;

    make(f, 64 * MIB, 17);
    assert_int_equal(cgroup_is_empty(f->cg), 1);
    assert_string_equal(value(f, unified ? "memory.max" : "memory.limit_in_bytes"), "67108864");
    assert_string_equal(value(f, "pids.max"), "17");
    if (unified) {
        assert_string_equal(value(f, "memory.oom.group"), "1");
        assert_true(strcmp(value(f, "memory.swap.max"), "0") == 0 ||
                    strcmp(value(f, "memory.swap.max"), "-") == 0);
    } else {
        assert_string_equal(value(f, "memory.swappiness"), "0");
        check_where_there(f, "memory.memsw.limit_in_bytes", "67108864");
        check_where_there(f, "memory.kmem.tcp.limit_in_bytes", "67108864");
    }
}

static void zero_means_no_limit(void **state)
{
    struct fixture *f = *state;
    uint32_t events;

    make(f, 0, 0);
    assert_int_equal(run(f->cg, use_memory, 40 * MIB), 0);
    assert_false(cgroup_oom_happened(f->cg));
    assert_true(strcmp(value(f, "pids.max"), "max") == 0 || strcmp(value(f, "pids.max"), "-") == 0);
    assert_true(cgroup_oom_fd(f->cg, &events) < 0);
}

static void a_pids_limit_beyond_the_kernels_is_no_error(void **state)
{
    make(*state, 0, UINT64_MAX);
}

/* Its return value: how many could be made. */
static int fork_many(uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        pid_t pid = fork();
        if (pid < 0)
            return (int)i;
        if (pid == 0)
            sleep_on(0);
    }
    return (int)n;
}

static void processes_beyond_the_limit_are_refused(void **state)
{
    struct fixture *f = *state;

    make(f, 0, 10);
    assert_int_equal(run(f->cg, fork_many, 50), 9);
}

static void memory_below_the_limit_is_not_out_of_memory(void **state)
{
    struct fixture *f = *state;

    make(f, 32 * MIB, 0);
    assert_int_equal(run(f->cg, use_memory, 20 * MIB), 0);
    assert_false(cgroup_oom_happened(f->cg));
}

static void memory_over_the_limit_is_out_of_memory(void **state)
{
    struct fixture *f = *state;
    struct cgroup_usage usage;

    make(f, 16 * MIB, 0);
    assert_int_equal(run(f->cg, use_memory, 40 * MIB), 256 + SIGKILL);
    assert_true(oom_notice_is_ready(f->cg));
    assert_true(cgroup_oom_happened(f->cg));
    /* Told again whenever it is asked. */
    assert_true(cgroup_oom_happened(f->cg));
    assert_int_equal(cgroup_usage(f->cg, &usage, NULL), 0);
    /* cgroup v2 counts the victim again when it ends the whole group. */
    assert_in_range(usage.oom_kills, 1, 2);
}

static int child_uses_memory(uint64_t bytes)
{
    pid_t pid = fork();

    if (pid == 0)
        _exit(use_memory(bytes));
    wait_status(pid);
    return 0;
}

static void a_childs_excess_counts_for_all(void **state)
{
    struct fixture *f = *state;

    make(f, 16 * MIB, 0);
    run(f->cg, child_uses_memory, 40 * MIB);
    assert_true(cgroup_oom_happened(f->cg));
}

static int write_shared_memory(uint64_t bytes)
{
    static char block[65536];
    int fd = memfd_create("test", MFD_CLOEXEC);

    for (uint64_t done = 0; done < bytes; done += sizeof(block))
        if (write(fd, block, sizeof(block)) != (ssize_t)sizeof(block))
            return 3;
    return 0;
}

/* Such a write is charged inside a system call, which may fail instead: no program may answer for
 * its own shortage. */
static void shared_memory_over_the_limit_is_out_of_memory(void **state)
{
    struct fixture *f = *state;

    make(f, 16 * MIB, 0);
    assert_int_equal(run(f->cg, write_shared_memory, 40 * MIB), 256 + SIGKILL);
    assert_true(cgroup_oom_happened(f->cg));
}

static int fill_pipes(uint64_t bytes)
{
    static char block[65536];
    struct rlimit files;

    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    for (uint64_t done = 0; done < bytes; done += sizeof(block)) {
        int fds[2];
        if (pipe2(fds, O_NONBLOCK | O_CLOEXEC) < 0 || write(fds[1], block, sizeof(block)) < 0)
            return 3;
    }
    return 0;
}

static void kernel_memory_over_the_limit_is_out_of_memory(void **state)
{
    struct fixture *f = *state;
    struct rlimit files;

    getrlimit(RLIMIT_NOFILE, &files);
    assert_true(files.rlim_max > 1024);
    make(f, 12 * MIB, 0);
    assert_int_equal(run(f->cg, fill_pipes, 30 * MIB), 256 + SIGKILL);
    assert_true(cgroup_oom_happened(f->cg));
}

static int write_file(uint64_t bytes)
{
    static char block[65536];
    const char *dir = getenv("TMPDIR");
    char path[256];
    int fd;

    snprintf(path, sizeof(path), "%s/pages.XXXXXX", dir ? dir : "/var/tmp");
    fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0)
        return 4;
    unlink(path);
    for (uint64_t done = 0; done < bytes; done += sizeof(block))
        if (write(fd, block, sizeof(block)) != (ssize_t)sizeof(block))
            return 3;
    return 0;
}

static void file_pages_are_given_back_instead(void **state)
{
    struct fixture *f = *state;

    make(f, 16 * MIB, 0);
    assert_int_equal(run(f->cg, write_file, 40 * MIB), 0);
    assert_false(cgroup_oom_happened(f->cg));
}

static void a_shortage_above_is_not_the_sandboxs_own(void **state)
{
    struct fixture *f = *state;

    make(f, 200 * MIB, 0);
    assert_int_equal(limit_everybody(f->host, 16 * MIB), 0);
    assert_int_equal(run(f->cg, use_memory, 40 * MIB), 256 + SIGKILL);
    assert_false(cgroup_oom_happened(f->cg));
}

static void an_own_shortage_after_one_above_is_seen(void **state)
{
    struct fixture *f = *state;

    make(f, 32 * MIB, 0);
    assert_int_equal(limit_everybody(f->host, 16 * MIB), 0);
    assert_int_equal(run(f->cg, use_memory, 24 * MIB), 256 + SIGKILL);
    assert_false(cgroup_oom_happened(f->cg));
    assert_int_equal(limit_everybody(f->host, 512 * MIB), 0);
    assert_int_equal(run(f->cg, use_memory, 40 * MIB), 256 + SIGKILL);
    assert_true(cgroup_oom_happened(f->cg));
}

static void a_shortage_above_before_our_time_hides_no_own_one(void **state)
{
    struct fixture *f = *state;

    make(f, 200 * MIB, 0);
    assert_int_equal(limit_everybody(f->host, 16 * MIB), 0);
    assert_int_equal(run(f->cg, use_memory, 40 * MIB), 256 + SIGKILL);
    wait_until_empty(f->cg);
    cgroup_destroy(TAKE_PTR(f->cg));
    assert_int_equal(limit_everybody(f->host, 512 * MIB), 0);
    make(f, 16 * MIB, 0);
    assert_int_equal(run(f->cg, use_memory, 40 * MIB), 256 + SIGKILL);
    assert_true(cgroup_oom_happened(f->cg));
}

static void a_neighbours_shortage_is_not_ours(void **state)
{
    struct fixture *f = *state;
    struct sandbox_limits limits = {.memory_bytes = 16 * MIB};
    struct cgroup *other = NULL;

    make(f, 16 * MIB, 0);
    assert_int_equal(cgroup_create(f->host, "s2", &limits, &other, NULL), 0);
    assert_int_equal(run(other, use_memory, 40 * MIB), 256 + SIGKILL);
    assert_true(cgroup_oom_happened(other));
    assert_false(cgroup_oom_happened(f->cg));
    cgroup_destroy(other);
}

static int stop_itself(uint64_t unused)
{
    (void)unused;
    kill(getpid(), SIGSTOP);
    return 0;
}

static int make_a_crowd(uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            setsid();
            if (fork() == 0)
                return i % 2 ? stop_itself(0) : burn(0);
            return sleep_on(0);
        }
    }
    return 0;
}

static void a_kill_ends_everybody_at_once(void **state)
{
    struct fixture *f = *state;

    make(f, 0, 100);
    /* The first process is gone, its descendants stop, burn and sleep. */
    assert_int_equal(run(f->cg, make_a_crowd, 12), 0);
    assert_int_equal(cgroup_is_empty(f->cg), 0);
    assert_int_equal(cgroup_kill(f->cg), 0);
    wait_until_empty(f->cg);
}

static void becoming_empty_wakes_the_poll(void **state)
{
    struct fixture *f = *state;
    struct pollfd p;
    pid_t pid;

    make(f, 0, 0);
    pid = spawn_in(f->cg, sleep_on, 0);
    assert_true(pid > 0);
    assert_int_equal(cgroup_is_empty(f->cg), 0);
    p = (struct pollfd){cgroup_events_fd(f->cg), POLLPRI, 0};
    assert_int_equal(poll(&p, 1, 0), 0);
    kill(pid, SIGKILL);
    assert_int_equal(poll(&p, 1, (int)(5000 * time_scale())), 1);
    wait_until_empty(f->cg);
    assert_int_equal(wait_status(pid), 256 + SIGKILL);
}

static void destroying_a_busy_one_kills_and_removes_it_soon(void **state)
{
    struct fixture *f = *state;
    uint64_t before;
    pid_t pid;

    make(f, 0, 0);
    pid = spawn_in(f->cg, sleep_on, 0);
    assert_true(pid > 0);
    before = clock_monotonic_usec();
    cgroup_destroy(TAKE_PTR(f->cg));
    /* It does not wait for the process. */
    assert_true(clock_monotonic_usec() - before < 50 * USEC_PER_MSEC * time_scale());
    assert_int_equal(wait_status(pid), 256 + SIGKILL);
    /* tear_down sees that host_close removed what was left. */
}

static void names_that_lead_elsewhere_are_refused(void **state)
{
    static const char *const bad[] = {"", "..", ".", "a/b", "../x"};
    struct fixture *f = *state;
    struct sandbox_limits limits = {0};

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(cgroup_create(f->host, bad[i], &limits, &f->cg, NULL), -EINVAL);
}

static void a_name_in_use_is_refused_and_left_alone(void **state)
{
    struct fixture *f = *state;
    struct sandbox_limits limits = {.pids = 5};
    struct cgroup *second = NULL;
    struct error e = ERROR_INIT;

    make(f, 0, 7);
    assert_int_equal(cgroup_create(f->host, "s1", &limits, &second, &e), -EEXIST);
    assert_non_null(strstr(e.text, "s1"));
    assert_string_equal(value(f, "pids.max"), "7");
}

/* Where this process was at first, in the v2 tree. */
static char *home;

/* A cgroup that was delegated to us is used; without that, beside others, systemd gives us one. */
static void directories_are_made_where_we_were_started(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *place = strdup(f->host->base.path ? f->host->base.path : ""), *tail = NULL;
    const char *driver = cgroup_host_driver(f->host);

    if (strcmp(driver, "unified") != 0)
        return; /* runtime.cgroup_place: there are several */
    if (cgroup_scope_can_be_asked() && !getenv("DOCKLESS_TEST_DELEGATED")) {
        tail = text_printf("/dockless-%s.scope", f->instance);
        assert_string_equal(place + strlen(place) - strlen(tail), tail);
        return;
    }
    tail = text_printf("/sys/fs/cgroup%s", strcmp(home, "/") == 0 ? "" : home);
    assert_string_equal(place, tail);
}

static void paths_end_in_the_instances_name(void **state)
{
    struct fixture *f = *state;
    _cleanup_strv_ char **paths = NULL;
    _cleanup_free_ char *end = text_printf("/dockless-%s", f->instance);

    assert_int_equal(cgroup_host_paths(f->host, &paths), 0);
    assert_true(strv_length(paths) >= 1);
    for (char **p = paths; *p; p++) {
        struct stat st;
        assert_string_equal(*p + strlen(*p) - strlen(end), end);
        assert_int_equal(stat(*p, &st), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(limits_are_in_force_before_anybody_is_inside),
        TEST(zero_means_no_limit),
        TEST(a_pids_limit_beyond_the_kernels_is_no_error),
        TEST(processes_beyond_the_limit_are_refused),
        TEST(memory_below_the_limit_is_not_out_of_memory),
        TEST(memory_over_the_limit_is_out_of_memory),
        TEST(a_childs_excess_counts_for_all),
        TEST(shared_memory_over_the_limit_is_out_of_memory),
        TEST(kernel_memory_over_the_limit_is_out_of_memory),
        TEST(file_pages_are_given_back_instead),
        TEST(a_shortage_above_is_not_the_sandboxs_own),
        TEST(an_own_shortage_after_one_above_is_seen),
        TEST(a_shortage_above_before_our_time_hides_no_own_one),
        TEST(a_neighbours_shortage_is_not_ours),
        TEST(a_kill_ends_everybody_at_once),
        TEST(becoming_empty_wakes_the_poll),
        TEST(destroying_a_busy_one_kills_and_removes_it_soon),
        TEST(names_that_lead_elsewhere_are_refused),
        TEST(a_name_in_use_is_refused_and_left_alone),
        TEST(directories_are_made_where_we_were_started),
        TEST(paths_end_in_the_instances_name),
    };
    _cleanup_buffer_ struct buffer self = {0};

    if (geteuid() != 0)
        return 77;
    if (cgroup_read(AT_FDCWD, "/proc/self/cgroup", &self) < 0 ||
        cgroup_parse_self((const char *)self.data, "", &home) < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
