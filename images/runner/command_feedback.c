/* The commands that change the feedback. */
#include "commands.h"

#include "feedback.h"
#include "number.h"
#include "words.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define PROBLEM_OPTION                                                                             \
    {                                                                                              \
        'i', "id", "ID", "problem id"                                                              \
    }
#define ESCAPE_OPTION                                                                              \
    {                                                                                              \
        'e', "escape", NULL, "interprets backslash escapes"                                        \
    }

/* Saves what CHANGED says went well, explains what did not. */
static int conclude(const struct invocation *c, struct feedback *f, int changed, struct error *e)
{
    int k = changed;

    if (k >= 0)
        k = feedback_save(f, e);
    return k < 0 ? command_failed(c, k, e) : 0;
}

int command_feedback_result(const struct invocation *c)
{
    static const struct args_spec spec = {
        .summary = "Set the result of the task or of one problem.",
        .options = {PROBLEM_OPTION},
        .positional = {"result"},
    };
    _cleanup_args_ struct args a;
    _cleanup_feedback_ struct feedback f = FEEDBACK_INIT;
    struct error e = ERROR_INIT;
    struct text problem = TEXT_EMPTY, result = TEXT_EMPTY;
    int k = args_parse(&spec, c->name, c->argv, &a);

    if (k >= 0)
        return k;
    k = feedback_open(c->root_fd, &f, &e);
    if (k >= 0)
        k = command_text(&f.pool, args_value(&a, 0), &problem);
    if (k >= 0)
        k = command_text(&f.pool, a.positional[0], &result);
    if (k >= 0)
        k = feedback_set_result(&f, problem, result, &e);
    return conclude(c, &f, k, &e);
}

static int parse_grade(struct pool *pool, const char *text, double *ret, struct error *e)
{
    struct text t;
    int k = command_text(pool, text, &t);

    if (k >= 0)
        k = number_parse_real(pool, t, ret);
    if (k == -EINVAL)
        return error_set(e, k, "\"%s\" is no number", text);
    return k;
}

int command_feedback_grade(const struct invocation *c)
{
    static const struct args_spec spec = {
        .summary = "Set the grade of the task, in percent.",
        .positional = {"grade"},
    };
    _cleanup_args_ struct args a;
    _cleanup_feedback_ struct feedback f = FEEDBACK_INIT;
    struct error e = ERROR_INIT;
    double grade = 0;
    int k = args_parse(&spec, c->name, c->argv, &a);

    if (k >= 0)
        return k;
    k = feedback_open(c->root_fd, &f, &e);
    if (k >= 0)
        k = parse_grade(&f.pool, a.positional[0], &grade, &e);
    if (k >= 0)
        k = feedback_set_grade(&f, grade);
    return conclude(c, &f, k, &e);
}

int command_feedback_msg(const struct invocation *c)
{
    enum { APPEND, PROBLEM, ESCAPE, MESSAGE };
    static const struct args_spec spec = {
        .summary = "Set the feedback message of the task or of one problem. Without -m, or with an "
                   "empty one, the\nmessage is read from standard input.",
        .options = {{'a', "append", NULL, "append to the present message"},
                    PROBLEM_OPTION,
                    ESCAPE_OPTION,
                    {'m', "message", "MESSAGE", "the message"}},
    };
    _cleanup_args_ struct args a;
    _cleanup_pool_ struct pool pool = {NULL};
    _cleanup_feedback_ struct feedback f = FEEDBACK_INIT;
    struct error e = ERROR_INIT;
    struct text problem = TEXT_EMPTY, message = TEXT_EMPTY;
    int k = args_parse(&spec, c->name, c->argv, &a);

    if (k >= 0)
        return k;
    /* Read before the lock is taken: whoever writes our stdin may give feedback too. */
    k = command_message(&pool, args_value(&a, MESSAGE), a.value[ESCAPE], &message, &e);
    if (k >= 0)
        k = command_text(&pool, args_value(&a, PROBLEM), &problem);
    if (k >= 0)
        k = feedback_open(c->root_fd, &f, &e);
    if (k >= 0)
        k = feedback_set_message(&f, problem, message, a.value[APPEND], &e);
    return conclude(c, &f, k, &e);
}

