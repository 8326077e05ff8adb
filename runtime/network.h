/* The network of sandboxes that have one: what a launcher makes on the host when the first of them
 * needs it, and each sandbox's place in it.
 *
 * Every launcher has its own bridge dl-XXXXXXXX and nf_tables table dockless-XXXXXXXX, named after
 * its instance, and subnets leased by a lock below the run directory. So launchers share nothing,
 * and what a killed one left is found by its name (sweep.c). The rules are in nat.c, the links in
 * bridge.c. */
#pragma once

#include "bridge.h"
#include "runtime/launcher.h"

struct network;
struct network_place;

/** Checks CONFIG and reads the host's resolv.conf; makes nothing yet. INSTANCE is the launcher's
 * (sweep.h), RUN_DIR exists. */
int network_open(const struct launcher_network *config, const char *run_dir, const char *instance,
                 struct network **ret, struct error *e);
/** Removes what was made. All places must have been left. */
void network_close(struct network *n);
DEFINE_CLEANUP(struct network, network_close)

/** Gives a sandbox an address and reserves the ports of SPEC (-EADDRINUSE where another program of
 * the host has one, -EPERM beyond the configured ones, or where N is NULL). The first call makes
 * bridge, rules and sysctls; PROC_FD is a proc file system of the launcher's network namespace. */
int network_join(struct network *n, int proc_fd, const struct sandbox_spec *spec,
                 struct network_place **ret, struct error *e);

/** Connects the network namespace of process PID, and publishes the ports. */
int network_attach(struct network_place *p, int proc_fd, pid_t pid, struct error *e);

/** Its addresses; owned by the place. */
const struct link_plan *network_link(const struct network_place *p);

/** Text of /etc/resolv.conf, owned by the network. */
const char *network_resolv(const struct network_place *p);

/** Takes the ports back; the rest stays. -EBUSY: one of them cannot be had again yet, as a process
 * that is just starting still has a copy of our socket, or another program was quick; to be asked
 * again a moment later. */
int network_withdraw(struct network_place *p);
/** For a process that was just forked: closes its copies of all sockets that hold ports, which
 * would be held for as long as it lives. */
void network_drop_ports(const struct network *n);
/** Gives everything back. The link itself goes with the sandbox's network namespace. */
void network_leave(struct network_place *p);

/** Removes bridge and table that a launcher of the name INSTANCE left in this network namespace. */
int network_sweep(const char *instance, struct error *e);
