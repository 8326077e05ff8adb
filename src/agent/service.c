/* The agent as a service: what systemd is told, as sd_notify(3) and sd_watchdog_enabled(3) describe
 * it. A datagram each, for which nothing has to be loaded. */
#include "agent/agent_internal.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define STATE_MAX 192

/* 0 as well where nobody wants to know. */
static int notify(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    _cleanup_close_ int fd = -EBADF;
    size_t length = path ? strlen(path) : 0;

    if (length == 0)
        return 0;
    if ((path[0] != '/' && path[0] != '@') || length >= sizeof(address.sun_path))
        return -EINVAL;
    memcpy(address.sun_path, path, length);
    if (path[0] == '@') /* an abstract one */
        address.sun_path[0] = 0;
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address,
                         (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)) < 0)
        return -errno;
    return 0;
}

static int on_watchdog(struct loop_source *source, uint64_t usec, void *userdata)
{
    const struct agent *a = userdata;

    (void)usec;
    (void)notify("WATCHDOG=1");
    loop_source_set_time(source, clock_monotonic_usec() + a->watchdog_usec / 2);
    return loop_source_enable(source, true);
}

/* The interval that the manager of this process wants a sign of life in; 0: none. */
static uint64_t watchdog_interval(void)
{
    const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");

    if (!usec || (pid && strtol(pid, NULL, 10) != getpid()))
        return 0;
    return strtoull(usec, NULL, 10);
}

void agent_is_service(struct agent *a)
{
    int r = 0;

    a->service = true;
    a->watchdog_usec = watchdog_interval();
    if (a->watchdog_usec > 0)
        r = loop_add_time(a->event, &a->watchdog_timer, 0, on_watchdog, a);
    if (r < 0)
        log_warning("the service manager's watchdog: %s", strerror(-r));
}

static void tell(const struct agent *a, const char *state)
{
    int r = a->service ? notify(state) : 0;

    if (r < 0)
        log_warning("telling the service manager: %s", strerror(-r));
}

void service_ready(struct agent *a)
{
    char state[STATE_MAX];

    snprintf(state, sizeof(state), "READY=1\nSTATUS=%zu environments, %llu jobs at once",
             a->environments.n, (unsigned long long)a->slots);
    tell(a, state);
}

void service_reloading(struct agent *a)
{
    char state[STATE_MAX];

    snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%llu",
             (unsigned long long)clock_monotonic_usec());
    tell(a, state);
}

void service_stopping(struct agent *a, uint64_t seconds)
{
    char state[STATE_MAX];

    snprintf(state, sizeof(state),
             "STOPPING=1\nEXTEND_TIMEOUT_USEC=%llu\nSTATUS=leaving, %zu jobs are running",
             (unsigned long long)(seconds * USEC_PER_SEC), a->n_jobs);
    tell(a, state);
}
