/* Which of two generations an image is of whose labels say the same of both. The agent itself may
 * not read the store's layers, so the launcher is asked, one name after the other; it answers at
 * once.
 */
#include "agent/agent_internal.h"

#include "base/clock.h"
#include "base/log.h"

#include <poll.h>

/* The launcher may be busy with starting a container or two. */
#define ANSWER_USEC (5 * USEC_PER_SEC)

/* Came with 0.8. */
static const char *const places[] = {"usr/bin/ssh_student", "bin/ssh_student"};

/* Waits for the answer to probe ID; other events go to whom they are for. */
static int wait_for(struct agent *a, uint64_t id, struct error *e)
{
    uint64_t end = clock_monotonic_usec() + ANSWER_USEC, now;
    struct pollfd p = {.fd = launcher_fd(a->launcher), .events = POLLIN};
    struct launcher_event event;
    int r;

    while ((now = clock_monotonic_usec()) < end) {
        r = launcher_dispatch(a->launcher, &event, e);
        if (r < 0)
            return r;
        if (r == 0) {
            if (poll(&p, 1, (int)((end - now) / USEC_PER_MSEC) + 1) < 0 && errno != EINTR)
                return error_sys(e, -errno, "poll");
            continue;
        }
        if (event.type == LAUNCHER_PROBED && event.id == id)
            return event.result;
        agent_handle_event(a, &event);
        safe_close(event.fd);
    }
    return error_set(e, -ETIMEDOUT, "the launcher does not answer");
}

/* Whether a file is at PLACE of the layer with this directory: 1 or 0. A file is what is there and
 * no directory. */
static int has_file(struct agent *a, const char *layer, const char *place, struct error *e)
{
    _cleanup_free_ char *path = text_printf("%s/%s", layer, place);
    uint64_t id = ++a->last_id;
    int r = path ? launcher_probe(a->launcher, id, ROOT_STORE, path, e) : -ENOMEM;

    if (r < 0)
        return r;
    r = wait_for(a, id, e);
    if (r == -ENOTDIR)
        return 1;
    return r == -ENOENT || r == 0 ? 0 : r;
}

/* Whether IMAGE has the command that came with 0.8. */
static int has_command(struct agent *a, const struct image *image, struct error *e)
{
    char layer[IMAGE_LAYER_PATH_SIZE];

    for (char **id = image->layers; id && *id; id++) {
        int r = image_layer_path(*id, layer, e);
        for (size_t i = 0; i < ARRAY_SIZE(places) && r == 0; i++)
            r = has_file(a, layer, places[i], e);
        if (r != 0)
            return r;
    }
    return 0;
}

void environments_inspect(struct agent *a, struct environments *e)
{
    for (size_t i = 0; i < e->n; i++) {
        struct environment *env = &e->list[i];
        struct error error = ERROR_INIT;
        int r = env->uncertain ? has_command(a, env->image, &error) : 0;
        if (!env->uncertain)
            continue;
        if (r < 0)
            log_warning("environment %s: it is not known whether it is of 0.7 or later: %s",
                        env->name, error.text);
        else if (r == 0)
            env->generation = WIRE_0_7;
        else if (env->generation == WIRE_0_7)
            env->generation = WIRE_0_8;
        env->uncertain = r < 0;
        log_info("environment %s speaks %s", env->name, wire_generation_name(env->generation));
    }
}
