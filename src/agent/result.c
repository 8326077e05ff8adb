#include "agent/result.h"

#include "agent/python.h"

#include <string.h>

#define REFUSAL "The grader did not return a readable output : "
#define BADLY   "Feedback file is badly formatted."

/* Longest piece of an unknown key that is repeated in the refusal. */
#define KEY_SHOWN_MAX 1000

/* What a result may have, with the Python type each must be of. */
enum result_key {
    KEY_STDOUT,
    KEY_STDERR,
    KEY_RESULT,
    KEY_TEXT,
    KEY_GRADE,
    KEY_PROBLEMS,
    KEY_CUSTOM,
    KEY_TESTS,
    KEY_STATE,
    KEY_ARCHIVE,
    KEY_COUNT
};

static const struct {
    const char *name;
    enum wire_kind kind;
} keys[KEY_COUNT] = {
    [KEY_STDOUT] = {"stdout", WIRE_STR}, [KEY_STDERR] = {"stderr", WIRE_STR},
    [KEY_RESULT] = {"result", WIRE_STR}, [KEY_TEXT] = {"text", WIRE_STR},
    [KEY_GRADE] = {"grade", WIRE_FLOAT}, [KEY_PROBLEMS] = {"problems", WIRE_MAP},
    [KEY_CUSTOM] = {"custom", WIRE_MAP}, [KEY_TESTS] = {"tests", WIRE_MAP},
    [KEY_STATE] = {"state", WIRE_STR},   [KEY_ARCHIVE] = {"archive", WIRE_STR},
};

/* A result that passed; values of keys that are not there have an empty raw span. */
struct checked {
    struct wire_value values[KEY_COUNT];
};

/* ---- the checks: 0, 1 with the reason in WHY, -ENOMEM ---- */

static int refuse(struct buffer *why, const char *reason)
{
    int r = buffer_append(why, reason, strlen(reason));

    return r < 0 ? r : 1;
}

static const char *python_type(const struct wire_value *v)
{
    static const char *const names[] = {
        [WIRE_NIL] = "NoneType", [WIRE_BOOL] = "bool", [WIRE_INT] = "int",
        [WIRE_FLOAT] = "float",  [WIRE_STR] = "str",   [WIRE_BIN] = "bytes",
        [WIRE_ARRAY] = "tuple",  [WIRE_MAP] = "dict",  [WIRE_EXT] = "ExtType",
    };

    return names[v->kind];
}

static int refuse_unknown_key(struct buffer *why, const struct wire_value *key)
{
    size_t shown = MIN(key->size, (size_t)KEY_SHOWN_MAX);
    int r;

    while (shown < key->size && ((uint8_t)key->text[shown] & 0xc0) == 0x80)
        shown--; /* not in the middle of a character */
    r = python_repr(key->text, shown, key->kind == WIRE_STR, why);
    return r < 0 ? r : 1;
}

/* How long the character at TEXT is where ids may have it (or it is one of MORE), else 0. Case is
 * folded as Python's re does it: U+0130, U+0131, U+017F and U+212A have ASCII letters for partners.
 */
