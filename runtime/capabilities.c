#include "capabilities.h"

#include "base/cleanup.h"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#define BIT(capability) (1ULL << (capability))

uint64_t capabilities_default(void)
{
    /* What Docker leaves to container root (moby, oci/caps/defaults.go). Inside the user namespace
     * they reach only what the id range owns. */
    return BIT(CAP_AUDIT_WRITE) | BIT(CAP_CHOWN) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_FOWNER) |
           BIT(CAP_FSETID) | BIT(CAP_KILL) | BIT(CAP_MKNOD) | BIT(CAP_NET_BIND_SERVICE) |
           BIT(CAP_NET_RAW) | BIT(CAP_SETFCAP) | BIT(CAP_SETGID) | BIT(CAP_SETPCAP) |
           BIT(CAP_SETUID) | BIT(CAP_SYS_CHROOT);
}

int capabilities_bound(uint64_t mask)
{
    /* Up to the last capability this kernel knows, which may be newer than our headers. */
    for (int capability = 0; capability < 64; capability++) {
        if (mask & BIT(capability))
            continue;
        if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0)
            continue;
        if (errno == EINVAL && capability > CAP_LAST_CAP)
            return 0;
        return -errno;
    }
    return 0;
}

int capabilities_set(uint64_t mask)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {
        {.effective = (uint32_t)mask, .permitted = (uint32_t)mask},
        {.effective = (uint32_t)(mask >> 32), .permitted = (uint32_t)(mask >> 32)},
    };

    /* The ambient set first, by name: with an empty inheritable set it would go anyway. */
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
        return -errno;
    if (syscall(SYS_capset, &header, data) < 0)
        return -errno;
    return 0;
}
