#include "run_file.h"

#include "prepare.h"

#include "base/fdio.h"
#include "base/text.h"

#include <grp.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* As Linux takes paths. */
#define COMMAND_PATH_MAX 4096

/* Where run files are looked for, first to last. */
static const char *const places[] = {"task", "course/common", "course"};
/* Run files by extension, and what runs them. */
static const struct {
    const char *extension, *interpreter;
} kinds[] = {
    {"py", "/usr/local/bin/inginious-ipython"},
    {"py3", "/usr/local/bin/inginious-ipython"},
    {"sh", "/bin/bash"},
};

static int split(const char *text, char ***ret)
{
    _cleanup_strv_ char **list = NULL;
    _cleanup_free_ char *copy = strdup(text);
    char *save = NULL;
    int k = 0;

    if (!copy)
        return -ENOMEM;
    for (char *word = strtok_r(copy, " ", &save); k >= 0 && word; word = strtok_r(NULL, " ", &save))
        k = strv_append(&list, word);
    if (k < 0)
        return k;
    k = list != NULL;
    *ret = TAKE_PTR(list);
    return k;
}

/* PREFIX/run with EXTENSION: INTERPRETER (may be NULL) and its path. */
static int find_one(int root_fd, const char *place, const char *extension, const char *interpreter,
                    char ***ret)
{
    _cleanup_strv_ char **list = NULL;
    char path[64];
    int k = 0;

    snprintf(path, sizeof(path), "/%s/run%s%s", place, *extension ? "." : "", extension);
    if (faccessat(root_fd, path + 1, F_OK, 0) < 0)
        return 0;
    if (interpreter)
        k = strv_append(&list, interpreter);
    if (k >= 0)
        k = strv_append(&list, path);
    if (k < 0)
        return k;
    *ret = TAKE_PTR(list);
    return 1;
}

int run_file_find(int root_fd, const char *run_cmd, char ***ret)
{
    int k = run_cmd ? split(run_cmd, ret) : 0;

    for (size_t i = 0; k == 0 && i < ARRAY_SIZE(places); i++) {
        k = find_one(root_fd, places[i], "", NULL, ret);
        for (size_t j = 0; k == 0 && j < ARRAY_SIZE(kinds); j++)
            k = find_one(root_fd, places[i], kinds[j].extension, kinds[j].interpreter, ret);
    }
    return k;
}

int run_file_make_executable(int root_fd, const char *path)
{
    static const char read_only[] = "/course/common";
    struct stat st;

    if (strncmp(path, read_only, strlen(read_only)) == 0)
        return 0;
    /* Relative to the present directory, as the command itself is. */
    if (*path == '/')
        path += strspn(path, "/");
    else
        root_fd = AT_FDCWD;
    if (fstatat(root_fd, path, &st, 0) < 0)
        return -errno;
    if (st.st_mode & S_IXUSR)
        return 0;
    return fchmodat(root_fd, path, (st.st_mode & 07777) | S_IXUSR, 0) < 0 ? -errno : 0;
}

/* execve(2) of a name that may have to be looked up; not execvp(3), which would give a file
 * without "#!" to a shell. Returns a negative errno. */
static int execute(const char *const *words)
{
    char *const *argv = (char *const *)(uintptr_t)words; /* execv(3) only reads it */
    const char *path = getenv("PATH");
    char full[COMMAND_PATH_MAX];
    int best = -ENOENT;

    if (strchr(argv[0], '/')) {
        execv(argv[0], argv);
        return -errno;
    }
    for (const char *p = path ? path : ""; *p; p += strspn(p, ":")) {
        size_t n = strcspn(p, ":");
        if (snprintf(full, sizeof(full), "%.*s/%s", (int)n, p, argv[0]) < (int)sizeof(full))
            execv(full, argv);
        if (errno != ENOENT && errno != ENOTDIR)
            best = -errno;
        p += n;
    }
    return best;
}

static int drop_privileges(void)
{
    static const gid_t groups[] = {0}; /* the image's files of group 0 stay within reach */

    if (setgroups(ARRAY_SIZE(groups), groups) < 0 ||
        setresgid(WORKER_ID, WORKER_ID, WORKER_ID) < 0 ||
        setresuid(WORKER_ID, WORKER_ID, WORKER_ID) < 0)
        return -errno;
    return 0;
}

static int limit_processes(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NPROC, &limit) < 0)
        return -errno;
    limit.rlim_cur = limit.rlim_max = MIN(limit.rlim_max, (rlim_t)RUN_PROCESSES_MAX);
    return setrlimit(RLIMIT_NPROC, &limit) < 0 ? -errno : 0;
}

static int default_signals(void)
{
    sigset_t none;

    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL);
    sigemptyset(&none);
    return sigprocmask(SIG_SETMASK, &none, NULL) < 0 ? -errno : 0;
}

/* Puts FD in the place of TARGET; the copies have no O_CLOEXEC. */
static int place_fd(int fd, int target)
{
    _cleanup_close_ int null = -EBADF;

    if (fd < 0) {
        null = open("/dev/null", O_RDWR | O_CLOEXEC);
        fd = null;
    }
    if (fd < 0)
        return -errno;
    if (fd == target)
        return fcntl(fd, F_SETFD, 0) < 0 ? -errno : 0;
    return dup2(fd, target) < 0 ? -errno : 0;
}

/* In the child. Returns only when something failed. */
static int become(const struct run_process *p)
{
    int k = default_signals();

    if (k >= 0)
        k = place_fd(p->in, STDIN_FILENO);
    if (k >= 0)
        k = place_fd(p->out, STDOUT_FILENO);
    if (k >= 0)
        k = place_fd(p->err, STDERR_FILENO);
    if (k >= 0 && setenv("HOME", "/task", 1) < 0)
        k = -errno;
    if (k >= 0)
        k = limit_processes();
    if (k >= 0 && !p->as_root)
        k = drop_privileges();
    if (k >= 0 && p->no_new_privs && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        k = -errno;
    return k < 0 ? k : execute(p->argv);
}

int run_process_start(const struct run_process *p, pid_t *ret, struct error *e)
{
    int pipe_fds[2], failure = 0;
    _cleanup_close_ int in = -EBADF, out = -EBADF;
    pid_t pid;

    if (pipe2(pipe_fds, O_CLOEXEC) < 0)
        return error_sys(e, -errno, "pipe2");
    in = pipe_fds[0];
    out = pipe_fds[1];
    pid = fork();
    if (pid < 0)
        return error_sys(e, -errno, "fork");
    if (pid == 0) {
        failure = become(p);
        fd_write_full(out, &failure, sizeof(failure));
        _exit(127);
    }
    out = safe_close(out);
    /* Ends without a byte when execve(2) closed the other end. */
    if (fd_read_full(in, &failure, sizeof(failure)) == (ssize_t)sizeof(failure)) {
        waitpid(pid, NULL, 0);
        return error_sys(e, failure, "%s", p->argv[0]);
    }
    *ret = pid;
    return 0;
}
