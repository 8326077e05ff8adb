/* One launcher with a small image and a tree of tasks, and what tests do with it. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/fdio.h"
#include "base/text.h"
#include "request.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define EVENT_WAIT_MSEC 20000

enum { ROOT_STORE, ROOT_TASKS };

/* Before main(): this program is its own launcher. */
__attribute__((constructor)) static inline void be_launcher(int argc, char **argv)
{
    (void)argc;
    launcher_begin(argv);
}

struct fixture {
    char top[256];
    char store[300], tasks[300], scratch[300], run[300];
    struct launcher *launcher;
};

static inline void make_directory(const char *top, const char *name)
{
    _cleanup_free_ char *path = text_printf("%s/%s", top, name);

    assert_non_null(path);
    if (mkdir(path, 0755) < 0)
        fail_msg("mkdir %s: %s", path, strerror(errno));
}

static inline void copy_file(const char *from, const char *to)
{
    _cleanup_buffer_ struct buffer b = {0};
    _cleanup_close_ int fd = -EBADF;

    assert_int_equal(fd_read_file(AT_FDCWD, from, &b, 64 << 20), 0);
    fd = open(to, O_CREAT | O_WRONLY | O_CLOEXEC, 0755);
    assert_true(fd >= 0);
    assert_int_equal(fd_write_full(fd, b.data, b.size), 0);
}

