/* links: runtime */
/* Where the launcher's directories go, who moves for it, and what is left when it closes.
 *
 * Each test makes a cgroup of its own ("place") below a first host's directory, where on v2 the
 * controllers are enabled, and starts processes in it that act as agent and launcher. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cgroup_child.h"
#include "cgroup_internal.h"

#include "base/fdio.h"
#include "base/text.h"

#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>

/* In processes that are not cmocka's: tells the place and ends the scenario. */
#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);              \
            return 1;                                                                              \
        }                                                                                          \
    } while (0)

struct fixture {
    struct cgroup_host *host;
    struct cgroup_dir place[CGROUP_DIRS_MAX];
    size_t n;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    char instance[32];
    struct error e = ERROR_INIT;

    snprintf(instance, sizeof(instance), "t-%d", (int)getpid());
    if (cgroup_host_open(instance, 0, &f->host, &e) < 0) {
        print_error("%s\n", e.text);
        return -1;
    }
    for (f->n = 0; f->n < f->host->n_dirs; f->n++) {
        f->place[f->n].path = text_printf("%s/place", f->host->dirs[f->n].path);
        if (cgroup_make_dir(f->host->dirs[f->n].fd, "place", &f->place[f->n].fd) < 0)
            return -1;
        if (f->n > 0 && faccessat(f->place[f->n].fd, "cpuset.mems", F_OK, 0) == 0 &&
            cgroup_fill_cpuset(f->host->dirs[f->n].fd, f->place[f->n].fd, NULL) < 0)
            return -1;
    }
    *state = f;
    return 0;
}

/* Fails when anything but what set_up() made is left. */
static int tear_down(void **state)
{
    struct fixture *f = *state;
    int left = 0;

    fd_write_file(f->host->dirs[CGROUP_V2].fd, "cgroup.kill", "1");
    for (int tries = 0; tries < 10000; tries++) {
        left = 0;
        for (size_t i = 0; i < f->n; i++)
            left += unlinkat(f->host->dirs[i].fd, "place", AT_REMOVEDIR) < 0 && errno != ENOENT;
        if (!left)
            break;
        usleep(1000);
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
    }
    for (size_t i = 0; i < f->n; i++) {
        cgroup_remove_tree(f->host->dirs[i].fd, "place");
        cgroup_dir_clear(&f->place[i]);
    }
    cgroup_host_close(f->host);
    free(f);
    return left ? -1 : 0;
}

/* Runs FN in a new process that has entered the place in every hierarchy; its exit status. */
static pid_t start_inside(struct fixture *f, int (*fn)(struct fixture *f))
{
    pid_t pid = fork();

    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (size_t i = 0; i < f->n; i++)
        if (fd_write_file(f->place[i].fd, "cgroup.procs", "0") < 0)
            _exit(120);
    _exit(fn(f));
}

static int run_inside(struct fixture *f, int (*fn)(struct fixture *f))
{
    return wait_status(start_inside(f, fn));
}

/* The names of the place and of the leaf in it as seen by whoever works there. */
static const char *at_home = "/place", *at_leaf = "/place/dockless-t-inner-supervisor";

/* Whether process PID is in the v2 cgroup whose path ends in END. */
static bool is_in(pid_t pid, const char *end)
{
    _cleanup_buffer_ struct buffer b = {0};
    _cleanup_free_ char *file = text_printf("/proc/%d/cgroup", (int)pid), *path = NULL;

    return cgroup_read(AT_FDCWD, file, &b) == 0 &&
           cgroup_parse_self((const char *)b.data, "", &path) == 0 && strlen(path) >= strlen(end) &&
           strcmp(path + strlen(path) - strlen(end), end) == 0;
}

/* Opens a host as a launcher does, runs something under a limit, closes. */
static int work_as_launcher(struct fixture *f)
{
    const struct sandbox_limits limits = {.memory_bytes = 16 * MIB, .pids = 5};
    _cleanup_buffer_ struct buffer before = {0}, after = {0};
    const char *const given = "cgroup.subtree_control";
    _cleanup_strv_ char **paths = NULL;
    struct error e = ERROR_INIT;
    struct cgroup_host *h;
    struct cgroup *cg;

    CHECK(cgroup_read(f->place[CGROUP_V2].fd, given, &before) == 0);
    if (cgroup_host_open("t-inner", 0, &h, &e) < 0) {
        fprintf(stderr, "%s\n", e.text);
        return 2;
    }
    CHECK(cgroup_host_paths(h, &paths) == 0);
    CHECK(strv_length(paths) == f->n);
    for (size_t i = 0; i < f->n; i++) {
        _cleanup_free_ char *expected = text_printf("%s/dockless-t-inner", f->place[i].path);
        CHECK(strcmp(paths[i], expected) == 0);
    }
    CHECK(cgroup_create(h, "s1", &limits, &cg, &e) == 0);
    CHECK(wait_status(spawn_in(cg, use_memory, 40 * MIB)) == 256 + SIGKILL);
    CHECK(cgroup_oom_happened(cg));
    cgroup_destroy(cg);
    if (strcmp(cgroup_host_driver(h), "unified") == 0)
        CHECK(is_in(getpid(), at_leaf));
    else
        CHECK(is_in(getpid(), at_home));
    cgroup_host_close(h);
    CHECK(is_in(getpid(), at_home));
    for (size_t i = 0; i < f->n; i++)
        CHECK(access(paths[i], F_OK) < 0);
    CHECK(cgroup_read(f->place[CGROUP_V2].fd, given, &after) == 0);
    CHECK(strcmp((const char *)before.data, (const char *)after.data) == 0);
    return 0;
}

