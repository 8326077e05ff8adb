#include "expression.h"

#include "filter.h"
#include "number.h"
#include "words.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NAME_START "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_"
#define NAME_REST  NAME_START "0123456789"
/* Digits of a number that certainly fits. */
#define DIGITS_MAX 18

_printf_(3, 0) static int complain(struct expression_reader *r, int code, const char *format,
                                   va_list args)
{
    char text[160];
    unsigned line = 1;

    for (const char *p = r->start; p < r->at; p++)
        line += *p == '\n';
    vsnprintf(text, sizeof(text), format, args);
    return error_set(r->e, code, "line %u: %s", line, text);
}

int expression_wrong(struct expression_reader *r, const char *format, ...)
{
    va_list args;
    int k;

    va_start(args, format);
    k = complain(r, -EINVAL, format, args);
    va_end(args);
    return k;
}

int expression_beyond(struct expression_reader *r, const char *format, ...)
{
    va_list args;
    int k;

    va_start(args, format);
    k = complain(r, -EOPNOTSUPP, format, args);
    va_end(args);
    return k;
}

void expression_skip_blanks(struct expression_reader *r)
{
    r->at += strspn(r->at, " \t\r\n\v\f");
}

int expression_name(struct expression_reader *r, struct text *ret)
{
    size_t n;

    expression_skip_blanks(r);
    n = strspn(r->at, NAME_REST);
    if (!n || !strchr(NAME_START, *r->at))
        return expression_beyond(r, "\"%.20s\" where a name should be", r->at);
    *ret = (struct text){pool_copy(r->pool, r->at, n), n};
    r->at += n;
    return ret->data ? 0 : -ENOMEM;
}

/* Takes WORD, a name or signs, if it comes next. */
static bool take(struct expression_reader *r, const char *word)
{
    size_t n = strlen(word);

    expression_skip_blanks(r);
    if (strncmp(r->at, word, n) != 0 ||
        (strchr(NAME_START, *word) && strspn(r->at, NAME_REST) != n))
        return false;
    r->at += n;
    return true;
}

bool value_is_true(const struct value *v)
{
    if (!v->defined)
        return false;
    switch (v->json.kind) {
    case JSON_BOOL:
        return v->json.boolean;
    case JSON_INTEGER:
        return v->json.integer != 0;
    case JSON_TEXT:
        return v->json.text.size != 0;
    default:
        return false;
    }
}

int value_text(const struct expression_reader *r, const struct value *v, struct text *ret)
{
    char digits[24];

    *ret = text_of("");
    if (!v->defined)
        return 0;
    switch (v->json.kind) {
    case JSON_TEXT:
        *ret = v->json.text;
        return 0;
    case JSON_BOOL:
        *ret = text_of(v->json.boolean ? "True" : "False");
        return 0;
    case JSON_INTEGER:
        snprintf(digits, sizeof(digits), "%" PRId64, v->json.integer);
        *ret = (struct text){pool_copy(r->pool, digits, strlen(digits)), strlen(digits)};
        return ret->data ? 0 : -ENOMEM;
    default:
        *ret = text_of("None");
        return 0;
    }
}

static struct value value_of(struct json json)
{
    return (struct value){.defined = true, .json = json};
}

static int join_texts(struct pool *pool, struct text a, struct text b, struct value *ret)
{
    char *data = pool_alloc(pool, a.size + b.size + 1);

    if (!data)
        return -ENOMEM;
    memcpy(data, a.data, a.size);
    memcpy(data + a.size, b.data, b.size);
    data[a.size + b.size] = 0;
    *ret = value_of(json_text((struct text){data, a.size + b.size}));
    return 0;
}

/* A text in quotes, with the escapes that Python has in one. */
static int read_quoted(struct expression_reader *r, struct text *ret)
{
    const char quote = *r->at, *start = ++r->at, *p = start;
    struct text t = TEXT_EMPTY;
    int k;

    while (*p && *p != quote)
        p += *p == '\\' && p[1] ? 2 : 1;
    if (!*p)
        return expression_wrong(r, "a text without its second %c", quote);
    t = (struct text){pool_copy(r->pool, start, (size_t)(p - start)), (size_t)(p - start)};
    if (!t.data)
        return -ENOMEM;
    r->at = p + 1;
    k = words_unescape(r->pool, t, &t, r->e);
    *ret = t;
    return k;
}

/* Texts that follow one another are one. */
static int read_text(struct expression_reader *r, struct value *ret)
{
    struct text t = TEXT_EMPTY, all = TEXT_EMPTY;
    int k;

    do {
        k = read_quoted(r, &t);
        if (k >= 0)
            k = join_texts(r->pool, all, t, ret);
        if (k < 0)
            return k;
        all = ret->json.text;
        expression_skip_blanks(r);
    } while (*r->at == '"' || *r->at == '\'');
    return 0;
}

