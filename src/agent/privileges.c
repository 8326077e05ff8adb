#include "agent/privileges.h"

#include "base/text.h"

#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>

/* Ids from here on belong to sandboxes. */
#define POOL_FIRST_ID 0x80000U

int agent_user_lookup(const char *user, uid_t *ret_uid, gid_t *ret_gid, struct error *e)
{
    const char *name = user ? user : AGENT_USER;
    uint64_t id = AGENT_FALLBACK_ID;
    const struct passwd *entry;

    if (name[0] >= '0' && name[0] <= '9') {
        if (text_parse_uint(name, POOL_FIRST_ID - 1, &id) < 0)
            return error_set(e, -EINVAL, "user \"%s\" is not an id below %u", name, POOL_FIRST_ID);
        *ret_uid = (uid_t)id;
        *ret_gid = (gid_t)id;
    } else {
        entry = getpwnam(name);
        if (!entry && user)
            return error_set(e, -ENOENT, "there is no user \"%s\" on this host", user);
        *ret_uid = entry ? entry->pw_uid : AGENT_FALLBACK_ID;
        *ret_gid = entry ? entry->pw_gid : AGENT_FALLBACK_ID;
    }
    if (*ret_uid == 0 || *ret_gid == 0 || *ret_uid >= POOL_FIRST_ID)
        return error_set(
            e, -EINVAL,
            "the agent does not run as user \"%s\": it must not be root nor an id of a sandbox",
            name);
    return 0;
}

static void cap_free_p(cap_t *caps)
{
    if (*caps)
        cap_free(*caps);
}

/* Empties every set (capabilities(7)). The bounding set goes first: it needs CAP_SETPCAP. */
static int drop_bounding_set(struct error *e)
{
    for (cap_value_t cap = 0; CAP_IS_SUPPORTED(cap); cap++)
        if (cap_drop_bound(cap) < 0)
            return error_sys(e, -errno, "cannot drop capability %d from the bounding set", cap);
    return 0;
}

int agent_drop_privileges(uid_t uid, gid_t gid, struct error *e)
{
    _cleanup_(cap_free_p) cap_t none = cap_init();
    int r = none ? drop_bounding_set(e) : error_sys(e, -errno, "cap_init");

    if (r < 0)
        return r;
    if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
        return error_sys(e, -errno, "cannot become user %u", uid);
    if (cap_set_proc(none) < 0)
        return error_sys(e, -errno, "cannot drop capabilities");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return error_sys(e, -errno, "prctl");
    return 0;
}
