/* Programs that are known to use so much and no more, to be measured:
 *
 *   known burn MILLISECONDS     CPU time, from when it begins
 *   known allocate MIB          memory, all of it touched
 *   known write MIB FILE        bytes to the disk below FILE, past the page cache
 *   known put MIB FILE          the same through it
 *   known tell MILLISECONDS MIB both of the first two, between two lines of input; before and after
 * it says how many microseconds it has had of the CPU by getrusage() */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)

/* Nanoseconds of the CPU that this process has had; negative on failure. */
static long long cpu_used(void)
{
    struct timespec used;

    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) < 0)
        return -1;
    return used.tv_sec * 1000000000LL + used.tv_nsec;
}

static int burn(long milliseconds)
{
    long long begin = cpu_used(), now;

    if (begin < 0)
        return 1;
    do
        now = cpu_used();
    while (now >= 0 && now - begin < milliseconds * 1000000LL);
    return now < 0;
}

static int allocate(size_t size)
{
    char *memory;

    if (size == 0)
        return 0;
    memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return 1;
    /* Huge pages would be more than was asked for. */
    madvise(memory, size, MADV_NOHUGEPAGE);
    memset(memory, 1, size);
    return munmap(memory, size) < 0;
}

static int write_out(size_t mib, const char *path, int flags)
{
    void *block = aligned_alloc(MIB, MIB);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | flags, 0600);

    if (!block || fd < 0)
        return errno == EINVAL ? 77 : 1;
    memset(block, 1, MIB);
    for (size_t i = 0; i < mib; i++)
        if (write(fd, block, MIB) != (ssize_t)MIB)
            return 1;
    return fsync(fd) < 0 || close(fd) < 0;
}

/* Says what was used so far, and waits for a line. Returns the microseconds, negative on failure.
 */
static long long say(void)
{
    struct rusage usage;
    long long used;
    char byte;

    if (getrusage(RUSAGE_SELF, &usage) < 0)
        return -1;
    used = (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000LL + usage.ru_utime.tv_usec +
           usage.ru_stime.tv_usec;
    printf("%lld\n", used);
    fflush(stdout);
    return read(STDIN_FILENO, &byte, 1) == 1 ? used : -1;
}

static int tell(long milliseconds, size_t size)
{
    long long before = say();

    return before < 0 || burn(milliseconds) != 0 || allocate(size) != 0 || say() < 0;
}

int main(int argc, char **argv)
{
    long amount = argc > 2 ? strtol(argv[2], NULL, 10) : -1;

    if (argc == 3 && strcmp(argv[1], "burn") == 0)
        return burn(amount);
    if (argc == 3 && strcmp(argv[1], "allocate") == 0)
        return allocate((size_t)amount * MIB);
    if (argc == 4 && strcmp(argv[1], "write") == 0)
        return write_out((size_t)amount, argv[3], O_DIRECT);
    if (argc == 4 && strcmp(argv[1], "put") == 0)
        return write_out((size_t)amount, argv[3], 0);
    if (argc == 4 && strcmp(argv[1], "tell") == 0)
        return tell(amount, (size_t)strtol(argv[3], NULL, 10) * MIB);
    return 2;
}
