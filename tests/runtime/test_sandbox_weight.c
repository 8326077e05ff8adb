/* links: runtime */
/* The weight of disk use: what the kernel has of it in a sandbox's cgroup, and what it does on a
 * disk of the test's own, by each of the two that go by it: the scheduler bfq, and the cost model
 * where cgroups are v2. Where the kernel has no weights, that it says so. */
#include "sandbox_disk.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fdio.h"
#include "base/text.h"
#include "cgroup_internal.h"
#include "sandbox_internal.h"

#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define UNABLE    77
#define MUST_WORK "DOCKLESS_TEST_WEIGHTS" /* in the environment: both kinds are there */

/* By what a disk goes, and how it is told to: `$device` is its name, `$queue` its directory. */
struct kind {
    const char *name, *arrange;
};
static const struct kind kinds[] = {
    /* It waits for the next read of who has the turn, however busy the host is. */
    {"bfq", "echo bfq >$queue/scheduler && echo 0 >$queue/iosched/low_latency && "
            "echo 1 >$queue/iosched/strict_guarantees && echo 50 >$queue/iosched/slice_idle"},
    /* A disk of 16 MiB in a second. */
    {"cost model",
     "cd /sys/fs/cgroup && test -e io.cost.qos && number=$(cat /sys/block/$device/dev) && "
     "echo $number ctrl=user model=linear rbps=16777216 rseqiops=1000 rrandiops=1000 "
     "wbps=16777216 wseqiops=1000 wrandiops=1000 >io.cost.model && "
     "echo $number enable=1 ctrl=user min=100.00 max=100.00 >io.cost.qos"},
};

/* What file NAME in a cgroup of the sandbox has, "default" left out; 0 where there is none. */
static unsigned long weight_of(const struct run *r, const char *name)
{
    _cleanup_buffer_ struct buffer b = {0};

    for (size_t i = 0; i < CGROUP_DIRS_MAX; i++) {
        const char *text = r->sandbox->cgroup->dirs[i] < 0
                               ? NULL
                               : get_file(r->sandbox->cgroup->dirs[i], name, &b);
        if (text)
            return strtoul(text + (strncmp(text, "default ", 8) == 0 ? 8 : 0), NULL, 10);
    }
    return 0;
}

static bool refused(void)
{
    if (able(LAUNCHER_LIMIT_IO_WEIGHT))
        return false;
    assert_null(getenv(MUST_WORK));
    check_refused(&(struct sandbox_limits){.io_weight = 50}, "io");
    return true;
}

static void check_weight(uint64_t weight, unsigned long bfq)
{
    struct run r;
    unsigned long v2, v2_bfq, v1, old;

    run_init(&r, "echo ready; cat");
    r.spec.limits.io_weight = weight;
    run_start(&r);
    run_until(&r, "ready");
    v2 = weight_of(&r, "io.weight");
    v2_bfq = weight_of(&r, "io.bfq.weight");
    v1 = weight_of(&r, "blkio.bfq.weight");
    old = weight_of(&r, "blkio.weight");
    assert_true(v2 || v2_bfq || v1 || old);
    assert_true(v2 == 0 || v2 == weight);
    assert_true(v2_bfq == 0 || v2_bfq == bfq);
    assert_true(v1 == 0 || v1 == bfq);
    r.in_fd = safe_close(r.in_fd);
    run_wait(&r);
    run_clear(&r);
}

static void the_kernel_has_the_weight_of_a_sandbox(void **state)
{
    (void)state;
    if (refused())
        return;
    check_weight(50, 50);
    check_weight(5000, 1000); /* bfq knows none above */
}

static void start_reader(struct run *r, uint64_t weight)
{
    run_init(r, "dd if=/dev/zero of=/f bs=65536 count=64 conv=fsync 2>/dev/null && "
                "exec payload read /f");
    r->spec.limits.io_weight = weight;
    run_start(r);
    run_until(r, ".");
}

/* How much more came from R, which writes one byte for so much that it has read. */
static size_t progress(const struct run *r)
{
    char data[4096];
    ssize_t n, sum = 0;

    while ((n = read(r->out_fd, data, sizeof(data))) > 0)
        sum += n;
    return (size_t)sum;
}

