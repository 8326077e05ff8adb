#include "config/settings.h"

#include "base/text.h"

#include <string.h>

static int set_text(const struct setting *s, const char *value, char **field, struct error *e)
{
    char *copy;

    if (!*value)
        return error_set(e, -EINVAL, "\"%s\" is empty", s->key);
    if (!text_is_utf8(value, strlen(value)))
        return error_set(e, -EINVAL, "\"%s\" is not UTF-8", s->key);
    if (s->type == SETTING_PATH && value[0] != '/')
        return error_set(e, -EINVAL, "\"%s\" must be an absolute path", s->key);
    copy = strdup(value);
    if (!copy)
        return -ENOMEM;
    free(*field);
    *field = copy;
    return 0;
}

static int set_number(const struct setting *s, const char *value, uint64_t *field, struct error *e)
{
    bool is_size = s->type == SETTING_SIZE;
    uint64_t number;
    int r =
        is_size ? text_parse_size(value, s->max, &number) : text_parse_uint(value, s->max, &number);

    if (r == -EINVAL)
        return error_set(e, r, "\"%s\" must be %s", s->key,
                         is_size ? "a size such as 64M" : "a whole number");
    if (r < 0 || number < s->min)
        return error_set(e, -EINVAL, "\"%s\" must be between %llu and %llu", s->key,
                         (unsigned long long)s->min, (unsigned long long)s->max);
    *field = number;
    return 0;
}

static int set_boolean(const struct setting *s, const char *value, int *field, struct error *e)
{
    static const char *const words[] = {"no", "yes", "false", "true", "off", "on"};

    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        if (strcasecmp(value, words[i]) == 0) {
            *field = i % 2;
            return 0;
        }
    }
    return error_set(e, -EINVAL, "\"%s\" must be yes or no", s->key);
}

static int set_choice(const struct setting *s, const char *value, const char **field,
                      struct error *e)
{
    char all[256] = "";

    for (const char *const *choice = s->choices; *choice; choice++) {
        size_t used = strlen(all);
        if (strcmp(value, *choice) == 0) {
            *field = *choice;
            return 0;
        }
        snprintf(all + used, sizeof(all) - used, "%s%s", used > 0 ? ", " : "", *choice);
    }
    return error_set(e, -EINVAL, "\"%s\" must be one of %s", s->key, all);
}

static int set(const struct setting *s, const char *value, void *base, struct error *e)
{
    void *field = (char *)base + s->offset;

    switch (s->type) {
    case SETTING_TEXT:
    case SETTING_PATH:
        return set_text(s, value, field, e);
    case SETTING_BOOLEAN:
        return set_boolean(s, value, field, e);
    case SETTING_CHOICE:
        return set_choice(s, value, field, e);
    default:
        return set_number(s, value, field, e);
    }
}

static const struct setting *find(struct settings known, const char *key)
{
    const struct setting *end = known.list + known.n;

    for (const struct setting *s = known.list; s < end; s++)
        if (strcmp(key, s->key) == 0)
            return s;
    return NULL;
}

int settings_set(struct settings known, const char *key, const char *value, void *base,
                 struct error *e)
{
    const struct setting *s = find(known, key);

    return s ? set(s, value, base, e) : -ENOENT;
}

int settings_read_entry(const struct yaml_file *f, const struct yaml_node *key,
                        const struct yaml_node *value, struct settings known, void *base,
                        struct error *e)
{
    bool whole = value->kind == YAML_SCALAR && strlen(value->text) == value->size;
    const struct setting *s = find(known, key->text);
    struct error fault = ERROR_INIT;
    int r;

    if (!s || strlen(key->text) != key->size)
        return yaml_fault(f, key, e, "unknown key \"%s\"", key->text);
    if (!whole && (s->type == SETTING_TEXT || s->type == SETTING_PATH))
        return yaml_fault(f, value, e, "\"%s\" must be plain text", s->key);
    r = set(s, whole && !yaml_is_null(value) ? value->text : "", base, &fault);
    return r == -EINVAL ? yaml_fault(f, value, e, "%s", fault.text) : r;
}

int settings_read(const struct yaml_file *f, const struct yaml_node *map, struct settings known,
                  void *base, struct error *e)
{
    size_t items = 0;
    int r = yaml_entries(f, map, &items, e);

    for (size_t i = 0; i + 1 < items && r == 0; i += 2) {
        r = yaml_check_key(f, map, i, e);
        if (r == 0)
            r = settings_read_entry(f, map->items[i], map->items[i + 1], known, base, e);
    }
    return r;
}

int settings_split(const char *assignment, char **ret_key, const char **ret_value, struct error *e)
{
    const char *equals = strchr(assignment, '=');

    if (!equals)
        return error_set(e, -EINVAL, "\"%s\" is not of the form NAME=VALUE", assignment);
    *ret_key = strndup(assignment, (size_t)(equals - assignment));
    if (!*ret_key)
        return error_sys(e, -ENOMEM, "%s", assignment);
    *ret_value = equals + 1;
    return 0;
}
