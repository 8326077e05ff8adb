#include "config/agent_config.h"

#include "config/bounds_config.h"
#include "config/protocols.h"

#include <runtime/launcher.h>
#include <string.h>
#include <sys/utsname.h>

const char *const config_protocols[] = {"main", "0.9", "0.8", "0.7", "0.6", "0.5", NULL};

#define FIELD(name) offsetof(struct agent_config, name)

static const struct setting settings[] = {
    {"backend", SETTING_TEXT, FIELD(backend)},
    {"protocol", SETTING_CHOICE, FIELD(protocol), .choices = config_protocols},
    {"tasks", SETTING_PATH, FIELD(tasks)},
    {"friendly-name", SETTING_TEXT, FIELD(friendly_name)},
    {"tmpdir", SETTING_PATH, FIELD(tmpdir)},
    {"store", SETTING_PATH, FIELD(store)},
    {"share-store", SETTING_BOOLEAN, FIELD(share_store)},
    {"user", SETTING_TEXT, FIELD(user)},
    {"seccomp", SETTING_PATH, FIELD(seccomp)},
    {"concurrency", SETTING_NUMBER, FIELD(concurrency), 0, AGENT_CONCURRENCY_MAX},
    {"drain-time", SETTING_NUMBER, FIELD(drain_seconds), 0, AGENT_DRAIN_MAX},
    {"verbose", SETTING_BOOLEAN, FIELD(verbose)},
    {"pin", SETTING_BOOLEAN, FIELD(pin)},
    {"disk-by", SETTING_CHOICE, FIELD(disk_by), .choices = launcher_disk_names},
    {"disk-projects", SETTING_NUMBER, FIELD(disk_projects), 1, LAUNCHER_PROJECT_MAX},
};
static const struct settings all_settings = {settings, ARRAY_SIZE(settings)};

/* The limits of the agent as a whole; those of each job are in job_limits.c. */
static const struct setting limits[] = {
    {"jobs", SETTING_NUMBER, FIELD(jobs), 1, AGENT_JOBS_MAX},
    {"all-students", SETTING_NUMBER, FIELD(students), 0, AGENT_STUDENTS_MAX},
};
static const struct settings all_limits = {limits, ARRAY_SIZE(limits)};

void agent_config_clear(struct agent_config *c)
{
    free(c->backend);
    free(c->tasks);
    free(c->friendly_name);
    free(c->tmpdir);
    free(c->store);
    free(c->user);
    free(c->seccomp);
    environment_configs_clear(&c->environments);
    network_config_clear(&c->network);
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
        .protocol = PROTOCOL_DEFAULT,
        .jobs = AGENT_JOBS_DEFAULT,
        .students = AGENT_STUDENTS_DEFAULT,
        .bounds = image_bounds_default,
        .disk_by = launcher_disk_names[LAUNCHER_DISK_AUTO],
        .disk_projects = LAUNCHER_PROJECT_DEFAULT,
    };
    job_limits_init(&c->limits);
    if (!c->friendly_name || !c->tmpdir || !c->store || network_config_init(&c->network) < 0) {
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
    ret->environments = (struct environment_configs){0};
    ret->network = (struct network_config){0};
    if (environment_configs_copy(&c->environments, &ret->environments) < 0 ||
        network_config_copy(&c->network, &ret->network) < 0 ||
        copy_text(c->backend, &ret->backend) < 0 || copy_text(c->tasks, &ret->tasks) < 0 ||
        copy_text(c->friendly_name, &ret->friendly_name) < 0 ||
        copy_text(c->tmpdir, &ret->tmpdir) < 0 || copy_text(c->store, &ret->store) < 0 ||
        copy_text(c->user, &ret->user) < 0 || copy_text(c->seccomp, &ret->seccomp) < 0)
        return -ENOMEM;
    return 0;
}

static int read_limit(const struct yaml_file *f, const struct yaml_node *key,
                      const struct yaml_node *value, struct agent_config *c, struct error *e)
{
    for (size_t i = 0; i < all_limits.n; i++)
        if (yaml_is_text(key, limits[i].key))
            return settings_read_entry(f, key, value, all_limits, c, e);
    return settings_read_entry(f, key, value, job_limits_settings(), &c->limits, e);
}

static int read_limits(const struct yaml_file *f, const struct yaml_node *map,
                       struct agent_config *c, struct error *e)
{
    size_t n = 0;
    int r = yaml_entries(f, map, &n, e);

    for (size_t i = 0; i + 1 < n && r == 0; i += 2) {
        r = yaml_check_key(f, map, i, e);
        if (r == 0)
            r = read_limit(f, map->items[i], map->items[i + 1], c, e);
    }
    return r;
}

