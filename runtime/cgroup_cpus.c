/* A sandbox's cpuset: the files have the same names and formats in both versions of cgroups. */
#include "cgroup_internal.h"

#include "base/fdio.h"
#include "runtime/cpus.h"

#include <string.h>

bool cgroup_wants_cpus(const struct sandbox_limits *limits)
{
    for (size_t i = 0; i < SANDBOX_CPU_WORDS; i++)
        if (limits->cpus[i])
            return true;
    return false;
}

static int write_list(int dir_fd, const char *name, const struct cpus *list, struct error *e)
{
    _cleanup_buffer_ struct buffer b = {0};
    int r = cpus_format(list, &b);

    if (r == 0)
        r = buffer_string(&b) ? fd_write_file(dir_fd, name, buffer_string(&b)) : -ENOMEM;
    return r < 0 ? error_sys(e, r, "%s \"%s\"", name, b.size ? (const char *)b.data : "") : 0;
}

int cgroup_limit_cpus(int dir_fd, const uint64_t cpus[SANDBOX_CPU_WORDS], struct error *e)
{
    struct cpus wanted, nodes;
    int r;

    memcpy(wanted.words, cpus, sizeof(wanted.words));
    r = cpus_nodes(&wanted, &nodes, e);
    if (r < 0)
        return r;
    if (cpus_empty(&nodes))
        cpus_add(&nodes, 0);
    r = write_list(dir_fd, "cpuset.cpus", &wanted, e);
    return r < 0 ? r : write_list(dir_fd, "cpuset.mems", &nodes, e);
}

int cgroup_fill_cpuset(int parent_fd, int dir_fd, struct error *e)
{
    static const char *const names[] = {"cpuset.cpus", "cpuset.mems"};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        _cleanup_buffer_ struct buffer b = {0};
        int r = cgroup_read(parent_fd, names[i], &b);
        if (r == 0)
            r = fd_write_file(dir_fd, names[i], (const char *)b.data);
        if (r < 0)
            return error_sys(e, r, "%s of a new cpuset", names[i]);
    }
    return 0;
}
