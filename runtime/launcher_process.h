/* The launcher's side of the boundary: what runs in the forked process. */
#pragma once

#include "runtime/launcher.h"

/** The whole life of the launcher process: takes the process over (descriptors, signals, session),
 * prepares the host, tells the client over SOCKET that it is ready or why not, serves requests
 * until the client closes or breaks the protocol, kills all sandboxes and takes the host down
 * again. Returns the process's exit status: 0, or 1 after a failure that the client was told. */
int launcher_process(int socket, const struct launcher_config *config);
