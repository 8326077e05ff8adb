/* The agent's own user: everything foreign is parsed without any privilege of root. */
#pragma once

#include "base/error.h"

#include <sys/types.h>

/** The agent's user where the host has no user of the configured name: a fixed id just below the
 * default pool of id ranges (0x80000), so that it is neither nobody, nor root, nor an id of any
 * sandbox. */
#define AGENT_FALLBACK_ID 0x7fff0U
#define AGENT_USER        "dockless"

/** Looks up USER (a name of the host, or decimal digits; NULL: AGENT_USER, else AGENT_FALLBACK_ID).
 * Root and ids of the pool are refused. */
int agent_user_lookup(const char *user, uid_t *ret_uid, gid_t *ret_gid, struct error *e);

/** Becomes UID/GID for good: no supplementary groups, empty capability and bounding sets,
 * no_new_privs, not dumpable. capabilities(7), setresuid(2). The process has one thread. */
int agent_drop_privileges(uid_t uid, gid_t gid, struct error *e);
