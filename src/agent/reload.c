/* What may change while the agent runs: the store's images, and on SIGHUP the configuration.
 *
 * Environments found later serve jobs at once. They are announced when no job is running: a backend
 * takes a second hello of one connection as a restart and gives up what the agent had. */
#include "agent/agent_internal.h"

#include "base/clock.h"
#include "base/log.h"

#include <signal.h>
#include <string.h>
#include <sys/inotify.h>

/* A change of the store is looked at when it has been quiet for so long: one load is several
 * events. */
#define SETTLE_USEC (200 * USEC_PER_MSEC)

static void announce(struct agent *a)
{
    if (a->link && link_hello(a->link) == 0)
        log_info("announced %zu environments", a->environments.n);
    a->announce = false;
}

static void forget_retired(struct agent *a)
{
    for (size_t i = 0; i < a->n_retired; i++)
        environments_clear(&a->retired[i]);
    free(a->retired);
    a->retired = NULL;
    a->n_retired = 0;
}

void reload_idle(struct agent *a)
{
    forget_retired(a);
    if (a->announce)
        announce(a);
}

/* Whether the backend would be told the same about ENVIRONMENTS as it was told last. */
static bool is_announced(const struct agent *a, const struct environments *environments)
{
    _cleanup_buffer_ struct buffer now = {0};

    return environments_encode_hello(environments, &a->types, a->protocol, a->config->friendly_name,
                                     (uint32_t)a->slots, &now) == 0 &&
           now.size == a->announced.size && memcmp(now.data, a->announced.data, now.size) == 0;
}

/* Running jobs point into the environments they started with, so these are kept until none is left.
 */
static int retire(struct agent *a)
{
    struct environments *grown = realloc(a->retired, (a->n_retired + 1) * sizeof(*grown));

    if (!grown)
        return -ENOMEM;
    a->retired = grown;
    a->retired[a->n_retired++] = a->environments;
    a->environments = (struct environments){0};
    return 0;
}

/* CONFIGURED: what is announced need not differ to differ. */
static void reload_environments(struct agent *a, bool configured)
{
    struct environments found = {0};
    struct error e = ERROR_INIT;
    bool announced;

    if (environments_load(a->store, a->config, a->protocol, &found, &e) < 0) {
        log_error("the environments stay as they are: %s", e.text);
        return;
    }
    environments_inspect(a, &found);
    announced = is_announced(a, &found);
    if ((announced && !configured) || retire(a) < 0) {
        environments_clear(&found);
        return;
    }
    a->environments = found;
    log_info("the store has %zu environments now", found.n);
    a->announce = !announced;
    if (a->n_jobs == 0)
        reload_idle(a);
}

static int on_settled(struct loop_source *source, uint64_t usec, void *userdata)
{
    (void)source, (void)usec;
    reload_environments(userdata, false);
    return 0;
}

/* What has happened does not matter: the store is read anew. */
static int on_images(struct loop_source *source, int fd, uint32_t revents, void *userdata)
{
    _Alignas(struct inotify_event) char events[4096];
    struct agent *a = userdata;

    (void)source, (void)revents;
    while (read(fd, events, sizeof(events)) > 0)
        ;
    loop_source_set_time(a->settle_timer, clock_monotonic_usec() + SETTLE_USEC);
    return loop_source_enable(a->settle_timer, true);
}

static int on_sighup(struct loop_source *source, const struct signalfd_siginfo *info,
                     void *userdata)
{
    struct agent *a = userdata;

    struct error e = ERROR_INIT;

    (void)source, (void)info;
    log_info("SIGHUP: reading configuration and store again");
    service_reloading(a);
    if (a->on_reload)
        a->on_reload(a->on_reload_data);
    if (agent_divide_host(a, &e) < 0)
        log_error("%s", e.text);
    reload_environments(a, true);
    service_ready(a);
    return 0;
}

static int watch_images(struct agent *a)
{
    char path[32];

    snprintf(path, sizeof(path), "/proc/self/fd/%d", image_store_images_fd(a->store));
    a->images_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (a->images_fd < 0 ||
        inotify_add_watch(a->images_fd, path,
                          IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CLOSE_WRITE) < 0)
        return -errno;
    return loop_add_io(a->event, &a->images_source, a->images_fd, EPOLLIN, on_images, a);
}

int reload_watch(struct agent *a, struct error *e)
{
    sigset_t mask;
    int r;

    sigemptyset(&mask);
    sigaddset(&mask, SIGHUP);
    r = sigprocmask(SIG_BLOCK, &mask, NULL) < 0 ? -errno : 0;
    if (r == 0)
        r = loop_add_signal(a->event, &a->sighup_source, SIGHUP, on_sighup, a);
    if (r >= 0)
        r = loop_add_time(a->event, &a->settle_timer, 0, on_settled, a);
    if (r >= 0)
        r = loop_source_enable(a->settle_timer, false);
    if (r >= 0)
        r = watch_images(a);
    return r < 0 ? error_sys(e, r, "watching the store") : 0;
}

void reload_end(struct agent *a)
{
    loop_source_free(a->sighup_source);
    loop_source_free(a->settle_timer);
    loop_source_free(a->images_source);
    a->images_fd = safe_close(a->images_fd);
    forget_retired(a);
}
