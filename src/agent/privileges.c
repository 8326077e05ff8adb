#include "agent/privileges.h"

#include "base/text.h"

#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

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

int agent_drop_privileges(uid_t uid, gid_t gid, struct error *e)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};

    for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
        if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
            return error_sys(e, -errno, "cannot drop capability %lu from the bounding set", cap);
    if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
        return error_sys(e, -errno, "cannot become user %u", uid);
    if (syscall(SYS_capset, &header, none) < 0)
        return error_sys(e, -errno, "cannot drop capabilities");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return error_sys(e, -errno, "prctl");
    return 0;
}
