#include "agent/environments.h"

#include "base/text.h"

#include <string.h>

void environments_clear(struct environments *e)
{
    for (size_t i = 0; i < e->n; i++)
        image_free(e->list[i].image);
    free(e->list);
    *e = (struct environments){0};
}

/* "22,80": -EINVAL where it is anything else, as upstream skips such an image. */
static int parse_ports(const char *text, struct environment *env)
{
    while (text && *text) {
        char number[8];
        size_t length = strcspn(text, ",");
        uint64_t port;

        if (length >= sizeof(number) || env->n_ports == ENVIRONMENT_PORTS_MAX)
            return -EINVAL;
        memcpy(number, text, length);
        number[length] = 0;
        if (text_parse_uint(number, UINT16_MAX, &port) < 0 || port == 0)
            return -EINVAL;
        env->ports[env->n_ports++] = (uint16_t)port;
        text += length;
        text += *text == ',';
    }
    return 0;
}

/* Fills ENV from IMAGE's labels; 0 where the image is no environment of ours. */
static int read_labels(struct image *image, struct environment *env)
{
    const char *version = image_label(image, LABEL_VERSION);
    const char *advertise = image_label(image, LABEL_ADVERTISE);
    const char *runner = image_label(image, LABEL_RUNNER);

    *env = (struct environment){.name = image_label(image, LABEL_NAME), .image = image};
    if (!env->name || !version || strcmp(version, ENVIRONMENT_VERSION) != 0)
        return 0;
    env->native = runner && strcmp(runner, "1") == 0;
    env->advertised = !advertise || strcasecmp(advertise, "true") == 0;
    return parse_ports(image_label(image, LABEL_PORTS), env) == 0;
}

static struct environment *find(const struct environments *e, const char *name)
{
    for (size_t i = 0; i < e->n; i++)
        if (strcmp(e->list[i].name, name) == 0)
            return &e->list[i];
    return NULL;
}

/* Takes ENV's image over or frees it. */
static void add(struct environments *e, const struct environment *env)
{
    struct environment *same = find(e, env->name);

    if (!same) {
        e->list[e->n++] = *env;
    } else if (env->image->created_unix > same->image->created_unix) {
        image_free(same->image);
        *same = *env;
    } else {
        image_free(env->image);
    }
}

int environments_load(struct image_store *store, struct environments *ret, struct error *e)
{
    struct environments found = {0};
    struct image **images;
    size_t n;
    int r = image_store_list(store, IMAGE_HOLD, &images, &n, e);

    if (r < 0)
        return r;
    found.list = calloc(n ? n : 1, sizeof(*found.list));
    for (size_t i = 0; i < n; i++) {
        struct environment env;
        if (found.list && read_labels(images[i], &env))
            add(&found, &env);
        else
            image_free(images[i]);
    }
    free(images);
    if (!found.list)
        return error_sys(e, -ENOMEM, "listing environments");
    *ret = found;
    return 0;
}

const struct environment *environments_find(const struct environments *e, const char *type,
                                            const char *name)
{
    return strcmp(type, ENVIRONMENT_TYPE) == 0 ? find(e, name) : NULL;
}

int environments_encode_hello(const struct environments *e, const char *friendly_name,
                              uint32_t slots, struct buffer *out)
{
    static const char *const types[] = {ENVIRONMENT_TYPE};
    _cleanup_free_ struct wire_environment *list = calloc(e->n ? e->n : 1, sizeof(*list));

    if (!list)
        return -ENOMEM;
    for (size_t i = 0; i < e->n; i++)
        list[i] = (struct wire_environment){
            .type = ENVIRONMENT_TYPE,
            .name = e->list[i].name,
            .id = e->list[i].image->id,
            .created = e->list[i].image->created_unix,
            .ports = e->list[i].ports,
            .n_ports = e->list[i].n_ports,
            .advertised = e->list[i].advertised,
        };
    return backend_encode_hello(WIRE_MAIN, friendly_name, slots, types, ARRAY_SIZE(types), list,
                                e->n, out);
}
