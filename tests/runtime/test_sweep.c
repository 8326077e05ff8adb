/* links: runtime */
/* Instances and what is left of those whose launcher was killed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cgroup_child.h"
#include "cgroup_internal.h"
#include "sweep.h"

#include "base/fdio.h"
#include "base/text.h"

#include <stdio.h>
#include <sys/stat.h>

struct fixture {
    char path[256];
    int scratch;
};

/* What a launcher that was killed leaves behind. */
struct leftover {
    char name[32];
    char paths[CGROUP_DIRS_MAX][512];
    size_t n_paths;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    const char *dir = getenv("TMPDIR");

    snprintf(f->path, sizeof(f->path), "%s/sweep.XXXXXX", dir ? dir : "/tmp");
    if (!mkdtemp(f->path))
        return -1;
    f->scratch = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    /* Processes of a killed launcher become ours. */
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    *state = f;
    return f->scratch < 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    safe_close(f->scratch);
    fd_remove_tree(AT_FDCWD, f->path);
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
    free(f);
    return 0;
}

static bool exists(struct fixture *f, const char *name)
{
    return faccessat(f->scratch, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void write_text(int dir_fd, const char *name, const char *text)
{
    _cleanup_close_ int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(fd_write_full(fd, text, strlen(text)), 0);
}

/* Leaves a process that outlives everybody, though not for ever should a test fail. It lets go of
 * all fds, the lock among them, as execve would, and that is waited for. */
static int leave_orphan(uint64_t unused)
{
    int fds[2];
    char byte;

    if (pipe2(fds, O_CLOEXEC) < 0)
        return 1;
    if (fork() == 0) {
        close_range(3, ~0U, 0);
        sleep_on(unused);
    }
    close(fds[1]);
    return read(fds[0], &byte, 1) != 0;
}

/* The body of a launcher that waits to be killed: it tells what it made through OUT. Without NOTES
 * it is killed before there is a process in a sandbox. */
static int launcher(int scratch, bool notes, int out)
{
    const struct sandbox_limits limits = {.memory_bytes = 64 * MIB, .pids = 10};
    _cleanup_free_ char *name = NULL;
    _cleanup_strv_ char **paths = NULL;
    struct cgroup_host *host;
    struct leftover left = {0};
    struct cgroup *cg;
    int instance = sweep_new_instance(scratch, &name, NULL);

    if (instance < 0 || cgroup_host_open(name, 0, &host, NULL) < 0 ||
        cgroup_host_paths(host, &paths) < 0 || cgroup_create(host, "s1", &limits, &cg, NULL) < 0 ||
        (notes && sweep_note_cgroups(instance, paths, NULL) < 0) ||
        mkdirat(instance, "scratch", 0700) < 0)
        return 1;
    snprintf(left.name, sizeof(left.name), "%s", name);
    for (char **p = paths; *p; p++)
        snprintf(left.paths[left.n_paths++], sizeof(left.paths[0]), "%s", *p);
    if (notes && (wait_status(spawn_in(cg, leave_orphan, 0)) != 0 || cgroup_is_empty(cg) != 0))
        return 1;
    return write(out, &left, sizeof(left)) != (ssize_t)sizeof(left) || sleep_on(0);
}

/* Runs a launcher and kills it. */
static void leave_something(struct fixture *f, bool notes, struct leftover *left)
{
    int fds[2];
    pid_t pid;

    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        _exit(launcher(f->scratch, notes, fds[1]));
    }
    close(fds[1]);
    assert_int_equal(read(fds[0], left, sizeof(*left)), sizeof(*left));
    close(fds[0]);
    assert_true(left->n_paths > 0);
    kill(pid, SIGKILL);
    assert_int_equal(wait_status(pid), 256 + SIGKILL);
}

static size_t cgroups_left(const struct leftover *left)
{
    size_t n = 0;

    for (size_t i = 0; i < left->n_paths; i++)
        n += access(left->paths[i], F_OK) == 0;
    return n;
}

static void an_instance_in_use_is_left_alone(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *first = NULL, *second = NULL;
    _cleanup_close_ int a = sweep_new_instance(f->scratch, &first, NULL);
    _cleanup_close_ int b = sweep_new_instance(f->scratch, &second, NULL);

    assert_true(a >= 0 && b >= 0);
    assert_string_not_equal(first, second);
    assert_int_equal(sweep_instances(f->scratch, NULL), 0);
    assert_true(exists(f, first) && exists(f, second));
    sweep_remove_instance(f->scratch, a, first);
    assert_false(exists(f, first));
    assert_true(exists(f, second));
}

static void an_instance_is_private_to_root(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *name = NULL;
    _cleanup_close_ int fd = sweep_new_instance(f->scratch, &name, NULL);
    struct stat st;

    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
}

static void files_of_a_dead_instance_are_removed(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *name = NULL;
    int fd = sweep_new_instance(f->scratch, &name, NULL);

    assert_int_equal(sweep_note_cgroups(fd, NULL, NULL), 0);
    assert_int_equal(mkdirat(fd, "upper", 0700), 0);
    assert_int_equal(symlinkat("/etc", fd, "upper/link"), 0);
    close(fd);
    assert_int_equal(sweep_instances(f->scratch, NULL), 1);
    assert_false(exists(f, name));
    assert_int_equal(access("/etc/passwd", F_OK), 0);
}

static void cgroups_of_a_dead_instance_are_killed_and_removed(void **state)
{
    struct fixture *f = *state;
    struct leftover left;

    leave_something(f, true, &left);
    assert_int_equal(cgroups_left(&left), left.n_paths);
    assert_int_equal(sweep_instances(f->scratch, NULL), 1);
    assert_int_equal(cgroups_left(&left), 0);
    assert_false(exists(f, left.name));
}

static void cgroups_that_were_not_noted_in_time_are_found(void **state)
{
    struct fixture *f = *state;
    struct leftover left;

    leave_something(f, false, &left);
    assert_int_equal(sweep_instances(f->scratch, NULL), 1);
    /* Where systemd gave us a scope it removes that itself, soon. */
    for (int tries = 0; cgroups_left(&left) > 0 && cgroup_scope_can_be_asked() && tries < 5000;
         tries++)
        usleep(1000);
    assert_int_equal(cgroups_left(&left), 0);
}

static void several_dead_instances_are_swept_at_once(void **state)
{
    struct fixture *f = *state;
    struct leftover left[3];

    for (size_t i = 0; i < ARRAY_SIZE(left); i++)
        leave_something(f, true, &left[i]);
    assert_int_equal(sweep_instances(f->scratch, NULL), 3);
    for (size_t i = 0; i < ARRAY_SIZE(left); i++)
        assert_int_equal(cgroups_left(&left[i]), 0);
}

/* Whatever the notes say, only a cgroup with the instance's own name is touched. */
static void notes_cannot_point_at_others(void **state)
{
    struct fixture *f = *state;
    const struct sandbox_limits limits = {0};
    _cleanup_free_ char *name = NULL, *lookalike = NULL, *notes = NULL, *link = NULL;
    _cleanup_free_ char *other = text_printf("t-other-%d", (int)getpid());
    _cleanup_strv_ char **paths = NULL;
    struct cgroup_host *host;
    struct cgroup *cg;
    pid_t pid;
    int fd;

    assert_int_equal(cgroup_host_open(other, 0, &host, NULL), 0);
    assert_int_equal(cgroup_create(host, "s1", &limits, &cg, NULL), 0);
    assert_int_equal(cgroup_host_paths(host, &paths), 0);
    pid = spawn_in(cg, sleep_on, 0);
    fd = sweep_new_instance(f->scratch, &name, NULL);
    assert_true(fd >= 0);
    /* A directory of the right name that is not in a cgroup file system, and a way to the foreign
     * one through a symbolic link of the right name. */
    lookalike = text_printf("dockless-%s", name);
    assert_int_equal(mkdirat(f->scratch, lookalike, 0700), 0);
    link = text_printf("%s/link", f->path);
    assert_int_equal(symlink(paths[0], link), 0);
    notes = text_printf("%s\n%s/s1\n%s/%s\n%s/../dockless-%s\nrelative/%s\n%s/%s\n/\n\n", paths[0],
                        paths[0], f->path, lookalike, paths[0], other, lookalike, link, lookalike);
    write_text(fd, "cgroups", notes);
    close(fd);
    assert_int_equal(sweep_instances(f->scratch, NULL), 1);
    assert_true(exists(f, lookalike));
    assert_int_equal(cgroup_is_empty(cg), 0);
    assert_int_equal(kill(pid, 0), 0);
    cgroup_destroy(cg);
    cgroup_host_close(host);
}

/* An agent outlives its launcher for a moment, in the leaf beside the instance's directory. */
static void an_agent_is_not_killed_and_its_leaf_goes_when_it_has_ended(void **state)
{
    struct fixture *f = *state;
    _cleanup_(cgroup_dir_clear) struct cgroup_dir base = CGROUP_DIR_INIT;
    _cleanup_close_ int leaf_fd = -EBADF;
    _cleanup_free_ char *name = NULL, *leaf = NULL;
    uint64_t before;
    pid_t pid;
    int fd;

    assert_int_equal(cgroup_place_find("", &base, NULL), 0);
    pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        _exit(sleep_on(0));
    }
    fd = sweep_new_instance(f->scratch, &name, NULL);
    leaf = text_printf("dockless-%s-supervisor", name);
    assert_int_equal(cgroup_make_dir(base.fd, leaf, &leaf_fd), 0);
    assert_int_equal(cgroup_write_uint(leaf_fd, "cgroup.procs", (uint64_t)pid), 0);
    close(fd);
    before = clock_monotonic_usec();
    assert_int_equal(sweep_instances(f->scratch, NULL), 0);
    assert_true(clock_monotonic_usec() - before < USEC_PER_SEC);
    assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
    kill(pid, SIGKILL);
    wait_status(pid);
    assert_int_equal(sweep_instances(f->scratch, NULL), 1);
    assert_true(faccessat(base.fd, leaf, F_OK, 0) < 0);
}

