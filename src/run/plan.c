#include "run/plan.h"

#include "base/fdio.h"
#include "base/text.h"
#include "config/bounds_config.h"
#include "image/names.h"
#include "profile/profile.h"

#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

/* Root 0 is what the layers lie below: the store, or the directory itself. */
#define ROOT_IMAGE 0
/* What some editors put before a text in UTF-8. */
#define BYTE_ORDER_MARK "\xef\xbb\xbf"

void run_plan_free(struct run_plan *p)
{
    sandbox_spec_clear(&p->spec);
    image_free(p->image);
    for (size_t i = 0; i < p->n_roots; i++)
        free(p->paths[i]);
    free(p->name);
    free(p);
}

static int no_memory(struct error *e)
{
    return error_sys(e, -ENOMEM, "describing the sandbox");
}

/* Adds PATH (resolved here, by plain path walk: it is the caller's own) as a root. Returns its
 * number. */
static int add_root(struct run_plan *p, const char *name, const char *path, bool read_only,
                    struct error *e)
{
    _cleanup_free_ char *real = realpath(path, NULL);

    if (!real)
        return error_sys(e, -errno, "%s %s", name, path);
    if (p->n_roots == LAUNCHER_ROOTS_MAX)
        return error_set(e, -E2BIG, "more than %d volumes and copies", LAUNCHER_ROOTS_MAX - 1);
    p->paths[p->n_roots] = TAKE_PTR(real);
    p->roots[p->n_roots] = (struct launcher_root){name, p->paths[p->n_roots], read_only};
    return (int)p->n_roots++;
}

