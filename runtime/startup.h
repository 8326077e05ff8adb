/* What the launcher is started with, on its way from the caller: the first message on its socket.
 *
 * The launcher executes the program anew (client.c), so nothing of its caller's memory is there.
 * The message comes from root, before any privilege is dropped; it is read with the same suspicion
 * as requests all the same. Roots and lists are bounded as launcher.h says, texts by
 * SANDBOX_PATH_MAX. */
#pragma once

#include "base/buffer.h"
#include "runtime/launcher.h"

/** Appends CONFIG's bytes to B, which should have REQUEST_MAX as its bound. -EMSGSIZE, -ENOMEM. */
int startup_encode(const struct launcher_config *config, struct buffer *b);

/** Sets *RET to what DATA says, for startup_free(). -EBADMSG, -ENOMEM. */
int startup_decode(const void *data, size_t size, struct launcher_config **ret, struct error *e);
void startup_free(struct launcher_config *config);
DEFINE_CLEANUP(struct launcher_config, startup_free)
