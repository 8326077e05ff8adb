#include "profile/profile.h"

#include "seccomp_profile.h"

#include <string.h>
#include <sys/syscall.h>

/* Names from the kernel headers that we are built with (syscall_names.h is made from them, see
 * CMakeLists.txt), and those that are newer than the headers of some supported system. From 424 on
 * every architecture that we build for has the same numbers. */
static const struct {
    const char *name;
    int number;
} names[] = {
#define CALL(name) {#name, __NR_##name},
#include "syscall_names.h"
#undef CALL
    {"set_mempolicy_home_node", 450},
    {"cachestat", 451},
    {"fchmodat2", 452},
    {"map_shadow_stack", 453},
    {"futex_wake", 454},
    {"futex_wait", 455},
    {"futex_requeue", 456},
    {"statmount", 457},
    {"listmount", 458},
    {"lsm_get_self_attr", 459},
    {"lsm_set_self_attr", 460},
    {"lsm_list_modules", 461},
    {"mseal", 462},
    {"setxattrat", 463},
    {"getxattrat", 464},
    {"listxattrat", 465},
    {"removexattrat", 466},
#ifdef __x86_64__
    {"uretprobe", 335},
#endif
};

int syscall_number(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (strcmp(names[i].name, name) == 0)
            return names[i].number;
    return -ENOENT;
}