/* A list of names of limits. */
static int read_waived(const struct yaml_file *f, const struct yaml_node *list,
                       struct agent_config *c, struct error *e)
{
    unsigned waived = 0;

    if (list->kind != YAML_SEQUENCE && !yaml_is_null(list))
        return yaml_fault(f, list, e, "\"waive\" must be a list of limits, such as [disk]");
    for (size_t i = 0; list->kind == YAML_SEQUENCE && i < list->n; i++) {
        const struct yaml_node *n = list->items[i];
        unsigned one;
        if (n->kind != YAML_SCALAR || launcher_limit_by_name(n->text, &one) < 0)
            return yaml_fault(f, n, e,
                              "what can be waived are the limits disk, cpu, cpus (pin) and io");
        waived |= one;
    }
    c->waived = waived;
    return 0;
}

static int read_key(const struct yaml_file *f, const struct yaml_node *key,
                    const struct yaml_node *value, struct agent_config *c, struct error *e)
{
    int r;

    if (yaml_is_text(key, "limits"))
        return read_limits(f, value, c, e);
    if (yaml_is_text(key, "waive"))
        return read_waived(f, value, c, e);
    if (yaml_is_text(key, "image-bounds"))
        return settings_read(f, value, bounds_config_settings(), &c->bounds, e);
    if (yaml_is_text(key, "environments"))
        return environment_configs_read(f, value, &c->environments, e);
    r = network_config_read(f, key, value, &c->network, e);
    return r == -ENOENT ? settings_read_entry(f, key, value, all_settings, c, e) : r;
}

static int read_file(const struct yaml_file *f, struct agent_config *c, struct error *e)
{
    const struct yaml_node *map = f->root;
    size_t n = 0;
    int r = yaml_entries(f, map, &n, e);

    for (size_t i = 0; i + 1 < n && r == 0; i += 2) {
        r = yaml_check_key(f, map, i, e);
        if (r == 0)
            r = read_key(f, map->items[i], map->items[i + 1], c, e);
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

int agent_config_set(struct agent_config *c, const char *key, const char *value, struct error *e)
{
    return settings_set(all_settings, key, value, c, e);
}

int agent_config_set_limit(struct agent_config *c, const char *assignment, struct error *e)
{
    _cleanup_free_ char *key = NULL;
    const char *value;
    int r = settings_split(assignment, &key, &value, e);

    if (r < 0)
        return r;
    r = settings_set(all_limits, key, value, c, e);
    if (r == -ENOENT)
        r = settings_set(job_limits_settings(), key, value, &c->limits, e);
    return r == -ENOENT ? error_set(e, -EINVAL, "there is no limit \"%s\"", key) : r;
}

static bool is_same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static void note_difference(bool differs, const char *key, char *keys, size_t size)
{
    size_t used = strlen(keys);

    if (differs)
        snprintf(keys + used, size - used, "%s%s", used > 0 ? ", " : "", key);
}

void agent_config_reload(struct agent_config *c, struct agent_config *new, char *restart,
                         size_t size)
{
    char *name = c->friendly_name;
    struct environment_configs environments = c->environments;

    *restart = 0;
    note_difference(!is_same_text(c->backend, new->backend), "backend", restart, size);
    note_difference(!is_same_text(c->protocol, new->protocol), "protocol", restart, size);
    note_difference(!is_same_text(c->tasks, new->tasks), "tasks", restart, size);
    note_difference(!is_same_text(c->tmpdir, new->tmpdir), "tmpdir", restart, size);
    note_difference(!is_same_text(c->store, new->store), "store", restart, size);
    note_difference(c->share_store != new->share_store, "share-store", restart, size);
    note_difference(!is_same_text(c->user, new->user), "user", restart, size);
    note_difference(!is_same_text(c->seccomp, new->seccomp), "seccomp", restart, size);
    note_difference(!network_config_equals(&c->network, &new->network), "network and ssh", restart,
                    size);
    note_difference(c->pin != new->pin, "pin", restart, size);
    note_difference(!is_same_text(c->disk_by, new->disk_by), "disk-by", restart, size);
    note_difference(c->disk_projects != new->disk_projects, "disk-projects", restart, size);
    note_difference(c->waived != new->waived, "waive", restart, size);
    note_difference(c->jobs != new->jobs, "limits.jobs", restart, size);
    note_difference(c->students != new->students, "limits.all-students", restart, size);
    c->friendly_name = new->friendly_name;
    new->friendly_name = name;
    c->environments = new->environments;
    new->environments = environments;
    c->limits = new->limits;
    c->concurrency = new->concurrency;
    c->drain_seconds = new->drain_seconds;
    c->verbose = new->verbose;
}
