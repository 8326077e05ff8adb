/* links: runtime */
/* What cgroups count, on the real kernel: the same on both layouts, absent where it is not known.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cgroup_fixture.h"

static int sleep_briefly(uint64_t unused)
{
    (void)unused;
    return usleep(1000) < 0;
}

static int burn_in_children(uint64_t usec)
{
    for (int i = 0; i < 4; i++) {
        pid_t pid = fork();
        if (pid == 0)
            _exit(burn(usec / 4));
        wait_status(pid);
    }
    return 0;
}

static void cpu_time_is_that_of_all_processes_ever_inside(void **state)
{
    struct fixture *f = *state;
    struct cgroup_usage usage;
    uint64_t used;

    make(f, 0, 0);
    assert_int_equal(cgroup_cpu_usage(f->cg, &used), 0);
    assert_true(used < 10 * USEC_PER_MSEC);
    assert_int_equal(run(f->cg, burn_in_children, 200 * USEC_PER_MSEC), 0);
    wait_until_empty(f->cg);
    assert_int_equal(cgroup_usage(f->cg, &usage, NULL), 0);
    assert_in_range(usage.usage_usec, 199 * USEC_PER_MSEC,
                    (200 + 50 * time_scale()) * USEC_PER_MSEC);
    assert_in_range(usage.user_usec + usage.system_usec, usage.usage_usec - 2,
                    usage.usage_usec + 2);
    assert_true(usage.user_usec > 0);
}

static void peak_memory_is_what_was_used_at_most(void **state)
{
    struct fixture *f = *state;
    struct cgroup_usage usage;

    make(f, 200 * MIB, 0);
    assert_int_equal(run(f->cg, use_memory, 24 * MIB), 0);
    assert_int_equal(run(f->cg, use_memory, 5 * MIB), 0);
    wait_until_empty(f->cg);
    assert_int_equal(cgroup_usage(f->cg, &usage, NULL), 0);
    if (strcmp(value(f, "memory.peak"), "-") == 0 &&
        strcmp(value(f, "memory.max_usage_in_bytes"), "-") == 0)
        assert_true(usage.memory_peak == SANDBOX_ABSENT);
    else
        assert_in_range(usage.memory_peak, 24 * MIB, 30 * MIB);
}

static void counters_start_at_zero_under_a_name_used_before(void **state)
{
    struct fixture *f = *state;
    struct cgroup_usage usage;

    make(f, 100 * MIB, 0);
    assert_int_equal(run(f->cg, use_memory, 24 * MIB), 0);
    wait_until_empty(f->cg);
    cgroup_destroy(TAKE_PTR(f->cg));
    make(f, 100 * MIB, 0);
    assert_int_equal(cgroup_usage(f->cg, &usage, NULL), 0);
    assert_true(usage.memory_peak == SANDBOX_ABSENT || usage.memory_peak < 2 * MIB);
    assert_true(usage.usage_usec < USEC_PER_MSEC);
}

/* The number behind KEY, at the beginning of a line of control file NAME of sandbox s1 or, with
 * LINE, behind that beginning; SANDBOX_ABSENT where there is none in any hierarchy. By other means
 * than the code's. */
static uint64_t told(struct fixture *f, const char *name, const char *line, const char *key)
{
    uint64_t found = SANDBOX_ABSENT;
    _cleanup_strv_ char **paths = NULL;

    cgroup_host_paths(f->host, &paths);
    for (char **p = paths; *p; p++) {
        _cleanup_free_ char *path = text_printf("%s/s1/%s", *p, name);
        FILE *file = fopen(path, "re");
        char text[256];
        while (file && fgets(text, sizeof(text), file)) {
            const char *at = strncmp(text, line, strlen(line)) == 0 ? strstr(text, key) : NULL;
            if (at && (*line || at == text))
                found = strtoull(at + strlen(key), NULL, 10);
        }
        if (file)
            fclose(file);
    }
    return found;
}

static void assert_told(struct fixture *f, uint64_t value, const char *name, const char *key)
{
    uint64_t expected = told(f, name, "", key);

    if (value != expected)
        fail_msg("%s %s: %lld, not %lld", name, key, (long long)value, (long long)expected);
}

static void assert_pressure(struct fixture *f, const struct sandbox_pressure *p, const char *name)
{
    const uint64_t some = told(f, name, "some ", " total="),
                   full = told(f, name, "full ", " total=");

    if (p->some_usec != some || p->full_usec != full)
        fail_msg("%s: %lld %lld, not %lld %lld", name, (long long)p->some_usec,
                 (long long)p->full_usec, (long long)some, (long long)full);
}

/* Burns, writes a file that does not fit into memory to the disk and waits for it. */
static int struggle(uint64_t bytes)
{
    static char block[65536];
    const char *dir = getenv("TMPDIR");
    char path[256];
    int fd;

    for (int i = 0; i < 4; i++)
        if (fork() == 0)
            _exit(burn(50 * USEC_PER_MSEC));
    snprintf(path, sizeof(path), "%s/struggle.XXXXXX", dir ? dir : "/var/tmp");
    fd = mkostemp(path, O_CLOEXEC);
    unlink(path);
    for (uint64_t done = 0; done < bytes; done += sizeof(block))
        if (write(fd, block, sizeof(block)) != (ssize_t)sizeof(block))
            return 3;
    fsync(fd);
    while (wait(NULL) > 0)
        ;
    return 0;
}

