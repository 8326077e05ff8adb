/* The plain data of sandbox.h: made, freed and checked. Nothing here looks at a file system. */
#include "base/text.h"
#include "runtime/launcher.h"

#include <string.h>
#include <sys/resource.h>

/* Length of one name in a path (NAME_MAX of every file system an overlay can lie on). */
#define NAME_LENGTH_MAX 255

void sandbox_spec_clear(struct sandbox_spec *spec)
{
    strv_free(spec->layers);
    for (size_t i = 0; i < spec->n_mounts; i++) {
        struct sandbox_mount *m = &spec->mounts[i];
        for (size_t j = 0; j < m->n_dirs; j++)
            free(m->dirs[j].path);
        free(m->dirs);
        free(m->source);
        free(m->target);
    }
    free(spec->mounts);
    for (size_t i = 0; i < spec->n_copies; i++) {
        free(spec->copies[i].name);
        free(spec->copies[i].path);
    }
    free(spec->copies);
    strv_free(spec->argv);
    strv_free(spec->env);
    free(spec->cwd);
    free(spec->user);
    free(spec->groups);
    free(spec->hostname);
    free(spec->label);
    free(spec->ports);
    free(spec->rlimits);
    memset(spec, 0, sizeof(*spec));
}

struct sandbox_mount *sandbox_spec_add_mount(struct sandbox_spec *spec,
                                             enum sandbox_mount_kind kind, uint32_t root,
                                             const char *source, const char *target)
{
    _cleanup_free_ char *source_copy = strdup(source ? source : "");
    _cleanup_free_ char *target_copy = strdup(target);
    struct sandbox_mount *mounts, *m;

    if (!source_copy || !target_copy || spec->n_mounts >= SANDBOX_MOUNTS_MAX)
        return NULL;
    mounts = realloc(spec->mounts, (spec->n_mounts + 1) * sizeof(*mounts));
    if (!mounts)
        return NULL;
    spec->mounts = mounts;
    m = &mounts[spec->n_mounts++];
    *m = (struct sandbox_mount){
        .kind = kind,
        .root = root,
        .source = TAKE_PTR(source_copy),
        .target = TAKE_PTR(target_copy),
    };
    return m;
}

int sandbox_spec_add_copy(struct sandbox_spec *spec, bool out, uint32_t root, const char *name,
                          const char *path)
{
    _cleanup_free_ char *name_copy = name ? strdup(name) : NULL, *path_copy = strdup(path);
    struct sandbox_copy *copies;

    if (spec->n_copies >= SANDBOX_COPIES_MAX)
        return -E2BIG;
    if ((name && !name_copy) || !path_copy)
        return -ENOMEM;
    copies = realloc(spec->copies, (spec->n_copies + 1) * sizeof(*copies));
    if (!copies)
        return -ENOMEM;
    spec->copies = copies;
    copies[spec->n_copies++] =
        (struct sandbox_copy){out, root, TAKE_PTR(name_copy), TAKE_PTR(path_copy)};
    return 0;
}

int sandbox_mount_add_dir(struct sandbox_mount *mount, const char *path, uint32_t mode)
{
    _cleanup_free_ char *copy = strdup(path);
    struct sandbox_dir *dirs;

    if (mount->n_dirs >= SANDBOX_DIRS_MAX)
        return -E2BIG;
    if (!copy)
        return -ENOMEM;
    dirs = realloc(mount->dirs, (mount->n_dirs + 1) * sizeof(*dirs));
    if (!dirs)
        return -ENOMEM;
    mount->dirs = dirs;
    dirs[mount->n_dirs++] = (struct sandbox_dir){TAKE_PTR(copy), mode};
    return 0;
}

/* Copies M's texts and lists; *RET owns them even on failure. */
static int copy_mount(const struct sandbox_mount *m, struct sandbox_mount *ret)
{
    int r = 0;

    *ret = *m;
    ret->source = m->source ? strdup(m->source) : NULL;
    ret->target = strdup(m->target);
    ret->dirs = NULL;
    ret->n_dirs = 0;
    if ((m->source && !ret->source) || !ret->target)
        return -ENOMEM;
    for (size_t i = 0; r == 0 && i < m->n_dirs; i++)
        r = sandbox_mount_add_dir(ret, m->dirs[i].path, m->dirs[i].mode);
    return r;
}