static size_t id_character(const char *text, size_t left, const char *more)
{
    static const char *const folded[] = {"\xc4\xb0", "\xc4\xb1", "\xc5\xbf", "\xe2\x84\xaa"};
    char c = *text;

    if ((c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '-' ||
        c == '_' || (c && strchr(more, c)))
        return 1;
    for (size_t i = 0; i < ARRAY_SIZE(folded); i++) {
        size_t length = strlen(folded[i]);
        if (left >= length && memcmp(text, folded[i], length) == 0)
            return length;
    }
    return 0;
}

/* ^[a-z0-9\-_MORE]+$, where Python's $ also matches before a last newline. */
static bool is_id(const struct wire_value *key, const char *more)
{
    size_t at = 0, length;

    while (at < key->size && (length = id_character(key->text + at, key->size - at, more)) > 0)
        at += length;
    return at > 0 && (at == key->size || (at == key->size - 1 && key->text[at] == '\n'));
}

/* The entries of problems and tests: plain ids, no maps as values. */
static int check_entries(const struct wire_value *map, const char *more, struct buffer *why)
{
    struct wire_iterator it = wire_children(map);
    struct wire_value key, value;

    while (wire_next(&it, &key) && wire_next(&it, &value)) {
        if (key.kind == WIRE_BIN)
            return refuse(why, "cannot use a string pattern on a bytes-like object");
        if (key.kind != WIRE_STR || !is_id(&key, more) || value.kind == WIRE_MAP)
            return refuse(why, BADLY);
    }
    return 0;
}

static int check_item(const struct wire_rules *rules, const struct wire_value *key,
                      const struct wire_value *value, struct checked *ret, struct buffer *why)
{
    const char *dot = rules->ids_have_dots ? "." : "";
    int i = 0;

    while (i < KEY_COUNT && !wire_is_text(key, keys[i].name))
        i++;
    if (i == KEY_COUNT || (i == KEY_STATE && !rules->results_have_state))
        return refuse_unknown_key(why, key);
    if (value->kind != keys[i].kind)
        return refuse(why, BADLY);
    ret->values[i] = *value;
    if (value->kind == WIRE_MAP && !wire_nested_within(value->raw, GRADING_RESULT_DEPTH_MAX))
        return refuse(why, BADLY);
    if (i == KEY_PROBLEMS)
        return check_entries(value, dot, why);
    if (i == KEY_TESTS)
        return check_entries(value, *dot ? ".*" : "*", why);
    return 0;
}

static int check(const struct wire_rules *rules, struct wire_span result, struct checked *ret,
                 struct buffer *why)
{
    struct wire_value map, key, value;
    struct wire_iterator it;
    int r;

    if (!wire_read(result, &map) || map.kind == WIRE_NIL)
        return refuse(why, rules->no_result);
    if (map.kind != WIRE_MAP) {
        r = buffer_printf(why, "'%s' object has no attribute 'items'", python_type(&map));
        return r < 0 ? r : 1;
    }
    it = wire_children(&map);
    while (wire_next(&it, &key) && wire_next(&it, &value)) {
        r = check_item(rules, &key, &value, ret, why);
        if (r != 0)
            return r;
    }
    return 0;
}

/* ---- the answer ---- */

static int set_text(const char *text, size_t size, char **ret, size_t *ret_size)
{
    char *copy = malloc(size + 1);

    if (!copy)
        return -ENOMEM;
    if (size > 0)
        memcpy(copy, text, size);
    copy[size] = 0;
    free(*ret);
    *ret = copy;
    *ret_size = size;
    return 0;
}

static int set_default(char **ret, size_t *ret_size)
{
    return *ret ? 0 : set_text("", 0, ret, ret_size);
}

static int fill_defaults(struct grading_result *r)
{
    if (set_default(&r->result, &r->result_size) < 0 || set_default(&r->text, &r->text_size) < 0 ||
        set_default(&r->state, &r->state_size) < 0 ||
        set_default(&r->stdout_text, &r->stdout_size) < 0 ||
        set_default(&r->stderr_text, &r->stderr_size) < 0)
        return -ENOMEM;
    return 0;
}

static int take_text(const struct wire_value *v, char **ret, size_t *ret_size)
{
    return v->raw.size > 0 ? set_text(v->text, v->size, ret, ret_size) : 0;
}

static int take_map(const struct wire_value *v, struct buffer *ret)
{
    ret->max = WIRE_FRAME_MAX;
    return v->raw.size > 0 ? buffer_append(ret, v->raw.data, v->raw.size) : 0;
}

static int take_fields(const struct checked *c, struct grading_result *r)
{
    const struct wire_value *v = c->values;

    if (set_text("error", strlen("error"), &r->result, &r->result_size) < 0 ||
        take_text(&v[KEY_RESULT], &r->result, &r->result_size) < 0 ||
        take_text(&v[KEY_TEXT], &r->text, &r->text_size) < 0 ||
        take_text(&v[KEY_STATE], &r->state, &r->state_size) < 0 ||
        take_text(&v[KEY_STDOUT], &r->stdout_text, &r->stdout_size) < 0 ||
        take_text(&v[KEY_STDERR], &r->stderr_text, &r->stderr_size) < 0 ||
        take_map(&v[KEY_PROBLEMS], &r->problems) < 0 || take_map(&v[KEY_TESTS], &r->tests) < 0 ||
        take_map(&v[KEY_CUSTOM], &r->custom) < 0)
        return -ENOMEM;
    return 0;
}

/* The archive is decoded last: where it cannot be, the other fields stay. */
static int take_archive(const struct wire_value *v, size_t most, struct grading_result *r,
                        struct buffer *why)
{
    _cleanup_free_ char *text = NULL;
    int q;

    if (v->raw.size == 0)
        return 0;
    r->archive.max = WIRE_FRAME_MAX;
    q = python_b64decode(v->text, v->size, &r->archive, &text);
    if (q == -EINVAL)
        return refuse(why, text);
    if (q == 0 && r->archive.size > most) {
        buffer_clear(&r->archive);
        return refuse(why, "The archive is larger than this agent allows.");
    }
    r->has_archive = q == 0;
    return q;
}

static int answer_crash(struct grading_result *r, const struct buffer *why)
{
    _cleanup_buffer_ struct buffer text = {0};

    if (buffer_append(&text, REFUSAL, strlen(REFUSAL)) < 0 ||
        buffer_append(&text, why->data, why->size) < 0 ||
        set_text((const char *)text.data, text.size, &r->text, &r->text_size) < 0 ||
        set_text("crash", strlen("crash"), &r->result, &r->result_size) < 0)
        return -ENOMEM;
    return 0;
}

int grading_result_check(const struct wire_rules *rules, size_t archive_max,
                         struct wire_span result, struct grading_result *ret)
{
    _cleanup_(grading_result_clear) struct grading_result r = {0};
    _cleanup_buffer_ struct buffer why = {0};
    const struct wire_value *grade;
    struct checked checked = {0};
    int refused = check(rules, result, &checked, &why);

    if (refused < 0)
        return -ENOMEM;
    r.keeps_state = refused == 1;
    if (refused == 0) {
        if (take_fields(&checked, &r) < 0)
            return -ENOMEM;
        refused = take_archive(&checked.values[KEY_ARCHIVE], archive_max, &r, &why);
        grade = &checked.values[KEY_GRADE];
        r.has_grade = grade->raw.size > 0;
        r.grade = grade->real;
    }
    if (refused < 0 || (refused == 1 && answer_crash(&r, &why) < 0) || fill_defaults(&r) < 0)
        return -ENOMEM;
    if (!r.has_grade)
        r.grade = r.result_size == strlen("success") && strcmp(r.result, "success") == 0 ? 100 : 0;
    r.grade = python_round2(r.grade);
    *ret = r;
    r = (struct grading_result){0};
    return refused;
}

void grading_result_clear(struct grading_result *r)
{
    free(r->result);
    free(r->text);
    free(r->state);
    free(r->stdout_text);
    free(r->stderr_text);
    buffer_clear(&r->problems);
    buffer_clear(&r->tests);
    buffer_clear(&r->custom);
    buffer_clear(&r->archive);
    *r = (struct grading_result){0};
}
