#include "config/network_config.h"

#include "base/text.h"

#include <ctype.h>
#include <runtime/launcher.h>
#include <stddef.h>
#include <string.h>

/* A name of DNS has 253 characters at most; the same for types, which are words. */
#define NAME_MAX_LENGTH 253
#define NO_PORTS        "none"
#define NO_POOL         "none"

void network_config_clear(struct network_config *n)
{
    free(n->debug_host);
    free(n->environment_type);
    free(n->ssh_environment_type);
    free(n->pool4);
    free(n->pool6);
    strv_free(n->allowed);
    strv_free(n->resolvers);
    *n = (struct network_config){0};
}

int network_config_init(struct network_config *n)
{
    *n = (struct network_config){.environment_type = strdup(ENVIRONMENT_TYPE_DEFAULT),
                                 .ssh_environment_type = strdup(SSH_ENVIRONMENT_TYPE_DEFAULT),
                                 .pool4 = strdup(LAUNCHER_POOL4_DEFAULT),
                                 .pool6 = strdup(LAUNCHER_POOL6_DEFAULT)};
    if (!n->environment_type || !n->ssh_environment_type || !n->pool4 || !n->pool6) {
        network_config_clear(n);
        return -ENOMEM;
    }
    return network_config_set(n, "debug-ports", DEBUG_PORTS_DEFAULT, NULL);
}

static int copy_text(const char *text, char **ret)
{
    *ret = text ? strdup(text) : NULL;
    return text && !*ret ? -ENOMEM : 0;
}

static int copy_list(char *const *list, char ***ret)
{
    *ret = list ? strv_copy(list) : NULL;
    return list && !*ret ? -ENOMEM : 0;
}

int network_config_copy(const struct network_config *n, struct network_config *ret)
{
    *ret = (struct network_config){
        .ssh = n->ssh, .first_port = n->first_port, .last_port = n->last_port};
    if (copy_text(n->debug_host, &ret->debug_host) < 0 ||
        copy_text(n->environment_type, &ret->environment_type) < 0 ||
        copy_text(n->ssh_environment_type, &ret->ssh_environment_type) < 0 ||
        copy_text(n->pool4, &ret->pool4) < 0 || copy_text(n->pool6, &ret->pool6) < 0 ||
        copy_list(n->allowed, &ret->allowed) < 0 || copy_list(n->resolvers, &ret->resolvers) < 0)
        return -ENOMEM;
    return 0;
}

/* ---- one value ---- */

static int replace(char **field, const char *value)
{
    char *copy = strdup(value);

    if (!copy)
        return -ENOMEM;
    free(*field);
    *field = copy;
    return 0;
}

/* Printable and without a blank: it becomes part of a command that people copy, or a name that is
 * compared. */
static int set_name(char **field, const char *key, const char *value, struct error *e)
{
    size_t length = strlen(value);
    bool good = length > 0 && length <= NAME_MAX_LENGTH;

    for (size_t i = 0; good && i < length; i++)
        good = isgraph((unsigned char)value[i]);
    return good ? replace(field, value) : error_set(e, -EINVAL, "\"%s\" must be one word", key);
}

/* "FIRST-LAST", in any order as upstream takes it. */
static int set_ports(struct network_config *n, const char *value, struct error *e)
{
    const char *dash = strchr(value, '-');
    char number[8];
    uint64_t a, b;

    if (strcmp(value, NO_PORTS) == 0) {
        n->first_port = n->last_port = 0;
        return 0;
    }
    if (dash && (size_t)(dash - value) < sizeof(number)) {
        memcpy(number, value, (size_t)(dash - value));
        number[dash - value] = 0;
        if (text_parse_uint(number, UINT16_MAX, &a) == 0 && a > 0 &&
            text_parse_uint(dash + 1, UINT16_MAX, &b) == 0 && b > 0) {
            n->first_port = (uint16_t)MIN(a, b);
            n->last_port = (uint16_t)MAX(a, b);
            return 0;
        }
    }
    return error_set(e, -EINVAL, "\"debug-ports\" must be \"FIRST-LAST\" such as %s, or \"none\"",
                     DEBUG_PORTS_DEFAULT);
}

static int set_boolean(bool *field, const char *key, const char *value, struct error *e)
{
    bool yes = strcmp(value, "true") == 0;

    if (!yes && strcmp(value, "false") != 0)
        return error_set(e, -EINVAL, "\"%s\" must be true or false", key);
    *field = yes;
    return 0;
}

/* Of the settings only this one is looked at; the runtime knows what may be said. */
static int set_pool(char **field, const struct launcher_network *alone, const char *value,
                    struct error *e)
{
    int r = launcher_network_validate(alone, e);

    return r < 0 ? r : replace(field, value);
}

/* The new list as a whole: the runtime also knows how many there may be. */
static int add(char ***list, const char *value, bool resolvers, struct error *e)
{
    struct launcher_network alone = {0};
    _cleanup_strv_ char **grown = *list ? strv_copy(*list) : NULL;
    char **old;
    int r = *list && !grown ? -ENOMEM : strv_append(&grown, value);

    if (r < 0)
        return r;
    *(resolvers ? &alone.resolvers : &alone.allowed) = (const char *const *)grown;
    *(resolvers ? &alone.n_resolvers : &alone.n_allowed) = strv_length(grown);
    r = launcher_network_validate(&alone, e);
    if (r < 0)
        return r == -E2BIG ? -EINVAL : r;
    old = *list;
    *list = grown;
    grown = old; /* freed on the way out */
    return 0;
}

