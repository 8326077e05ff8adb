/* Switches of the host's network that routing for sandboxes needs. */
#pragma once

#include "base/error.h"

#include <stdbool.h>

/** Makes the host forward packets (net.ipv4.ip_forward and, where IPV6, the same of IPv6) and lets
 * connections from its loopback out through BRIDGE. They are set only where they are not yet, and
 * stay: others may rely on them by then. A host that forwards IPv6 ignores router advertisements;
 * interfaces that followed them until now go on doing so (accept_ra 2). Through PROC_FD, a proc
 * file system; Documentation/networking/ip-sysctl.rst. */
int netsysctl_route(int proc_fd, const char *bridge, bool ipv6, struct error *e);

/** Whether IPv6 packets that are only bridged go through the packet filter as well (br_netfilter,
 * as Docker and Kubernetes load it). */
bool netsysctl_filters_bridges6(int proc_fd);
