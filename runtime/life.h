/* The life of one sandbox inside the launcher: plan, clone, release, watch, report, clean.
 *
 *   PREPARING -> RUNNING -> ENDING (first process gone, cgroup not yet empty) -> REPORTED -> freed
 */
#pragma once

#include "host.h"

struct sandbox;

/** Called exactly once, from the event loop, when the sandbox is over (start failures included,
 * those only after sandbox_start() returned). REPORT is the callee's to copy. The sandbox may be
 * freed from within. */
typedef void (*sandbox_over_fn)(struct sandbox *s, const struct sandbox_report *report,
                                void *userdata);

/** Starts a sandbox that was validated. STDIO: three fds that become the child's, or negative for
 * /dev/null; they stay the caller's. PARENT is the running sandbox whose id range, mounts and (on
 * demand) network are shared; it is referenced by the new one. Returns 0 even when the start fails
 * for a reason of the spec or the kernel: that comes as a report. Negative errno only where no
 * sandbox was made at all (-ENOMEM). */
int sandbox_start(struct host *h, uint64_t id, const struct sandbox_spec *spec, const int stdio[3],
                  struct sandbox *parent, sandbox_over_fn over, void *userdata,
                  struct sandbox **ret);

/** Called once from the event loop when a sandbox that was not running yet after sandbox_start() is
 * released, with sandbox_start()'s USERDATA. Not called when it never is. */
typedef void (*sandbox_released_fn)(struct sandbox *s, void *userdata);
void sandbox_on_released(struct sandbox *s, sandbox_released_fn fn);

/** Kills it by request. Safe in any state. */
void sandbox_kill(struct sandbox *s);

/** Sends it a signal, see launcher_signal(). Safe in any state. */
void sandbox_signal(struct sandbox *s, int number);

uint64_t sandbox_id(const struct sandbox *s);
/** Its mount number INDEX where that is a SANDBOX_MOUNT_SCRATCH: a directory that nobody but it and
 * its children can write to. The fd stays the sandbox's. -EINVAL: no such mount, -EACCES: another
 * kind. */
int sandbox_scratch_mount(const struct sandbox *s, uint32_t index);
/** Whether the program was released. A sandbox whose task tree has to be copied first is not yet
 * when sandbox_start() returns. */
bool sandbox_is_running(const struct sandbox *s);

/** Its place in the network, NULL where it has none of its own. */
const struct network_place *sandbox_place(const struct sandbox *s);

/** Frees it and gives back cgroup, mounts, scratch (removed off the path of other jobs), id range.
 * Kills it first where it still runs. */
void sandbox_free(struct sandbox *s);
DEFINE_CLEANUP(struct sandbox, sandbox_free)
