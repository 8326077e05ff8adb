#include "netsysctl.h"

#include "base/fdio.h"

#include <dirent.h>
#include <string.h>

static int set(int dir_fd, const char *path, const char *value, struct error *e)
{
    int r = fd_write_file(dir_fd, path, value);

    return r < 0 ? error_sys(e, r, "/proc/sys/net/%s", path) : 0;
}

static bool is(int dir_fd, const char *path, const char *value)
{
    _cleanup_buffer_ struct buffer b = {0};

    return fd_read_file(dir_fd, path, &b, 64) == 0 && buffer_string(&b) &&
           strncmp((const char *)b.data, value, strlen(value)) == 0;
}

/* Before forwarding makes them deaf. An interface that goes away meanwhile is none of ours. */
static int keep_advertisements(int net_fd, struct error *e)
{
    int fd = openat(net_fd, "ipv6/conf", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;

    if (!dir) {
        safe_close(fd);
        return error_sys(e, -errno, "/proc/sys/net/ipv6/conf");
    }
    while ((entry = readdir(dir))) {
        char path[sizeof(entry->d_name) + 16];
        snprintf(path, sizeof(path), "%s/accept_ra", entry->d_name);
        if (is(fd, path, "1"))
            (void)fd_write_file(fd, path, "2");
    }
    closedir(dir);
    return 0;
}

int netsysctl_route(int proc_fd, const char *bridge, bool ipv6, struct error *e)
{
    _cleanup_close_ int net = openat(proc_fd, "sys/net", O_PATH | O_DIRECTORY | O_CLOEXEC);
    char path[128];
    int r = net < 0 ? error_sys(e, -errno, "/proc/sys/net") : 0;

    if (r == 0 && !is(net, "ipv4/ip_forward", "1"))
        r = set(net, "ipv4/ip_forward", "1", e);
    snprintf(path, sizeof(path), "ipv4/conf/%s/route_localnet", bridge);
    if (r == 0)
        r = set(net, path, "1", e);
    if (r < 0 || !ipv6)
        return r;
    snprintf(path, sizeof(path), "ipv6/conf/%s/accept_ra", bridge);
    r = set(net, path, "0", e);
    if (r < 0 || is(net, "ipv6/conf/all/forwarding", "1"))
        return r;
    r = keep_advertisements(net, e);
    return r < 0 ? r : set(net, "ipv6/conf/all/forwarding", "1", e);
}

bool netsysctl_filters_bridges6(int proc_fd)
{
    return is(proc_fd, "sys/net/bridge/bridge-nf-call-ip6tables", "1");
}
