/* Asking systemd for a cgroup of our own, as `systemd-run --scope -p Delegate=yes` does: systemd is
 * the only writer of the tree outside of what it has delegated
 * (https://systemd.io/CGROUP_DELEGATION/). */
#include "cgroup_internal.h"

#include "base/clock.h"
#include "base/text.h"

#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-bus.h>

#define SYSTEMD_NAME    "org.freedesktop.systemd1"
#define SYSTEMD_PATH    "/org/freedesktop/systemd1"
#define SYSTEMD_MANAGER "org.freedesktop.systemd1.Manager"
/* systemd's own socket, for hosts without a bus daemon; root may connect to it. */
#define SYSTEMD_PRIVATE "unix:path=/run/systemd/private"
/* A scope takes milliseconds; a host that is booting can keep the job waiting. */
#define SCOPE_WAIT_USEC (30 * USEC_PER_SEC)

struct scope_wait {
    char *job; /* object path */
    char result[32];
    bool done;
};

static int on_job_removed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    struct scope_wait *w = userdata;
    const char *path, *unit, *result;
    uint32_t id;

    (void)error;
    if (sd_bus_message_read(m, "uoss", &id, &path, &unit, &result) < 0)
        return 0;
    if (w->job && strcmp(path, w->job) == 0) {
        snprintf(w->result, sizeof(w->result), "%s", result);
        w->done = true;
    }
    return 0;
}

static int open_bus(sd_bus **ret)
{
    sd_bus *bus = NULL;
    int r = sd_bus_open_system(ret);

    if (r >= 0)
        return 0;
    r = sd_bus_new(&bus);
    if (r >= 0)
        r = sd_bus_set_address(bus, SYSTEMD_PRIVATE);
    if (r >= 0)
        r = sd_bus_start(bus);
    if (r < 0) {
        sd_bus_unref(bus);
        return r;
    }
    *ret = bus;
    return 0;
}

static int build_request(sd_bus *bus, const char *unit, sd_bus_message **ret)
{
    int r = sd_bus_message_new_method_call(bus, ret, SYSTEMD_NAME, SYSTEMD_PATH, SYSTEMD_MANAGER,
                                           "StartTransientUnit");

    if (r >= 0)
        r = sd_bus_message_append(*ret, "ss", unit, "fail");
    if (r >= 0)
        r = sd_bus_message_append(*ret, "a(sv)a(sa(sv))", 4, "Description", "s",
                                  "dockless launcher", "Delegate", "b", 1, "CollectMode", "s",
                                  "inactive-or-failed", "PIDs", "au", 1, (uint32_t)getpid(), 0);
    return r;
}

static int wait_for_job(sd_bus *bus, struct scope_wait *w)
{
    uint64_t end = clock_monotonic_usec() + SCOPE_WAIT_USEC;

    while (!w->done) {
        uint64_t now = clock_monotonic_usec();
        int r = sd_bus_process(bus, NULL);
        if (r < 0)
            return r;
        if (r > 0)
            continue;
        if (now >= end)
            return -ETIMEDOUT;
        r = sd_bus_wait(bus, end - now);
        if (r < 0 && r != -EINTR)
            return r;
    }
    return 0;
}

bool cgroup_scope_can_be_asked(void)
{
    struct stat st;

    return lstat("/run/systemd/system", &st) == 0 && S_ISDIR(st.st_mode);
}

int cgroup_scope_enter(const char *name, struct error *e)
{
    _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *request = NULL, *reply = NULL;
    _cleanup_(sd_bus_error_free) sd_bus_error refusal = SD_BUS_ERROR_NULL;
    _cleanup_free_ char *unit = text_printf("%s.scope", name);
    struct scope_wait w = {0};
    const char *job;
    int r = unit ? open_bus(&bus) : -ENOMEM;

    if (r < 0)
        return error_sys(e, r, "ask systemd for a scope: connect");
    /* Before the call: the job may be over when the reply arrives. */
    r = sd_bus_match_signal(bus, NULL, NULL, SYSTEMD_PATH, SYSTEMD_MANAGER, "JobRemoved",
                            on_job_removed, &w);
    if (r >= 0)
        r = build_request(bus, unit, &request);
    if (r >= 0)
        r = sd_bus_call(bus, request, SCOPE_WAIT_USEC, &refusal, &reply);
    if (r < 0)
        return error_set(e, r, "systemd refused scope %s: %s", unit,
                         refusal.message ? refusal.message : strerror(-r));
    r = sd_bus_message_read(reply, "o", &job);
    if (r < 0)
        return error_sys(e, r, "systemd's answer about scope %s", unit);
    w.job = strdup(job);
    r = w.job ? wait_for_job(bus, &w) : -ENOMEM;
    free(w.job);
    if (r < 0)
        return error_sys(e, r, "wait for systemd to make scope %s", unit);
    if (strcmp(w.result, "done") != 0)
        return error_set(e, -EIO, "systemd could not make scope %s: %s", unit, w.result);
    return 0;
}