int network_config_set(struct network_config *n, const char *key, const char *value,
                       struct error *e)
{
    if (strcmp(key, "ssh") == 0)
        return set_boolean(&n->ssh, key, value, e);
    if (strcmp(key, "debug-host") == 0)
        return set_name(&n->debug_host, key, value, e);
    if (strcmp(key, "debug-ports") == 0)
        return set_ports(n, value, e);
    if (strcmp(key, "environment-type") == 0)
        return set_name(&n->environment_type, key, value, e);
    if (strcmp(key, "ssh-environment-type") == 0)
        return set_name(&n->ssh_environment_type, key, value, e);
    if (strcmp(key, "ipv4-pool") == 0)
        return set_pool(&n->pool4, &(struct launcher_network){.pool4 = value}, value, e);
    if (strcmp(key, "ipv6-pool") == 0) {
        const char *pool = strcmp(value, NO_POOL) == 0 ? "" : value;
        if (!value[0])
            return error_set(e, -EINVAL, "\"ipv6-pool\" is empty: \"none\" means no IPv6");
        return set_pool(&n->pool6, &(struct launcher_network){.pool6 = pool}, pool, e);
    }
    if (strcmp(key, "allow") == 0)
        return add(&n->allowed, value, false, e);
    if (strcmp(key, "resolvers") == 0)
        return add(&n->resolvers, value, true, e);
    return -ENOENT;
}

/* ---- the file ---- */

static bool is_one_of(const struct yaml_node *key, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (yaml_is_text(key, names[i]))
            return true;
    return false;
}

static int read_value(const struct yaml_file *f, const char *key, const struct yaml_node *value,
                      struct network_config *n, struct error *e)
{
    _cleanup_free_ char *text = NULL;
    struct error inner = ERROR_INIT;
    int r = yaml_text(f, value, key, &text, e);

    if (r < 0)
        return r;
    if (strcmp(key, "ssh") == 0 && yaml_boolean(value) >= 0) {
        n->ssh = yaml_boolean(value) > 0;
        return 0;
    }
    r = network_config_set(n, key, text, &inner);
    return r == -EINVAL ? yaml_fault(f, value, e, "%s", inner.text) : r;
}

/* A list in the file replaces what was there. */
static int read_list(const struct yaml_file *f, const char *key, const struct yaml_node *list,
                     char ***field, struct network_config *n, struct error *e)
{
    int r = 0;

    if (list->kind != YAML_SEQUENCE && !yaml_is_null(list))
        return yaml_fault(f, list, e, "\"%s\" must be a list", key);
    *field = strv_free(*field);
    for (size_t i = 0; list->kind == YAML_SEQUENCE && i < list->n && r == 0; i++)
        r = read_value(f, key, list->items[i], n, e);
    return r;
}

static int read_network(const struct yaml_file *f, const struct yaml_node *map,
                        struct network_config *n, struct error *e)
{
    static const char *const pools[] = {"ipv4-pool", "ipv6-pool"};
    size_t count = 0;
    int r = yaml_entries(f, map, &count, e);

    for (size_t i = 0; i + 1 < count && r == 0; i += 2) {
        const struct yaml_node *key = map->items[i], *value = map->items[i + 1];
        r = yaml_check_key(f, map, i, e);
        if (r < 0)
            return r;
        if (is_one_of(key, pools, ARRAY_SIZE(pools)))
            r = read_value(f, key->text, value, n, e);
        else if (yaml_is_text(key, "allow"))
            r = read_list(f, key->text, value, &n->allowed, n, e);
        else if (yaml_is_text(key, "resolvers"))
            r = read_list(f, key->text, value, &n->resolvers, n, e);
        else
            r = yaml_fault(f, key, e, "unknown key \"%s\"", key->text);
    }
    return r;
}

int network_config_read(const struct yaml_file *f, const struct yaml_node *key,
                        const struct yaml_node *value, struct network_config *n, struct error *e)
{
    static const char *const top[] = {"ssh", "debug-host", "debug-ports", "environment-type",
                                      "ssh-environment-type"};

    if (yaml_is_text(key, "network"))
        return read_network(f, value, n, e);
    return is_one_of(key, top, ARRAY_SIZE(top)) ? read_value(f, key->text, value, n, e) : -ENOENT;
}

int network_config_check(const struct network_config *n, struct error *e)
{
    if (n->ssh && strcmp(n->environment_type, n->ssh_environment_type) == 0)
        return error_set(e, -EINVAL, "both environment types are named \"%s\"",
                         n->environment_type);
    return 0;
}

static bool is_same(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool is_same_list(char *const *a, char *const *b)
{
    size_t n = strv_length(a);
    bool same = n == strv_length(b);

    for (size_t i = 0; same && i < n; i++)
        same = strcmp(a[i], b[i]) == 0;
    return same;
}

bool network_config_equals(const struct network_config *a, const struct network_config *b)
{
    return a->ssh == b->ssh && a->first_port == b->first_port && a->last_port == b->last_port &&
           is_same(a->debug_host, b->debug_host) &&
           is_same(a->environment_type, b->environment_type) &&
           is_same(a->ssh_environment_type, b->ssh_environment_type) &&
           is_same(a->pool4, b->pool4) && is_same(a->pool6, b->pool6) &&
           is_same_list(a->allowed, b->allowed) && is_same_list(a->resolvers, b->resolvers);
}
