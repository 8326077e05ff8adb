/* A TCP port of the host that is kept for a sandbox. */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

/** A socket that has PORT at all addresses of the host, IPV6 ones too: bound and never listening,
 * so that nobody else can have it, and whoever comes while nothing is published is refused. The
 * caller's to close; -EADDRINUSE. */
int port_hold(uint16_t port, bool ipv6, struct error *e);