/* A copy of TEXT; *FAILED is set where there is no memory for it. */
static char *copy_text(const char *text, bool *failed)
{
    char *copy = text ? strdup(text) : NULL;

    *failed = *failed || (text && !copy);
    return copy;
}

static char **copy_list(char *const *list, bool *failed)
{
    char **copy = list ? strv_copy(list) : NULL;

    *failed = *failed || (list && list[0] && !copy);
    return copy;
}

int sandbox_spec_copy(const struct sandbox_spec *spec, struct sandbox_spec *ret)
{
    struct sandbox_spec copy = *spec;
    bool failed = false;
    int r = 0;

    copy.layers = copy_list(spec->layers, &failed);
    copy.argv = copy_list(spec->argv, &failed);
    copy.env = copy_list(spec->env, &failed);
    copy.cwd = copy_text(spec->cwd, &failed);
    copy.user = copy_text(spec->user, &failed);
    copy.hostname = copy_text(spec->hostname, &failed);
    copy.label = copy_text(spec->label, &failed);
    copy.ports = calloc(spec->n_ports + 1, sizeof(*copy.ports));
    copy.rlimits = calloc(spec->n_rlimits + 1, sizeof(*copy.rlimits));
    copy.groups = calloc(spec->n_groups + 1, sizeof(*copy.groups));
    copy.mounts = calloc(spec->n_mounts + 1, sizeof(*copy.mounts));
    copy.n_mounts = 0;
    copy.copies = NULL;
    copy.n_copies = 0;
    if (failed || !copy.ports || !copy.rlimits || !copy.groups || !copy.mounts)
        r = -ENOMEM;
    if (r == 0 && spec->n_ports > 0)
        memcpy(copy.ports, spec->ports, spec->n_ports * sizeof(*copy.ports));
    if (r == 0 && spec->n_rlimits > 0)
        memcpy(copy.rlimits, spec->rlimits, spec->n_rlimits * sizeof(*copy.rlimits));
    if (r == 0 && spec->n_groups > 0)
        memcpy(copy.groups, spec->groups, spec->n_groups * sizeof(*copy.groups));
    while (r == 0 && copy.n_mounts < spec->n_mounts) {
        r = copy_mount(&spec->mounts[copy.n_mounts], &copy.mounts[copy.n_mounts]);
        copy.n_mounts++;
    }
    for (size_t i = 0; r == 0 && i < spec->n_copies; i++)
        r = sandbox_spec_add_copy(&copy, spec->copies[i].out, spec->copies[i].root,
                                  spec->copies[i].name, spec->copies[i].path);
    if (r < 0)
        sandbox_spec_clear(&copy);
    else
        *ret = copy;
    return r;
}

int sandbox_spec_add_port(struct sandbox_spec *spec, uint16_t host, uint16_t container)
{
    struct sandbox_port *ports;

    if (spec->n_ports >= SANDBOX_PORTS_MAX)
        return -E2BIG;
    ports = realloc(spec->ports, (spec->n_ports + 1) * sizeof(*ports));
    if (!ports)
        return -ENOMEM;
    spec->ports = ports;
    ports[spec->n_ports++] = (struct sandbox_port){host, container};
    return 0;
}

int sandbox_spec_add_rlimit(struct sandbox_spec *spec, uint32_t resource, uint64_t soft,
                            uint64_t hard)
{
    struct sandbox_rlimit *rlimits;
    size_t i = 0;

    while (i < spec->n_rlimits && spec->rlimits[i].resource != resource)
        i++;
    if (i >= SANDBOX_RLIMITS_MAX)
        return -E2BIG;
    if (i == spec->n_rlimits) {
        rlimits = realloc(spec->rlimits, (i + 1) * sizeof(*rlimits));
        if (!rlimits)
            return -ENOMEM;
        spec->rlimits = rlimits;
        spec->n_rlimits++;
    }
    spec->rlimits[i] = (struct sandbox_rlimit){resource, soft, hard};
    return 0;
}

/* What is wrong with the components of PATH (which has no leading slash), NULL where nothing is.
 * Only one spelling of a path is accepted, so that comparing and walking cannot disagree. */