static int read_number(struct expression_reader *r, struct value *ret)
{
    size_t n = strspn(r->at, "0123456789_");
    struct text digits = {pool_copy(r->pool, r->at, n), n};

    if (!digits.data)
        return -ENOMEM;
    if (n > DIGITS_MAX || r->at[n] == '.' || number_parse_integer(r->pool, digits, &ret->json) < 0)
        return expression_beyond(r, "the number %.20s", r->at);
    ret->defined = true;
    r->at += n;
    return 0;
}

/* What stands for itself. */
static bool read_constant(const struct text *name, struct value *ret)
{
    static const char *const names[] = {"true", "True", "false", "False", "none", "None"};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (strcmp(names[i], name->data) == 0) {
            *ret = i < 4 ? value_of(json_bool(i < 2)) : value_of((struct json){.kind = JSON_NULL});
            return true;
        }
    return false;
}

/* NOLINTNEXTLINE(misc-no-recursion): see expression_read */
static int read_arguments(struct expression_reader *r, struct value *values, size_t max,
                          size_t *ret)
{
    size_t n = 0;
    int k = 0;

    while (k >= 0 && !take(r, ")")) {
        if (n == max)
            return expression_beyond(r, "more arguments");
        k = expression_read(r, &values[n++]);
        if (k >= 0 && !take(r, ",") && *r->at != ')')
            return expression_beyond(r, "\"%.20s\" in arguments", r->at);
    }
    *ret = n;
    return k;
}

/* NOLINTNEXTLINE(misc-no-recursion): see expression_read */
static int read_primary(struct expression_reader *r, struct value *ret)
{
    const struct json *found;
    struct text name = TEXT_EMPTY;
    size_t n = 0;
    int k;

    *ret = (struct value){.defined = false};
    expression_skip_blanks(r);
    if (*r->at == '"' || *r->at == '\'')
        return read_text(r, ret);
    if (*r->at >= '0' && *r->at <= '9')
        return read_number(r, ret);
    if (take(r, "(")) {
        k = expression_read(r, ret);
        if (k >= 0 && !take(r, ")"))
            k = expression_beyond(r, "\"%.20s\" in brackets", r->at);
        return k;
    }
    k = expression_name(r, &name);
    if (k < 0 || read_constant(&name, ret))
        return k;
    found = json_get(r->names, name);
    if (strcmp(name.data, "_") == 0 && !found && take(r, "(")) {
        k = read_arguments(r, ret, 1, &n);
        if (k < 0 || n != 1 || !ret->defined || ret->json.kind != JSON_TEXT)
            return k < 0 ? k : expression_wrong(r, "_() wants one text");
        ret->json.text = r->translator->translate(r->translator->data, ret->json.text);
        return 0;
    }
    *ret = found ? value_of(*found) : (struct value){.defined = false};
    return 0;
}

/* ... is [not] TEST. */
static int read_test(struct expression_reader *r, struct value *v)
{
    bool negated = take(r, "not"), result;

    if (take(r, "defined"))
        result = v->defined;
    else if (take(r, "undefined"))
        result = !v->defined;
    else if (take(r, "none"))
        result = v->defined && v->json.kind == JSON_NULL;
    else
        return expression_beyond(r, "the test \"%.20s\"", r->at);
    *v = value_of(json_bool(result != negated));
    return 0;
}

/* A value with its filters and tests. NOLINTNEXTLINE(misc-no-recursion): see expression_read */
static int read_filtered(struct expression_reader *r, struct value *ret)
{
    int k = read_primary(r, ret);

    while (k >= 0) {
        struct value arguments[FILTER_ARGUMENTS_MAX];
        struct text name = TEXT_EMPTY;
        size_t n = 0;
        if (take(r, "is")) {
            k = read_test(r, ret);
            continue;
        }
        expression_skip_blanks(r);
        if (*r->at && strchr(".[(", *r->at))
            return expression_beyond(r, "\"%.20s\" behind a value", r->at);
        if (!take(r, "|"))
            break;
        k = expression_name(r, &name);
        if (k >= 0 && take(r, "("))
            k = read_arguments(r, arguments, ARRAY_SIZE(arguments), &n);
        if (k >= 0)
            k = filter_apply(r, name.data, ret, arguments, n);
    }
    return k;
}

/* NOLINTNEXTLINE(misc-no-recursion): see expression_read */
static int read_joined(struct expression_reader *r, struct value *ret)
{
    int k = read_filtered(r, ret);

    while (k >= 0 && take(r, "~")) {
        struct value right = {.defined = false};
        struct text a = TEXT_EMPTY, b = TEXT_EMPTY;
        k = read_filtered(r, &right);
        if (k >= 0)
            k = value_text(r, ret, &a);
        if (k >= 0)
            k = value_text(r, &right, &b);
        if (k >= 0)
            k = join_texts(r->pool, a, b, ret);
    }
    return k;
}

enum comparison { EQUAL, UNEQUAL, AT_MOST, AT_LEAST, LESS, MORE, IN, NOT_IN, NONE };

static enum comparison take_comparison(struct expression_reader *r)
{
    static const char *const signs[] = {"==", "!=", "<=", ">=", "<", ">", "in"};
    const char *before = r->at;

