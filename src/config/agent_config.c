#include "config/agent_config.h"

#include "config/yaml.h"

#include <stddef.h>
#include <string.h>
#include <sys/utsname.h>

enum setting_type { SETTING_TEXT, SETTING_PATH, SETTING_NUMBER, SETTING_SIZE };

/* One key of the file and the field it fills. */
struct setting {
    const char *key;
    enum setting_type type;
    size_t offset;
    uint64_t min, max; /* SETTING_NUMBER, SETTING_SIZE */
};

#define FIELD(name) offsetof(struct agent_config, name)

static const struct setting settings[] = {
    {"backend", SETTING_TEXT, FIELD(backend)},
    {"tasks", SETTING_PATH, FIELD(tasks)},
    {"friendly-name", SETTING_TEXT, FIELD(friendly_name)},
    {"tmpdir", SETTING_PATH, FIELD(tmpdir)},
    {"store", SETTING_PATH, FIELD(store)},
    {"user", SETTING_TEXT, FIELD(user)},
    {"seccomp", SETTING_PATH, FIELD(seccomp)},
    {"concurrency", SETTING_NUMBER, FIELD(concurrency), 0, AGENT_CONCURRENCY_MAX},
    {"drain-time", SETTING_NUMBER, FIELD(drain_seconds), 0, AGENT_DRAIN_MAX},
};

static const struct setting limits[] = {
    {"pids", SETTING_NUMBER, FIELD(pids), 0, AGENT_PIDS_MAX},
    {"frame", SETTING_SIZE, FIELD(frame_max), AGENT_FRAME_MIN, AGENT_FRAME_MAX},
};

void agent_config_clear(struct agent_config *c)
{
    free(c->backend);
    free(c->tasks);
    free(c->friendly_name);
    free(c->tmpdir);
    free(c->store);
    free(c->user);
    free(c->seccomp);
    *c = (struct agent_config){0};
}

int agent_config_init(struct agent_config *c)
{
    struct utsname host;
    bool named = uname(&host) == 0 && host.nodename[0];

    *c = (struct agent_config){
        .friendly_name = strdup(named ? host.nodename : "dockless"),
        .tmpdir = strdup(AGENT_TMPDIR_DEFAULT),
        .store = strdup(AGENT_STORE_DEFAULT),
        .drain_seconds = AGENT_DRAIN_DEFAULT,
        .pids = AGENT_PIDS_DEFAULT,
        .frame_max = AGENT_FRAME_DEFAULT,
    };
    if (!c->friendly_name || !c->tmpdir || !c->store) {
        agent_config_clear(c);
        return -ENOMEM;
    }
    return 0;
}

static int copy_text(const char *text, char **ret)
{
    *ret = text ? strdup(text) : NULL;
    return text && !*ret ? -ENOMEM : 0;
}

static int copy_config(const struct agent_config *c, struct agent_config *ret)
{
    *ret = *c;
    ret->backend = ret->tasks = ret->friendly_name = ret->tmpdir = ret->store = ret->user = NULL;
    ret->seccomp = NULL;
    if (copy_text(c->backend, &ret->backend) < 0 || copy_text(c->tasks, &ret->tasks) < 0 ||
        copy_text(c->friendly_name, &ret->friendly_name) < 0 ||
        copy_text(c->tmpdir, &ret->tmpdir) < 0 || copy_text(c->store, &ret->store) < 0 ||
        copy_text(c->user, &ret->user) < 0 || copy_text(c->seccomp, &ret->seccomp) < 0)
        return -ENOMEM;
    return 0;
}

static int read_text(const struct yaml_file *f, const struct yaml_node *n, const struct setting *s,
                     char **field, struct error *e)
{
    _cleanup_free_ char *text = NULL;
    int r;

    if (yaml_is_null(n) || (n->kind == YAML_SCALAR && n->size == 0))
        return yaml_fault(f, n, e, "\"%s\" is empty", s->key);
    r = yaml_text(f, n, s->key, &text, e);
    if (r < 0)
        return r;
    if (!text_is_utf8(text, strlen(text)))
        return yaml_fault(f, n, e, "\"%s\" is not UTF-8", s->key);
    if (s->type == SETTING_PATH && text[0] != '/')
        return yaml_fault(f, n, e, "\"%s\" must be an absolute path", s->key);
    free(*field);
    *field = TAKE_PTR(text);
    return 0;
}

