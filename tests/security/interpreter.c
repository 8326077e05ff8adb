/* The dynamic linker of a hostile image. The kernel maps it into whatever dynamic program is
 * executed and starts it there: so it runs as a process whose /proc/self/exe is that program. It
 * leaves a descriptor of it behind and goes on as /bin/attacker.
 *
 * Without libc: that would look for its own tables in the program's headers. */
#include <asm/unistd.h>
#include <fcntl.h>

/* Kernels before 6.10 clear the rest of the last segment's last page, and do not start an
 * interpreter where that cannot be written to. */
__attribute__((used)) static char writable = 1;

static long call(long number, long a, long b, long c, long d)
{
#if defined(__x86_64__)
    register long r10 __asm__("r10") = d;
    long r;
    __asm__ volatile("syscall"
                     : "=a"(r)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10)
                     : "rcx", "r11", "memory");
    return r;
#elif defined(__aarch64__)
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
    return x0;
#endif
}

/* EXE is open as descriptor 9 afterwards. */
__attribute__((noreturn, used)) static void start(void)
{
    static const char program[] = "/bin/attacker";
    const char *const argv[] = {program, "exe", 0};
    long fd = call(__NR_openat, AT_FDCWD, (long)"/proc/self/exe", O_RDONLY, 0);

    call(__NR_dup3, fd, 9, 0, 0);
    call(__NR_execve, (long)program, (long)argv, 0, 0);
    for (;;)
        call(__NR_exit_group, 99, 0, 0, 0);
}

/* The kernel leaves no return address on the stack. */
#if defined(__x86_64__)
__asm__(".globl _start\n_start:\n and $-16, %rsp\n call start\n");
#elif defined(__aarch64__)
__asm__(".globl _start\n_start:\n b start\n");
#endif
