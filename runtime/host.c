#include "host.h"

#include "abilities.h"
#include "base/fdio.h"
#include "base/text.h"
#include "hostns.h"
#include "spare.h"
#include "sweep.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define FIRST_ID_DEFAULT 0x80000
#define RANGES_DEFAULT   4096

/* Makes PATH and what is above it. The directories belong to the administrator: plain path walk. */
static int make_path(const char *path, struct error *e)
{
    _cleanup_free_ char *copy = strdup(path);

    if (!copy)
        return error_sys(e, -ENOMEM, "%s", path);
    for (char *slash = copy; slash;) {
        slash = strchr(slash + 1, '/');
        if (slash)
            *slash = 0;
        if (mkdir(copy, 0711) < 0 && errno != EEXIST)
            return error_sys(e, -errno, "make %s", copy);
        if (slash)
            *slash = '/';
    }
    return 0;
}

static int open_scratch(struct host *h, const char *path, struct error *e)
{
    int r = make_path(path, e);

    if (r < 0)
        return r;
    h->scratch_parent_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (h->scratch_parent_fd < 0)
        return error_sys(e, -errno, "open %s", path);
    r = sweep_instances(h->scratch_parent_fd, e);
    if (r < 0)
        return error_prefix(e, r, "sweep %s", path);
    r = sweep_new_instance(h->scratch_parent_fd, &h->instance, e);
    if (r < 0)
        return error_prefix(e, r, "%s", path);
    h->lock_fd = r;
    return 0;
}

/* cgroup.kill exists in the v2 tree only. */
static int open_kill(struct host *h, char *const *paths, struct error *e)
{
    for (; paths && *paths; paths++) {
        _cleanup_free_ char *path = text_printf("%s/cgroup.kill", *paths);
        if (!path)
            return error_sys(e, -ENOMEM, "cgroup.kill");
        h->kill_fd = open(path, O_WRONLY | O_CLOEXEC);
        if (h->kill_fd >= 0)
            return 0;
    }
    return error_sys(e, -errno, "open cgroup.kill");
}

static int open_cgroups(struct host *h, pid_t client, struct error *e)
{
    _cleanup_strv_ char **paths = NULL;
    int r = cgroup_host_open(h->instance, client, &h->cgroups, e);

    if (r < 0)
        return r;
    h->unified = strcmp(cgroup_host_driver(h->cgroups), "unified") == 0;
    r = cgroup_host_paths(h->cgroups, &paths);
    if (r < 0)
        return error_sys(e, r, "cgroup paths");
    if (cgroup_host_abilities(h->cgroups) & CGROUP_CPU_SHARE)
        h->abilities |= LAUNCHER_LIMIT_CPU_SHARE;
    if (cgroup_host_abilities(h->cgroups) & CGROUP_CPUS)
        h->abilities |= LAUNCHER_LIMIT_CPUS;
    if (cgroup_host_abilities(h->cgroups) & CGROUP_IO_WEIGHT)
        h->abilities |= LAUNCHER_LIMIT_IO_WEIGHT;
    r = open_kill(h, paths, e);
    return r < 0 ? r : sweep_note_cgroups(h->lock_fd, paths, e);
}

static int own_oom_score_adj(void)
{
    _cleanup_buffer_ struct buffer b = {0};

    if (fd_read_file(AT_FDCWD, "/proc/self/oom_score_adj", &b, 32) < 0 || !buffer_string(&b))
        return 0;
    return (int)strtol((const char *)b.data, NULL, 10);
}

static int take_filter(struct host *h, const struct seccomp_program *filter, struct error *e)
{
    int r;

    if (!filter)
        return seccomp_compile_default(&h->filter, e);
    r = seccomp_program_copy(filter, &h->filter);
    return r < 0 ? error_sys(e, r, "system call filter") : 0;
}

static void note_ignored_signals(struct host *h)
{
    struct sigaction action;

    sigemptyset(&h->ignored_signals);
    for (int number = 1; number < NSIG; number++)
        if (sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN)
            sigaddset(&h->ignored_signals, number);
}

