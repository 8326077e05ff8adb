#include "syscall_name.h"

#include <seccomp.h>

char *syscall_name(int number)
{
    return seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, number);
}