/* The value a custom argument stands for: an integer or a real where it reads as one. */
static int plain_custom(struct pool *pool, struct text t, struct json *ret)
{
    double real;
    int k = number_parse_integer(pool, t, ret);

    if (k != -EINVAL)
        return k;
    k = number_parse_real(pool, t, &real);
    if (k == -ENOMEM)
        return k;
    *ret = k < 0 ? json_text(t) : json_real(real);
    return 0;
}

static int custom_value(struct pool *pool, struct text t, bool is_json, struct json *ret)
{
    return is_json ? json_parse(pool, t.data, t.size, ret, NULL) : plain_custom(pool, t, ret);
}

int command_feedback_custom(const struct invocation *c)
{
    static const struct args_spec spec = {
        .summary = "Set a key and value of the custom feedback.",
        .options = {{'j', "json", NULL, "interprets the value as JSON"}},
        .positional = {"key", "value"},
    };
    _cleanup_args_ struct args a;
    _cleanup_feedback_ struct feedback f = FEEDBACK_INIT;
    struct error e = ERROR_INIT;
    struct text key = TEXT_EMPTY, text = TEXT_EMPTY;
    struct json value;
    int k = args_parse(&spec, c->name, c->argv, &a);

    if (k >= 0)
        return k;
    k = feedback_open(c->root_fd, &f, &e);
    if (k >= 0)
        k = command_text(&f.pool, a.positional[0], &key);
    if (k >= 0)
        k = command_text(&f.pool, a.positional[1], &text);
    if (k >= 0)
        k = custom_value(&f.pool, text, a.value[0], &value);
    if (k == -EBADMSG) {
        puts("Cannot decode json. Invalid value for --json");
        return 1;
    }
    if (k >= 0)
        k = feedback_set_custom(&f, key, value, &e);
    return conclude(c, &f, k, &e);
}

int command_feedback_state(const struct invocation *c)
{
    static const struct args_spec spec = {
        .summary = "Set the task's state, a text that the next submission finds under @state.",
        .positional = {"value"},
    };
    _cleanup_args_ struct args a;
    _cleanup_feedback_ struct feedback f = FEEDBACK_INIT;
    struct error e = ERROR_INIT;
    struct text state = TEXT_EMPTY;
    int k = args_parse(&spec, c->name, c->argv, &a);

    if (k >= 0)
        return k;
    k = feedback_open(c->root_fd, &f, &e);
    if (k >= 0)
        k = command_text(&f.pool, a.positional[0], &state);
    if (k >= 0)
        k = feedback_set_state(&f, state);
    return conclude(c, &f, k, &e);
}

/* Tags that the webapp shows without their being declared have names of this form. */
#define AUTO_TAG "*auto-tag-"

/* FNV-1a: any number will do that differs between texts. */
static uint64_t hash(struct text t)
{
    uint64_t h = 0xcbf29ce484222325U;

    for (size_t i = 0; i < t.size; i++)
        h = (h ^ (unsigned char)t.data[i]) * 0x100000001b3U;
    return h;
}

int command_tag(const struct invocation *c)
{
    static const struct args_spec spec = {
        .summary = "Tag the submission with a text that is not among the declared tags.",
        .positional = {"value"},
    };
    _cleanup_args_ struct args a;
    _cleanup_feedback_ struct feedback f = FEEDBACK_INIT;
    struct error e = ERROR_INIT;
    struct text value = TEXT_EMPTY;
    char id[sizeof(AUTO_TAG) + 24];
    int k = args_parse(&spec, c->name, c->argv, &a);

    if (k >= 0)
        return k;
    k = feedback_open(c->root_fd, &f, &e);
    if (k >= 0)
        k = command_text(&f.pool, a.positional[0], &value);
    if (k >= 0) {
        snprintf(id, sizeof(id), AUTO_TAG "%" PRId64, (int64_t)hash(value));
        k = feedback_set_test(&f, text_of(id), json_text(value), &e);
    }
    return conclude(c, &f, k, &e);
}

int command_tag_set(const struct invocation *c)
{
    static const struct args_spec spec = {
        .summary = "Set a declared tag to true or false.",
        .positional = {"tag", "value"},
    };
    _cleanup_args_ struct args a;
    _cleanup_feedback_ struct feedback f = FEEDBACK_INIT;
    struct error e = ERROR_INIT;
    struct text tag = TEXT_EMPTY;
    int k = args_parse(&spec, c->name, c->argv, &a);
    bool value;

    if (k >= 0)
        return k;
    if (strncmp(a.positional[0], AUTO_TAG, strlen(AUTO_TAG)) == 0)
        return 0;
    value = strcmp(a.positional[1], "True") == 0 || strcmp(a.positional[1], "true") == 0;
    k = feedback_open(c->root_fd, &f, &e);
    if (k >= 0)
        k = command_text(&f.pool, a.positional[0], &tag);
    if (k >= 0)
        k = feedback_set_test(&f, tag, json_bool(value), &e);
    return conclude(c, &f, k, &e);
}

