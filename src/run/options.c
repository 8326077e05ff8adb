#include "run/options.h"

#include "base/clock.h"
#include "base/text.h"
#include "run/kernel_names.h"

#include <string.h>
#include <strings.h>

/* getopt_long's value of the table's first entry; those of a verb's own are smaller. */
#define OPTION_FIRST 1000
/* Longest single number in a time or a size. */
#define NUMBER_MAX 32

typedef int (*option_fn)(struct run_options *o, const char *value, struct error *e);

enum option_kind { TEXT, LIST, FLAG, SIZE, TIME, OTHER };

struct option_rule {
    const char *name;
    char letter; /* 0: none */
    enum option_kind kind;
    size_t field;    /* offset in struct run_options */
    option_fn other; /* OTHER */
};

int run_options_init(struct run_options *o)
{
    *o = (struct run_options){.pids = RUN_PIDS_DEFAULT};
    return 0;
}

void run_options_clear(struct run_options *o)
{
    free(o->store);
    free(o->config);
    strv_free(o->bounds);
    free(o->scratch);
    strv_free(o->env);
    strv_free(o->env_files);
    free(o->working_dir);
    free(o->user);
    free(o->entrypoint);
    free(o->hostname);
    free(o->name);
    for (size_t i = 0; i < o->n_volumes; i++) {
        free(o->volumes[i].source);
        free(o->volumes[i].target);
    }
    for (size_t i = 0; i < o->n_tmpfs; i++)
        free(o->tmpfs[i].target);
    for (size_t i = 0; i < o->n_copies; i++) {
        free(o->copies[i].host);
        free(o->copies[i].inside);
    }
    free(o->keep);
    free(o->seccomp);
    free(o->report);
    *o = (struct run_options){0};
}

/* ---- values ---- */

/* Digits with an optional fraction, in millionths; *RET_END is what follows. */
static int parse_decimal(const char *text, uint64_t *ret_millionths, const char **ret_end)
{
    char whole[NUMBER_MAX];
    size_t n = strspn(text, "0123456789");
    uint64_t value, fraction = 0, unit = USEC_PER_SEC;
    const char *p = text + n;
    int r;

    if (n == 0 || n >= sizeof(whole))
        return -EINVAL;
    memcpy(whole, text, n);
    whole[n] = 0;
    r = text_parse_uint(whole, SANDBOX_TIME_MAX / USEC_PER_SEC, &value);
    if (r < 0)
        return r;
    if (*p == '.') {
        if (p[1] < '0' || p[1] > '9')
            return -EINVAL;
        for (p++; *p >= '0' && *p <= '9'; p++) {
            unit /= 10;
            fraction += (uint64_t)(*p - '0') * unit;
        }
    }
    *ret_millionths = value * USEC_PER_SEC + fraction;
    *ret_end = p;
    return 0;
}

int run_parse_time(const char *text, uint64_t *ret_usec)
{
    static const struct {
        const char *suffix;
        uint64_t times, per;
    } units[] = {{"", 1, 1}, {"s", 1, 1}, {"ms", 1, 1000}, {"m", 60, 1}, {"h", 3600, 1}};
    const char *suffix;
    uint64_t value;
    int r = parse_decimal(text, &value, &suffix);

    if (r < 0)
        return r;
    for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
        if (strcmp(suffix, units[i].suffix) != 0)
            continue;
        if (value > SANDBOX_TIME_MAX / units[i].times)
            return -ERANGE;
        *ret_usec = value * units[i].times / units[i].per;
        return 0;
    }
    return -EINVAL;
}

/* As text_parse_size(), with the "b" that others allow at the end. */
static int parse_size(const char *text, uint64_t *ret)
{
    char copy[NUMBER_MAX];
    size_t n = strlen(text);

    if (n >= sizeof(copy))
        return -EINVAL;
    memcpy(copy, text, n + 1);
    if (n > 1 && (copy[n - 1] == 'b' || copy[n - 1] == 'B'))
        copy[n - 1] = 0;
    return text_parse_size(copy, SANDBOX_BYTES_MAX, ret);
}