static void other_things_in_the_scratch_are_left_alone(void **state)
{
    static const char *const names[] = {"i-0123456", "i-0123456g", "x-01234567", "i-012345678"};
    struct fixture *f = *state;

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        assert_int_equal(mkdirat(f->scratch, names[i], 0700), 0);
    assert_int_equal(mkdirat(f->scratch, "elsewhere", 0700), 0);
    assert_int_equal(symlinkat("elsewhere", f->scratch, "i-00000001"), 0);
    write_text(f->scratch, "i-00000002", "a file");
    assert_int_equal(sweep_instances(f->scratch, NULL), 0);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        assert_true(exists(f, names[i]));
    assert_true(exists(f, "i-00000001") && exists(f, "i-00000002") && exists(f, "elsewhere"));
}

static void notes_are_replaced_as_a_whole(void **state)
{
    struct fixture *f = *state;
    char *first[] = {(char *)"/a", (char *)"/b", NULL}, *second[] = {(char *)"/c", NULL};
    _cleanup_free_ char *name = NULL;
    _cleanup_close_ int fd = sweep_new_instance(f->scratch, &name, NULL);
    _cleanup_buffer_ struct buffer b = {0};

    assert_int_equal(sweep_note_cgroups(fd, first, NULL), 0);
    assert_int_equal(sweep_note_cgroups(fd, second, NULL), 0);
    assert_int_equal(fd_read_file(fd, "cgroups", &b, 100), 0);
    assert_string_equal(buffer_string(&b), "/c\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_instance_in_use_is_left_alone),
        TEST(an_instance_is_private_to_root),
        TEST(files_of_a_dead_instance_are_removed),
        TEST(cgroups_of_a_dead_instance_are_killed_and_removed),
        TEST(cgroups_that_were_not_noted_in_time_are_found),
        TEST(several_dead_instances_are_swept_at_once),
        TEST(notes_cannot_point_at_others),
        TEST(an_agent_is_not_killed_and_its_leaf_goes_when_it_has_ended),
        TEST(other_things_in_the_scratch_are_left_alone),
        TEST(notes_are_replaced_as_a_whole),
    };

    if (geteuid() != 0)
        return 77;
    if (getenv("TEST_ONLY"))
        cmocka_set_test_filter(getenv("TEST_ONLY"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
