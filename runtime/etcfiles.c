#include "etcfiles.h"

#include "base/fdio.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/stat.h>

static int write_file(int dir_fd, const char *name, const struct buffer *text, uint32_t owner,
                      struct error *e)
{
    _cleanup_close_ int fd =
        openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    int r;

    if (fd < 0)
        return error_sys(e, -errno, "make /etc/%s", name);
    r = fd_write_full(fd, text->data, text->size);
    if (r < 0)
        return error_sys(e, r, "write /etc/%s", name);
    if (fchown(fd, owner, owner) < 0 || fchmod(fd, 0644) < 0)
        return error_sys(e, -errno, "give away /etc/%s", name);
    return 0;
}

/* The sandbox's own addresses by its name, and the gateway by the name that Docker gives the host.
 */
static int print_addresses(struct buffer *hosts, const char *hostname, const struct link_plan *link)
{
    char ip4[INET_ADDRSTRLEN], gateway[INET_ADDRSTRLEN], ip6[INET6_ADDRSTRLEN];
    int r;

    inet_ntop(AF_INET, &link->self.ip4, ip4, sizeof(ip4));
    inet_ntop(AF_INET, &link->gateway.ip4, gateway, sizeof(gateway));
    inet_ntop(AF_INET6, &link->self.ip6, ip6, sizeof(ip6));
    r = buffer_printf(hosts, "%s\t%s\n%s\thost.docker.internal\n", ip4, hostname, gateway);
    return r < 0 || !link->ipv6 ? r : buffer_printf(hosts, "%s\t%s\n", ip6, hostname);
}

int etcfiles_write(int etc_fd, const struct sandbox_spec *spec, const struct network_place *place,
                   uint32_t base, struct error *e)
{
    const char *hostname = spec->hostname ? spec->hostname : ETC_HOSTNAME_DEFAULT;
    _cleanup_buffer_ struct buffer hosts = {0}, name = {0}, resolv = {0};
    int r;

    /* The own name resolves: without a network as well, programs ask for it (hostname -f, sudo). */
    r = buffer_printf(&hosts, "127.0.0.1\tlocalhost\n"
                              "::1\tlocalhost ip6-localhost ip6-loopback\n"
                              "fe00::0\tip6-localnet\n"
                              "ff00::0\tip6-mcastprefix\n"
                              "ff02::1\tip6-allnodes\n"
                              "ff02::2\tip6-allrouters\n");
    if (r == 0)
        r = place ? print_addresses(&hosts, hostname, network_link(place))
                  : buffer_printf(&hosts, "127.0.1.1\t%s\n", hostname);
    if (r == 0)
        r = buffer_printf(&name, "%s\n", hostname);
    if (r == 0)
        r = buffer_printf(&resolv, "%s",
                          place ? network_resolv(place) : "# this container has no network\n");
    if (r < 0)
        return error_sys(e, r, "files of /etc");
    r = write_file(etc_fd, "hosts", &hosts, base, e);
    if (r == 0)
        r = write_file(etc_fd, "hostname", &name, base, e);
    if (r == 0)
        r = write_file(etc_fd, "resolv.conf", &resolv, base, e);
    return r;
}
