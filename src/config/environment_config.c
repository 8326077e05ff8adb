#include "config/environment_config.h"

#include "base/text.h"
#include "config/protocols.h"

#include <string.h>

#define FIELD(name) offsetof(struct environment_config, name)

static const struct setting keys[] = {
    {"offer", SETTING_BOOLEAN, FIELD(offer)},
    {"advertise", SETTING_BOOLEAN, FIELD(advertise)},
    {"runner", SETTING_BOOLEAN, FIELD(runner)},
    {"root", SETTING_BOOLEAN, FIELD(root)},
    {"ports", SETTING_TEXT, FIELD(ports)},
    {"protocol", SETTING_CHOICE, FIELD(protocol), .choices = config_protocols},
};

void environment_configs_clear(struct environment_configs *c)
{
    for (size_t i = 0; i < c->n; i++) {
        free(c->list[i].name);
        free(c->list[i].ports);
    }
    free(c->list);
    *c = (struct environment_configs){0};
}

static int add(struct environment_configs *c, const struct environment_config *like,
               const char *name, struct environment_config **ret)
{
    struct environment_config *grown = realloc(c->list, (c->n + 1) * sizeof(*grown));

    if (!grown)
        return -ENOMEM;
    c->list = grown;
    grown[c->n] = *like;
    grown[c->n].name = strdup(name);
    grown[c->n].ports = like->ports ? strdup(like->ports) : NULL;
    *ret = &grown[c->n++];
    return !(*ret)->name || (like->ports && !(*ret)->ports) ? -ENOMEM : 0;
}

int environment_configs_copy(const struct environment_configs *c, struct environment_configs *ret)
{
    struct environment_config *copy;
    int r = 0;

    *ret = (struct environment_configs){0};
    for (size_t i = 0; i < c->n && r == 0; i++)
        r = add(ret, &c->list[i], c->list[i].name, &copy);
    return r;
}

static int read_key(const struct yaml_file *f, const struct yaml_node *key,
                    const struct yaml_node *value, struct environment_config *c, struct error *e)
{
    if (yaml_is_text(key, "limits"))
        return settings_read(f, value, job_limits_settings(), &c->limits, e);
    return settings_read_entry(f, key, value, (struct settings){keys, ARRAY_SIZE(keys)}, c, e);
}

static int read_one(const struct yaml_file *f, const struct yaml_node *map,
                    struct environment_config *c, struct error *e)
{
    size_t n = 0;
    int r = yaml_entries(f, map, &n, e);

    for (size_t i = 0; i + 1 < n && r == 0; i += 2) {
        r = yaml_check_key(f, map, i, e);
        if (r == 0)
            r = read_key(f, map->items[i], map->items[i + 1], c, e);
    }
    return r;
}

int environment_configs_read(const struct yaml_file *f, const struct yaml_node *map,
                             struct environment_configs *c, struct error *e)
{
    struct environment_config fresh = {
        .offer = AS_LABELLED, .advertise = AS_LABELLED, .runner = AS_LABELLED, .root = AS_LABELLED};
    struct environment_config *one;
    size_t n = 0;
    int r = yaml_entries(f, map, &n, e);

    job_limits_unset(&fresh.limits);
    for (size_t i = 0; i + 1 < n && r == 0; i += 2) {
        const struct yaml_node *name = map->items[i];
        r = yaml_check_key(f, map, i, e);
        if (r == 0 && c->n == ENVIRONMENT_CONFIGS_MAX)
            r = yaml_fault(f, name, e, "more than %d environments", ENVIRONMENT_CONFIGS_MAX);
        if (r == 0 && (name->size == 0 || strlen(name->text) != name->size))
            r = yaml_fault(f, name, e, "here must be the name of an environment");
        if (r == 0)
            r = add(c, &fresh, name->text, &one);
        if (r == 0)
            r = read_one(f, map->items[i + 1], one, e);
    }
    return r;
}

const struct environment_config *environment_configs_find(const struct environment_configs *c,
                                                          const char *name, const char *id)
{
    const struct environment_config *found = NULL;

    for (size_t i = 0; i < c->n; i++) {
        if (strcmp(c->list[i].name, id) == 0)
            return &c->list[i];
        if (strcmp(c->list[i].name, name) == 0)
            found = &c->list[i];
    }
    return found;
}
