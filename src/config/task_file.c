#include "config/task_file.h"

#include "config/yaml.h"

#include <string.h>

/* Real tasks have up to some dozen. */
#define PROBLEMS_MAX 200
/* In seconds and in MiB: beyond it nothing differs any more. */
#define LIMIT_MAX 1000000000

void task_file_clear(struct task_file *t)
{
    free(t->name);
    free(t->environment_type);
    free(t->environment);
    free(t->run_cmd);
    for (size_t i = 0; i < t->n_problems; i++) {
        free(t->problems[i].id);
        free(t->problems[i].type);
    }
    free(t->problems);
    *t = (struct task_file){0};
}

/* The text under KEY; *RET stays where it is not there, null or empty. */
static int load_text(const struct yaml_file *f, const struct yaml_node *map, const char *key,
                     char **ret, struct error *e)
{
    const struct yaml_node *n = yaml_get(map, key);
    char *text;
    int r;

    if (!n || yaml_is_null(n) || (n->kind == YAML_SCALAR && n->size == 0))
        return 0;
    r = yaml_text(f, n, key, &text, e);
    if (r < 0)
        return r;
    free(*ret);
    *ret = text;
    return 0;
}

/* ---- numbers ---- */

/* Digits of BASE. Underscores may be between them: in quoted text (Python's) one at a time, in
 * plain text (YAML's) any number and behind the last, too. */
static bool parse_digits(const char *text, unsigned base, bool plain, double *ret)
{
    static const char alphabet[] = "0123456789abcdef";
    double value = 0;
    bool digit_before = false, any = false;

    for (; *text; text++) {
        char c = *text >= 'A' && *text <= 'F' ? *text | 0x20 : *text;
        const char *digit = strchr(alphabet, c);
        if (c == '_' && (plain || (digit_before && text[1]))) {
            digit_before = false;
            continue;
        }
        if (!digit || (unsigned)(digit - alphabet) >= base)
            return false;
        value = value * base + (double)(digit - alphabet);
        any = digit_before = true;
    }
    *ret = value;
    return any;
}

/* A plain scalar the way PyYAML and then int() read it: "010" is octal and a fraction is cut.
 * Numbers of base 60 ("1:30") and exponents are refused. */
static bool parse_plain(char *text, double *ret)
{
    char *point = strchr(text, '.');

    if (*text == '_')
        return false;
    if (text[0] == '0' && (text[1] == 'x' || text[1] == 'b'))
        return parse_digits(text + 2, text[1] == 'x' ? 16 : 2, true, ret);
    if (text[0] == '0' && strspn(text, "01234567_") == strlen(text))
        return parse_digits(text, 8, true, ret);
    if (text[0] == '0' && strspn(text, "0123456789_") == strlen(text))
        return parse_digits(text, 10, false, ret); /* "08" is a string for YAML */
    if (point && point > text && strspn(point + 1, "0123456789_") == strlen(point + 1))
        *point = 0;
    return parse_digits(text, 10, true, ret);
}

/* A positive number in a scalar. */
static bool parse_number(const struct yaml_node *n, double *ret)
{
    _cleanup_free_ char *copy = NULL;
    char *text, *end;

    if (n->kind != YAML_SCALAR || strlen(n->text) != n->size || !(copy = strdup(n->text)))
        return false;
    text = copy + strspn(copy, " \t\r\n");
    for (end = text + strlen(text); end > text && strchr(" \t\r\n", end[-1]); end--)
        end[-1] = 0;
    text += *text == '+';
    return n->plain ? parse_plain(text, ret) : parse_digits(text, 10, false, ret);
}

/* A limit; what is not above 0 is what INGInious calls an invalid one. */
static int load_limit(const struct yaml_file *f, const struct yaml_node *limits, const char *key,
                      double *ret, struct error *e)
{
    const struct yaml_node *n = yaml_get(limits, key);
    double value;

    if (!n)
        return 0;
    if (strcmp(key, "hard_time") == 0 && n->kind == YAML_SCALAR && !yaml_is_null(n) &&
        strspn(n->text, " \t\r\n") == n->size)
        return 0; /* what the editor writes for "three times the time" */
    if (!parse_number(n, &value) || value < 1 || value > LIMIT_MAX)
        return yaml_fault(f, n, e, "the limit \"%s\" must be a number from 1 to %d", key,
                          LIMIT_MAX);
    *ret = value;
    return 0;
}

/* ---- truth ---- */

/* Whether a plain scalar is a zero of any kind: 0, -0, 0.0, 0x0. */
static bool is_zero(const struct yaml_node *n)
{
    const char *text = n->text + (*n->text == '-' || *n->text == '+');

    if (text[0] == '0' && (text[1] == 'x' || text[1] == 'b') && text[2])
        text += 2;
    return strchr(text, '0') && *text != '_' && strspn(text, "0_.") == strlen(text);
}

/* Python's bool() of what YAML makes of N. */
static bool truthy(const struct yaml_node *n)
{
    if (n->kind != YAML_SCALAR)
        return n->n > 0;
    if (yaml_is_null(n) || yaml_boolean(n) == 0 || (n->plain && is_zero(n)))
        return false;
    return n->size > 0;
}

