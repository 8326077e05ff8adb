/* links: runtime */
/* A client that was taken over (row 19): thousands of requests, random and mutated, straight into
 * the socket of a real launcher. Whatever it does with them, it answers or ends, and the host is
 * afterwards as it was. SEED in the environment repeats a run. */
#include "launcher_fixture.h"

#include <dirent.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/time.h>

/* Sent one behind the other to one launcher: they decode. */
#define GOOD_REQUESTS 1500
/* Each ends its launcher: they do not decode. */
#define BAD_REQUESTS 40
#define MUTATIONS    4
#define IDS          20

static uint64_t seed;

static uint32_t chance(uint32_t n)
{
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(seed >> 33) % n;
}

static const char *some_text(void)
{
    static const char *const texts[] = {
        "",
        "/",
        ".",
        "..",
        "../outside",
        "a/../b",
        "/etc",
        "layer",
        "course",
        "host",
        "course/task",
        "course/none",
        "up",
        "magic",
        "loop",
        "/task",
        "/x/y/z",
        "/proc/self",
        "/dev/shm",
        "/bin",
        "0",
        "payload",
        "4242:7",
        "root",
        "99999999999",
        "\xff\xfe",
        "a b\nc",
        "/proc/self/exe",
        "wait",
        "exit",
        "/bin/payload",
        "A=B",
        "PATH=/bin",
        "x//y",
        "/proc/1/root",
    };

    return texts[chance(ARRAY_SIZE(texts))];
}

static uint64_t some_number(void)
{
    static const uint64_t numbers[] = {0,        1,          2,          63,         64,
                                       4096,     65535,      65536,      1U << 20,   64U << 20,
                                       1U << 31, UINT32_MAX, 1ULL << 40, 1ULL << 50, UINT64_MAX};

    return numbers[chance(ARRAY_SIZE(numbers))];
}

static void add_mount(struct sandbox_spec *s)
{
    struct sandbox_mount *m =
        sandbox_spec_add_mount(s, (enum sandbox_mount_kind)chance(SANDBOX_MOUNT_KINDS_ + 1),
                               chance(4), some_text(), some_text());

    if (!m)
        return;
    m->read_only = chance(2);
    m->optional = chance(2);
    m->follow_links = chance(8) == 0;
    m->mode = chance(3) ? 0 : (uint32_t)some_number();
    m->size = chance(3) ? 0 : some_number();
    if (chance(3) == 0)
        sandbox_mount_add_dir(m, some_text(), (uint32_t)some_number());
}

/* A program that runs, in surroundings that are mostly odd. */
static struct sandbox_spec some_spec(void)
{
    struct sandbox_spec s = {.layers_root = chance(16) ? ROOT_STORE : chance(20)};

    strv_append(&s.layers, chance(16) ? "layer" : some_text());
    strv_append(&s.argv, chance(12) ? "/bin/payload" : some_text());
    strv_append(&s.argv, chance(4) ? "exit" : "wait");
    if (chance(16) == 0)
        strv_append(&s.env, some_text());
    if (chance(16) == 0)
        s.cwd = strdup(some_text());
    if (chance(16) == 0)
        s.user = strdup(some_text());
    if (chance(16) == 0)
        s.hostname = strdup(some_text());
    for (uint32_t n = chance(3) ? 0 : 1 + chance(3); n > 0; n--)
        add_mount(&s);
    if (chance(12) == 0)
        s.parent = chance(IDS);
    if (chance(12) == 0)
        s.network = (enum sandbox_network)chance(SANDBOX_NETWORK_KINDS_ + 1);
    s.limits.wall_time_usec = chance(16) ? 50000 : some_number();
    s.limits.memory_bytes = chance(16) ? 64 << 20 : some_number();
    s.limits.pids = chance(16) ? 16 : some_number();
    s.limits.nofile = chance(16) ? 0 : some_number();
    s.limits.shm_bytes = chance(16) ? 0 : some_number();
    return s;
}

static void some_request(struct request *r)
{
    *r =
        (struct request){.type = chance(3) ? REQUEST_SUBMIT : 1 + chance(6), .id = 1 + chance(IDS)};
    if (r->type == REQUEST_SUBMIT)
        r->spec = some_spec();
    r->root = chance(4) ? ROOT_TASKS : (uint32_t)some_number();
    r->sandbox = chance(IDS);
    r->path = strdup(some_text());
}

/* Changes bytes, as somebody would who does not know the encoding. */
static void mutate(struct buffer *b)
{
    for (uint32_t n = chance(3) ? 0 : chance(MUTATIONS); n > 0 && b->size > 24; n--) {
        size_t at = 16 + chance((uint32_t)b->size - 20);
        uint32_t word = (uint32_t)some_number();
        if (chance(2))
            b->data[at] = (uint8_t)chance(256);
        else
            memcpy(b->data + at, &word, sizeof(word));
    }
}

