/* What holds containers down: cgroups, swap, limits of this process. */
#include "check/check_internal.h"

#include "base/fdio.h"
#include "base/text.h"
#include "cgroup_internal.h"

#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* A launcher holds a good dozen descriptors for each container; agents divide the rest among
 * graders. */
#define NOFILE_WANTED 65536
#define NOFILE_NEEDED 256
#define PIDS_WANTED   32768

static const char why_cgroups[] = "memory, tasks and processor time are limited by them";

/* A cgroup made for a moment: whether it has FILE. */
static bool has_file(const struct cgroup_dir *place, const char *file)
{
    char name[64], path[160];
    bool found;

    snprintf(name, sizeof(name), CGROUP_PREFIX "check-%d", (int)getpid());
    if (mkdirat(place->fd, name, 0755) < 0)
        return false;
    snprintf(path, sizeof(path), "%s/%s", name, file);
    found = faccessat(place->fd, path, F_OK, 0) == 0;
    unlinkat(place->fd, name, AT_REMOVEDIR);
    return found;
}

/* Whether the host has CONTROLLER at all; a launcher may get it by a scope of systemd's where our
 * own cgroup was not given it. */
static bool host_has(const char *controller)
{
    char text[256];

    return check_read("/sys/fs/cgroup/cgroup.controllers", text, sizeof(text)) &&
           cgroup_has_word(text, controller);
}

/* The controllers that our own cgroup on pure v2 was given. */
static void check_unified(struct check_report *report, const struct cgroup_dir *place)
{
    _cleanup_buffer_ struct buffer b = {0};
    static const char *const needed[] = {"memory", "pids", "cpu"};
    int r = cgroup_read(place->fd, "cgroup.controllers", &b);

    for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
        bool vital = strcmp(needed[i], "cpu") != 0;
        if (r == 0 && cgroup_has_word((const char *)b.data, needed[i]))
            continue;
        check_mend(check_add(report, "cgroups",
                             vital && !host_has(needed[i]) ? CHECK_FAIL : CHECK_WARN, why_cgroups,
                             "%s has no controller %s", place->path, needed[i]),
                   "run it as a service with Delegate=yes, or: echo +%s "
                   ">/sys/fs/cgroup/cgroup.subtree_control",
                   needed[i]);
        return;
    }
    check_add(report, "cgroups", CHECK_OK, NULL, "v2 at %s", place->path);
}

static void check_hybrid(struct check_report *report, const struct cgroup_dir *place)
{
    static const char *const needed[] = {"memory", "pids"};

    for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
        _cleanup_(cgroup_dir_clear) struct cgroup_dir v1 = CGROUP_DIR_INIT;
        struct error e = ERROR_INIT;
        if (cgroup_place_find(needed[i], &v1, &e) == 0)
            continue;
        check_mend(check_add(report, "cgroups", CHECK_FAIL, why_cgroups, "%s", e.text),
                   "boot with systemd.unified_cgroup_hierarchy=1");
        return;
    }
    check_add(report, "cgroups", CHECK_OK, NULL, "v1 for limits, v2 at %s for the rest",
              place->path);
}

void check_cgroups(struct check_report *report)
{
    _cleanup_(cgroup_dir_clear) struct cgroup_dir place = CGROUP_DIR_INIT, v1 = CGROUP_DIR_INIT;
    struct error e = ERROR_INIT;

    if (cgroup_place_find("", &place, &e) < 0) {
        check_mend(check_add(report, "cgroups", CHECK_FAIL, why_cgroups, "%s", e.text),
                   "mount -t cgroup2 none /sys/fs/cgroup; or boot with "
                   "systemd.unified_cgroup_hierarchy=1");
        return;
    }
    if (!has_file(&place, "cgroup.kill")) {
        check_mend(check_add(report, "cgroups", CHECK_FAIL,
                             "it ends all processes of a container at once",
                             "no cgroup with a cgroup.kill can be made in %s", place.path),
                   "install a kernel of 5.14 or newer, or mount cgroups writable");
        return;
    }
    if (cgroup_place_find("memory", &v1, NULL) == 0)
        check_hybrid(report, &place);
    else
        check_unified(report, &place);
}

void check_swap(struct check_report *report)
{
    _cleanup_(cgroup_dir_clear) struct cgroup_dir v2 = CGROUP_DIR_INIT, memory = CGROUP_DIR_INIT;
    bool accounted;

    if (cgroup_host_has_swap() <= 0) {
        check_add(report, "swap", CHECK_OK, NULL, "there is none");
        return;
    }
    /* On v2 the kernel accounts for it wherever it accounts for memory. */
    accounted = cgroup_place_find("memory", &memory, NULL) == 0
                    ? faccessat(memory.fd, "memory.memsw.limit_in_bytes", F_OK, 0) == 0
                    : cgroup_place_find("", &v2, NULL) == 0 && has_file(&v2, "memory.swap.max");
    if (accounted)
        check_add(report, "swap", CHECK_OK, NULL, "containers get none of it");
    else
        check_mend(check_add(report, "swap", CHECK_FAIL, "a memory limit that ends in swap is none",
                             "swap is on and the kernel cannot keep containers from it"),
                   "swapoff -a, or boot with swapaccount=1");
}

static void check_nofile(struct check_report *report)
{
    static const char why[] = "each container takes about 15 descriptors of the launcher";
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    if (limit.rlim_max >= NOFILE_WANTED)
        check_add(report, "open files", CHECK_OK, NULL, "%llu", (unsigned long long)limit.rlim_max);
    else
        check_mend(check_add(report, "open files",
                             limit.rlim_max < NOFILE_NEEDED ? CHECK_FAIL : CHECK_WARN, why,
                             "at most %llu", (unsigned long long)limit.rlim_max),
                   "ulimit -Hn %d; systemd: LimitNOFILE=%d", NOFILE_WANTED, NOFILE_WANTED);
}

static void check_pids(struct check_report *report)
{
    static const char *const files[] = {"/proc/sys/kernel/pid_max", "/proc/sys/kernel/threads-max"};
    char text[64];

    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        if (!check_read(files[i], text, sizeof(text)) || strtoull(text, NULL, 10) >= PIDS_WANTED)
            continue;
        check_mend(check_add(report, "processes", CHECK_WARN,
                             "eight graders with a full set of processes need as many", "%s is %s",
                             files[i], text),
                   "echo 4194304 >%s", files[i]);
        return;
    }
    check_add(report, "processes", CHECK_OK, NULL, "the host may have enough");
}

void check_limits(struct check_report *report)
{
    check_nofile(report);
    check_pids(report);
}