static int set_text(char **field, const char *value, struct error *e)
{
    char *copy = strdup(value);

    if (!copy)
        return error_sys(e, -ENOMEM, "command line");
    free(*field);
    *field = copy;
    return 0;
}

/* ---- options with a form of their own ---- */

static int set_volume_mode(struct run_volume *v, const char *mode, struct error *e)
{
    if (!mode || strcmp(mode, "rw") == 0)
        v->mode = RUN_VOLUME_RW;
    else if (strcmp(mode, "ro") == 0)
        v->mode = RUN_VOLUME_RO;
    else if (strcmp(mode, "overlay") == 0 || strcmp(mode, "O") == 0)
        v->mode = RUN_VOLUME_OVERLAY;
    else
        return error_set(e, -EINVAL, "a volume is ro, rw or overlay, not \"%s\"", mode);
    return 0;
}

static int set_volume(struct run_options *o, const char *value, struct error *e)
{
    _cleanup_free_ char *copy = strdup(value), *target = NULL;
    struct run_volume v = {0};
    char *rest = copy, *source, *place, *mode;

    if (!copy)
        return error_sys(e, -ENOMEM, "command line");
    if (o->n_volumes == RUN_VOLUMES_MAX)
        return error_set(e, -EINVAL, "more than %d --volume", RUN_VOLUMES_MAX);
    source = strsep(&rest, ":");
    place = strsep(&rest, ":");
    mode = strsep(&rest, ":");
    if (!source[0] || !place || place[0] != '/' || rest)
        return error_set(e, -EINVAL,
                         "--volume is SOURCE:TARGET[:ro|:rw|:overlay] with an absolute TARGET, "
                         "not \"%s\"",
                         value);
    if (set_volume_mode(&v, mode, e) < 0)
        return -EINVAL;
    target = text_clean_path(place);
    v.source = strdup(source);
    v.target = TAKE_PTR(target);
    o->volumes[o->n_volumes++] = v; /* from here on the options' to free */
    return v.source && v.target ? 0 : error_sys(e, -ENOMEM, "command line");
}

/* "SOURCE:TARGET" */
static int set_copy(struct run_options *o, bool out, const char *value, struct error *e)
{
    _cleanup_free_ char *copy = strdup(value);
    char *target = copy, *source, *inside;
    size_t n;

    if (!copy)
        return error_sys(e, -ENOMEM, "command line");
    if (o->n_copies == RUN_COPIES_MAX)
        return error_set(e, -EINVAL, "more than %d --copy-in and --copy-out", RUN_COPIES_MAX);
    source = strsep(&target, ":");
    inside = out ? source : target;
    if (!source[0] || !target || !target[0] || strchr(target, ':') || inside[0] != '/')
        return error_set(e, -EINVAL, "--copy-%s is SOURCE:TARGET with an absolute %s, not \"%s\"",
                         out ? "out" : "in", out ? "SOURCE" : "TARGET", value);
    n = strlen(source);
    o->copies[o->n_copies++] = (struct run_copy){
        .out = out,
        .content = n > 1 && strcmp(source + n - 2, "/.") == 0,
        .host = strdup(out ? target : source),
        .inside = text_clean_path(inside),
    };
    return o->copies[o->n_copies - 1].host && o->copies[o->n_copies - 1].inside
               ? 0
               : error_sys(e, -ENOMEM, "command line");
}

static int set_copy_in(struct run_options *o, const char *value, struct error *e)
{
    return set_copy(o, false, value, e);
}

static int set_copy_out(struct run_options *o, const char *value, struct error *e)
{
    return set_copy(o, true, value, e);
}