static const char *components_fault(const char *path)
{
    if (strlen(path) >= SANDBOX_PATH_MAX)
        return "is too long";
    for (;;) {
        size_t length = strcspn(path, "/");
        if (length == 0)
            return "has an empty component";
        if (length > NAME_LENGTH_MAX)
            return "has a component of more than 255 bytes";
        if (length == 1 && path[0] == '.')
            return "has a \".\" component";
        if (length == 2 && strncmp(path, "..", 2) == 0)
            return "has a \"..\" component";
        if (!path[length])
            return NULL;
        path += length + 1;
    }
}

const char *sandbox_relative_fault(const char *path)
{
    if (path[0] == '/')
        return "is not relative";
    return components_fault(path);
}

const char *sandbox_absolute_fault(const char *path)
{
    if (path[0] != '/')
        return "is not absolute";
    return path[1] ? components_fault(path + 1) : NULL;
}

static int check_layers(const struct sandbox_spec *spec, struct error *e)
{
    size_t n = 0;

    if (spec->layers_root >= LAUNCHER_ROOTS_MAX)
        return error_set(e, -EINVAL, "layers_root: there is no root %u", spec->layers_root);
    for (; spec->layers && spec->layers[n]; n++) {
        const char *layer = spec->layers[n];
        const char *fault = layer[0] ? sandbox_relative_fault(layer) : NULL;
        if (n >= SANDBOX_LAYERS_MAX)
            return error_set(e, -E2BIG, "layers: more than %d", SANDBOX_LAYERS_MAX);
        if (fault)
            return error_set(e, -EINVAL, "layers[%zu] %s", n, fault);
    }
    if (n == 0)
        return error_set(e, -EINVAL, "layers: there is none");
    return 0;
}

static int check_mount_dirs(const struct sandbox_mount *m, size_t at, struct error *e)
{
    if (m->n_dirs > SANDBOX_DIRS_MAX)
        return error_set(e, -E2BIG, "mounts[%zu].dirs: more than %d", at, SANDBOX_DIRS_MAX);
    if (m->n_dirs > 0 && m->kind != SANDBOX_MOUNT_OVERLAY && m->kind != SANDBOX_MOUNT_SCRATCH)
        return error_set(e, -EINVAL, "mounts[%zu].dirs: only an overlay or scratch has them", at);
    for (size_t i = 0; i < m->n_dirs; i++) {
        const char *path = m->dirs[i].path;
        const char *fault = path ? sandbox_relative_fault(path) : "is missing";
        if (fault)
            return error_set(e, -EINVAL, "mounts[%zu].dirs[%zu].path %s", at, i, fault);
        if (m->dirs[i].mode > SANDBOX_MODE_MAX)
            return error_set(e, -EINVAL, "mounts[%zu].dirs[%zu].mode is not one", at, i);
    }
    return 0;
}

static bool is_or_is_below(const char *path, const char *top)
{
    size_t length = strlen(top);

    return strncmp(path, top, length) == 0 && (path[length] == 0 || path[length] == '/');
}

/* What is wrong with PATH as an absolute one outside of what the runtime itself makes and masks. */
static const char *target_fault(const char *path)
{
    static const char *const own[] = {"/proc", "/sys", "/dev"};
    const char *fault = path ? sandbox_absolute_fault(path) : "is missing";

    for (size_t i = 0; !fault && i < ARRAY_SIZE(own); i++)
        if (is_or_is_below(path, own[i]))
            fault = "lies in /proc, /sys or /dev";
    return fault;
}

static int check_mount_target(const struct sandbox_mount *m, size_t at, struct error *e)
{
    /* A mount in /proc could uncover what is masked, or stand where the runtime opens a file of
     * proc (CVE-2019-16884, CVE-2025-52881). */
    const char *fault = target_fault(m->target);

    if (!fault && strcmp(m->target, "/") == 0)
        fault = "is the root itself";
    return fault ? error_set(e, -EINVAL, "mounts[%zu].target %s", at, fault) : 0;
}