/* Something that is open: 0 to 2 of it go along. */
static int some_descriptor(const struct fixture *f)
{
    switch (chance(5)) {
    case 0:
        return open(f->top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    case 1:
        return open("/etc/passwd", O_PATH | O_CLOEXEC);
    case 2:
        return (int)syscall(SYS_memfd_create, "x", 1);
    case 3:
        return open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    default:
        return open("/dev/null", O_RDWR | O_CLOEXEC);
    }
}

/* Sends the bytes with as many descriptors as they announce, or with any number. */
static ssize_t send_bytes(struct fixture *f, const struct buffer *b, size_t n_fds)
{
    int fds[4];
    ssize_t n;

    for (size_t i = 0; i < n_fds; i++)
        fds[i] = some_descriptor(f);
    do {
        struct pollfd p = {launcher_fd(f->launcher), POLLOUT, 0};
        poll(&p, 1, EVENT_WAIT_MSEC);
        n = fd_send(launcher_fd(f->launcher), b->data, b->size, fds, n_fds);
    } while (n == -EAGAIN);
    for (size_t i = 0; i < n_fds; i++)
        safe_close(fds[i]);
    return n;
}

/* Events that are there; whether the launcher is. */
static bool drain(struct launcher *l, unsigned *ret_started)
{
    struct launcher_event event;
    int r;

    while ((r = launcher_dispatch(l, &event, NULL)) > 0) {
        *ret_started += event.type == LAUNCHER_STARTED;
        safe_close(event.fd);
    }
    return r == 0;
}

/* Everything below PATH that a request could have changed, as one number. */
static uint64_t print_of(const char *path, uint64_t hash)
{
    DIR *dir = opendir(path);
    struct dirent *entry;

    assert_non_null(dir);
    while ((entry = readdir(dir))) {
        _cleanup_free_ char *below = text_printf("%s/%s", path, entry->d_name);
        struct stat st;
        if (strcmp(entry->d_name, "..") == 0 || strcmp(entry->d_name, "scratch") == 0 ||
            strcmp(entry->d_name, "run") == 0 || lstat(below, &st) < 0)
            continue;
        /* The order of a directory is not ours: a sum. The top itself gets the two above. */
        hash += (st.st_ino ^ (uint64_t)st.st_mode << 32 ^ (uint64_t)st.st_uid << 17 ^
                 (uint64_t)st.st_size << 3) *
                0x9e3779b97f4a7c15ULL;
        if (strcmp(entry->d_name, ".") != 0 && S_ISDIR(st.st_mode))
            hash = print_of(below, hash);
    }
    closedir(dir);
    return hash;
}

static uint64_t print_of_fixture(const struct fixture *f)
{
    _cleanup_free_ char *outside = text_printf("%s/outside", f->top);

    return print_of(f->store, print_of(f->tasks, print_of(outside, 0)));
}

static unsigned count_mounts(void)
{
    _cleanup_buffer_ struct buffer b = {0};
    unsigned n = 0;

    assert_int_equal(fd_read_file(AT_FDCWD, "/proc/self/mountinfo", &b, 8 << 20), 0);
    for (size_t i = 0; i < b.size; i++)
        n += b.data[i] == '\n';
    return n;
}

/* Open descriptors of process PID, without the user namespaces: it keeps one for each range of ids
 * that was ever in use. */
static unsigned count_descriptors(pid_t pid)
{
    _cleanup_free_ char *path = text_printf("/proc/%d/fd", (int)pid);
    DIR *dir = opendir(path);
    struct dirent *entry;
    unsigned n = 0;

    assert_non_null(dir);
    while ((entry = readdir(dir))) {
        char target[64] = {0};
        if (readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1) > 0)
            n += strncmp(target, "user:", 5) != 0;
    }
    closedir(dir);
    return n;
}

/* Those that were killed go when the kernel is done with them. */
static void check_descriptors(struct fixture *f, unsigned wanted)
{
    unsigned started = 0;

    for (int i = 0; i < 500 && count_descriptors(launcher_pid(f->launcher)) > wanted; i++) {
        assert_true(drain(f->launcher, &started));
        usleep(20000);
    }
    assert_in_range(count_descriptors(launcher_pid(f->launcher)), 1, wanted);
}

static bool decodes(const struct buffer *b, size_t *ret_fds)
{
    struct request r;
    bool good = request_decode(b->data, b->size, &r, NULL) == 0;

    if (good) {
        *ret_fds = (size_t)__builtin_popcount(r.stdio & 7);
        request_clear(&r);
    }
    return good;
}

