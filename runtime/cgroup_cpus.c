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

/* Which CPUs the cgroup PARENT ("../" or "") really has, by the names of both versions. */
static int read_effective(int dir_fd, const char *parent, struct cpus *ret)
{
    static const char *const names[] = {"cpuset.cpus.effective", "cpuset.effective_cpus"};
    int r = -ENOENT;

    for (size_t i = 0; r == -ENOENT && i < ARRAY_SIZE(names); i++) {
        _cleanup_buffer_ struct buffer b = {0};
        char path[64];
        snprintf(path, sizeof(path), "%s%s", parent, names[i]);
        r = cgroup_read(dir_fd, path, &b);
        if (r == 0)
            r = cpus_parse((const char *)b.data, ret);
    }
    return r;
}

/* The kernel says EINVAL, ERANGE or EACCES, and of an offline CPU nothing in version 2: then the
 * cgroup has those of its parent. */
static int refuse_cpus(int dir_fd, const struct cpus *wanted, int r, struct error *e)
{
    _cleanup_buffer_ struct buffer list = {0}, there = {0};
    struct cpus above;

    if (cpus_format(wanted, &list) < 0 || read_effective(dir_fd, "../", &above) < 0 ||
        cpus_format(&above, &there) < 0 || !buffer_string(&list) || !buffer_string(&there))
        return error_sys(e, r, "cpuset.cpus");
    return error_set(e, r, "CPUs %s: there are only %s to choose from", buffer_string(&list),
                     buffer_string(&there));
}

int cgroup_limit_cpus(int dir_fd, const uint64_t cpus[SANDBOX_CPU_WORDS], struct error *e)
{
    struct cpus wanted, nodes, got = {0};
    int r;

    memcpy(wanted.words, cpus, sizeof(wanted.words));
    r = cpus_nodes(&wanted, &nodes, e);
    if (r < 0)
        return r;
    if (cpus_empty(&nodes))
        cpus_add(&nodes, 0);
    r = write_list(dir_fd, "cpuset.cpus", &wanted, e);
    if (r == 0 && read_effective(dir_fd, "", &got) == 0 &&
        memcmp(got.words, wanted.words, sizeof(got.words)) != 0)
        r = -ERANGE;
    if (r < 0)
        return refuse_cpus(dir_fd, &wanted, r, e);
    return write_list(dir_fd, "cpuset.mems", &nodes, e);
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
