/* The launcher's own mount namespace: see host.h for what is in it. */
#pragma once

#include "host.h"

/** Moves the calling process into a new mount namespace that holds only what host.h lists. Sets
 * roots, scratch_fd, proc_fd of H; lock_fd must be open. The process's root and working directory
 * are the new root afterwards. */
int hostns_enter(struct host *h, const struct launcher_config *config, struct error *e);

/** Finds out by trying what this kernel's overlayfs and open_tree(2) can do; sets the fields of H.
 * Works inside the scratch and leaves nothing there. */
int hostns_probe(struct host *h, struct error *e);

/** The same where there is but one sandbox to come, which tries it itself (overlay_mount()): only
 * what cannot be made up for is found out. The janitor must be open. */
int hostns_probe_little(struct host *h, struct error *e);
