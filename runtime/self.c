#include "self.h"

#include "base/fdio.h"
#include "weaken.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U /* Linux 6.3: the host's vm.memfd_noexec asks for it to be said */
#endif

#define NAME  "dockless"
#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

int self_is_sealed(void)
{
    _cleanup_close_ int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    int seals = fd < 0 ? -errno : fcntl(fd, F_GET_SEALS);

    if (fd < 0)
        return seals;
    /* Only memory files have any: -EINVAL from all others. */
    return seals >= 0 && (seals & SEALS) == SEALS;
}

static int copy_self(int to, struct error *e)
{
    _cleanup_close_ int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    struct stat st;
    off_t done = 0;

    if (from < 0 || fstat(from, &st) < 0)
        return error_sys(e, -errno, "open /proc/self/exe");
    while (done < st.st_size) {
        ssize_t n = sendfile(to, from, NULL, (size_t)(st.st_size - done));
        if (n <= 0)
            return error_sys(e, n < 0 ? -errno : -EIO, "copy the program into memory");
        done += n;
    }
    return 0;
}

int self_seal(char **argv, struct error *e)
{
    _cleanup_close_ int fd = -EBADF;
    int r = self_is_sealed();

    if (weakened("sealed-program"))
        return 0;
    if (r > 0) {
        /* execve(2) named the process after the descriptor. */
        prctl(PR_SET_NAME, NAME);
        return 0;
    }
    if (r < 0)
        return error_sys(e, r, "open /proc/self/exe (is /proc mounted?)");
    fd = memfd_create(NAME, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
    if (fd < 0 && errno == EINVAL)
        fd = memfd_create(NAME, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return error_sys(e, -errno, "make a copy of the program in memory (vm.memfd_noexec is 2?)");
    r = copy_self(fd, e);
    if (r < 0)
        return r;
    if (fcntl(fd, F_ADD_SEALS, SEALS) < 0)
        return error_sys(e, -errno, "seal the copy of the program");
    syscall(SYS_execveat, fd, "", argv, environ, AT_EMPTY_PATH);
    return error_sys(e, -errno, "execute the copy of the program");
}
