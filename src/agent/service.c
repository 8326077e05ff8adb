/* The agent as a service: what systemd is told (sd_notify(3), sd_event_set_watchdog(3)). */
#include "agent/agent_internal.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#define STATE_MAX 192

void agent_is_service(struct agent *a)
{
    int r = sd_event_set_watchdog(a->event, true);

    a->service = true;
    if (r < 0)
        log_warning("the service manager's watchdog: %s", strerror(-r));
}

static void tell(const struct agent *a, const char *state)
{
    int r = a->service ? sd_notify(false, state) : 0;

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
