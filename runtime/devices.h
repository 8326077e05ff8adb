/* /dev of a sandbox. */
#pragma once

#include "base/error.h"

#include <stdint.h>

/** Makes a tmpfs with null, zero, full, random, urandom and tty, the usual links and mount points
 * pts, shm, mqueue, all owned by host id BASE; returns it as a detached mount. The nodes are made
 * here with the numbers written here, so there is nothing an image could have put in their place;
 * inside, mknod(2) of devices is refused by the kernel (user namespace). */
int devices_make(uint32_t base, struct error *e);