    for (unsigned i = 0; i < ARRAY_SIZE(signs); i++)
        if (take(r, signs[i]))
            return (enum comparison)i;
    if (take(r, "not") && take(r, "in"))
        return NOT_IN;
    r->at = before;
    return NONE;
}

/* As Python compares them: True is 1. *RET is less than, equal to or more than 0; false where they
 * have no order. */
static bool order(const struct value *a, const struct value *b, int *ret)
{
    int64_t x, y;

    if (a->json.kind == JSON_TEXT && b->json.kind == JSON_TEXT) {
        struct text s = a->json.text, t = b->json.text;
        *ret = memcmp(s.data, t.data, MIN(s.size, t.size));
        if (*ret == 0)
            *ret = (s.size > t.size) - (s.size < t.size);
        return true;
    }
    if (a->json.kind == JSON_TEXT || b->json.kind == JSON_TEXT || a->json.kind == JSON_NULL ||
        b->json.kind == JSON_NULL)
        return false;
    x = a->json.kind == JSON_BOOL ? a->json.boolean : a->json.integer;
    y = b->json.kind == JSON_BOOL ? b->json.boolean : b->json.integer;
    *ret = (x > y) - (x < y);
    return true;
}

static int compare(struct expression_reader *r, enum comparison how, const struct value *a,
                   const struct value *b, bool *ret)
{
    bool known = a->defined && b->defined, ordered;
    int sign = 0;

    ordered = known && order(a, b, &sign);
    if (how == EQUAL || how == UNEQUAL) {
        bool equal = ordered
                         ? sign == 0
                         : a->defined == b->defined &&
                               (!known || (a->json.kind == JSON_NULL && b->json.kind == JSON_NULL));
        *ret = equal == (how == EQUAL);
        return 0;
    }
    if (how == IN || how == NOT_IN) {
        if (!known || a->json.kind != JSON_TEXT || b->json.kind != JSON_TEXT)
            return expression_beyond(r, "\"in\" what is no text");
        *ret = (memmem(b->json.text.data, b->json.text.size, a->json.text.data,
                       a->json.text.size) != NULL) == (how == IN);
        return 0;
    }
    if (!ordered)
        return expression_beyond(r, "a comparison of what has no order");
    *ret = how == AT_MOST    ? sign <= 0
           : how == AT_LEAST ? sign >= 0
           : how == LESS     ? sign < 0
                             : sign > 0;
    return 0;
}

/* NOLINTNEXTLINE(misc-no-recursion): see expression_read */
static int read_comparison(struct expression_reader *r, struct value *ret)
{
    enum comparison how;
    struct value right = {.defined = false};
    bool result = false;
    int k = read_joined(r, ret);

    if (k < 0)
        return k;
    how = take_comparison(r);
    if (how == NONE)
        return 0;
    k = read_joined(r, &right);
    if (k >= 0 && take_comparison(r) != NONE)
        k = expression_beyond(r, "several comparisons in a row");
    if (k >= 0)
        k = compare(r, how, ret, &right, &result);
    *ret = value_of(json_bool(result));
    return k;
}

/* NOLINTNEXTLINE(misc-no-recursion): see expression_read */
static int read_negation(struct expression_reader *r, struct value *ret)
{
    bool negated = false, any = false;
    int k;

    for (; take(r, "not"); any = true)
        negated = !negated;
    k = read_comparison(r, ret);
    if (k >= 0 && any)
        *ret = value_of(json_bool(value_is_true(ret) != negated));
    return k;
}

/* As in Python, the value of one of the sides. NOLINTNEXTLINE(misc-no-recursion): see below */
static int read_and(struct expression_reader *r, struct value *ret)
{
    int k = read_negation(r, ret);

    while (k >= 0 && take(r, "and")) {
        struct value right = {.defined = false};
        k = read_negation(r, &right);
        if (k >= 0 && value_is_true(ret))
            *ret = right;
    }
    return k;
}

/* NOLINTNEXTLINE(misc-no-recursion): see expression_read */
static int read_or(struct expression_reader *r, struct value *ret)
{
    int k = read_and(r, ret);

    while (k >= 0 && take(r, "or")) {
        struct value right = {.defined = false};
        k = read_and(r, &right);
        if (k >= 0 && !value_is_true(ret))
            *ret = right;
    }
    return k;
}

/* NOLINTNEXTLINE(misc-no-recursion): depth counts, up to TEMPLATE_DEPTH_MAX */
int expression_read(struct expression_reader *r, struct value *ret)
{
    struct value condition = {.defined = false}, other = {.defined = false};
    int k;

    if (r->depth == TEMPLATE_DEPTH_MAX)
        return expression_wrong(r, "more than %d expressions within one another",
                                TEMPLATE_DEPTH_MAX);
    r->depth++;
    k = read_or(r, ret);
    if (k >= 0 && take(r, "if")) {
        k = read_or(r, &condition);
        if (k >= 0 && take(r, "else"))
            k = expression_read(r, &other);
        if (k >= 0 && !value_is_true(&condition))
            *ret = other;
    }
    r->depth--;
    return k;
}
