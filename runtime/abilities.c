#include "abilities.h"

#include "cgroup_internal.h"

#include <string.h>

static const struct {
    unsigned bit;
    const char *name;
    const char *missing; /* what a host lacks that cannot */
} abilities[] = {
    {LAUNCHER_LIMIT_DISK, "disk",
     "the scratch directory's file system has no project quota, and no loop device can be had"},
    {LAUNCHER_LIMIT_CPU_SHARE, "cpu", "there is no cpu controller with bandwidth control"},
    {LAUNCHER_LIMIT_CPUS, "cpus", "there is no cpuset controller"},
    {LAUNCHER_LIMIT_IO_WEIGHT, "io",
     "there is no io controller with weights (CONFIG_BLK_CGROUP_IOCOST or bfq)"},
};

unsigned abilities_wanted(const struct sandbox_limits *l)
{
    return (l->disk_bytes || l->disk_inodes ? LAUNCHER_LIMIT_DISK : 0U) |
           (l->cpu_share ? LAUNCHER_LIMIT_CPU_SHARE : 0U) |
           (cgroup_wants_cpus(l) ? LAUNCHER_LIMIT_CPUS : 0U) |
           (l->io_weight ? LAUNCHER_LIMIT_IO_WEIGHT : 0U);
}

int abilities_check(unsigned wanted, unsigned has, unsigned waived, struct error *e)
{
    unsigned missing = wanted & ~has & ~waived;

    for (size_t i = 0; i < ARRAY_SIZE(abilities); i++)
        if (missing & abilities[i].bit)
            return error_set(e, -EOPNOTSUPP,
                             "this host cannot enforce the limit \"%s\": %s; waive it by name to "
                             "run without",
                             abilities[i].name, abilities[i].missing);
    return 0;
}

int launcher_limit_by_name(const char *name, unsigned *ret)
{
    for (size_t i = 0; i < ARRAY_SIZE(abilities); i++) {
        if (strcmp(abilities[i].name, name) == 0) {
            *ret = abilities[i].bit;
            return 0;
        }
    }
    return -ENOENT;
}