static int set_tmpfs_option(struct run_tmpfs *t, const char *option)
{
    char *end;

    if (strncmp(option, "size=", 5) == 0)
        return parse_size(option + 5, &t->size);
    if (strncmp(option, "mode=", 5) == 0) {
        unsigned long mode = strtoul(option + 5, &end, 8);
        if (!option[5] || *end || mode > SANDBOX_MODE_MAX)
            return -EINVAL;
        t->mode = (uint32_t)mode;
        return 0;
    }
    return -EINVAL;
}

static int set_tmpfs(struct run_options *o, const char *value, struct error *e)
{
    _cleanup_free_ char *copy = strdup(value);
    struct run_tmpfs t = {.mode = 01777};
    char *options = copy, *place, *option;

    if (!copy)
        return error_sys(e, -ENOMEM, "command line");
    if (o->n_tmpfs == RUN_TMPFS_MAX)
        return error_set(e, -EINVAL, "more than %d --tmpfs", RUN_TMPFS_MAX);
    place = strsep(&options, ":");
    if (place[0] != '/')
        return error_set(e, -EINVAL, "--tmpfs is TARGET[:size=N,mode=M], not \"%s\"", value);
    while ((option = strsep(&options, ",")))
        if (set_tmpfs_option(&t, option) < 0)
            return error_set(e, -EINVAL, "--tmpfs has size= and mode=, not \"%s\"", option);
    t.target = text_clean_path(place);
    o->tmpfs[o->n_tmpfs++] = t;
    return t.target ? 0 : error_sys(e, -ENOMEM, "command line");
}

static int set_network(struct run_options *o, const char *value, struct error *e)
{
    if (strcmp(value, "nat") != 0 && strcmp(value, "none") != 0)
        return error_set(e, -EINVAL, "--network is none or nat, not \"%s\"", value);
    o->nat = strcmp(value, "nat") == 0;
    return 0;
}

static int set_port(struct run_options *o, const char *value, struct error *e)
{
    _cleanup_free_ char *copy = strdup(value);
    char *rest = copy, *host;
    uint64_t from, to;
    size_t n;

    if (!copy)
        return error_sys(e, -ENOMEM, "command line");
    if (o->n_ports == RUN_PORTS_MAX)
        return error_set(e, -EINVAL, "more than %d --publish", RUN_PORTS_MAX);
    n = strlen(copy);
    if (n > 4 && strcmp(copy + n - 4, "/tcp") == 0)
        copy[n - 4] = 0;
    host = strsep(&rest, ":");
    if (!rest || text_parse_uint(host, UINT16_MAX, &from) < 0 ||
        text_parse_uint(rest, UINT16_MAX, &to) < 0 || from == 0 || to == 0)
        return error_set(e, -EINVAL, "--publish is HOSTPORT:PORT (TCP), not \"%s\"", value);
    o->ports[o->n_ports++] = (struct run_port){(uint16_t)from, (uint16_t)to};
    return 0;
}

static int set_cpus(struct run_options *o, const char *value, struct error *e)
{
    const char *end;
    uint64_t millionths;

    if (parse_decimal(value, &millionths, &end) < 0 || *end || millionths < 1000)
        return error_set(e, -EINVAL, "--cpus is a number of CPUs such as 2 or 0.5, not \"%s\"",
                         value);
    o->cpu_share = millionths / 1000;
    return 0;
}

static int set_cpuset(struct run_options *o, const char *value, struct error *e)
{
    if (cpus_parse(value, &o->cpus) < 0 || cpus_empty(&o->cpus))
        return error_set(e, -EINVAL, "--cpuset-cpus is a list such as 0-3,7, not \"%s\"", value);
    return 0;
}

static int set_disk_by(struct run_options *o, const char *value, struct error *e)
{
    if (launcher_disk_by_name(value, &o->disk_by) < 0)
        return error_set(e, -EINVAL, "--disk-by is auto, quota or image, not \"%s\"", value);
    return 0;
}