static int read_number(const struct yaml_file *f, const struct yaml_node *n,
                       const struct setting *s, uint64_t *field, struct error *e)
{
    bool is_size = s->type == SETTING_SIZE;
    uint64_t value;
    int r = -EINVAL;

    if (n->kind == YAML_SCALAR && strlen(n->text) == n->size)
        r = is_size ? text_parse_size(n->text, s->max, &value)
                    : text_parse_uint(n->text, s->max, &value);
    if (r == -EINVAL)
        return yaml_fault(f, n, e, "\"%s\" must be %s", s->key,
                          is_size ? "a size such as 64M" : "a whole number");
    if (r < 0 || value < s->min)
        return yaml_fault(f, n, e, "\"%s\" must be between %llu and %llu", s->key,
                          (unsigned long long)s->min, (unsigned long long)s->max);
    *field = value;
    return 0;
}

static int read_setting(const struct yaml_file *f, const struct yaml_node *n,
                        const struct setting *s, struct agent_config *c, struct error *e)
{
    void *field = (char *)c + s->offset;

    if (s->type == SETTING_TEXT || s->type == SETTING_PATH)
        return read_text(f, n, s, field, e);
    return read_number(f, n, s, field, e);
}

/* The key at INDEX must not have been there before. */
static int check_key(const struct yaml_file *f, const struct yaml_node *map, size_t index,
                     struct error *e)
{
    const struct yaml_node *key = map->items[index];

    if (key->kind != YAML_SCALAR)
        return yaml_fault(f, key, e, "a key must be plain text");
    for (size_t i = 0; i < index; i += 2)
        if (yaml_is_text(map->items[i], key->text))
            return yaml_fault(f, key, e, "\"%s\" is there twice", key->text);
    return 0;
}

static int read_entry(const struct yaml_file *f, const struct yaml_node *key,
                      const struct yaml_node *value, const struct setting *known, size_t n_known,
                      struct agent_config *c, struct error *e)
{
    for (size_t i = 0; i < n_known; i++)
        if (yaml_is_text(key, known[i].key))
            return read_setting(f, value, &known[i], c, e);
    return yaml_fault(f, key, e, "unknown key \"%s\"", key->text);
}

/* How many items MAP has; none where it is null. */
static int count_items(const struct yaml_file *f, const struct yaml_node *map, size_t *ret,
                       struct error *e)
{
    if (map->kind != YAML_MAPPING && !yaml_is_null(map))
        return yaml_fault(f, map, e, "here must be keys with values");
    *ret = map->kind == YAML_MAPPING ? map->n : 0;
    return 0;
}

static int read_limits(const struct yaml_file *f, const struct yaml_node *map,
                       struct agent_config *c, struct error *e)
{
    size_t n = 0;
    int r = count_items(f, map, &n, e);

    for (size_t i = 0; i + 1 < n && r == 0; i += 2) {
        r = check_key(f, map, i, e);
        if (r == 0)
            r = read_entry(f, map->items[i], map->items[i + 1], limits, ARRAY_SIZE(limits), c, e);
    }
    return r;
}

static int read_file(const struct yaml_file *f, struct agent_config *c, struct error *e)
{
    const struct yaml_node *map = f->root;
    size_t n = 0;
    int r = count_items(f, map, &n, e);

    for (size_t i = 0; i + 1 < n && r == 0; i += 2) {
        const struct yaml_node *key = map->items[i], *value = map->items[i + 1];
        r = check_key(f, map, i, e);
        if (r == 0)
            r = yaml_is_text(key, "limits")
                    ? read_limits(f, value, c, e)
                    : read_entry(f, key, value, settings, ARRAY_SIZE(settings), c, e);
    }
    return r;
}

int agent_config_parse(const char *path, const char *text, size_t size, struct agent_config *c,
                       struct error *e)
{
    _cleanup_(agent_config_clear) struct agent_config new = {0};
    _cleanup_yaml_ struct yaml_file file = {0};
    struct agent_config old;
    int r = yaml_load(path, text, size, &file, e);

    if (r < 0 || !file.root)
        return r;
    r = copy_config(c, &new);
    if (r == 0)
        r = read_file(&file, &new, e);
    if (r < 0)
        return r;
    old = *c;
    *c = new;
    new = old; /* cleared on the way out */
    return 0;
}