static int make_id(struct run_plan *p, struct error *e)
{
    uint8_t random[RUN_ID_LENGTH / 2];

    while (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
        ;
    for (size_t i = 0; i < sizeof(random); i++)
        snprintf(p->id + 2 * i, 3, "%02x", random[i]);
    p->name = strdup(p->options->name ? p->options->name : p->id);
    return p->name ? 0 : no_memory(e);
}

/* ---- the image ---- */

static int add_layers(struct run_plan *p, struct error *e)
{
    char path[IMAGE_LAYER_PATH_SIZE];
    int r = 0;

    for (char **id = p->image->layers; r == 0 && id && *id; id++) {
        r = image_layer_path(*id, path, e);
        if (r == 0 && strv_append(&p->spec.layers, path) < 0)
            r = no_memory(e);
    }
    return r;
}

static int find_image(struct run_plan *p, const char *reference,
                      const struct image_load_options *load, struct error *e)
{
    const char *store = p->options->store ? p->options->store : IMAGE_STORE_DEFAULT;
    struct image_load_options bounded = load ? *load : (struct image_load_options){0};
    struct image_bounds bounds;
    int r = 0;

    /* What is in the store already does not depend on the file. */
    if (image_reference_is_one(reference)) {
        bounded.bounds = &bounds;
        r = bounds_config_read(p->options->config, p->options->bounds, &bounds, e);
    }
    if (r >= 0)
        r = image_obtain(store, reference, &bounded, &p->image, e);

    if (r < 0)
        return r;
    p->spec.layers_root = ROOT_IMAGE;
    if (!p->image->directory)
        r = add_root(p, "store", store, true, e);
    else
        r = add_root(p, "rootfs", p->image->directory, true, e);
    if (r < 0)
        return r;
    if (!p->image->directory)
        return add_layers(p, e);
    return strv_append(&p->spec.layers, "") < 0 ? no_memory(e) : 0;
}

/* ---- the program ---- */

/* Sets NAME=VALUE in *LIST, in the place of what it was. */
static int set_env(char ***list, const char *entry)
{
    size_t length = strcspn(entry, "=");

    for (char **p = *list; p && *p; p++) {
        char *copy;
        if (strncmp(*p, entry, length) != 0 || (*p)[length] != '=')
            continue;
        copy = strdup(entry);
        if (!copy)
            return -ENOMEM;
        free(*p);
        *p = copy;
        return 0;
    }
    return strv_append(list, entry);
}

/* "NAME=VALUE" or "NAME": the caller's value, nothing where there is none. */
static int add_env(struct run_plan *p, const char *entry, struct error *e)
{
    _cleanup_free_ char *own = NULL;
    const char *value;

    if (!entry[0] || entry[0] == '=')
        return error_set(e, -EINVAL, "an environment variable is NAME=VALUE or NAME, not \"%s\"",
                         entry);
    if (!strchr(entry, '=')) {
        value = getenv(entry);
        if (!value)
            return 0;
        own = text_printf("%s=%s", entry, value);
        entry = own;
    }
    return !entry || set_env(&p->spec.env, entry) < 0 ? no_memory(e) : 0;
}

/* Line NUMBER of an environment file. As Docker reads them: blanks before the name, a carriage
 * return at the end and lines that start with # say nothing, a name has no blanks, and the value is
 * all that follows. */
static int add_env_line(struct run_plan *p, size_t number, char *line, struct error *e)
{
    size_t length = strlen(line);

    if (length > 0 && line[length - 1] == '\r')
        line[length - 1] = 0;
    if (number == 1 && strncmp(line, BYTE_ORDER_MARK, strlen(BYTE_ORDER_MARK)) == 0)
        line += strlen(BYTE_ORDER_MARK);
    line += strspn(line, " \t\v\f\r");
    if (!*line || *line == '#')
        return 0;
    if (strcspn(line, " \t") < strcspn(line, "="))
        return error_set(e, -EINVAL, "line %zu: a variable's name has no blanks", number);
    return add_env(p, line, e);
}

static int add_env_file(struct run_plan *p, const char *path, struct error *e)
{
    _cleanup_buffer_ struct buffer text = {0};
    int r = fd_read_file(AT_FDCWD, path, &text, RUN_ENV_FILE_MAX);
    char *next, *line;
    size_t number = 0;

    if (r < 0)
        return error_sys(e, r, "--env-file %s", path);
    next = buffer_string(&text);
    if (!next)
        return no_memory(e);
    if (strlen(next) != text.size)
        return error_set(e, -EINVAL, "--env-file %s has a NUL in it", path);
    while ((line = strsep(&next, "\n"))) {
        r = add_env_line(p, ++number, line, e);
        if (r < 0)
            return error_prefix(e, r, "--env-file %s", path);
    }
    return 0;
}

static int set_environment(struct run_plan *p, struct error *e)
{
    int r = 0;

    for (char **entry = p->image->env; entry && *entry; entry++)
        if (strv_append(&p->spec.env, *entry) < 0)
            return no_memory(e);
    for (char **file = p->options->env_files; r == 0 && file && *file; file++)
        r = add_env_file(p, *file, e);
    for (char **entry = p->options->env; r == 0 && entry && *entry; entry++)
        r = add_env(p, *entry, e);
    return r;
}

static int append_all(char ***list, char *const *more)
{
    for (; more && *more; more++)
        if (strv_append(list, *more) < 0)
            return -ENOMEM;
    return 0;
}

int run_plan_set_command(const struct run_plan *p, char *const *command, struct sandbox_spec *spec,
                         struct error *e)
{
    const char *entrypoint = p->options->entrypoint;
    bool own = command && command[0];
    int r = 0;

    strv_free(spec->argv);
    spec->argv = NULL;
    if (entrypoint && entrypoint[0])
        r = strv_append(&spec->argv, entrypoint);
    else if (!entrypoint)
        r = append_all(&spec->argv, p->image->entrypoint);
    /* The image's own arguments are meant for its own entry point. */
    if (r == 0)
        r = append_all(&spec->argv, own ? command : !entrypoint ? p->image->cmd : NULL);
    if (r < 0)
        return no_memory(e);
    if (!spec->argv)
        return error_set(e, -EINVAL, "there is no command, and the image has none");
    return 0;
}

static int set_program(struct run_plan *p, char *const *command, struct error *e)
{
    const struct run_options *o = p->options;
    const char *cwd = o->working_dir;
    int r = run_plan_set_command(p, command, &p->spec, e);

    if (r < 0)
        return r;
    if (!cwd)
        cwd = p->image->working_dir && p->image->working_dir[0] ? p->image->working_dir : "/";
    p->spec.cwd = text_clean_path(cwd);
    p->spec.user = strdup(o->user ? o->user : p->image->user ? p->image->user : "");
    p->spec.hostname = strdup(o->hostname ? o->hostname : p->id);
    p->spec.label = strdup(p->name);
    p->spec.no_new_privs = o->no_new_privs;
    p->spec.init = true;
    p->spec.read_only = o->read_only;
    p->spec.dropped_capabilities = o->dropped_capabilities;
    for (size_t i = 0; i < o->n_rlimits; i++)
        if (sandbox_spec_add_rlimit(&p->spec, o->rlimits[i].resource, o->rlimits[i].soft,
                                    o->rlimits[i].hard) < 0)
            return no_memory(e);
    if (o->terminal && add_env(p, "TERM=xterm", e) < 0)
        return -ENOMEM;
    return p->spec.cwd && p->spec.user && p->spec.hostname ? 0 : no_memory(e);
}

/* ---- what it sees ---- */

/* The changes of volume number N stay in DIR/N, from 0 on. */
static int keep_changes(struct run_plan *p, struct sandbox_mount *m, struct error *e)
{
    _cleanup_free_ char *path = text_printf("%s/%zu", p->options->keep, p->kept++);
    int root;

    if (!path)
        return no_memory(e);
    if ((mkdir(p->options->keep, 0755) < 0 && errno != EEXIST) ||
        (mkdir(path, 0755) < 0 && errno != EEXIST))
        return error_sys(e, -errno, "--keep-changes %s", path);
    root = add_root(p, "keep-changes", path, false, e);
    if (root < 0)
        return root;
    m->keep = true;
    m->keep_root = (uint32_t)root;
    return 0;
}

static int add_volume(struct run_plan *p, const struct run_volume *v, struct error *e)
{
    bool overlay = v->mode == RUN_VOLUME_OVERLAY;
    int root = add_root(p, "volume", v->source, v->mode != RUN_VOLUME_RW, e);
    struct sandbox_mount *m;
    struct stat st;

    if (root < 0)
        return root;
    if (overlay && (stat(p->paths[root], &st) < 0 || !S_ISDIR(st.st_mode)))
        return error_set(e, -ENOTDIR, "volume %s: only a directory can be an overlay", v->source);
    m = sandbox_spec_add_mount(&p->spec, overlay ? SANDBOX_MOUNT_OVERLAY : SANDBOX_MOUNT_BIND,
                               (uint32_t)root, NULL, v->target);
    if (!m)
        return no_memory(e);
    m->read_only = v->mode == RUN_VOLUME_RO;
    return overlay && p->options->keep ? keep_changes(p, m, e) : 0;
}

static int add_mounts(struct run_plan *p, struct error *e)
{
    const struct run_options *o = p->options;

    for (size_t i = 0; i < o->n_tmpfs; i++) {
        struct sandbox_mount *m =
            sandbox_spec_add_mount(&p->spec, SANDBOX_MOUNT_TMPFS, 0, NULL, o->tmpfs[i].target);
        if (!m)
            return no_memory(e);
        m->size = o->tmpfs[i].size;
        m->mode = o->tmpfs[i].mode;
    }
    for (size_t i = 0; i < o->n_volumes; i++) {
        int r = add_volume(p, &o->volumes[i], e);
        if (r < 0)
            return r;
    }
    return 0;
}

/* The last component of PATH without slashes at its end; "" of "/". The caller's to free. */
static char *last_name(const char *path)
{
    size_t end = strlen(path), start;

    while (end > 0 && path[end - 1] == '/')
        end--;
    start = end;
    while (start > 0 && path[start - 1] != '/')
        start--;
    return strndup(path + start, end - start);
}

/* What holds PATH, which need not exist: "." where it has no slash but at its end. */
static char *parent_of(const char *path)
{
    size_t end = strlen(path);

    while (end > 0 && path[end - 1] == '/')
        end--;
    while (end > 0 && path[end - 1] != '/')
        end--;
    return end > 0 ? strndup(path, end) : strdup(".");
}

/* As cp -R does it: into a directory that is there under its own name, else as what TARGET says. */
static int add_copy_out(struct run_plan *p, const struct run_copy *c, struct error *e)
{
    struct stat st;
    bool into = stat(c->host, &st) == 0 && S_ISDIR(st.st_mode);
    _cleanup_free_ char *name = last_name(into ? c->inside : c->host);
    _cleanup_free_ char *directory = into ? strdup(c->host) : parent_of(c->host);
    bool content = into && (c->content || (name && !name[0]));
    int root;

    if (!name || !directory)
        return no_memory(e);
    if (!content && sandbox_relative_fault(name))
        return error_set(e, -EINVAL, "--copy-out: \"%s\" names no file", c->host);
    root = add_root(p, "copy-out", directory, false, e);
    if (root < 0)
        return root;
    return sandbox_spec_add_copy(&p->spec, true, (uint32_t)root, content ? NULL : name, c->inside);
}

static int add_copy_in(struct run_plan *p, const struct run_copy *c, struct error *e)
{
    int root = add_root(p, "copy-in", c->host, true, e);
    _cleanup_free_ char *name = root < 0 ? NULL : last_name(p->paths[root]);
    bool content = c->content || (name && !name[0]);

    if (root < 0)
        return root;
    if (!name)
        return no_memory(e);
    return sandbox_spec_add_copy(&p->spec, false, (uint32_t)root, content ? NULL : name, c->inside);
}

static int add_copies(struct run_plan *p, struct error *e)
{
    const struct run_options *o = p->options;
    int r = 0;

    for (size_t i = 0; r == 0 && i < o->n_copies; i++) {
        r = o->copies[i].out ? add_copy_out(p, &o->copies[i], e) : add_copy_in(p, &o->copies[i], e);
        if (r == -ENOMEM)
            no_memory(e);
    }
    return r;
}

static int set_network(struct run_plan *p, struct error *e)
{
    const struct run_options *o = p->options;

    if (o->n_ports > 0 && !o->nat)
        return error_set(e, -EINVAL, "--publish needs --network nat");
    p->spec.network = o->nat ? SANDBOX_NETWORK_NAT : SANDBOX_NETWORK_NONE;
    for (size_t i = 0; i < o->n_ports; i++) {
        uint16_t host = o->ports[i].host;
        if (sandbox_spec_add_port(&p->spec, host, o->ports[i].container) < 0)
            return no_memory(e);
        if (i == 0)
            p->network.first_port = p->network.last_port = host;
        p->network.first_port = MIN(p->network.first_port, host);
        p->network.last_port = MAX(p->network.last_port, host);
    }
    return 0;
}

static void set_limits(struct run_plan *p)
{
    const struct run_options *o = p->options;

    p->spec.limits = (struct sandbox_limits){
        .memory_bytes = o->memory_bytes,
        .pids = o->pids,
        .cpu_time_usec = o->cpu_time_usec,
        .wall_time_usec = o->wall_time_usec,
        .shm_bytes = o->shm_bytes,
        .output_bytes = o->output_bytes,
        .disk_bytes = o->disk_bytes,
        .cpu_share = o->cpu_share,
    };
    memcpy(p->spec.limits.cpus, o->cpus.words, sizeof(o->cpus.words));
}

int run_plan_make(const struct run_options *o, const char *reference,
                  const struct image_load_options *load, char *const *command,
                  struct run_plan **ret, struct error *e)
{
    _cleanup_(run_plan_free_p) struct run_plan *p = calloc(1, sizeof(*p));
    int r;

    if (!p)
        return no_memory(e);
    p->options = o;
    r = make_id(p, e);
    if (r == 0)
        r = find_image(p, reference, load, e);
    if (r == 0)
        r = set_environment(p, e);
    if (r == 0)
        r = set_program(p, command, e);
    if (r == 0)
        r = add_mounts(p, e);
    if (r == 0)
        r = add_copies(p, e);
    if (r == 0)
        r = set_network(p, e);
    if (r < 0)
        return r;
    set_limits(p);
    r = sandbox_spec_validate(&p->spec, e);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(p);
    return 0;
}

int run_plan_launch(const struct run_plan *p, uint32_t max_sandboxes, struct launcher **ret,
                    struct error *e)
{
    struct launcher_config config = {
        .roots = p->roots,
        .n_roots = p->n_roots,
        .scratch = p->options->scratch ? p->options->scratch : RUN_SCRATCH_DEFAULT,
        .max_sandboxes = max_sandboxes,
        .disk = p->options->disk_by,
        .network = p->spec.network == SANDBOX_NETWORK_NAT ? &p->network : NULL,
    };

    _cleanup_(seccomp_program_clear) struct seccomp_program filter = {0};

    if (p->options->seccomp) {
        int r = profile_load(p->options->seccomp, &filter, e);
        if (r < 0)
            return r;
        config.filter = &filter;
    }
    return launcher_start(&config, ret, e);
}
