#include "profile/profile.h"

#include "base/fdio.h"
#include "capabilities.h"
#include "image/fields.h"
#include "seccomp_profile.h"

#include <linux/capability.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/utsname.h>

/* What SECCOMP_RET_ERRNO can carry. */
#define ERRNO_MAX    4095
#define WHERE_MAX    64
#define NAME_SHOWN   64
#define VERSION_PART 1000000

#ifdef __x86_64__
#define ARCH_OCI    "SCMP_ARCH_X86_64"
#define ARCH_DOCKER "amd64"
#else
#define ARCH_OCI    "SCMP_ARCH_AARCH64"
#define ARCH_DOCKER "arm64"
#endif

static const struct {
    const char *name;
    uint32_t action;
} actions[] = {
    {"SCMP_ACT_ALLOW", SECCOMP_RET_ALLOW},
    {"SCMP_ACT_ERRNO", SECCOMP_RET_ERRNO | EPERM},
    {"SCMP_ACT_KILL", SECCOMP_RET_KILL_THREAD},
    {"SCMP_ACT_KILL_THREAD", SECCOMP_RET_KILL_THREAD},
    {"SCMP_ACT_KILL_PROCESS", SECCOMP_RET_KILL_PROCESS},
    {"SCMP_ACT_TRAP", SECCOMP_RET_TRAP},
    {"SCMP_ACT_LOG", SECCOMP_RET_LOG},
};

static const struct {
    const char *name;
    enum seccomp_operator operator;
} operators[] = {
    {"SCMP_CMP_NE", SECCOMP_NE},
    {"SCMP_CMP_LT", SECCOMP_LT},
    {"SCMP_CMP_LE", SECCOMP_LE},
    {"SCMP_CMP_EQ", SECCOMP_EQ},
    {"SCMP_CMP_GE", SECCOMP_GE},
    {"SCMP_CMP_GT", SECCOMP_GT},
    {"SCMP_CMP_MASKED_EQ", SECCOMP_MASKED_EQ},
};

static int wrong(const char *where, const char *key, const char *value, const char *what,
                 struct error *e)
{
    char shown[FIELD_SHOWN_MAX];

    return error_set(e, -EBADMSG, "%s%s: \"%s\" %s", where, key, show_foreign(value, shown), what);
}

