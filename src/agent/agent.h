/* The agent: jobs of one backend become sandboxes of one launcher.
 *
 * One process with one event loop. agent_open() is the privileged half (store, launcher, tmpdir),
 * after which the process is an ordinary user for good; agent_run() is everything that touches
 * foreign bytes. */
#pragma once

#include "config/agent_config.h"

#include "base/loop.h"

struct agent;

/** Opens the store, locks the temporary directory, starts the launcher, drops root. CONFIG must
 * outlive the agent. Errors name the directory or the option. The process must be root with one
 * thread. */
int agent_open(const struct agent_config *config, struct agent **ret, struct error *e);
/** Kills what runs, waits for the launcher to have cleaned up, frees. */
void agent_close(struct agent *a);
DEFINE_CLEANUP(struct agent, agent_close)

/** The loop, for a built-in backend (grade) to join before agent_run(). Owned by A. */
struct loop *agent_event(struct agent *a);
/** The ZeroMQ context, so that inproc:// addresses reach the agent. Owned by A. */
void *agent_context(struct agent *a);

/** Connects to config->backend and serves it until SIGTERM (running jobs have the drain time to
 * end), SIGINT or agent_stop() (running jobs are ended and answered first). 0, or a negative errno
 * when it cannot go on (launcher gone). */
int agent_run(struct agent *a, struct error *e);
/** RELOAD is called on SIGHUP, before the store is read again: it may change the configuration's
 * limits and drain time, which hold for jobs that start later. */
void agent_on_reload(struct agent *a, void (*reload)(void *userdata), void *userdata);
/** The agent is the main process of a service: from now on the service manager, if there is one, is
 * told how it is (sd_notify(3)), and its watchdog is answered. */
void agent_is_service(struct agent *a);
/** Makes agent_run() end at once; running jobs are ended and answered. */
void agent_stop(struct agent *a);
