/* The interface of cgroup.h: what both drivers have in common. */
#include "cgroup_internal.h"

#include "base/clock.h"
#include "base/fdio.h"
#include "base/text.h"
#include "weaken.h"

#include <dirent.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>

/* How long closing waits for processes that were killed to be gone, and how often it looks. A
 * process in a disk write or with gigabytes to free takes a while. */
#define CLOSE_WAIT_USEC (2 * USEC_PER_SEC)
#define CLOSE_STEP_USEC (5 * USEC_PER_MSEC)
/* Nesting below a sandbox's cgroup: container root owns no cgroup, so there is none; this only
 * bounds the recursion. */
#define REMOVE_DEPTH_MAX 16

int cgroup_make_dir(int dir_fd, const char *name, int *ret_fd)
{
    int fd;

    if (mkdirat(dir_fd, name, 0755) < 0)
        return -errno;
    fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        int r = -errno;
        unlinkat(dir_fd, name, AT_REMOVEDIR);
        return r;
    }
    *ret_fd = fd;
    return 0;
}

int cgroup_write_uint(int dir_fd, const char *name, uint64_t value)
{
    char text[24];

    snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
    return fd_write_file(dir_fd, name, text);
}

static int remove_below(int dir_fd, const char *name, int depth);

/* Removes the children of cgroup FD; the first failure is returned, the rest is done all the same.
 */
/* NOLINTNEXTLINE(misc-no-recursion): bounded by REMOVE_DEPTH_MAX */
static int remove_children(int fd, int depth)
{
    DIR *dir = fdopendir(fd);
    struct dirent *entry;
    int first = 0;

    if (!dir) {
        safe_close(fd);
        return -ENOMEM;
    }
    while ((entry = readdir(dir))) {
        int r;
        if (entry->d_type != DT_DIR || strcmp(entry->d_name, ".") == 0 ||
            strcmp(entry->d_name, "..") == 0)
            continue;
        r = remove_below(dirfd(dir), entry->d_name, depth);
        if (r < 0 && first == 0)
            first = r;
    }
    closedir(dir);
    return first;
}