/* The action in KEY with the errno in ERRNO_KEY; *RET stays where an optional one is missing. */
static int read_action(const json_t *object, const char *where, const char *key,
                       const char *errno_key, enum need need, uint32_t *ret, struct error *e)
{
    const char *name = NULL;
    uint64_t number = EPERM;
    int r = field_string(object, where, key, need, &name, e);

    if (r == 0)
        r = field_size(object, where, errno_key, OPTIONAL, ERRNO_MAX, &number, e);
    if (r < 0 || !name)
        return r;
    for (size_t i = 0; i < ARRAY_SIZE(actions); i++) {
        if (strcmp(actions[i].name, name) != 0)
            continue;
        *ret = actions[i].action;
        if ((*ret & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_ERRNO)
            *ret = SECCOMP_RET_ERRNO | (uint32_t)number;
        return 0;
    }
    if (strcmp(name, "SCMP_ACT_TRACE") == 0 || strcmp(name, "SCMP_ACT_NOTIFY") == 0)
        return wrong(where, key, name, "wants a supervisor, which dockless is not", e);
    return wrong(where, key, name, "is no action", e);
}

static int read_operator(const json_t *object, const char *where, enum seccomp_operator *ret,
                         struct error *e)
{
    const char *name = NULL;
    int r = field_string(object, where, "op", REQUIRED, &name, e);

    if (r < 0)
        return r;
    for (size_t i = 0; i < ARRAY_SIZE(operators); i++) {
        if (strcmp(operators[i].name, name) == 0) {
            *ret = operators[i].operator;
            return 0;
        }
    }
    return wrong(where, "op", name, "is no comparison", e);
}

/* JSON has signed 64-bit numbers only: what is above them is written as a negative one by some. */
static int read_value(const json_t *object, const char *where, const char *key, enum need need,
                      uint64_t *ret, struct error *e)
{
    const json_t *value = json_object_get(object, key);

    *ret = 0;
    if (!value && need == OPTIONAL)
        return 0;
    if (!json_is_integer(value))
        return error_set(e, -EBADMSG, "%s%s: expected an integer", where, key);
    *ret = (uint64_t)json_integer_value(value);
    return 0;
}

static int read_compare(const json_t *object, const char *where, struct seccomp_compare *ret,
                        struct error *e)
{
    uint64_t index = 0, value = 0, second = 0;
    int r;

    if (!json_is_object(object))
        return error_set(e, -EBADMSG, "%s expected an object", where);
    r = field_size(object, where, "index", REQUIRED, SECCOMP_ARGUMENTS - 1, &index, e);
    if (r == 0)
        r = read_operator(object, where, &ret->operator, e);
    if (r == 0)
        r = read_value(object, where, "value", REQUIRED, &value, e);
    if (r == 0)
        r = read_value(object, where, "valueTwo", OPTIONAL, &second, e);
    if (r < 0)
        return r;
    ret->argument = (unsigned)index;
    ret->value = value;
    /* The specification's masked comparison has the mask first. */
    if (ret->operator== SECCOMP_MASKED_EQ) {
        ret->mask = value;
        ret->value = second;
        if (second & ~value)
            return error_set(e, -EBADMSG, "%svalueTwo: has bits that the mask \"value\" has not",
                             where);
    }
    return 0;
}

struct compares {
    struct seccomp_compare list[PROFILE_ARGS_MAX];
    size_t n;
    bool alternatives; /* an argument is there twice: then each is a rule of its own, as runc has it
                        */
};

static int read_compares(const json_t *rule, const char *where, struct compares *ret,
                         struct error *e)
{
    const json_t *array = NULL;
    unsigned seen = 0;
    int r = field_array(rule, where, "args", OPTIONAL, PROFILE_ARGS_MAX, &array, e);

    *ret = (struct compares){.n = 0};
    for (size_t i = 0; r == 0 && array && i < json_array_size(array); i++) {
        char below[WHERE_MAX + NAME_SHOWN + 32];
        snprintf(below, sizeof(below), "%sargs[%zu].", where, i);
        r = read_compare(json_array_get(array, i), below, &ret->list[i], e);
        if (r < 0)
            return r;
        ret->alternatives |= (seen >> ret->list[i].argument) & 1;
        seen |= 1U << ret->list[i].argument;
        ret->n = i + 1;
    }
    return r;
}

static int add_call(struct seccomp_policy *policy, int number, uint32_t action,
                    const struct compares *c)
{
    struct seccomp_rule rule = {.number = number, .action = action};
    int r = 0;

    if (!c->alternatives) {
        rule.n_compares = c->n;
        memcpy(rule.compares, c->list, c->n * sizeof(c->list[0]));
        return seccomp_policy_add(policy, &rule);
    }
    rule.n_compares = 1;
    for (size_t i = 0; r == 0 && i < c->n; i++) {
        rule.compares[0] = c->list[i];
        r = seccomp_policy_add(policy, &rule);
    }
    return r;
}

/* Whether the kernel that runs is at least VERSION ("4.8"). */
static int kernel_is(const char *version, const char *where, struct error *e)
{
    unsigned major, minor, own_major, own_minor;
    struct utsname host;
    char rest;

    if (sscanf(version, "%6u.%6u%c", &major, &minor, &rest) != 2) // NOLINT(cert-err34-c)
        return wrong(where, "minKernel", version, "is no version such as 4.8", e);
    if (uname(&host) < 0 ||
        sscanf(host.release, "%6u.%6u", &own_major, &own_minor) != 2) // NOLINT(cert-err34-c)
        return error_set(e, -EBADMSG, "%sminKernel: this kernel has no version", where);
    return own_major * VERSION_PART + own_minor >= major * VERSION_PART + minor;
}

static int capability_is(const char *name, const char *where, struct error *e)
{
    cap_value_t value;
    char lower[NAME_SHOWN];
    size_t i;

    for (i = 0; name[i] && i + 1 < sizeof(lower); i++)
        lower[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] - 'A' + 'a' : name[i]);
    lower[i] = 0;
    /* One that the library is too old for is not among ours. */
    if (strncmp(lower, "cap_", 4) != 0)
        return wrong(where, "caps", name, "is no capability", e);
    if (cap_from_name(lower, &value) < 0 || value < 0 || value > 63)
        return 0;
    return (capabilities_default() >> value) & 1;
}