static void end_reader(struct run *r)
{
    sandbox_kill(r->sandbox);
    run_wait(r);
    run_clear(r);
}

/* Ten times the weight; twice as much has to come of it. Looked at for a second, and until both
 * have had many turns. */
static void of_two_readers_the_heavier_has_more_of_the_disk(void **state)
{
    const struct timespec step = {.tv_nsec = 20000000};
    size_t n_heavy = 0, n_light = 0;
    struct run light, heavy;
    uint64_t start, passed;

    (void)state;
    if (refused())
        return;
    start_reader(&light, 50);
    start_reader(&heavy, 500);
    progress(&light);
    progress(&heavy);
    start = clock_monotonic_usec();
    do {
        nanosleep(&step, NULL);
        n_heavy += progress(&heavy);
        n_light += progress(&light);
        passed = clock_monotonic_usec() - start;
    } while (passed < USEC_PER_SEC ||
             ((n_heavy < 200 || n_light < 20) && passed < 30 * USEC_PER_SEC));
    end_reader(&heavy);
    end_reader(&light);
    print_message("%zu pieces and %zu\n", n_heavy, n_light);
    assert_true(n_heavy >= 200 && n_heavy > 2 * n_light);
}

/* A disk of our own on DIRECTORY, in a mount namespace of this process: a loop device, which goes
 * with the mount. */
static bool make_disk(const struct kind *k, const char *directory)
{
    char command[1500];

    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return false;
    snprintf(command, sizeof(command),
             "set -e; PATH=$PATH:/sbin:/usr/sbin; cd %s; truncate -s 100M image; "
             "mkfs.ext4 -q -F -E lazy_itable_init=0,lazy_journal_init=0 image; "
             "device=$(losetup -f --show image); device=${device#/dev/}; "
             "queue=/sys/block/$device/queue; echo $device >device; mount /dev/$device .; "
             "losetup -d /dev/$device; cd %s; chmod 755 .; cd /; %s",
             directory, directory, k->arrange);
    return run_command(command) == 0;
}

/* Loop devices are used again, by others. */
static bool leave_disk(const char *directory)
{
    char command[700];

    snprintf(command, sizeof(command),
             "cd %s && device=$(cat device) && rm device image && "
             "echo none >/sys/block/$device/queue/scheduler && "
             "if [ -e /sys/fs/cgroup/io.cost.qos ]; then "
             "echo $(cat /sys/block/$device/dev) enable=0 >/sys/fs/cgroup/io.cost.qos; fi",
             directory);
    return run_command(command) == 0;
}

/* In a process of its own, as the launcher's part leaves the namespace. */
static int run_kind(const struct kind *k, const char *directory)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_two_readers_the_heavier_has_more_of_the_disk),
    };
    int status;
    pid_t pid;

    fflush(NULL);
    pid = fork();
    if (pid == 0) {
        if (!make_disk(k, directory) || setenv("TMPDIR", directory, 1) < 0)
            _exit(UNABLE);
        status = harness_main(k->name, tests, ARRAY_SIZE(tests));
        fflush(NULL);
        _exit(status);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
        return 1;
    return WEXITSTATUS(status);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_kernel_has_the_weight_of_a_sandbox),
    };
    const char *must_work = getenv(MUST_WORK);
    const char *tmp = getenv("TMPDIR");
    int failed = 0;

    for (size_t i = 0; geteuid() == 0 && i < ARRAY_SIZE(kinds); i++) {
        char directory[256];
        int r;
        snprintf(directory, sizeof(directory), "%s/dockless-rt-weight-XXXXXX", tmp ? tmp : "/tmp");
        if (!mkdtemp(directory))
            return 1;
        r = run_kind(&kinds[i], directory);
        if (!leave_disk(directory) || rmdir(directory) < 0)
            r = 1;
        if (r == UNABLE && !must_work) {
            fprintf(stderr, "no disk here can be made to go by the weights of %s\n", kinds[i].name);
            r = 0;
        }
        failed |= r != 0;
    }
    return harness_main("weights", tests, ARRAY_SIZE(tests)) | failed;
}
