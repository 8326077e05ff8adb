/* What a launcher process prepares once and every sandbox uses: roots, scratch, cgroup place,
 * filter, templates. */
#pragma once

#include "cgroup.h"
#include "runtime/launcher.h"
#include "seccomp.h"
#include "userns.h"

#include <systemd/sd-event.h>

struct host_root {
    char *name;
    int fd; /* O_PATH, inside the launcher's own mount namespace */
    bool read_only;
};

struct host {
    sd_event *event;
    struct host_root roots[LAUNCHER_ROOTS_MAX];
    size_t n_roots;
    int scratch_fd; /* this instance's own directory, locked (flock) for its life */
    char *instance; /* its name, also that of the cgroup */
    int scratch_parent_fd;
    struct cgroup_host *cgroups;
    struct id_pool *ids;
    struct seccomp_program filter;
    int proc_fd;         /* /proc of the host, for uid maps */
    int dev_template_fd; /* detached tree cloned for every /dev */
    bool overlay_by_fd;  /* overlayfs takes lowerdir+ as an fd (Linux 6.13) and detached mounts
                            (6.15) */
    bool overlay_append; /* overlayfs takes lowerdir+ at all (6.5) */
    bool idmapped_tmpfs; /* 6.3 */
};

/** Prepares everything: locks and sweeps the scratch (sweep.h), opens cgroups, moves the process
 * into its own mount namespace with few mounts, probes kernel features by trying them, compiles the
 * filter. The caller is the launcher process (root, single-threaded). Errors name what is missing
 * and the remedy. */
int host_open(const struct launcher_config *config, sd_event *event, struct host **ret,
              struct error *e);

/** Takes everything down again: no cgroup, mount or file of this instance is left. All sandboxes
 * must be gone. */
void host_close(struct host *h);
DEFINE_CLEANUP(struct host, host_close)