/* The directories: an image of one program, and tasks with links that try to lead out. */
static inline void fixture_make(struct fixture *f)
{
    const char *base = getenv("TMPDIR");
    _cleanup_free_ char *program = NULL;
    _cleanup_close_ int tasks = -EBADF;

    snprintf(f->top, sizeof(f->top), "%s/launcher-XXXXXX", base ? base : "/tmp");
    assert_non_null(mkdtemp(f->top));
    assert_int_equal(chmod(f->top, 0755), 0);
    snprintf(f->store, sizeof(f->store), "%s/store", f->top);
    snprintf(f->tasks, sizeof(f->tasks), "%s/tasks", f->top);
    snprintf(f->scratch, sizeof(f->scratch), "%s/scratch", f->top);
    snprintf(f->run, sizeof(f->run), "%s/run", f->top);
    make_directory(f->top, "store");
    make_directory(f->top, "store/layer");
    make_directory(f->top, "store/layer/bin");
    make_directory(f->top, "tasks");
    make_directory(f->top, "tasks/course");
    make_directory(f->top, "tasks/course/task");
    make_directory(f->top, "outside");
    program = text_printf("%s/layer/bin/payload", f->store);
    assert_non_null(program);
    copy_file(TEST_PAYLOAD, program);
    tasks = open(f->tasks, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(tasks >= 0);
    assert_int_equal(symlinkat("course", tasks, "inner"), 0);
    assert_int_equal(symlinkat("/course", tasks, "absolute"), 0);
    assert_int_equal(symlinkat("../outside", tasks, "up"), 0);
    assert_int_equal(symlinkat("/etc", tasks, "host"), 0);
    assert_int_equal(symlinkat("/proc/self/root", tasks, "magic"), 0);
    assert_int_equal(symlinkat("loop", tasks, "loop"), 0);
    safe_close(openat(tasks, "file", O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
}

static inline int fixture_start(struct fixture *f, uint32_t max_sandboxes, struct launcher **ret,
                                struct error *e)
{
    const struct launcher_root roots[] = {
        {"store", f->store, true},
        {"tasks", f->tasks, true},
    };
    const struct launcher_config config = {
        .roots = roots,
        .n_roots = ARRAY_SIZE(roots),
        .scratch = f->scratch,
        .run_dir = f->run,
        .max_sandboxes = max_sandboxes,
    };

    return launcher_start(&config, ret, e);
}

static inline int fixture_set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct error e = ERROR_INIT;

    assert_non_null(f);
    *state = f;
    fixture_make(f);
    if (fixture_start(f, 16, &f->launcher, &e) < 0)
        fail_msg("%s", e.text);
    return 0;
}

/* Nothing of the launcher may be left when it is stopped. */
static inline int fixture_tear_down(void **state)
{
    struct fixture *f = *state;
    pid_t pid = f->launcher ? launcher_pid(f->launcher) : -1;
    int r;

    if (f->launcher)
        launcher_stop(f->launcher);
    r = pid > 0 && kill(pid, 0) == 0;
    if (rmdir(f->scratch) < 0 && errno != ENOENT) {
        print_error("%s: %s\n", f->scratch, strerror(errno));
        r = 1;
        if (fixture_start(f, 1, &f->launcher, NULL) == 0) /* sweeps */
            launcher_stop(f->launcher);
    }
    if (fd_remove_tree(AT_FDCWD, f->top) < 0)
        r = 1;
    free(f);
    return r;
}

/* A spec that runs the payload with up to two arguments. */
static inline struct sandbox_spec payload(const char *verb, const char *argument)
{
    struct sandbox_spec s = {.layers_root = ROOT_STORE};

    s.limits.memory_bytes = 64 << 20;
    s.limits.pids = 16;
    s.limits.wall_time_usec = 60 * 1000000ULL;
    assert_int_equal(strv_append(&s.layers, "layer"), 0);
    assert_int_equal(strv_append(&s.argv, "/bin/payload"), 0);
    assert_int_equal(strv_append(&s.argv, verb), 0);
    if (argument)
        assert_int_equal(strv_append(&s.argv, argument), 0);
    return s;
}

static const int no_stdio[3] = {-1, -1, -1};

static inline void submit_spec(struct launcher *l, uint64_t id, struct sandbox_spec *s,
                               const int stdio[3])
{
    struct error e = ERROR_INIT;

    if (launcher_submit(l, id, s, stdio, &e) < 0)
        fail_msg("%s", e.text);
    sandbox_spec_clear(s);
}

static inline void submit(struct launcher *l, uint64_t id, const char *verb, const char *argument)
{
    struct sandbox_spec s = payload(verb, argument);

    submit_spec(l, id, &s, no_stdio);
}

/* The next event, or what launcher_dispatch() failed with. */
static inline int next_event(struct launcher *l, struct launcher_event *ret, struct error *e)
{
    struct pollfd p = {launcher_fd(l), POLLIN, 0};
    int r = poll(&p, 1, EVENT_WAIT_MSEC);

    if (r != 1)
        fail_msg("no event within %d ms", EVENT_WAIT_MSEC);
    r = launcher_dispatch(l, ret, e);
    assert_int_not_equal(r, 0);
    return r;
}

static inline struct launcher_event expect(struct launcher *l, enum launcher_event_type type,
                                           uint64_t id)
{
    struct launcher_event event = {0};
    struct error e = ERROR_INIT;

    if (next_event(l, &event, &e) < 0)
        fail_msg("%s", e.text);
    if (event.type == LAUNCHER_EXITED && event.report.verdict == SANDBOX_START_FAILED &&
        type == LAUNCHER_STARTED)
        fail_msg("%s: %s", event.report.failed_step, event.report.error);
    assert_int_equal(event.type, type);
    assert_int_equal(event.id, id);
    return event;
}

static inline struct sandbox_report expect_exit(struct launcher *l, uint64_t id)
{
    return expect(l, LAUNCHER_EXITED, id).report;
}

static inline void expect_refused(struct launcher *l, uint64_t id, int code, const char *text)
{
    struct sandbox_report report = expect_exit(l, id);

    assert_int_equal(report.verdict, SANDBOX_START_FAILED);
    assert_string_equal(report.failed_step, "request");
    assert_string_equal(report.error, text);
    assert_int_equal(report.error_code, code);
}

/* Waits for the end of process PID, ours or not. */
static inline void expect_gone(pid_t pid)
{
    _cleanup_close_ int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    struct pollfd p = {fd, POLLIN, 0};

    if (fd >= 0 && poll(&p, 1, EVENT_WAIT_MSEC) != 1)
        fail_msg("process %d is still there", (int)pid);
}

/* Waits until nobody holds the other end of the pipe FD: the program behind it is dead. */
static inline void expect_end_of_pipe(int fd)
{
    struct pollfd p = {fd, POLLIN, 0};
    char byte;

    if (poll(&p, 1, EVENT_WAIT_MSEC) != 1)
        fail_msg("somebody still holds the pipe");
    assert_int_equal(read(fd, &byte, 1), 0);
}