/* How many of the strings in KEY hold: all of them for "includes", any for "excludes". */
static int count_true(const json_t *object, const char *where, const char *key, size_t *ret_n,
                      size_t *ret_true, struct error *e)
{
    _cleanup_strv_ char **list = NULL;
    int r = field_strings(object, where, key, OPTIONAL, &list, e);

    for (char **text = list; r >= 0 && text && *text; text++) {
        r = strcmp(key, "caps") == 0 ? capability_is(*text, where, e)
                                     : strcmp(*text, ARCH_DOCKER) == 0;
        *ret_n += 1;
        *ret_true += r > 0;
    }
    return MIN(r, 0);
}

/* The condition in KEY ("includes", "excludes"): 1 it holds, 0 it does not or there is none
 * (*RET_THERE). */
static int read_condition(const json_t *rule, const char *where, const char *key, bool *ret_there,
                          struct error *e)
{
    const json_t *object = NULL;
    char below[WHERE_MAX + NAME_SHOWN + 32];
    const char *kernel = NULL;
    size_t n_caps = 0, caps = 0, n_arches = 0, arches = 0;
    bool includes = strcmp(key, "includes") == 0;
    int r = field_object(rule, where, key, OPTIONAL, &object, e), new_enough = includes;

    *ret_there = object && json_object_size(object) > 0;
    if (r < 0 || !*ret_there)
        return r;
    snprintf(below, sizeof(below), "%s%s.", where, key);
    r = count_true(object, below, "caps", &n_caps, &caps, e);
    if (r == 0)
        r = count_true(object, below, "arches", &n_arches, &arches, e);
    if (r == 0)
        r = field_string(object, below, "minKernel", OPTIONAL, &kernel, e);
    if (r == 0 && kernel)
        r = new_enough = kernel_is(kernel, below, e);
    if (r < 0)
        return r;
    /* As Docker has it: all capabilities, one of the architectures; and any of them excludes. */
    if (includes)
        return caps == n_caps && (n_arches == 0 || arches > 0) && new_enough;
    return caps > 0 || arches > 0 || (kernel && new_enough);
}

/* Whether the rule is meant for this host: 1 or 0. */
static int applies(const json_t *rule, const char *where, struct error *e)
{
    bool there;
    int r = read_condition(rule, where, "includes", &there, e);

    if (r < 0 || (there && r == 0))
        return r;
    r = read_condition(rule, where, "excludes", &there, e);
    return r < 0 ? r : !r;
}

/* The calls of a rule; "name" is the spelling of old profiles. */
static int read_names(const json_t *rule, const char *where, char ***ret, struct error *e)
{
    const char *name = NULL;
    int r = field_strings(rule, where, "names", OPTIONAL, ret, e);

    if (r == 0)
        r = field_string(rule, where, "name", OPTIONAL, &name, e);
    if (r == 0 && name)
        r = strv_append(ret, name);
    if (r == 0 && !*ret)
        r = error_set(e, -EBADMSG, "%snames: missing", where);
    if (r == 0 && strv_length(*ret) > PROFILE_NAMES_MAX)
        r = error_set(e, -EBADMSG, "%snames: more than %d", where, PROFILE_NAMES_MAX);
    return r;
}

static int read_rule(const json_t *rule, size_t index, struct seccomp_policy *policy,
                     struct error *e)
{
    _cleanup_strv_ char **names = NULL;
    char where[WHERE_MAX + NAME_SHOWN], shown[FIELD_SHOWN_MAX];
    struct compares compares = {.n = 0};
    uint32_t action = 0;
    int r;