static int prepare(struct host *h, const struct launcher_config *config, struct error *e)
{
    const char *run_dir = config->run_dir ? config->run_dir : RUN_DIR_DEFAULT;
    int r;

    if (geteuid() != 0)
        return error_set(e, -EPERM, "sandboxes need root");
    if (config->n_roots > LAUNCHER_ROOTS_MAX)
        return error_set(e, -E2BIG, "more than %d roots", LAUNCHER_ROOTS_MAX);
    r = open_scratch(h, config->scratch, e);
    if (r == 0)
        r = open_cgroups(h, config->client, e);
    if (r == 0)
        r = id_pool_open(run_dir, config->first_id ? config->first_id : FIRST_ID_DEFAULT,
                         config->ranges ? config->ranges : RANGES_DEFAULT, &h->ids, e);
    if (r == 0)
        r = registry_open(run_dir, h->instance, &h->registry, e);
    /* Reads files of the host: before its root is left. */
    if (r == 0 && config->network)
        r = network_open(config->network, run_dir, h->instance, &h->network, e);
    if (r == 0)
        r = take_filter(h, config->filter, e);
    h->oom_score_adj = own_oom_score_adj();
    note_ignored_signals(h);
    h->waived = config->waived;
    if (r == 0)
        r = disk_host_open(&h->disks, config, h->lock_fd, e);
    if (disk_host_is_able(&h->disks))
        h->abilities |= LAUNCHER_LIMIT_DISK;
    h->disk = config->disk;
    if (r == 0)
        r = abilities_check(config->needed, h, e);
    if (r == 0)
        r = hostns_enter(h, config, e);
    if (r == 0)
        r = janitor_open(h->scratch_fd, h->kill_fd, h->event, &h->janitor, e);
    if (r == 0)
        r = config->max_sandboxes == 1 ? hostns_probe_little(h, e) : hostns_probe(h, e);
    if (r == 0 && config->max_sandboxes != 1)
        r = janitor_start(h->janitor, e);
    if (r == 0)
        r = spares_open(h, config->spares, &h->spares, e);
    return r;
}

int host_open(const struct launcher_config *config, struct loop *event, struct host **ret,
              struct error *e)
{
    struct host *h = calloc(1, sizeof(*h));
    int r;

    if (!h)
        return error_sys(e, -ENOMEM, "host");
    h->event = loop_ref(event);
    h->disks = (struct disk_host)DISK_HOST_INIT;
    h->scratch_fd = h->lock_fd = h->scratch_parent_fd = h->proc_fd = h->kill_fd = -EBADF;
    r = prepare(h, config, e);
    if (r < 0) {
        host_close(h);
        return r;
    }
    *ret = h;
    return 0;
}

void host_next_name(struct host *h, char name[SANDBOX_NAME_MAX])
{
    snprintf(name, SANDBOX_NAME_MAX, "s%llu", (unsigned long long)++h->made);
}

void host_close(struct host *h)
{
    if (h->spares)
        spares_close(h->spares);
    if (h->janitor)
        janitor_close(h->janitor);
    if (h->cgroups)
        cgroup_host_close(h->cgroups);
    if (h->network)
        network_close(h->network);
    if (h->registry)
        registry_close(h->registry);
    if (h->ids)
        id_pool_close(h->ids);
    seccomp_program_clear(&h->filter);
    for (size_t i = 0; i < h->n_roots; i++) {
        free(h->roots[i].name);
        safe_close(h->roots[i].fd);
    }
    disk_host_close(&h->disks);
    safe_close(h->kill_fd);
    safe_close(h->proc_fd);
    safe_close(h->scratch_fd);
    if (h->lock_fd >= 0)
        sweep_remove_instance(h->scratch_parent_fd, h->lock_fd, h->instance);
    safe_close(h->lock_fd);
    safe_close(h->scratch_parent_fd);
    loop_unref(h->event);
    free(h->instance);
    free(h);
}