static int check_mount(const struct sandbox_spec *spec, size_t at, struct error *e)
{
    const struct sandbox_mount *m = &spec->mounts[at];
    bool of_host = m->kind == SANDBOX_MOUNT_BIND || m->kind == SANDBOX_MOUNT_OVERLAY;
    bool of_parent = m->kind == SANDBOX_MOUNT_PARENT;
    bool has_source = m->source && m->source[0];
    const char *fault = has_source ? sandbox_relative_fault(m->source) : NULL;

    if ((unsigned)m->kind >= SANDBOX_MOUNT_KINDS_)
        return error_set(e, -EINVAL, "mounts[%zu].kind is unknown", at);
    if (fault)
        return error_set(e, -EINVAL, "mounts[%zu].source %s", at, fault);
    if (has_source && !of_host && !of_parent)
        return error_set(e, -EINVAL, "mounts[%zu].source: this kind has none", at);
    if (of_host && m->root >= LAUNCHER_ROOTS_MAX)
        return error_set(e, -EINVAL, "mounts[%zu].root: there is no root %u", at, m->root);
    if (of_parent && m->root >= SANDBOX_MOUNTS_MAX)
        return error_set(e, -EINVAL, "mounts[%zu].root: no parent has a mount %u", at, m->root);
    if (of_parent && spec->parent == 0)
        return error_set(e, -EINVAL, "mounts[%zu].kind: there is no parent", at);
    if (m->size != 0 && m->kind != SANDBOX_MOUNT_TMPFS)
        return error_set(e, -EINVAL, "mounts[%zu].size: only a tmpfs has one", at);
    if (m->size > SANDBOX_BYTES_MAX)
        return error_set(e, -EINVAL, "mounts[%zu].size is too large", at);
    if (m->mode > SANDBOX_MODE_MAX)
        return error_set(e, -EINVAL, "mounts[%zu].mode is not one", at);
    if (m->follow_links && m->kind != SANDBOX_MOUNT_OVERLAY)
        return error_set(e, -EINVAL, "mounts[%zu].follow_links: only an overlay can", at);
    if (m->keep && m->kind != SANDBOX_MOUNT_OVERLAY)
        return error_set(e, -EINVAL, "mounts[%zu].keep: only an overlay can", at);
    if (m->keep_root >= LAUNCHER_ROOTS_MAX)
        return error_set(e, -EINVAL, "mounts[%zu].keep_root: there is no root %u", at,
                         m->keep_root);
    if (m->optional && !of_host && !of_parent)
        return error_set(e, -EINVAL, "mounts[%zu].optional: this kind has no source", at);
    if (check_mount_target(m, at, e) < 0)
        return -EINVAL;
    return check_mount_dirs(m, at, e);
}

static int check_copies(const struct sandbox_spec *spec, struct error *e)
{
    if (spec->n_copies > SANDBOX_COPIES_MAX)
        return error_set(e, -E2BIG, "copies: more than %d", SANDBOX_COPIES_MAX);
    for (size_t i = 0; i < spec->n_copies; i++) {
        const struct sandbox_copy *c = &spec->copies[i];
        const char *fault = target_fault(c->path);
        if (fault)
            return error_set(e, -EINVAL, "copies[%zu].path %s", i, fault);
        fault = c->name ? sandbox_relative_fault(c->name) : NULL;
        if (!fault && c->name && strchr(c->name, '/'))
            fault = "has a slash";
        if (fault)
            return error_set(e, -EINVAL, "copies[%zu].name %s", i, fault);
        if (c->root >= LAUNCHER_ROOTS_MAX)
            return error_set(e, -EINVAL, "copies[%zu].root: there is no root %u", i, c->root);
    }
    return 0;
}

/* A list that execve(2) is given; in an environment each entry is NAME=VALUE. */
static int check_strings(const char *field, char *const *list, bool environment, struct error *e)
{
    for (size_t i = 0; list && list[i]; i++) {
        if (i >= SANDBOX_STRINGS_MAX)
            return error_set(e, -E2BIG, "%s: more than %d", field, SANDBOX_STRINGS_MAX);
        if (strlen(list[i]) >= SANDBOX_TEXT_MAX)
            return error_set(e, -E2BIG, "%s[%zu] is longer than %d", field, i,
                             SANDBOX_TEXT_MAX - 1);
        if (environment && (list[i][0] == '=' || !strchr(list[i], '=')))
            return error_set(e, -EINVAL, "%s[%zu] is not NAME=VALUE", field, i);
    }
    return 0;
}