static int set_pids(struct run_options *o, const char *value, struct error *e)
{
    if (strcmp(value, "-1") == 0)
        value = "0";
    if (text_parse_uint(value, SANDBOX_PIDS_MAX, &o->pids) < 0)
        return error_set(e, -EINVAL, "--pids-limit is a number of tasks, not \"%s\"", value);
    return 0;
}

static int set_security(struct run_options *o, const char *value, struct error *e)
{
    static const char profile[] = "seccomp=";

    if (strncmp(value, profile, strlen(profile)) == 0 && value[strlen(profile)])
        return set_text(&o->seccomp, value + strlen(profile), e);
    if (strcmp(value, "no-new-privileges") != 0)
        return error_set(e, -EINVAL,
                         "--security-opt is seccomp=FILE or no-new-privileges, not \"%s\"", value);
    o->no_new_privs = true;
    return 0;
}

static int drop_capability(struct run_options *o, const char *value, struct error *e)
{
    static const char prefix[] = "cap_";
    const char *name =
        strncasecmp(value, prefix, strlen(prefix)) == 0 ? value + strlen(prefix) : value;
    int number;

    if (strcasecmp(name, "all") == 0) {
        o->dropped_capabilities = UINT64_MAX;
        return 0;
    }
    number = capability_by_name(name);
    if (number < 0)
        return error_set(e, -EINVAL, "--cap-drop: there is no capability \"%s\"", value);
    o->dropped_capabilities |= (uint64_t)1 << number;
    return 0;
}

static int parse_rlimit(const char *text, uint64_t *ret)
{
    if (strcmp(text, "-1") == 0 || strcmp(text, "unlimited") == 0) {
        *ret = UINT64_MAX;
        return 0;
    }
    return text_parse_uint(text, UINT64_MAX - 1, ret);
}

/* "NAME=SOFT[:HARD]" */
static int set_ulimit(struct run_options *o, const char *value, struct error *e)
{
    _cleanup_free_ char *copy = strdup(value);
    struct sandbox_rlimit limit;
    char *hard = copy, *soft, *name;
    int resource;

    if (!copy)
        return error_sys(e, -ENOMEM, "command line");
    name = strsep(&hard, "=");
    soft = strsep(&hard, ":");
    resource = rlimit_by_name(name);
    if (resource < 0)
        return error_set(e, -EINVAL, "--ulimit: there is no limit \"%s\"", name);
    limit.resource = (uint32_t)resource;
    if (!soft || parse_rlimit(soft, &limit.soft) < 0 ||
        parse_rlimit(hard ? hard : soft, &limit.hard) < 0 || limit.soft > limit.hard)
        return error_set(e, -EINVAL, "--ulimit is NAME=SOFT[:HARD], not \"%s\"", value);
    if (o->n_rlimits == SANDBOX_RLIMITS_MAX)
        return error_set(e, -EINVAL, "more than %d --ulimit", SANDBOX_RLIMITS_MAX);
    o->rlimits[o->n_rlimits++] = limit;
    return 0;
}

static int set_verbose(struct run_options *o, const char *value, struct error *e)
{
    (void)value, (void)e;
    o->verbose++;
    return 0;
}

/* ---- the table ---- */

#define FIELD(name) offsetof(struct run_options, name)