enum { RESULT, GRADE, MESSAGE, PROBLEM, ESCAPE, PRINT, CUSTOM, CUSTOM_JSON };

/* Sets "name:value" of -c or -j. */
static int set_custom_pair(struct feedback *f, const struct args *a, struct error *e)
{
    bool is_json = *args_value(a, CUSTOM_JSON);
    const char *pair = args_value(a, is_json ? CUSTOM_JSON : CUSTOM);
    struct text all, key, value = {"", 0};
    struct json parsed;
    char *colon;
    int k;

    if (!*pair)
        return 0;
    k = command_text(&f->pool, pair, &all);
    if (k < 0)
        return k;
    colon = strchr(all.data, ':');
    key = (struct text){all.data, colon ? (size_t)(colon - all.data) : all.size};
    if (colon)
        value = text_of(colon + 1);
    k = custom_value(&f->pool, value, is_json, &parsed);
    return k < 0 ? k : feedback_set_custom(f, key, parsed, e);
}

static int set_all(struct feedback *f, const struct args *a, struct text message, struct error *e)
{
    struct text problem = TEXT_EMPTY, result = TEXT_EMPTY;
    double grade = 0;
    int k = command_text(&f->pool, args_value(a, PROBLEM), &problem);

    if (k >= 0)
        k = command_text(&f->pool, args_value(a, RESULT), &result);
    if (k >= 0 && result.size)
        k = feedback_set_result(f, problem, result, e);
    if (k >= 0 && *args_value(a, GRADE)) {
        k = parse_grade(&f->pool, args_value(a, GRADE), &grade, e);
        if (k >= 0)
            k = feedback_set_grade(f, grade);
    }
    if (k >= 0 && message.size)
        k = feedback_set_message(f, problem, message, false, e);
    return k < 0 ? k : set_custom_pair(f, a, e);
}

static int print_feedback(const struct feedback *f)
{
    _cleanup_buffer_ struct buffer b = {.max = FEEDBACK_SIZE_MAX};
    int k = json_write(&f->map, &b);

    if (k < 0)
        return k;
    printf("%.*s\n", (int)b.size, (const char *)b.data);
    return 0;
}

int command_feedback(const struct invocation *c)
{
    static const struct args_spec spec = {
        .summary = "Set several parts of the feedback at once.",
        .options = {{'r', "result", "RESULT", "result [success|failed|crash|timeout|overflow]"},
                    {'g', "grade", "GRADE", "grade, in percent"},
                    {'f', "feedback", "FEEDBACK", "feedback message"},
                    PROBLEM_OPTION,
                    ESCAPE_OPTION,
                    {'p', "print", NULL, "print the feedback as JSON"},
                    {'c', "custom", "CUSTOM", "custom value, as name:value"},
                    {'j', "custom-json", "CUSTOM_JSON", "custom value, as name:json"}},
    };
    _cleanup_args_ struct args a;
    _cleanup_feedback_ struct feedback f = FEEDBACK_INIT;
    struct error e = ERROR_INIT;
    struct text message = {"", 0};
    int k = args_parse(&spec, c->name, c->argv, &a), status;

    if (k >= 0)
        return k;
    k = feedback_open(c->root_fd, &f, &e);
    if (k >= 0 && *args_value(&a, MESSAGE))
        k = command_message(&f.pool, args_value(&a, MESSAGE), a.value[ESCAPE], &message, &e);
    if (k < 0)
        return command_failed(c, k, &e);
    k = set_all(&f, &a, message, &e);
    /* Each option is a change of its own: those before a wrong one stay. */
    status = conclude(c, &f, 0, &e);
    if (k == -EBADMSG) {
        puts("Cannot decode json. Invalid value for --custom-json");
        return 1;
    }
    if (k >= 0 && a.value[PRINT])
        k = print_feedback(&f);
    return k < 0 ? command_failed(c, k, &e) : status;
}