/* One for the other would not be noticed elsewhere: what is too little to be seen is not zero. */
static void each_counter_is_that_of_its_file(void **state)
{
    struct fixture *f = *state;
    bool unified = strcmp(cgroup_host_driver(f->host), "unified") == 0;
    const bool share = (f->host->abilities & CGROUP_CPU_SHARE) != 0;
    const struct sandbox_limits limits = {.memory_bytes = 12 * MIB, .cpu_share = share ? 300 : 0};
    struct cgroup_usage u;

    assert_int_equal(cgroup_create(f->host, "s1", &limits, &f->cg, NULL), 0);
    assert_int_equal(run(f->cg, struggle, 24 * MIB), 0);
    wait_until_empty(f->cg);
    assert_int_equal(cgroup_usage(f->cg, &u, NULL), 0);
    assert_told(f, u.usage_usec, "cpu.stat", "usage_usec ");
    assert_told(f, u.user_usec, "cpu.stat", "user_usec ");
    assert_told(f, u.system_usec, "cpu.stat", "system_usec ");
    assert_told(f, u.memory_peak, unified ? "memory.peak" : "memory.max_usage_in_bytes", "");
    assert_told(f, u.pids_peak, "pids.peak", "");
    assert_told(f, u.oom_kills, unified ? "memory.events.local" : "memory.oom_control",
                "oom_kill ");
    assert_told(f, u.throttled_periods, "cpu.stat", "nr_throttled ");
    if (unified)
        assert_told(f, u.throttled_usec, "cpu.stat", "throttled_usec ");
    else if (share)
        assert_int_equal(u.throttled_usec, told(f, "cpu.stat", "", "throttled_time ") / 1000);
    /* A loaded machine throttles nobody: it gives less than the share by itself. */
    assert_true(!share || u.throttled_periods == 0 || u.throttled_usec > u.throttled_periods);
    assert_pressure(f, &u.cpu_pressure, "cpu.pressure");
    assert_pressure(f, &u.memory_pressure, "memory.pressure");
    assert_pressure(f, &u.io_pressure, "io.pressure");
}

static void check_told(struct fixture *f, uint64_t told, const char *file, const char *other)
{
    bool there = strcmp(value(f, file), "-") != 0 || (other && strcmp(value(f, other), "-") != 0);

    if ((told != SANDBOX_ABSENT) != there)
        fail_msg("%s is %s, but told as %lld", file, there ? "there" : "not there",
                 (long long)told);
}

/* Zero is a number that a program can have, and must not stand for an unknown one. */
static void what_the_kernel_does_not_count_is_absent(void **state)
{
    struct fixture *f = *state;
    bool unified = strcmp(cgroup_host_driver(f->host), "unified") == 0;
    struct cgroup_usage u;

    make(f, 0, 0);
    assert_int_equal(run(f->cg, sleep_briefly, 0), 0);
    wait_until_empty(f->cg);
    assert_int_equal(cgroup_usage(f->cg, &u, NULL), 0);
    check_told(f, u.memory_peak, "memory.peak", "memory.max_usage_in_bytes");
    check_told(f, u.pids_peak, "pids.peak", NULL);
    check_told(f, u.oom_kills, "memory.events.local", "memory.oom_control");
    check_told(f, u.cpu_pressure.some_usec, "cpu.pressure", NULL);
    check_told(f, u.memory_pressure.some_usec, "memory.pressure", NULL);
    check_told(f, u.memory_pressure.full_usec, "memory.pressure", NULL);
    check_told(f, u.io_pressure.some_usec, "io.pressure", NULL);
    check_told(f, u.io_pressure.full_usec, "io.pressure", NULL);
    if (unified) {
        check_told(f, u.read_bytes, "io.stat", NULL);
        check_told(f, u.write_bytes, "io.stat", NULL);
        assert_int_equal(u.throttled_periods != SANDBOX_ABSENT,
                         (f->host->abilities & CGROUP_CPU_SHARE) != 0);
    } else {
        /* v1 counts them in a hierarchy that is entered only for that limit, and disks hardly. */
        assert_true(u.throttled_periods == SANDBOX_ABSENT && u.throttled_usec == SANDBOX_ABSENT);
        assert_true(u.read_bytes == SANDBOX_ABSENT || u.read_bytes + u.write_bytes > 0);
    }
    assert_int_equal(u.throttled_usec == SANDBOX_ABSENT, u.throttled_periods == SANDBOX_ABSENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(cpu_time_is_that_of_all_processes_ever_inside),
        TEST(peak_memory_is_what_was_used_at_most),
        TEST(counters_start_at_zero_under_a_name_used_before),
        TEST(each_counter_is_that_of_its_file),
        TEST(what_the_kernel_does_not_count_is_absent),
    };

    if (geteuid() != 0)
        return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