/* The next random message, with the number of descriptors that it announces. */
static void make_message(struct buffer *b, bool *ret_good, size_t *ret_fds)
{
    struct request r;

    buffer_clear(b);
    some_request(&r);
    if (r.type == REQUEST_SUBMIT)
        r.stdio = chance(8);
    *ret_fds = 0;
    *ret_good = request_encode(&r, b) == 0;
    request_clear(&r);
    mutate(b);
    *ret_good = *ret_good && decodes(b, ret_fds) && b->size <= REQUEST_PACKET_MAX;
}

/* What becomes of a small program; the events of others are passed over. */
static struct sandbox_report run_one(struct fixture *f)
{
    struct sandbox_spec s = payload("exit", "5");
    struct launcher_event event;
    struct error e = ERROR_INIT;

    submit_spec(f->launcher, 1000, &s, no_stdio);
    do {
        if (next_event(f->launcher, &event, &e) < 0)
            fail_msg("the launcher is gone: %s", e.text);
        safe_close(event.type == LAUNCHER_CONNECTED ? event.fd : -1);
    } while (event.type != LAUNCHER_EXITED || event.id != 1000);
    return event.report;
}

/* A program that is answered shows that the launcher still does what it should. All places may be
 * taken for a moment by those that were killed. */
static void check_alive(struct fixture *f)
{
    struct sandbox_report report;
    int tries = 200;

    for (uint64_t id = 0; id <= IDS; id++)
        launcher_kill(f->launcher, id);
    do {
        report = run_one(f);
        usleep(report.verdict == SANDBOX_START_FAILED ? 20000 : 0);
    } while (report.verdict == SANDBOX_START_FAILED && report.error_code == -EAGAIN && tries-- > 0);
    if (report.verdict != SANDBOX_EXITED)
        fail_msg("%s: %s: %s", sandbox_verdict_name(report.verdict), report.failed_step,
                 report.error);
    assert_int_equal(report.exit_code, 5);
}

static void requests_of_a_hostile_client_change_nothing_on_the_host(void **state)
{
    struct fixture *f = *state;
    const uint64_t before = print_of_fixture(f);
    const unsigned mounts = count_mounts();
    unsigned started = 0, sent = 0, descriptors = 0;
    _cleanup_buffer_ struct buffer b = {.max = REQUEST_MAX};

    check_alive(f);
    descriptors = count_descriptors(launcher_pid(f->launcher));
    for (unsigned turn = 0; sent < GOOD_REQUESTS && turn < 20 * GOOD_REQUESTS; turn++) {
        size_t n_fds;
        bool good;
        make_message(&b, &good, &n_fds);
        if (!good)
            continue;
        if (send_bytes(f, &b, n_fds) < 0 || !drain(f->launcher, &started))
            fail_msg("the launcher is gone after %u requests", sent);
        sent++;
    }
    assert_int_equal(sent, GOOD_REQUESTS);
    print_message("%u requests, %u programs started\n", sent, started);
    assert_true(started > 10);
    check_alive(f);
    assert_int_equal(print_of_fixture(f), before);
    assert_int_equal(count_mounts(), mounts);
    check_descriptors(f, descriptors);
}

static void what_does_not_decode_ends_the_launcher_and_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    const uint64_t before = print_of_fixture(f);
    _cleanup_buffer_ struct buffer b = {.max = REQUEST_MAX};

    for (unsigned n = 0; n < BAD_REQUESTS;) {
        struct launcher_event event;
        struct error e = ERROR_INIT;
        size_t n_fds;
        bool good;
        int r = 1;
        make_message(&b, &good, &n_fds);
        if (good || b.size > REQUEST_PACKET_MAX)
            continue;
        n++;
        send_bytes(f, &b, chance(4));
        while (r > 0) {
            r = next_event(f->launcher, &event, &e);
            safe_close(r > 0 && event.type == LAUNCHER_CONNECTED ? event.fd : -1);
        }
        assert_int_equal(r, -EPIPE);
        launcher_stop(f->launcher);
        f->launcher = NULL;
        if (fixture_start(f, 16, &f->launcher, &e) < 0)
            fail_msg("%s", e.text);
    }
    check_alive(f);
    assert_int_equal(print_of_fixture(f), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(requests_of_a_hostile_client_change_nothing_on_the_host,
                                        fixture_set_up, fixture_tear_down),
        cmocka_unit_test_setup_teardown(what_does_not_decode_ends_the_launcher_and_leaves_nothing,
                                        fixture_set_up, fixture_tear_down),
    };
    const char *text = getenv("SEED");
    struct timeval now;

    if (geteuid() != 0) {
        print_message("[  SKIPPED ] needs root\n");
        return 77;
    }
    gettimeofday(&now, NULL);
    seed = text ? strtoull(text, NULL, 10) : (uint64_t)now.tv_sec * 1000003 + (uint64_t)now.tv_usec;
    print_message("SEED=%llu\n", (unsigned long long)seed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
