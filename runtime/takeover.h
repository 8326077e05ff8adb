/* The first thing the launcher does: it makes the process that it was executed in its own. */
#pragma once

#include "base/error.h"

/** How launcher_start() names the program that it executes, for launcher_begin() to know. */
#define LAUNCHER_NAME "dockless-launch"
/** Its end of the socket. */
#define LAUNCHER_SOCKET 3

/** Descriptors (SOCKET and standard error stay), signals, session, umask, name, limit of open
 * files. Returns the socket's new number. */
int takeover(int socket, struct error *e);
