/* links: image */
/* The confined unpacker, from inside: what a decompressor taken over could try. Needs root. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/fdio.h"
#include "image/bounds.h"
#include "image/confine.h"
#include "image/tar_internal.h"
#include "image/tree.h"

#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>

enum attempt {
    READ_HOST_FILE,
    READ_PROC,
    LEAVE_BY_DOT_DOT,
    MAKE_DEVICE,
    MAKE_WHITEOUT,
    CHOWN_INSIDE_RANGE,
    CHOWN_OUTSIDE_RANGE,
    SET_TRUSTED,
    SET_USER,
    START_WRITING,
    MAKE_SOCKET,
    MOUNT,
    UNSHARE,
    SETNS,
    CHROOT,
    PIVOT,
    EXEC,
    FORK,
    CLONE3,
    PTRACE_PARENT,
    KILL_PARENT,
    OPEN_HANDLE,
    BPF,
    ADD_KEY,
    SET_CAPABILITIES,
    IO_URING,
    ATTEMPTS,
};

/* What the kernel answered: 0 or a positive errno. */
struct answers {
    int stage; /* negative errno where the cage could not be built */
    int of[ATTEMPTS];
};

static int answer(long r)
{
    return r < 0 ? errno : 0;
}

static void attempt_files(struct answers *a, int root_fd)
{
    struct stat root, above;
    int fd;

    a->of[READ_HOST_FILE] = answer(syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY, 0));
    a->of[READ_PROC] = answer(syscall(SYS_openat, AT_FDCWD, "/proc/self/exe", O_RDONLY, 0));
    a->of[LEAVE_BY_DOT_DOT] =
        fstat(root_fd, &root) == 0 &&
                fstatat(root_fd, "../../../../..", &above, AT_SYMLINK_NOFOLLOW) == 0 &&
                root.st_ino == above.st_ino && root.st_dev == above.st_dev
            ? EXDEV
            : 0;
    a->of[MAKE_DEVICE] = answer(mknodat(root_fd, "null", S_IFCHR | 0666, makedev(1, 3)));
    a->of[MAKE_WHITEOUT] = answer(mknodat(root_fd, "whiteout", S_IFCHR, makedev(0, 0)));
    fd = openat(root_fd, "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    a->of[CHOWN_INSIDE_RANGE] = answer(fchown(fd, ENTRY_OWNER_MAX, ENTRY_OWNER_MAX));
    a->of[CHOWN_OUTSIDE_RANGE] = answer(fchown(fd, ENTRY_OWNER_MAX + 1, 0));
    a->of[SET_TRUSTED] = answer(fsetxattr(fd, "trusted.overlay.opaque", "y", 1, 0));
    a->of[SET_USER] = answer(fsetxattr(fd, "user.x", "y", 1, 0));
    a->of[START_WRITING] = answer(sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE));
}