static bool load_flag(const struct yaml_node *map, const char *key)
{
    const struct yaml_node *n = yaml_get(map, key);

    return n && truthy(n);
}

/* ---- problems ---- */

static struct task_problem *find_problem(struct task_file *t, const char *id)
{
    for (size_t i = 0; i < t->n_problems; i++)
        if (strcmp(t->problems[i].id, id) == 0)
            return &t->problems[i];
    return NULL;
}

static int add_problem(const struct yaml_file *f, const struct yaml_node *key,
                       const struct yaml_node *value, struct task_file *t, struct error *e)
{
    struct task_problem *grown, *p;
    int r;

    if (key->kind != YAML_SCALAR)
        return yaml_fault(f, key, e, "a problem's id must be plain text");
    if (value->kind != YAML_MAPPING)
        return yaml_fault(f, value, e, "a problem must have keys with values");
    if (t->n_problems == PROBLEMS_MAX)
        return yaml_fault(f, key, e, "too many problems");
    grown = realloc(t->problems, (t->n_problems + 1) * sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    t->problems = grown;
    p = &t->problems[t->n_problems++];
    *p = (struct task_problem){.multiple = load_flag(value, "multiple")};
    r = yaml_text(f, key, "problems", &p->id, e);
    if (r == 0)
        r = load_text(f, value, "type", &p->type, e);
    if (r == 0 && !p->type && !(p->type = strdup("")))
        r = -ENOMEM;
    return r;
}

/* The problems of MAP and of what it merges. A key that is there again is skipped: the last value
 * counts, and the one of MAP before a merged one. */
static int add_problems(const struct yaml_file *f, const struct yaml_node *map, struct task_file *t,
                        struct error *e)
{
    const struct yaml_node *at = map;
    int r = 0;

    if (map->kind != YAML_MAPPING)
        return yaml_fault(f, map, e, "\"problems\" must have keys with values");
    for (int depth = 0; at && depth <= YAML_MERGES_MAX; depth++) {
        for (size_t i = 0; i + 1 < at->n && r == 0; i += 2) {
            const struct yaml_node *key = at->items[i];
            if (yaml_is_merge(key) || (key->text && find_problem(t, key->text)))
                continue;
            r = add_problem(f, key, key->text ? yaml_get(map, key->text) : key, t, e);
        }
        at = yaml_merged(at);
    }
    return r;
}

/* ---- the file ---- */

static int load_limits(const struct yaml_file *f, const struct yaml_node *limits,
                       struct task_file *t, struct error *e)
{
    int r;

    if (!limits)
        return 0;
    if (limits->kind != YAML_MAPPING)
        return yaml_fault(f, limits, e, "\"limits\" must have keys with values");
    t->has_limits = true;
    r = load_limit(f, limits, "time", &t->time, e);
    if (r == 0)
        r = load_limit(f, limits, "hard_time", &t->hard_time, e);
    return r < 0 ? r : load_limit(f, limits, "memory", &t->memory, e);
}

/* Since 0.7 the parameters are below a key of their own; before, they stood at the top. */
static int load_environment(const struct yaml_file *f, const struct yaml_node *root,
                            struct task_file *t, struct error *e)
{
    const struct yaml_node *parameters = yaml_get(root, "environment_parameters");
    bool old = !parameters && !yaml_get(root, "environment_id");
    int r = load_text(f, root, old ? "environment" : "environment_id", &t->environment, e);

    if (parameters && parameters->kind != YAML_MAPPING && !yaml_is_null(parameters))
        return yaml_fault(f, parameters, e,
                          "\"environment_parameters\" must have keys with values");
    if (old)
        parameters = root;
    if (r == 0)
        r = load_text(f, root, "environment_type", &t->environment_type, e);
    if (r == 0)
        r = load_text(f, parameters, "run_cmd", &t->run_cmd, e);
    t->network_grading = load_flag(parameters, "network_grading");
    return r < 0 ? r : load_limits(f, yaml_get(parameters, "limits"), t, e);
}

static int load(const struct yaml_file *f, struct task_file *t, struct error *e)
{
    const struct yaml_node *problems = yaml_get(f->root, "problems");
    int r;

    if (f->root && f->root->kind != YAML_MAPPING)
        return yaml_fault(f, f->root, e, "a task file must have keys with values");
    r = load_text(f, f->root, "name", &t->name, e);
    if (r == 0)
        r = load_environment(f, f->root, t, e);
    if (r == 0 && problems && !yaml_is_null(problems))
        r = add_problems(f, problems, t, e);
    return r;
}

int task_file_parse(const char *path, const char *text, size_t size, struct task_file *ret,
                    struct error *e)
{
    _cleanup_(task_file_clear) struct task_file t = {.time = -1, .hard_time = -1, .memory = -1};
    _cleanup_yaml_ struct yaml_file file = {0};
    int r = yaml_load(path, text, size, &file, e);

    if (r < 0)
        return r;
    t.environment_type = strdup("docker");
    t.environment = strdup("default");
    if (!t.environment_type || !t.environment)
        return -ENOMEM;
    r = load(&file, &t, e);
    if (r < 0)
        return r;
    *ret = t;
    t = (struct task_file){0};
    return 0;
}