static void directories_are_made_below_our_own_cgroup(void **state)
{
    assert_int_equal(run_inside(*state, work_as_launcher), 0);
}

static int work_twice(struct fixture *f)
{
    int r = work_as_launcher(f);

    return r ? r : work_as_launcher(f);
}

static void a_closed_place_can_be_used_again(void **state)
{
    assert_int_equal(run_inside(*state, work_twice), 0);
}

/* As in a container of another manager: a cgroup namespace, and the hierarchies mounted in it.
 * Those of the host are still there below and show other parts of them. */
static int work_in_a_container(struct fixture *f)
{
    CHECK(unshare(CLONE_NEWCGROUP | CLONE_NEWNS) == 0);
    CHECK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
    for (size_t i = 0; i < f->n; i++)
        CHECK(mount("none", f->place[i].path, i == CGROUP_V2 ? "cgroup2" : "cgroup", 0,
                    cgroup_hierarchies[i]) == 0);
    at_home = "/";
    at_leaf = "/dockless-t-inner-supervisor";
    return work_as_launcher(f);
}

static void a_containers_view_of_its_cgroup_is_enough(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(run_inside(f, work_in_a_container), 0);
}

static int agent(struct fixture *f)
{
    pid_t pid = fork();
    int r;

    if (pid == 0) {
        pid_t parent = getppid();
        r = work_as_launcher(f);
        if (r == 0 && !is_in(parent, "/place"))
            r = 3;
        _exit(r);
    }
    r = wait_status(pid);
    CHECK(is_in(getpid(), "/place"));
    return r;
}

static void an_agent_above_is_no_obstacle(void **state)
{
    assert_int_equal(run_inside(*state, agent), 0);
}

/* The agent makes the launcher and then waits; the launcher sees where it is. */
static int launcher_that_looks_up(struct fixture *f)
{
    struct error e = ERROR_INIT;
    struct cgroup_host *h;
    pid_t pid = fork();

    (void)f;
    if (pid != 0)
        return wait_status(pid);
    if (cgroup_host_open("t-inner", 0, &h, &e) < 0)
        _exit(2);
    pid = is_in(getppid(), "/place/dockless-t-inner-supervisor") ? 0 : 4;
    cgroup_host_close(h);
    _exit((int)pid);
}

static void an_agent_above_moves_along(void **state)
{
    assert_int_equal(run_inside(*state, launcher_that_looks_up), 0);
}

static int open_refused(struct fixture *f, int expected, const char *word)
{
    struct error e = ERROR_INIT;
    struct cgroup_host *h;
    int r = cgroup_host_open("t-inner", 0, &h, &e);

    if (r == 0)
        cgroup_host_close(h);
    CHECK(r == expected);
    CHECK(strstr(e.text, f->place[CGROUP_V2].path));
    if (!strstr(e.text, word))
        fprintf(stderr, "%s\n", e.text);
    CHECK(strstr(e.text, word));
    CHECK(is_in(getpid(), "/place"));
    return 0;
}

static pid_t stranger;

/* Whether PID runs this test. */
static bool own_program(pid_t pid)
{
    _cleanup_free_ char *path = text_printf("/proc/%d/exe", (int)pid);
    struct stat own, other;

    return stat("/proc/self/exe", &own) == 0 && stat(path, &other) == 0 &&
           own.st_ino == other.st_ino && own.st_dev == other.st_dev;
}

static int meet_a_stranger(struct fixture *f)
{
    char word[32];

    snprintf(word, sizeof(word), "process %d,", (int)stranger);
    CHECK(open_refused(f, -EBUSY, word) == 0);
    CHECK(is_in(stranger, "/place"));
    return 0;
}

static int become_another_program(struct fixture *f)
{
    (void)f;
    execl("/bin/sleep", "sleep", "600", (char *)NULL);
    return 121;
}

static void strangers_are_never_moved(void **state)
{
    struct fixture *f = *state;

    stranger = start_inside(f, become_another_program);
    while (!is_in(stranger, "/place"))
        usleep(1000);
    assert_int_equal(run_inside(f, meet_a_stranger), 0);
    kill(stranger, SIGKILL);
    assert_int_equal(wait_status(stranger), 256 + SIGKILL);
}

