#include "self.h"

#include "base/fdio.h"
#include "weaken.h"

#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U /* Linux 6.3: the host's vm.memfd_noexec asks for it to be said */
#endif

#define NAME  "dockless"
#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)
/* How often sealing is tried: the kernel waits for some 150 ms each time. */
#define SEAL_TRIES 20

static bool has_seals(int fd)
{
    int seals = fcntl(fd, F_GET_SEALS);

    /* Only memory files have any: -EINVAL from all others. */
    return seals >= 0 && (seals & SEALS) == SEALS;
}

static int open_self(void)
{
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

    return fd < 0 ? -errno : fd;
}

int self_is_sealed(void)
{
    _cleanup_close_ int fd = open_self();

    return fd < 0 ? fd : has_seals(fd);
}

static int copy(int from, int to, struct error *e)
{
    struct stat st;
    off_t done = 0;

    if (fstat(from, &st) < 0)
        return error_sys(e, -errno, "open /proc/self/exe");
    while (done < st.st_size) {
        ssize_t n = sendfile(to, from, NULL, (size_t)(st.st_size - done));
        if (n <= 0)
            return error_sys(e, n < 0 ? -errno : -EIO, "copy the program into memory");
        done += n;
    }
    return 0;
}

int self_seal(int fd)
{
    for (int tries = 1; fcntl(fd, F_ADD_SEALS, SEALS) < 0; tries++)
        if (errno != EBUSY || tries == SEAL_TRIES)
            return -errno;
    return 0;
}

int self_copy(struct error *e)
{
    _cleanup_close_ int from = open_self(), fd = -EBADF;
    int r;

    if (from < 0)
        return error_sys(e, from, "open /proc/self/exe (is /proc mounted?)");
    if (weakened("sealed-program") || has_seals(from))
        return TAKE_FD(from);
    fd = memfd_create(NAME, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
    if (fd < 0 && errno == EINVAL)
        fd = memfd_create(NAME, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return error_sys(e, -errno, "make a copy of the program in memory (vm.memfd_noexec is 2?)");
    r = copy(from, fd, e);
    if (r < 0)
        return r;
    r = self_seal(fd);
    return r < 0 ? error_sys(e, r, "seal the copy of the program") : TAKE_FD(fd);
}
