#include "abilities.h"

#include "cgroup_internal.h"

#include <string.h>

static const struct {
    unsigned bit;
    const char *name;
    const char *missing; /* what a host lacks that cannot */
} abilities[] = {
    {LAUNCHER_LIMIT_DISK, "disk", NULL},
    {LAUNCHER_LIMIT_CPU_SHARE, "cpu", "there is no cpu controller with bandwidth control"},
    {LAUNCHER_LIMIT_CPUS, "cpus", "there is no cpuset controller"},
    {LAUNCHER_LIMIT_IO_WEIGHT, "io",
     "there is no io controller with weights (CONFIG_BLK_CGROUP_IOCOST or bfq)"},
};

/* What is missing for a limit on disk depends on how it was to be enforced. */
static const char *const missing_disk[] = {
    [LAUNCHER_DISK_AUTO] = "the scratch directory's file system has no project quotas that are "
                           "enforced, and no loop device can be had",
    [LAUNCHER_DISK_QUOTA] = "the scratch directory's file system has no project quotas that are "
                            "enforced (ext4: features \"quota\" and \"project\", mount option "
                            "prjquota; XFS: pquota)",
    [LAUNCHER_DISK_IMAGE] = "no loop device can be had",
};

unsigned abilities_wanted(const struct sandbox_limits *l)
{
    return (l->disk_bytes || l->disk_inodes ? LAUNCHER_LIMIT_DISK : 0U) |
           (l->cpu_share ? LAUNCHER_LIMIT_CPU_SHARE : 0U) |
           (cgroup_wants_cpus(l) ? LAUNCHER_LIMIT_CPUS : 0U) |
           (l->io_weight ? LAUNCHER_LIMIT_IO_WEIGHT : 0U);
}

int abilities_check(unsigned wanted, const struct host *h, struct error *e)
{
    unsigned missing = wanted & ~h->abilities & ~h->waived;

    for (size_t i = 0; i < ARRAY_SIZE(abilities); i++)
        if (missing & abilities[i].bit)
            return error_set(e, -EOPNOTSUPP,
                             "this host cannot enforce the limit \"%s\": %s; waive it by name to "
                             "run without",
                             abilities[i].name,
                             abilities[i].missing ? abilities[i].missing : missing_disk[h->disk]);
    return 0;
}

const char *const launcher_disk_names[] = {"auto", "quota", "image", NULL};

int launcher_disk_by_name(const char *name, enum launcher_disk *ret)
{
    for (unsigned i = 0; launcher_disk_names[i]; i++) {
        if (strcmp(launcher_disk_names[i], name) == 0) {
            *ret = (enum launcher_disk)i;
            return 0;
        }
    }
    return -ENOENT;
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
