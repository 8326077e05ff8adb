#include "terminal.h"

#include "base/fdio.h"

#include <sys/ioctl.h>

int terminal_make(int socket_fd, uint16_t rows, uint16_t columns, struct error *e)
{
    const struct winsize size = {.ws_row = rows, .ws_col = columns};
    _cleanup_close_ int terminal = -EBADF;
    _cleanup_close_ int master = open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
    int locked = 0;
    ssize_t n;

    if (master < 0)
        return error_sys(e, -errno, "open /dev/pts/ptmx");
    if (ioctl(master, TIOCSPTLCK, &locked) < 0)
        return error_sys(e, -errno, "unlock the terminal");
    /* By descriptor: no name is looked up. */
    terminal = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (terminal < 0)
        return error_sys(e, -errno, "open the terminal");
    if (ioctl(terminal, TIOCSWINSZ, &size) < 0)
        return error_sys(e, -errno, "set the terminal's size");
    n = fd_send(socket_fd, "", 1, &master, 1);
    return n < 0 ? error_sys(e, (int)n, "hand over the terminal") : TAKE_FD(terminal);
}
