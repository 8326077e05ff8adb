#include "porthold.h"

#include "base/cleanup.h"

#include <netinet/in.h>
#include <sys/socket.h>

int port_hold(uint16_t port, bool ipv6, struct error *e)
{
    const struct sockaddr_in6 any6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    const struct sockaddr_in any4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    const int family = ipv6 ? AF_INET6 : AF_INET, off = 0;
    _cleanup_close_ int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return error_sys(e, -errno, "port %u", port);
    if (ipv6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) < 0)
        return error_sys(e, -errno, "port %u", port);
    if (bind(fd, ipv6 ? (const void *)&any6 : (const void *)&any4,
             ipv6 ? sizeof(any6) : sizeof(any4)) < 0)
        return error_sys(e, -errno, "port %u of the host", port);
    return TAKE_FD(fd);
}
