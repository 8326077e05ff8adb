/* Theory of operation
 *
 * RUN_DIR/launchers/INSTANCE is locked (flock(2)) by its launcher from before it has a sandbox
 * until it ends, however it ends. RUN_DIR/running/INSTANCE.NAME is written when a sandbox is
 * released and removed when it is over. Whoever lists them tries the launcher's lock: one that can
 * be had means that the file is a leftover. Both directories are root's alone: command lines are
 * private.
 *
 * A file is a run of texts with a NUL behind each: version, process, start, label, host name, and
 * the arguments. */
#include "registry.h"

#include "base/clock.h"
#include "base/fdio.h"
#include "base/text.h"

#include <dirent.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#define VERSION "1"
/* Of one file: enough to recognise a command by. */
#define FILE_MAX ((size_t)8 << 10)
/* Sandboxes listed at once: far more than run on a host. */
#define RUNNING_MAX 65536

struct registry {
    int launchers_fd, running_fd, lock_fd;
    char *instance;
};

static int open_dir(const char *run_dir, const char *name, bool make, int *ret_fd)
{
    _cleanup_free_ char *path = text_printf("%s/%s", run_dir, name);

    if (!path)
        return -ENOMEM;
    if (make && mkdir(run_dir, 0755) < 0 && errno != EEXIST)
        return -errno;
    if (make && mkdir(path, 0700) < 0 && errno != EEXIST)
        return -errno;
    *ret_fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return *ret_fd < 0 ? -errno : 0;
}

