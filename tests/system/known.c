/* Programs that are known to use so much and no more, to be measured:
 *
 *   known burn MILLISECONDS     CPU time
 *   known allocate MIB          memory, all of it touched
 *   known write MIB FILE        bytes to the disk below FILE, past the page cache */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)

static int burn(long milliseconds)
{
    struct timespec used;

    do {
        if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) < 0)
            return 1;
    } while (used.tv_sec * 1000 + used.tv_nsec / 1000000 < milliseconds);
    return 0;
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
    return 0;
}

static int write_out(size_t mib, const char *path)
{
    void *block = aligned_alloc(MIB, MIB);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_DIRECT | O_CLOEXEC, 0600);

    if (!block || fd < 0)
        return errno == EINVAL ? 77 : 1;
    memset(block, 1, MIB);
    for (size_t i = 0; i < mib; i++)
        if (write(fd, block, MIB) != (ssize_t)MIB)
            return 1;
    return close(fd) < 0;
}

int main(int argc, char **argv)
{
    long amount = argc > 2 ? strtol(argv[2], NULL, 10) : -1;

    if (argc == 3 && strcmp(argv[1], "burn") == 0)
        return burn(amount);
    if (argc == 3 && strcmp(argv[1], "allocate") == 0)
        return allocate((size_t)amount * MIB);
    if (argc == 4 && strcmp(argv[1], "write") == 0)
        return write_out((size_t)amount, argv[3]);
    return 2;
}
