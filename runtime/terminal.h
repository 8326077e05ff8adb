/* A terminal of the container's own. */
#pragma once

#include "base/error.h"

#include <stdint.h>

/** Makes a terminal of ROWS by COLUMNS in the devpts at /dev/pts, in a container that nothing has
 * run in yet, and sends its master over SOCKET_FD. Returns the other end, which is nobody's
 * controlling terminal yet. */
int terminal_make(int socket_fd, uint16_t rows, uint16_t columns, struct error *e);