/* NOLINTNEXTLINE(misc-no-recursion): bounded by REMOVE_DEPTH_MAX */
static int remove_below(int dir_fd, const char *name, int depth)
{
    int fd, r;

    if (unlinkat(dir_fd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
        return 0;
    if (errno != EBUSY || depth >= REMOVE_DEPTH_MAX)
        return -errno;
    /* Busy with processes or with children: only the latter can be helped. */
    fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    r = remove_children(fd, depth + 1);
    if (r < 0)
        return r;
    return unlinkat(dir_fd, name, AT_REMOVEDIR) == 0 || errno == ENOENT ? 0 : -errno;
}

int cgroup_remove_tree(int dir_fd, const char *name)
{
    return remove_below(dir_fd, name, 0);
}

int cgroup_add_dir(struct cgroup_host *h, const struct cgroup_dir *base, struct error *e)
{
    struct cgroup_dir *d = &h->dirs[h->n_dirs];
    _cleanup_close_ int parent = fcntl(base->fd, F_DUPFD_CLOEXEC, 0);
    int r;

    if (parent < 0)
        return error_sys(e, -errno, "cgroup");
    d->path = text_printf("%s/%s", strcmp(base->path, "/") == 0 ? "" : base->path, h->name);
    if (!d->path)
        return error_sys(e, -ENOMEM, "cgroup");
    r = cgroup_make_dir(base->fd, h->name, &d->fd);
    if (r < 0) {
        error_sys(e, r, "make cgroup %s", d->path);
        cgroup_dir_clear(d);
        return r;
    }
    h->parents[h->n_dirs++] = TAKE_FD(parent);
    return 0;
}

/* The layout: memory in a v1 hierarchy makes the host hybrid; everything else is unified. */
static int choose_driver(const struct cgroup_driver **ret, struct error *e)
{
    _cleanup_buffer_ struct buffer self = {0};
    _cleanup_free_ char *path = NULL;
    int r = cgroup_read(AT_FDCWD, "/proc/self/cgroup", &self);

    if (r < 0)
        return error_sys(e, r, "/proc/self/cgroup");
    r = cgroup_parse_self((const char *)self.data, "memory", &path);
    if (r < 0 && r != -ENOENT)
        return error_sys(e, r, "/proc/self/cgroup");
    *ret = r == 0 ? &cgroup_driver_hybrid : &cgroup_driver_unified;
    return 0;
}

int cgroup_host_open(const char *instance, pid_t client, struct cgroup_host **ret, struct error *e)
{
    _cleanup_(cgroup_host_close_p) struct cgroup_host *h = calloc(1, sizeof(*h));
    int r;

    if (!h)
        return error_sys(e, -ENOMEM, "cgroups");
    for (size_t i = 0; i < CGROUP_DIRS_MAX; i++) {
        h->dirs[i] = (struct cgroup_dir)CGROUP_DIR_INIT;
        h->parents[i] = -EBADF;
    }
    h->base = (struct cgroup_dir)CGROUP_DIR_INIT;
    h->oom_fd = -EBADF;
    if (!*instance || strchr(instance, '/') || strlen(instance) > CGROUP_NAME_MAX)
        return error_set(e, -EINVAL, "instance name \"%s\" cannot name a cgroup", instance);
    h->name = text_printf("%s%s", CGROUP_PREFIX, instance);
    if (!h->name)
        return error_sys(e, -ENOMEM, "cgroups");
    h->client = client;
    r = choose_driver(&h->driver, e);
    if (!h->driver)
        return r;
    r = h->driver->open(h, e);
    if (r < 0)
        return error_prefix(e, r, "cgroups (%s)", h->driver->name);
    if (faccessat(h->dirs[CGROUP_V2].fd, "cgroup.kill", W_OK, 0) < 0)
        return error_sys(e, -errno, "%s/cgroup.kill (needs Linux 5.14)", h->dirs[CGROUP_V2].path);
    *ret = TAKE_PTR(h);
    return 0;
}

static void cgroup_free(struct cgroup *cg)
{
    for (size_t i = 0; i < CGROUP_DIRS_MAX; i++)
        safe_close(cg->dirs[i]);
    for (size_t i = 0; i < cg->n_join; i++)
        safe_close(cg->join_fds[i]);
    safe_close(cg->events_fd);
    safe_close(cg->cpu_fd);
    safe_close(cg->oom_fd);
    free(cg);
}

/* Removes what can be removed now; whether all is gone. Never waits. */
static bool try_remove(struct cgroup *cg)
{
    bool gone = true;

    for (size_t i = 0; i < CGROUP_DIRS_MAX; i++) {
        if (cg->dirs[i] < 0)
            continue;
        if (cgroup_remove_tree(cg->host->dirs[i].fd, cg->name) < 0)
            gone = false;
        else
            cg->dirs[i] = safe_close(cg->dirs[i]);
    }
    return gone;
}

/* Another try at the directories that were busy. */
static void reap(struct cgroup_host *h)
{
    struct cgroup **at = &h->dying;

    while (*at) {
        struct cgroup *cg = *at;
        if (try_remove(cg)) {
            *at = cg->next;
            cgroup_free(cg);
        } else {
            at = &cg->next;
        }
    }
}

static void wait_usec(uint64_t usec)
{
    struct timespec ts = {(time_t)(usec / USEC_PER_SEC),
                          (long)(usec % USEC_PER_SEC * NSEC_PER_USEC)};

    nanosleep(&ts, NULL);
}

void cgroup_host_close(struct cgroup_host *h)
{
    uint64_t end = clock_monotonic_usec() + CLOSE_WAIT_USEC;

    if (!h)
        return;
    for (reap(h); h->dying && clock_monotonic_usec() < end; reap(h))
        wait_usec(CLOSE_STEP_USEC);
    while (h->dying) { /* left to the next life's sweep */
        struct cgroup *cg = h->dying;
        h->dying = cg->next;
        cgroup_free(cg);
    }
    if (h->driver)
        h->driver->close(h);
    for (size_t i = 0; i < CGROUP_DIRS_MAX; i++) {
        if (h->parents[i] >= 0)
            cgroup_remove_tree(h->parents[i], h->name);
        safe_close(h->parents[i]);
        cgroup_dir_clear(&h->dirs[i]);
    }
    cgroup_dir_clear(&h->base);
    safe_close(h->oom_fd);
    free(h->supervisor);
    free(h->name);
    free(h);
}

const char *cgroup_host_driver(const struct cgroup_host *h)
{
    return h->driver->name;
}

int cgroup_host_paths(const struct cgroup_host *h, char ***list)
{
    for (size_t i = 0; i < h->n_dirs; i++) {
        int r = strv_append(list, h->dirs[i].path);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Names come from our own launcher, but a cgroup is removed by its name. */
static bool name_is_good(const char *name)
{
    return *name && strlen(name) <= CGROUP_NAME_MAX && !strchr(name, '/') && name[0] != '.';
}

static int make_dirs(struct cgroup *cg, unsigned needs, struct error *e)
{
    for (size_t i = 0; i < cg->host->n_dirs; i++) {
        int r;
        if (!(needs & 1U << i) || cg->dirs[i] >= 0)
            continue;
        r = cgroup_make_dir(cg->host->dirs[i].fd, cg->name, &cg->dirs[i]);
        if (r < 0)
            return error_sys(e, r, "make cgroup %s/%s", cg->host->dirs[i].path, cg->name);
    }
    return 0;
}

int cgroup_prepare(struct cgroup_host *h, const char *name, struct cgroup **ret, struct error *e)
{
    _cleanup_(cgroup_destroy_p) struct cgroup *cg = NULL;
    int r;

    if (!name_is_good(name))
        return error_set(e, -EINVAL, "\"%s\" is no name for a cgroup", name);
    reap(h);
    cg = calloc(1, sizeof(*cg));
    if (!cg)
        return error_sys(e, -ENOMEM, "cgroup %s", name);
    cg->host = h;
    for (size_t i = 0; i < CGROUP_DIRS_MAX; i++)
        cg->dirs[i] = -EBADF;
    cg->events_fd = cg->cpu_fd = cg->oom_fd = -EBADF;
    snprintf(cg->name, sizeof(cg->name), "%s", name);
    r = make_dirs(cg, h->driver->needs(h, &(const struct sandbox_limits){0}), e);
    if (r < 0)
        return r;
    cg->events_fd = openat(cg->dirs[CGROUP_V2], "cgroup.events", O_RDONLY | O_CLOEXEC);
    cg->cpu_fd = openat(cg->dirs[CGROUP_V2], "cpu.stat", O_RDONLY | O_CLOEXEC);
    if (cg->events_fd < 0 || cg->cpu_fd < 0)
        return error_sys(e, -errno, "cgroup %s: open its counters", name);
    /* The first read arms the poll. */
    r = cgroup_is_empty(cg);
    if (r < 0)
        return error_sys(e, r, "cgroup %s: cgroup.events", name);
    *ret = TAKE_PTR(cg);
    return 0;
}

int cgroup_limit(struct cgroup *cg, const struct sandbox_limits *limits, struct error *e)
{
    struct cgroup_host *h = cg->host;
    int r;

    if (weakened("cgroup-limits"))
        limits = &(const struct sandbox_limits){0};
    r = make_dirs(cg, h->driver->needs(h, limits), e);
    if (r < 0)
        return r;
    r = h->driver->limit(cg, limits, e);
    return r < 0 ? error_prefix(e, r, "cgroup %s", cg->name) : 0;
}

int cgroup_create(struct cgroup_host *h, const char *name, const struct sandbox_limits *limits,
                  struct cgroup **ret, struct error *e)
{
    _cleanup_(cgroup_destroy_p) struct cgroup *cg = NULL;
    int r = cgroup_prepare(h, name, &cg, e);

    if (cg) /* there when it succeeded */
        r = cgroup_limit(cg, limits, e);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(cg);
    return 0;
}

void cgroup_destroy(struct cgroup *cg)
{
    if (!cg)
        return;
    if (cg->dirs[CGROUP_V2] >= 0 && cg->events_fd >= 0 && cgroup_is_empty(cg) != 1)
        cgroup_kill(cg);
    if (try_remove(cg)) {
        cgroup_free(cg);
        return;
    }
    cg->next = cg->host->dying;
    cg->host->dying = cg;
}

unsigned cgroup_host_abilities(const struct cgroup_host *h)
{
    return h->abilities;
}

int cgroup_clone_fd(const struct cgroup *cg)
{
    return cg->dirs[CGROUP_V2];
}

size_t cgroup_join_fds(const struct cgroup *cg, int ret_fds[CGROUP_JOIN_MAX])
{
    memcpy(ret_fds, cg->join_fds, cg->n_join * sizeof(int));
    return cg->n_join;
}

int cgroup_kill(struct cgroup *cg)
{
    return fd_write_file(cg->dirs[CGROUP_V2], "cgroup.kill", "1");
}

int cgroup_read_again(int fd, char *text, size_t size)
{
    ssize_t n;

    do
        n = pread(fd, text, size - 1, 0);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    text[n] = 0;
    return 0;
}

int cgroup_is_empty(struct cgroup *cg)
{
    char text[256];
    uint64_t populated = 0;
    int r = cgroup_read_again(cg->events_fd, text, sizeof(text));

    if (r == 0)
        r = cgroup_parse_key(text, "populated", &populated);
    return r < 0 ? r : populated == 0;
}

int cgroup_events_fd(const struct cgroup *cg)
{
    return cg->events_fd;
}

int cgroup_oom_fd(const struct cgroup *cg, uint32_t *ret_events)
{
    if (cg->oom_fd >= 0)
        *ret_events = cg->oom_events;
    return cg->oom_fd;
}

bool cgroup_oom_happened(struct cgroup *cg)
{
    return cg->oom_fd >= 0 && cg->host->driver->oom_happened(cg);
}
