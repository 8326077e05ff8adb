#include "agent/environments.h"

#include "base/log.h"
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

static bool choose(int configured, bool labelled)
{
    return configured == AS_LABELLED ? labelled : configured;
}

/* Which generation's program runs inside: what is configured, else what agent_version says. */
static void set_generation(struct environment *env, const struct environment_config *config,
                           const char *version, enum wire_generation protocol)
{
    enum wire_generation configured;

    env->generation = protocol;
    if (config && config->protocol && wire_generation_parse(config->protocol, &configured) == 0) {
        env->generation = configured;
    } else if (env->native || strcmp(version, "4") == 0) {
        env->generation = WIRE_MAIN;
    } else if (strcmp(version, "2") == 0) {
        env->generation = WIRE_0_6;
    } else if (strcmp(version, "3") == 0) {
        env->uncertain = true;
        if (protocol != WIRE_0_7 && protocol != WIRE_0_8)
            env->generation = WIRE_0_9;
    }
}

/* Whether an agent of PROTOCOL takes an image with these labels. */
static bool is_taken(const struct environment *env, const char *version,
                     enum wire_generation protocol)
{
    const char *wanted = wire_rules_of(protocol)->image_version;

    if (image_label(env->image, LABEL_NEED_GPU)) {
        log_info("environment %s needs a GPU, which sandboxes do not have", env->name);
        return false;
    }
    if (env->native || !wanted || (version && strcmp(version, wanted) == 0))
        return true;
    log_info("environment %s is for agents of version %s, not %s", env->name,
             version ? version : "(none)", wanted);
    return false;
}

static void apply_config(struct environment *env, const struct environment_config *config,
                         const struct job_limits *limits)
{
    env->limits = config ? job_limits_over(&config->limits, limits) : *limits;
    if (!config)
        return;
    env->native = choose(config->runner, env->native);
    env->advertised = choose(config->advertise, env->advertised);
    env->run_as_root = choose(config->root, env->run_as_root);
}

/* Fills ENV from IMAGE's labels and CONFIG; false where the image is no environment of ours. */
static bool read_image(struct image *image, const struct agent_config *config,
                       enum wire_generation protocol, struct environment *env)
{
    const char *version = image_label(image, LABEL_VERSION);
    const char *advertise = image_label(image, LABEL_ADVERTISE);
    const char *runner = image_label(image, LABEL_RUNNER);
    const char *ports = image_label(image, LABEL_PORTS);
    const struct environment_config *own;

    *env = (struct environment){.name = image_label(image, LABEL_NAME), .image = image};
    if (!env->name)
        return false;
    own = environment_configs_find(&config->environments, env->name, image->id);
    env->native = runner && strcmp(runner, "1") == 0;
    env->advertised = !advertise || strcasecmp(advertise, "true") == 0;
    env->run_as_root = image_label(image, LABEL_NEED_ROOT);
    apply_config(env, own, &config->limits);
    if (!choose(own ? own->offer : AS_LABELLED,
                (own && own->protocol) || is_taken(env, version, protocol)))
        return false;
    set_generation(env, own, version ? version : "", protocol);
    if (own && own->ports)
        ports = own->ports;
    if (parse_ports(ports, env) == 0)
        return true;
    log_warning("environment %s is left out: its ports \"%s\" are no list of numbers", env->name,
                ports);
    return false;
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

int environments_load(struct image_store *store, const struct agent_config *config,
                      enum wire_generation protocol, struct environments *ret, struct error *e)
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
        if (found.list && read_image(images[i], config, protocol, &env))
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

bool environment_type_is_known(const struct environment_types *types, const char *type)
{
    for (size_t i = 0; i < types->n; i++)
        if (strcmp(types->names[i], type) == 0)
            return true;
    return false;
}

const struct environment *environments_find(const struct environments *e,
                                            const struct environment_types *types, const char *type,
                                            const char *name)
{
    return environment_type_is_known(types, type) ? find(e, name) : NULL;
}

int environments_encode_hello(const struct environments *e, const struct environment_types *types,
                              enum wire_generation protocol, const char *friendly_name,
                              uint32_t slots, struct buffer *out)
{
    _cleanup_free_ struct wire_environment *list =
        calloc(e->n ? e->n * types->n : 1, sizeof(*list));

    if (!list)
        return -ENOMEM;
    for (size_t i = 0; i < e->n * types->n; i++) {
        const struct environment *env = &e->list[i % e->n];
        list[i] = (struct wire_environment){
            .type = types->names[i / e->n],
            .name = env->name,
            .id = env->image->id,
            .created = env->image->created_unix,
            .ports = env->ports,
            .n_ports = env->n_ports,
            .advertised = env->advertised,
        };
    }
    return backend_encode_hello(protocol, friendly_name, slots, types->names, types->n, list,
                                e->n * types->n, out);
}
