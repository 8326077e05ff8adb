#include "netns.h"

#include "base/fdio.h"

#include <fcntl.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

int netns_loopback_up(void)
{
    _cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};

    if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
        return -errno;
    return 0;
}

int netns_set_sysctls(int proc_fd, struct error *e)
{
    static const char *const values[][2] = {
        {"sys/net/ipv4/ip_unprivileged_port_start", "0"},
        {"sys/net/ipv4/ping_group_range", "0 65535"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
        int r = fd_write_file(proc_fd, values[i][0], values[i][1]);
        if (r < 0)
            return error_sys(e, r, "/proc/%s", values[i][0]);
    }
    return 0;
}

int netns_open(int proc_fd, int pid, struct error *e)
{
    char path[32];
    int fd;

    snprintf(path, sizeof(path), "%d/ns/net", pid);
    fd = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? error_sys(e, -errno, "open the network namespace of process %d", pid) : fd;
}