static const struct option_rule rules[] = {
    {"bound", 0, LIST, FIELD(bounds), NULL},
    {"cap-drop", 0, OTHER, 0, drop_capability},
    {"config", 0, TEXT, FIELD(config), NULL},
    {"copy-in", 0, OTHER, 0, set_copy_in},
    {"copy-out", 0, OTHER, 0, set_copy_out},
    {"cpus", 0, OTHER, 0, set_cpus},
    {"cpuset-cpus", 0, OTHER, 0, set_cpuset},
    {"cpu-time", 0, TIME, FIELD(cpu_time_usec), NULL},
    {"disk", 0, SIZE, FIELD(disk_bytes), NULL},
    {"disk-by", 0, OTHER, 0, set_disk_by},
    {"entrypoint", 0, TEXT, FIELD(entrypoint), NULL},
    {"env", 'e', LIST, FIELD(env), NULL},
    {"env-file", 0, LIST, FIELD(env_files), NULL},
    {"hostname", 0, TEXT, FIELD(hostname), NULL},
    {"interactive", 'i', FLAG, FIELD(interactive), NULL},
    {"keep-changes", 0, TEXT, FIELD(keep), NULL},
    {"memory", 'm', SIZE, FIELD(memory_bytes), NULL},
    {"name", 0, TEXT, FIELD(name), NULL},
    {"network", 0, OTHER, 0, set_network},
    {"output-limit", 0, SIZE, FIELD(output_bytes), NULL},
    {"pids-limit", 0, OTHER, 0, set_pids},
    {"publish", 'p', OTHER, 0, set_port},
    {"read-only", 0, FLAG, FIELD(read_only), NULL},
    {"report", 0, TEXT, FIELD(report), NULL},
    {"security-opt", 0, OTHER, 0, set_security},
    {"shm-size", 0, SIZE, FIELD(shm_bytes), NULL},
    {"store", 0, TEXT, FIELD(store), NULL},
    {"tmpdir", 0, TEXT, FIELD(scratch), NULL},
    {"tmpfs", 0, OTHER, 0, set_tmpfs},
    {"tty", 't', FLAG, FIELD(terminal), NULL},
    {"ulimit", 0, OTHER, 0, set_ulimit},
    {"user", 'u', TEXT, FIELD(user), NULL},
    {"verbose", 0, OTHER, 0, set_verbose},
    {"volume", 'v', OTHER, 0, set_volume},
    {"wall-time", 0, TIME, FIELD(wall_time_usec), NULL},
    {"workdir", 'w', TEXT, FIELD(working_dir), NULL},
};

_Static_assert(ARRAY_SIZE(rules) + 16 <= RUN_LONG_OPTIONS, "room for a verb's own options");

size_t run_options_long(struct option *table)
{
    for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
        bool bare = rules[i].kind == FLAG || rules[i].other == set_verbose;
        table[i] = (struct option){rules[i].name, bare ? no_argument : required_argument, NULL,
                                   rules[i].letter ? rules[i].letter : OPTION_FIRST + (int)i};
    }
    return ARRAY_SIZE(rules);
}

static const struct option_rule *find_rule(int option)
{
    for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
        if (option == (rules[i].letter ? rules[i].letter : OPTION_FIRST + (int)i))
            return &rules[i];
    return NULL;
}

static int set_number(const struct option_rule *rule, const char *value, uint64_t *field,
                      struct error *e)
{
    if (rule->kind == TIME && run_parse_time(value, field) < 0)
        return error_set(e, -EINVAL, "--%s is a time such as 10, 1.5s, 200ms or 2m, not \"%s\"",
                         rule->name, value);
    if (rule->kind == SIZE && parse_size(value, field) < 0)
        return error_set(e, -EINVAL, "--%s is a size such as 4096, 64k, 512m or 2g, not \"%s\"",
                         rule->name, value);
    return 0;
}

int run_options_apply(struct run_options *o, int option, const char *value, struct error *e)
{
    const struct option_rule *rule = find_rule(option);
    void *field;

    if (!rule)
        return -ENOENT;
    field = (char *)o + rule->field;
    switch (rule->kind) {
    case TEXT:
        return set_text(field, value, e);
    case LIST:
        return strv_append(field, value) < 0 ? error_sys(e, -ENOMEM, "command line") : 0;
    case FLAG:
        *(bool *)field = true;
        return 0;
    case SIZE:
    case TIME:
        return set_number(rule, value, field, e);
    default:
        return rule->other(o, value, e);
    }
}
