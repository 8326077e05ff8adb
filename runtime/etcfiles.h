/* /etc/hosts, /etc/hostname and /etc/resolv.conf of a sandbox. */
#pragma once

#include "network.h"

/** Host name of a sandbox whose spec gives none. */
#define ETC_HOSTNAME_DEFAULT "dockless"

/** Writes the three files into ETC_FD, a directory nobody else writes to yet. They are regular,
 * belong to host id BASE (container root, who may append to them and give them away) and hide
 * whatever the image has there. PLACE is that of the sandbox in the network, NULL where it has
 * none. */
int etcfiles_write(int etc_fd, const struct sandbox_spec *spec, const struct network_place *place,
                   uint32_t base, struct error *e);
