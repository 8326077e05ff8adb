/* archive: puts files below /archive, from where PID 1 sends them with the result. */
#include "commands.h"

#include "base/fdio.h"

#include <libgen.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ARCHIVE_DIR "archive"
#define COPY_SIZE   ((size_t)64 << 10)

/* As Python prints an OSError, for scripts that look at it. */
static int os_error(int code, const char *path)
{
    printf("[Errno %d] %s: '%s'\n", -code, strerror(-code), path);
    return 2;
}

static int make_directories(int root_fd, const char *dir, struct pool *pool)
{
    char *copy = pool_copy(pool, dir, strlen(dir));

    if (!copy)
        return -ENOMEM;
    for (char *p = copy; (p = strchr(p, '/')); p++) {
        *p = 0;
        if (mkdirat(root_fd, copy, 0777) < 0 && errno != EEXIST)
            return -errno;
        *p = '/';
    }
    return 0;
}

static int copy_content(int from, int to)
{
    char bytes[COPY_SIZE];
    ssize_t n;

    while ((n = fd_read_full(from, bytes, sizeof(bytes))) > 0) {
        int k = fd_write_full(to, bytes, (size_t)n);
        if (k < 0)
            return k;
    }
    return (int)n;
}

/* Copies content and mode. *ret_path is the path an error is about. */
static int add_file(int root_fd, const char *source, const char *target, const char **ret_path)
{
    _cleanup_close_ int from = open(source, O_RDONLY | O_CLOEXEC | O_NOCTTY), to = -EBADF;
    struct stat st, there;
    int k;

    *ret_path = source;
    if (from < 0 || fstat(from, &st) < 0)
        return -errno;
    if (S_ISDIR(st.st_mode))
        return -EISDIR;
    *ret_path = target;
    if (fstatat(root_fd, target + 1, &there, 0) == 0 && there.st_dev == st.st_dev &&
        there.st_ino == st.st_ino)
        return -EEXIST;
    to = openat(root_fd, target + 1, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0666);
    if (to < 0)
        return -errno;
    k = copy_content(from, to);
    if (k < 0)
        return k;
    return fchmod(to, st.st_mode & 07777) < 0 ? -errno : 0;
}

/* "/archive/SUBDIR/NAME" */
static char *archive_path(struct pool *pool, const char *subdir, const char *name)
{
    size_t size = strlen("/" ARCHIVE_DIR "//") + strlen(subdir) + strlen(name) + 1;
    char *path = pool_alloc(pool, size);

    if (path)
        snprintf(path, size, "/" ARCHIVE_DIR "/%s/%s", subdir, name);
    return path;
}

int command_archive(const struct invocation *c)
{
    enum { ADD, REMOVE, SUBDIR };
    static const struct args_spec spec = {
        .summary = "Add files to the archive of the submission, or remove them.",
        .options = {{'a', "add", "ADD", "add this file"},
                    {'r', "remove", "REMOVE", "remove this file"},
                    {'s', "subdir", "OUTSUBDIR", "folder of the archive it is (to be) in"}},
    };
    _cleanup_args_ struct args a;
    _cleanup_pool_ struct pool pool = {NULL};
    const struct error none = ERROR_INIT;
    const char *source, *base, *target, *about;
    int k = args_parse(&spec, c->name, c->argv, &a);

    if (k >= 0)
        return k;
    source = args_value(&a, ADD);
    if (*source) {
        base = strrchr(source, '/');
        target = archive_path(&pool, args_value(&a, SUBDIR), base ? base + 1 : source);
        k = target ? make_directories(c->root_fd, target + 1, &pool) : -ENOMEM;
        if (k == -ENOMEM)
            return command_failed(c, k, &none);
        k = add_file(c->root_fd, source, target, &about);
        if (k < 0)
            return os_error(k, about);
    }
    if (*args_value(&a, REMOVE)) {
        target = archive_path(&pool, args_value(&a, SUBDIR), args_value(&a, REMOVE));
        if (!target)
            return command_failed(c, -ENOMEM, &none);
        if (unlinkat(c->root_fd, target + 1, 0) < 0)
            return os_error(-errno, target);
    }
    return 0;
}
