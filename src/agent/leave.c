/* Leaving: a SIGTERM lets running jobs end for a while (the drain time), then ends them with an
 * answer; a SIGINT or a second signal does not wait. Jobs that arrive meanwhile are answered at
 * once. */
#include "agent/agent_internal.h"

#include "agent/texts.h"
#include "base/clock.h"
#include "base/log.h"

#include <signal.h>

/* What ending the jobs and the last answers takes at most, with room for a slow machine. */
#define LEAVE_SECONDS 30

/* With no slots and no environments the backend keeps later jobs for others instead of giving them
 * to an agent that is gone. It takes such a hello as a restart, so nothing may be running here any
 * more. */
static void say_goodbye(struct agent *a)
{
    static const struct environments none = {0};
    _cleanup_buffer_ struct buffer hello = {0};

    if (a->link && environments_encode_hello(&none, &a->types, a->protocol,
                                             a->config->friendly_name, 0, &hello) == 0)
        link_send(a->link, &hello);
}

void agent_leave(struct agent *a, int status)
{
    if (a->stopping)
        return;
    a->stopping = true;
    a->status = status;
    service_stopping(a, LEAVE_SECONDS);
    while (a->jobs) {
        if (a->jobs->state == JOB_RUNNING)
            launcher_kill(a->launcher, a->jobs->id);
        job_end(a->jobs, "crash", TEXT_RESTARTED);
    }
    say_goodbye(a);
    loop_exit(a->event, 0);
}

static int on_drained(struct loop_source *source, uint64_t usec, void *userdata)
{
    struct agent *a = userdata;

    (void)source, (void)usec;
    log_info("%zu jobs are still running after the drain time: ending them", a->n_jobs);
    agent_leave(a, 0);
    return 0;
}

static int on_signal(struct loop_source *source, const struct signalfd_siginfo *info,
                     void *userdata)
{
    struct agent *a = userdata;
    uint64_t end = clock_monotonic_usec() + a->config->drain_seconds * USEC_PER_SEC;

    (void)source;
    if (info->ssi_signo == SIGINT || a->draining || a->n_jobs == 0 ||
        a->config->drain_seconds == 0 ||
        loop_add_time(a->event, &a->drain_timer, end, on_drained, a) < 0) {
        log_info("signal %u: leaving", info->ssi_signo);
        agent_leave(a, 0);
        return 0;
    }
    log_info("signal %u: leaving when %zu jobs have ended, in %llu s at the latest",
             info->ssi_signo, a->n_jobs, (unsigned long long)a->config->drain_seconds);
    a->draining = true;
    service_stopping(a, a->config->drain_seconds + LEAVE_SECONDS);
    return 0;
}

int agent_watch_signals(struct agent *a, struct error *e)
{
    sigset_t mask;
    int r;

    sigemptyset(&mask);
    sigaddset(&mask, SIGTERM);
    sigaddset(&mask, SIGINT);
    r = sigprocmask(SIG_BLOCK, &mask, NULL) < 0 ? -errno : 0;
    if (r == 0)
        r = loop_add_signal(a->event, &a->sigterm_source, SIGTERM, on_signal, a);
    if (r >= 0)
        r = loop_add_signal(a->event, &a->sigint_source, SIGINT, on_signal, a);
    signal(SIGPIPE, SIG_IGN);
    return r < 0 ? error_sys(e, r, "signals") : 0;
}

void agent_idle(struct agent *a)
{
    if (a->stopping)
        return;
    reload_idle(a);
    if (a->draining)
        agent_leave(a, 0);
}