static int sleep_inside(struct fixture *f)
{
    (void)f;
    return sleep_on(0);
}

/* The same program, but not above the launcher: another agent. */
static void other_agents_are_never_moved(void **state)
{
    struct fixture *f = *state;

    stranger = start_inside(f, sleep_inside);
    while (!is_in(stranger, "/place"))
        usleep(1000);
    assert_int_equal(run_inside(f, meet_a_stranger), 0);
    kill(stranger, SIGKILL);
    assert_int_equal(wait_status(stranger), 256 + SIGKILL);
}

/* The agent becomes another program before its launcher looks around, and tells by RESULT_FD what
 * that saw. */
static int result_fd;

static int leave_a_launcher_behind(struct fixture *f)
{
    pid_t pid = fork();

    if (pid == 0) {
        stranger = getppid();
        for (int tries = 0; tries < 10000 && own_program(stranger); tries++)
            usleep(1000);
        pid = meet_a_stranger(f);
        _exit(write(result_fd, &pid, sizeof(pid)) != (ssize_t)sizeof(pid));
    }
    return become_another_program(f);
}

static void a_parent_of_another_program_is_never_moved(void **state)
{
    struct fixture *f = *state;
    int fds[2], result = -1;
    pid_t pid;

    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    result_fd = fds[1];
    pid = start_inside(f, leave_a_launcher_behind);
    close(fds[1]);
    assert_int_equal(read(fds[0], &result, sizeof(result)), sizeof(result));
    close(fds[0]);
    assert_int_equal(result, 0);
    kill(pid, SIGKILL);
    assert_int_equal(wait_status(pid), 256 + SIGKILL);
}

static int meet_a_stranger_under_systemd(struct fixture *f)
{
    const struct sandbox_limits limits = {.memory_bytes = 16 * MIB, .pids = 5};
    struct error e = ERROR_INIT;
    struct cgroup_host *h;
    struct cgroup *cg;

    (void)f;
    if (cgroup_host_open("t-inner", 0, &h, &e) < 0) {
        fprintf(stderr, "%s\n", e.text);
        return 2;
    }
    CHECK(is_in(stranger, "/place"));
    CHECK(is_in(getpid(), "/dockless-t-inner.scope/dockless-t-inner-supervisor"));
    CHECK(cgroup_create(h, "s1", &limits, &cg, &e) == 0);
    CHECK(wait_status(spawn_in(cg, use_memory, 40 * MIB)) == 256 + SIGKILL);
    CHECK(cgroup_oom_happened(cg));
    cgroup_destroy(cg);
    cgroup_host_close(h);
    CHECK(is_in(getpid(), "/dockless-t-inner.scope"));
    return 0;
}

static void beside_strangers_systemd_gives_us_a_scope(void **state)
{
    struct fixture *f = *state;

    stranger = start_inside(f, become_another_program);
    while (!is_in(stranger, "/place"))
        usleep(1000);
    assert_int_equal(run_inside(f, meet_a_stranger_under_systemd), 0);
    kill(stranger, SIGKILL);
    assert_int_equal(wait_status(stranger), 256 + SIGKILL);
}

static int lack_memory(struct fixture *f)
{
    return open_refused(f, -EOPNOTSUPP, "no memory controller");
}

static void a_controller_that_is_not_given_to_us_is_named(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(
        fd_write_file(f->host->dirs[CGROUP_V2].fd, "cgroup.subtree_control", "-memory"), 0);
    assert_int_equal(run_inside(f, lack_memory), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(directories_are_made_below_our_own_cgroup),
        TEST(a_closed_place_can_be_used_again),
        TEST(a_containers_view_of_its_cgroup_is_enough),
        TEST(an_agent_above_is_no_obstacle),
    };
    const struct CMUnitTest unified_tests[] = {
        TEST(an_agent_above_moves_along),
    };
    const struct CMUnitTest systemd_tests[] = {
        TEST(beside_strangers_systemd_gives_us_a_scope),
    };
    const struct CMUnitTest no_systemd_tests[] = {
        TEST(a_controller_that_is_not_given_to_us_is_named),
        TEST(strangers_are_never_moved),
        TEST(a_parent_of_another_program_is_never_moved),
        TEST(other_agents_are_never_moved),
    };
    struct cgroup_dir v1 = CGROUP_DIR_INIT;
    int failed;

    if (geteuid() != 0)
        return 77;
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (cgroup_place_find("memory", &v1, NULL) == 0) {
        cgroup_dir_clear(&v1);
        return failed;
    }
    failed += cmocka_run_group_tests(unified_tests, NULL, NULL);
    if (cgroup_scope_can_be_asked())
        failed += cmocka_run_group_tests(systemd_tests, NULL, NULL);
    else
        failed += cmocka_run_group_tests(no_systemd_tests, NULL, NULL);
    return failed;
}