    snprintf(where, sizeof(where), "syscalls[%zu].", index);
    if (!json_is_object(rule))
        return error_set(e, -EBADMSG, "syscalls[%zu]: expected an object", index);
    r = read_names(rule, where, &names, e);
    if (r < 0)
        return r;
    snprintf(where, sizeof(where), "syscalls[%zu] (\"%.*s\"): ", index, NAME_SHOWN / 2,
             names[0] ? show_foreign(names[0], shown) : "");
    r = read_action(rule, where, "action", "errnoRet", REQUIRED, &action, e);
    if (r == 0)
        r = read_compares(rule, where, &compares, e);
    if (r == 0)
        r = applies(rule, where, e);
    if (r <= 0)
        return r;
    for (char **name = names; *name; name++) {
        int number = syscall_number(*name);
        /* A call of other architectures, or newer than we are: it does not exist here. Profiles
         * name many such to allow them; but who refuses what is not there has misspelt it. */
        if (number < 0 && action != SECCOMP_RET_ALLOW && action != policy->default_action)
            return wrong(where, "names", *name, "is no system call of this architecture", e);
        if (number < 0 || number > SECCOMP_NEWEST)
            continue;
        if (add_call(policy, number, action, &compares) < 0)
            return error_sys(e, -ENOMEM, "%s", where);
    }
    return 0;
}

static int has_arch(const json_t *list, const char *where, bool *ret, struct error *e)
{
    const char *name = NULL;

    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        if (json_is_object(item)) {
            int r = field_string(item, "archMap[].", "architecture", REQUIRED, &name, e);
            if (r < 0)
                return r;
        } else {
            name = json_string_value(item);
        }
        if (!name)
            return error_set(e, -EBADMSG, "%s[%zu]: expected an architecture", where, i);
        *ret = *ret || strcmp(name, ARCH_OCI) == 0;
    }
    return 0;
}

/* A profile that says which architectures it is for must name ours. Others are killed anyway. */
static int check_arches(const json_t *json, struct error *e)
{
    static const char *const keys[] = {"architectures", "archMap"};
    bool listed = false, ours = false;

    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        const json_t *list = NULL;
        int r = field_array(json, "", keys[i], OPTIONAL, PROFILE_NAMES_MAX, &list, e);
        if (r == 0 && list)
            r = has_arch(list, keys[i], &ours, e);
        if (r < 0)
            return r;
        listed = listed || (list && json_array_size(list) > 0);
    }
    if (listed && !ours)
        return error_set(e, -EBADMSG, "architectures: " ARCH_OCI " is not among them");
    return 0;
}

static int read_profile(const json_t *json, struct seccomp_policy *policy, struct error *e)
{
    const json_t *rules = NULL;
    int r = read_action(json, "", "defaultAction", "defaultErrnoRet", REQUIRED,
                        &policy->default_action, e);

    if (r == 0)
        r = check_arches(json, e);
    if (r == 0)
        r = field_array(json, "", "syscalls", OPTIONAL, PROFILE_RULES_MAX, &rules, e);
    for (size_t i = 0; r == 0 && rules && i < json_array_size(rules); i++)
        r = read_rule(json_array_get(rules, i), i, policy, e);
    return r;
}

int profile_parse(const void *data, size_t size, struct seccomp_policy *ret, struct error *e)
{
    _cleanup_(seccomp_policy_clear) struct seccomp_policy policy = {0};
    _cleanup_json_ json_t *json = NULL;
    int r = json_parse_object(data, size, &json, e);

    if (r == 0)
        r = read_profile(json, &policy, e);
    if (r < 0)
        return r;
    *ret = policy;
    policy = (struct seccomp_policy){0};
    return 0;
}

int profile_load(const char *path, struct seccomp_program *ret, struct error *e)
{
    _cleanup_(seccomp_policy_clear) struct seccomp_policy policy = {0};
    _cleanup_(seccomp_program_clear) struct seccomp_program program = {0};
    _cleanup_buffer_ struct buffer text = {0};
    int r = fd_read_file(AT_FDCWD, path, &text, PROFILE_BYTES_MAX);

    if (r < 0)
        return error_sys(e, r, "system call profile %s", path);
    r = profile_parse(text.data, text.size, &policy, e);
    if (r == 0)
        r = seccomp_compile_policy(&policy, &program, e);
    if (r == 0)
        r = seccomp_try(&program, e);
    if (r < 0)
        return error_prefix(e, r, "system call profile %s", path);
    *ret = program;
    program = (struct seccomp_program){0};
    return 0;
}