/* Names go into generated files (/etc/hosts, /etc/hostname) and into a lookup in /etc/passwd: only
 * characters that cannot end a field or a line there. */
static bool is_made_of(const char *text, const char *more)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

    for (; *text; text++)
        if (!strchr(letters, *text) && !strchr(more, *text))
            return false;
    return true;
}

static int check_program(const struct sandbox_spec *spec, struct error *e)
{
    const char *fault;

    if (!spec->argv || !spec->argv[0] || !spec->argv[0][0])
        return error_set(e, -EINVAL, "argv: there is no program");
    fault = spec->cwd ? sandbox_absolute_fault(spec->cwd) : NULL;
    if (fault)
        return error_set(e, -EINVAL, "cwd %s", fault);
    if (spec->user && strlen(spec->user) > SANDBOX_USER_MAX)
        return error_set(e, -E2BIG, "user is longer than %d", SANDBOX_USER_MAX);
    if (spec->user && !is_made_of(spec->user, "._-+@$:"))
        return error_set(e, -EINVAL, "user has a character that no name has");
    if (spec->hostname && strlen(spec->hostname) > SANDBOX_HOSTNAME_MAX)
        return error_set(e, -E2BIG, "hostname is longer than %d", SANDBOX_HOSTNAME_MAX);
    if (spec->hostname && !is_made_of(spec->hostname, "._-"))
        return error_set(e, -EINVAL, "hostname has a character that no host name has");
    if (spec->label && strlen(spec->label) > SANDBOX_LABEL_MAX)
        return error_set(e, -E2BIG, "label is longer than %d", SANDBOX_LABEL_MAX);
    for (const char *p = spec->label; p && *p; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            return error_set(e, -EINVAL, "label has a character that cannot be printed");
    if (spec->n_groups > SANDBOX_GROUPS_MAX)
        return error_set(e, -E2BIG, "groups: more than %d", SANDBOX_GROUPS_MAX);
    for (size_t i = 0; i < spec->n_groups; i++)
        if (spec->groups[i] >= SANDBOX_ID_RANGE)
            return error_set(e, -EINVAL, "groups[%zu] is not an id of a container", i);
    return 0;
}

static int check_rlimits(const struct sandbox_spec *spec, struct error *e)
{
    if (spec->n_rlimits > SANDBOX_RLIMITS_MAX)
        return error_set(e, -E2BIG, "rlimits: more than %d", SANDBOX_RLIMITS_MAX);
    for (size_t i = 0; i < spec->n_rlimits; i++) {
        if (spec->rlimits[i].resource >= RLIM_NLIMITS)
            return error_set(e, -EINVAL, "rlimits[%zu].resource is unknown", i);
        if (spec->rlimits[i].soft > spec->rlimits[i].hard)
            return error_set(e, -EINVAL, "rlimits[%zu]: the soft limit is above the hard one", i);
    }
    return 0;
}

static int check_network(const struct sandbox_spec *spec, struct error *e)
{
    if ((unsigned)spec->network >= SANDBOX_NETWORK_KINDS_)
        return error_set(e, -EINVAL, "network is unknown");
    if (spec->network == SANDBOX_NETWORK_PARENT && spec->parent == 0)
        return error_set(e, -EINVAL, "network: there is no parent");
    if (spec->n_ports > SANDBOX_PORTS_MAX)
        return error_set(e, -E2BIG, "ports: more than %d", SANDBOX_PORTS_MAX);
    if (spec->n_ports > 0 && spec->network != SANDBOX_NETWORK_NAT)
        return error_set(e, -EINVAL, "ports: this network has none");
    for (size_t i = 0; i < spec->n_ports; i++)
        if (spec->ports[i].host == 0 || spec->ports[i].container == 0)
            return error_set(e, -EINVAL, "ports[%zu] is 0", i);
    return 0;
}

static int check_limits(const struct sandbox_limits *l, struct error *e)
{
    const struct {
        const char *field;
        uint64_t value, max, min;
    } bounds[] = {
        {"memory_bytes", l->memory_bytes, SANDBOX_BYTES_MAX},
        {"shm_bytes", l->shm_bytes, SANDBOX_BYTES_MAX},
        {"pids", l->pids, SANDBOX_PIDS_MAX},
        {"nofile", l->nofile, SANDBOX_NOFILE_MAX},
        {"cpu_time_usec", l->cpu_time_usec, SANDBOX_TIME_MAX},
        {"wall_time_usec", l->wall_time_usec, SANDBOX_TIME_MAX},
        {"disk_bytes", l->disk_bytes, SANDBOX_DISK_MAX, SANDBOX_DISK_MIN},
        {"disk_inodes", l->disk_inodes, SANDBOX_INODES_MAX, SANDBOX_INODES_MIN},
        {"output_bytes", l->output_bytes, SANDBOX_BYTES_MAX},
        {"cpu_share", l->cpu_share, SANDBOX_CPU_SHARE_MAX, SANDBOX_CPU_SHARE_MIN},
        {"io_weight", l->io_weight, SANDBOX_IO_WEIGHT_MAX},
    };

    for (size_t i = 0; i < ARRAY_SIZE(bounds); i++) {
        if (bounds[i].value > bounds[i].max)
            return error_set(e, -EINVAL, "limits.%s is too large", bounds[i].field);
        if (bounds[i].value > 0 && bounds[i].value < bounds[i].min)
            return error_set(e, -EINVAL, "limits.%s is less than %llu", bounds[i].field,
                             (unsigned long long)bounds[i].min);
    }
    return 0;
}

int sandbox_spec_validate(const struct sandbox_spec *spec, struct error *e)
{
    int r = check_layers(spec, e);

    if (r < 0)
        return r;
    if (spec->n_mounts > SANDBOX_MOUNTS_MAX)
        return error_set(e, -E2BIG, "mounts: more than %d", SANDBOX_MOUNTS_MAX);
    for (size_t i = 0; i < spec->n_mounts; i++) {
        r = check_mount(spec, i, e);
        if (r < 0)
            return r;
    }
    r = check_copies(spec, e);
    if (r < 0)
        return r;
    r = check_strings("argv", spec->argv, false, e);
    if (r < 0)
        return r;
    r = check_strings("env", spec->env, true, e);
    if (r < 0)
        return r;
    r = check_program(spec, e);
    if (r < 0)
        return r;
    r = check_rlimits(spec, e);
    if (r < 0)
        return r;
    r = check_network(spec, e);
    if (r < 0)
        return r;
    return check_limits(&spec->limits, e);
}

const char *sandbox_verdict_name(enum sandbox_verdict verdict)
{
    static const char *const names[SANDBOX_VERDICTS_] = {
        [SANDBOX_EXITED] = "exited",
        [SANDBOX_SIGNALLED] = "signalled",
        [SANDBOX_CPU_TIMEOUT] = "cpu-timeout",
        [SANDBOX_WALL_TIMEOUT] = "wall-timeout",
        [SANDBOX_OUT_OF_MEMORY] = "out-of-memory",
        [SANDBOX_KILLED] = "killed",
        [SANDBOX_OUTPUT_LIMIT] = "output-limit",
        [SANDBOX_START_FAILED] = "start-failed",
    };

    return (unsigned)verdict < SANDBOX_VERDICTS_ ? names[verdict] : "unknown";
}

void sandbox_report_init(struct sandbox_report *report)
{
    const struct sandbox_pressure unknown = {SANDBOX_ABSENT, SANDBOX_ABSENT};

    *report = (struct sandbox_report){
        .memory_peak = SANDBOX_ABSENT,
        .pids_peak = SANDBOX_ABSENT,
        .read_bytes = SANDBOX_ABSENT,
        .write_bytes = SANDBOX_ABSENT,
        .voluntary_switches = SANDBOX_ABSENT,
        .involuntary_switches = SANDBOX_ABSENT,
        .oom_kills = SANDBOX_ABSENT,
        .throttled_periods = SANDBOX_ABSENT,
        .throttled_usec = SANDBOX_ABSENT,
        .output_bytes = SANDBOX_ABSENT,
        .cpu_pressure = unknown,
        .memory_pressure = unknown,
        .io_pressure = unknown,
    };
}