static void attempt_calls(struct answers *a, pid_t parent)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {0};
    char *const argv[] = {(char *)(uintptr_t) "x", NULL};
    char space[128] = {0};

    a->of[MAKE_SOCKET] = answer(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    a->of[MOUNT] = answer(syscall(SYS_mount, "none", "/", "tmpfs", 0, ""));
    a->of[UNSHARE] = answer(unshare(CLONE_NEWUSER));
    a->of[SETNS] = answer(setns(0, 0));
    a->of[CHROOT] = answer(chroot("/"));
    a->of[PIVOT] = answer(syscall(SYS_pivot_root, ".", "."));
    a->of[EXEC] = answer(execve("/file", argv, NULL));
    a->of[FORK] = answer(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
    a->of[CLONE3] = answer(syscall(SYS_clone3, space, 64));
    a->of[PTRACE_PARENT] = answer(ptrace(PTRACE_SEIZE, parent, 0, 0));
    a->of[KILL_PARENT] = answer(kill(parent, 0));
    a->of[OPEN_HANDLE] = answer(syscall(SYS_open_by_handle_at, AT_FDCWD, space, 0));
    a->of[BPF] = answer(syscall(SYS_bpf, 0, space, sizeof(space)));
    a->of[ADD_KEY] = answer(syscall(SYS_add_key, "user", "x", "y", 1, -4));
    a->of[SET_CAPABILITIES] = answer(syscall(SYS_capset, &header, data));
    a->of[IO_URING] = answer(syscall(SYS_io_uring_setup, 1, space));
}

static void inside(struct answers *a, int directory_fd, int ready, int go, pid_t parent)
{
    int root_fd = -EBADF;
    char byte;

    a->stage = confine_enter_namespaces(directory_fd, NULL);
    if (a->stage < 0 || write(ready, "r", 1) != 1 || read(go, &byte, 1) != 1)
        _exit(1);
    a->stage = confine_to_directory(&root_fd, NULL);
    if (a->stage < 0)
        _exit(1);
    attempt_files(a, root_fd);
    attempt_calls(a, parent);
    _exit(0);
}

static char *make_directory(void)
{
    static char directory[256];
    const char *base = getenv("TMPDIR");

    /* Not on an overlay: it makes no whiteouts. */
    snprintf(directory, sizeof(directory), "%s/dockless-cage.XXXXXX", base ? base : "/tmp");
    assert_non_null(mkdtemp(directory));
    return directory;
}

static void run_inside(struct answers *a)
{
    const char *directory = make_directory();
    _cleanup_close_ int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int ready[2], go[2], status = -1;
    pid_t parent = getpid(), pid;
    char byte;

    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(go), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        inside(a, fd, ready[1], go[0], parent);
    close(ready[1]);
    close(go[0]);
    if (read(ready[0], &byte, 1) == 1) {
        assert_int_equal(confine_map_ids(pid, NULL), 0);
        assert_int_equal(write(go[1], "g", 1), 1);
    }
    close(ready[0]);
    close(go[1]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(fd_remove_tree(AT_FDCWD, directory), 0);
    assert_int_equal(a->stage, 0);
    assert_int_equal(status, 0);
}

static void the_cage_holds(void **state)
{
    static const int expected[ATTEMPTS] = {
        [READ_HOST_FILE] = ENOENT,
        [READ_PROC] = ENOENT,
        [LEAVE_BY_DOT_DOT] = EXDEV,
        [MAKE_DEVICE] = EPERM,
        [MAKE_WHITEOUT] = 0,
        [CHOWN_INSIDE_RANGE] = 0,
        [CHOWN_OUTSIDE_RANGE] = EINVAL,
        [SET_TRUSTED] = EPERM,
        [SET_USER] = 0,
        [START_WRITING] = 0,
        [MAKE_SOCKET] = ENOSYS,
        [MOUNT] = ENOSYS,
        [UNSHARE] = ENOSYS,
        [SETNS] = ENOSYS,
        [CHROOT] = ENOSYS,
        [PIVOT] = ENOSYS,
        [EXEC] = ENOSYS,
        [FORK] = ENOSYS,
        [CLONE3] = ENOSYS,
        [PTRACE_PARENT] = ENOSYS,
        [KILL_PARENT] = ENOSYS,
        [OPEN_HANDLE] = ENOSYS,
        [BPF] = ENOSYS,
        [ADD_KEY] = ENOSYS,
        [SET_CAPABILITIES] = ENOSYS,
        [IO_URING] = ENOSYS,
    };
    struct answers *a =
        mmap(NULL, sizeof(*a), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    (void)state;
    if (geteuid() != 0)
        skip();
    assert_true(a != MAP_FAILED);
    run_inside(a);
    for (int i = 0; i < ATTEMPTS; i++)
        if (a->of[i] != expected[i])
            fail_msg("attempt %d: %s, expected %s", i, strerror(a->of[i]), strerror(expected[i]));
    munmap(a, sizeof(*a));
}

/* The same header for ever: a whiteout, the cheapest entry there is. */
static ssize_t endless(void *userdata, const uint8_t **ret, struct error *e)
{
    (void)e;
    *ret = userdata;
    return TAR_BLOCK;
}

static void entries_of_a_layer_are_bounded(void **state)
{
    const char *directory = make_directory();
    _cleanup_close_ int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _cleanup_notes_ struct layer_notes notes = {0};
    _cleanup_(tar_reader_free_p) struct tar_reader *reader = NULL;
    _cleanup_(layer_tree_free_p) struct layer_tree *tree = NULL;
    char block[TAR_BLOCK] = ".wh.x";
    struct error e = ERROR_INIT;
    unsigned sum = 0;

    (void)state;
    memset(block + 148, ' ', 8);
    for (size_t i = 0; i < sizeof(block); i++)
        sum += (uint8_t)block[i];
    snprintf(block + 148, 8, "%06o", sum);
    assert_int_equal(tar_reader_new(endless, block, &reader), 0);
    assert_int_equal(layer_tree_new(fd, &image_bounds_default, &notes, &tree), 0);
    assert_int_equal(layer_tree_unpack(tree, reader, &e), -EFBIG);
    assert_non_null(strstr(e.text, "entries in the layer"));
    assert_int_equal(notes.entries, image_bounds_default.entries + 1);
    assert_int_equal(fd_remove_tree(AT_FDCWD, directory), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_cage_holds),
        cmocka_unit_test(entries_of_a_layer_are_bounded),
    };

    if (getenv("TEST_ONLY"))
        cmocka_set_test_filter(getenv("TEST_ONLY"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