int registry_open(const char *run_dir, const char *instance, struct registry **ret, struct error *e)
{
    _cleanup_(registry_close_p) struct registry *r = calloc(1, sizeof(*r));
    int code;

    if (!r)
        return error_sys(e, -ENOMEM, "registry");
    r->launchers_fd = r->running_fd = r->lock_fd = -EBADF;
    code = open_dir(run_dir, "launchers", true, &r->launchers_fd);
    if (code == 0)
        code = open_dir(run_dir, "running", true, &r->running_fd);
    if (code < 0)
        return error_sys(e, code, "make directories in %s", run_dir);
    r->instance = strdup(instance);
    r->lock_fd = openat(r->launchers_fd, instance, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (!r->instance || r->lock_fd < 0 || flock(r->lock_fd, LOCK_EX | LOCK_NB) < 0)
        return error_sys(e, r->instance ? -errno : -ENOMEM, "lock %s/launchers/%s", run_dir,
                         instance);
    *ret = TAKE_PTR(r);
    return 0;
}

void registry_close(struct registry *r)
{
    if (r->lock_fd >= 0)
        unlinkat(r->launchers_fd, r->instance, 0);
    safe_close(r->lock_fd);
    safe_close(r->running_fd);
    safe_close(r->launchers_fd);
    free(r->instance);
    free(r);
}

static int put(struct buffer *b, const char *text)
{
    return buffer_append(b, text ? text : "", text ? strlen(text) + 1 : 1);
}

void registry_add(struct registry *r, const char *name, const struct sandbox_spec *spec, pid_t pid)
{
    _cleanup_buffer_ struct buffer b = {.max = FILE_MAX};
    _cleanup_free_ char *file = text_printf("%s.%s", r->instance, name);
    _cleanup_close_ int fd = -EBADF;
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    if (!file || put(&b, VERSION) < 0 || buffer_printf(&b, "%d%c", (int)pid, 0) < 0 ||
        buffer_printf(&b, "%lld%c",
                      (long long)now.tv_sec * (long long)USEC_PER_SEC + now.tv_nsec / 1000,
                      0) < 0 ||
        put(&b, spec->label) < 0 || put(&b, spec->hostname) < 0)
        return;
    for (char **arg = spec->argv; *arg && put(&b, *arg) == 0; arg++)
        ;
    fd = openat(r->running_fd, file, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd >= 0)
        (void)fd_write_full(fd, b.data, b.size);
}

void registry_remove(struct registry *r, const char *name)
{
    _cleanup_free_ char *file = text_printf("%s.%s", r->instance, name);

    if (file)
        unlinkat(r->running_fd, file, 0);
}

/* ---- those who look ---- */

static void running_clear(struct running *r)
{
    free(r->label);
    free(r->hostname);
    strv_free(r->argv);
    *r = (struct running){0};
}

void running_free(struct running *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        running_clear(&list[i]);
    free(list);
}

/* Whether the launcher of FILE ("INSTANCE.NAME") is gone: its lock can be had, or is no more. */
static bool is_leftover(int launchers_fd, const char *file)
{
    _cleanup_free_ char *instance = strndup(file, strcspn(file, "."));
    _cleanup_close_ int fd = -EBADF;

    if (!instance)
        return false;
    fd = openat(launchers_fd, instance, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT;
    if (flock(fd, LOCK_SH | LOCK_NB) < 0)
        return false;
    unlinkat(launchers_fd, instance, 0);
    return true;
}

/* The next text of B from *AT on, NULL where there is none. */
static const char *next_text(const struct buffer *b, size_t *at)
{
    const char *text = (const char *)b->data + *at;
    const char *end = *at < b->size ? memchr(text, 0, b->size - *at) : NULL;

    if (!end)
        return NULL;
    *at += (size_t)(end - text) + 1;
    return text;
}

/* 1: *RET is set; 0: the file is not (yet) one of ours. */
static int parse(const struct buffer *b, struct running *ret)
{
    struct running r = {0};
    const char *version, *pid, *started, *label, *hostname, *arg;
    uint64_t number;
    size_t at = 0;
    int code = 0;

    version = next_text(b, &at);
    pid = version ? next_text(b, &at) : NULL;
    started = pid ? next_text(b, &at) : NULL;
    label = started ? next_text(b, &at) : NULL;
    hostname = label ? next_text(b, &at) : NULL;
    if (!hostname || strcmp(version, VERSION) != 0 || text_parse_uint(pid, INT32_MAX, &number) < 0)
        return 0;
    r.pid = (pid_t)number;
    if (text_parse_uint(started, INT64_MAX, &number) < 0)
        return 0;
    r.started_usec = (int64_t)number;
    r.label = strdup(label);
    r.hostname = strdup(hostname);
    while (code == 0 && (arg = next_text(b, &at)))
        code = strv_append(&r.argv, arg);
    if (code < 0 || !r.label || !r.hostname) {
        running_clear(&r);
        return -ENOMEM;
    }
    *ret = r;
    return 1;
}

static int read_one(int dir_fd, const char *file, struct running *ret)
{
    _cleanup_buffer_ struct buffer b = {0};
    int r = fd_read_file(dir_fd, file, &b, FILE_MAX);

    if (r == -ENOENT)
        return 0; /* over in this moment */
    return r < 0 ? r : parse(&b, ret);
}

static int compare(const void *a, const void *b)
{
    const struct running *x = a, *y = b;

    return (x->started_usec > y->started_usec) - (x->started_usec < y->started_usec);
}

static int list_all(DIR *dir, int launchers_fd, struct running **list, size_t *n)
{
    struct dirent *entry;

    while ((entry = readdir(dir))) {
        struct running *more;
        int r;
        if (entry->d_name[0] == '.' || *n == RUNNING_MAX)
            continue;
        if (is_leftover(launchers_fd, entry->d_name)) {
            unlinkat(dirfd(dir), entry->d_name, 0);
            continue;
        }
        more = realloc(*list, (*n + 1) * sizeof(**list));
        if (!more)
            return -ENOMEM;
        *list = more;
        r = read_one(dirfd(dir), entry->d_name, &more[*n]);
        if (r < 0)
            return r;
        *n += (size_t)r;
    }
    return 0;
}

int running_list(const char *run_dir, struct running **ret, size_t *ret_n, struct error *e)
{
    const char *path = run_dir ? run_dir : RUN_DIR_DEFAULT;
    _cleanup_close_ int launchers = -EBADF, fd = -EBADF;
    struct running *list = NULL;
    size_t n = 0;
    DIR *dir;
    int r = open_dir(path, "launchers", false, &launchers);

    if (r == 0)
        r = open_dir(path, "running", false, &fd);
    if (r == -ENOENT) {
        *ret = NULL;
        *ret_n = 0;
        return 0;
    }
    dir = r == 0 ? fdopendir(fd) : NULL;
    if (!dir)
        return error_sys(e, r < 0 ? r : -errno, "%s", path);
    fd = -EBADF; /* the stream's */
    r = list_all(dir, launchers, &list, &n);
    closedir(dir);
    if (r < 0) {
        running_free(list, n);
        return error_sys(e, r, "%s/running", path);
    }
    if (n > 0)
        qsort(list, n, sizeof(*list), compare);
    *ret = list;
    *ret_n = n;
    return 0;
}
