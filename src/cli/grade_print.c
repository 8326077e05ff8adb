#include "cli/grade.h"

#include <jansson.h>
#include <string.h>

/* Nesting shown; the result check bounds what comes from a grader. */
#define JSON_DEPTH_MAX 128

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static json_t *base64(const uint8_t *data, size_t size)
{
    _cleanup_free_ char *text = malloc((size + 2) / 3 * 4 + 1);
    size_t at = 0;

    if (!text)
        return NULL;
    for (size_t i = 0; i < size; i += 3) {
        uint32_t bits = (uint32_t)data[i] << 16;
        if (i + 1 < size)
            bits |= (uint32_t)data[i + 1] << 8;
        if (i + 2 < size)
            bits |= data[i + 2];
        text[at++] = base64_digits[bits >> 18];
        text[at++] = base64_digits[bits >> 12 & 63];
        text[at++] = i + 1 < size ? base64_digits[bits >> 6 & 63] : '=';
        text[at++] = i + 2 < size ? base64_digits[bits & 63] : '=';
    }
    return json_stringn(text, at);
}

/* NOLINTBEGIN(misc-no-recursion): bounded by JSON_DEPTH_MAX */
static json_t *to_json(const struct wire_value *v, int depth);

static json_t *map_to_json(const struct wire_value *v, int depth)
{
    struct wire_iterator it = wire_children(v);
    json_t *object = json_object();
    struct wire_value key, item;

    while (wire_next(&it, &key) && wire_next(&it, &item)) {
        /* Keys of another kind cannot be said in JSON: their JSON form becomes the key. */
        json_t *name = to_json(&key, depth + 1);
        char *dump = json_is_string(name) ? strdup(json_string_value(name))
                                          : json_dumps(name, JSON_ENCODE_ANY);
        json_object_set_new(object, dump ? dump : "", to_json(&item, depth + 1));
        free(dump);
        json_decref(name);
    }
    return object;
}

static json_t *to_json(const struct wire_value *v, int depth)
{
    struct wire_iterator it = wire_children(v);
    struct wire_value item;
    json_t *array;

    if (depth > JSON_DEPTH_MAX)
        return json_null();
    switch (v->kind) {
    case WIRE_BOOL:
        return json_boolean(v->boolean);
    case WIRE_INT:
        return json_integer(v->integer);
    case WIRE_FLOAT: {
        json_t *real = json_real(v->real);
        return real ? real : json_null(); /* JSON has no NaN and no infinity */
    }
    case WIRE_STR:
        return json_stringn(v->text, v->size);
    case WIRE_BIN:
    case WIRE_EXT:
        return base64((const uint8_t *)v->text, v->size);
    case WIRE_ARRAY:
        array = json_array();
        while (wire_next(&it, &item))
            json_array_append_new(array, to_json(&item, depth + 1));
        return array;
    case WIRE_MAP:
        return map_to_json(v, depth);
    default:
        return json_null();
    }
}
/* NOLINTEND(misc-no-recursion) */

static json_t *span_to_json(struct wire_span span)
{
    struct wire_value v;

    return wire_read(span, &v) ? to_json(&v, 0) : json_null();
}

static void print_json(const struct agent_message *m, const char *task, double seconds)
{
    json_t *o = json_object();

    json_object_set_new(o, "task", json_string(task));
    json_object_set_new(o, "result", span_to_json(m->result));
    json_object_set_new(o, "text", span_to_json(m->text));
    json_object_set_new(o, "grade", span_to_json(m->grade));
    json_object_set_new(o, "problems", span_to_json(m->problems));
    json_object_set_new(o, "tests", span_to_json(m->tests));
    json_object_set_new(o, "custom", span_to_json(m->custom));
    json_object_set_new(o, "state", span_to_json(m->state));
    json_object_set_new(o, "archive", span_to_json(m->archive));
    json_object_set_new(o, "stdout", span_to_json(m->stdout_text));
    json_object_set_new(o, "stderr", span_to_json(m->stderr_text));
    json_object_set_new(o, "seconds", json_real(seconds));
    json_dumpf(o, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(15));
    putchar('\n');
    json_decref(o);
}

/* Foreign text for a terminal: indented, control characters shown as "?". */
static void print_text(const char *indent, const char *text, size_t size)
{
    bool line_start = true;

    while (size > 0 && text[size - 1] == '\n')
        size--;
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        if (line_start)
            fputs(indent, stdout);
        line_start = c == '\n';
        putchar(c == '\n' || c == '\t' || (c >= ' ' && c != 127) ? c : '?');
    }
    if (size > 0)
        putchar('\n');
}

static void print_span(const char *title, const char *indent, struct wire_span span)
{
    struct wire_value v;

    if (!wire_read(span, &v) || v.kind != WIRE_STR || v.size == 0)
        return;
    if (title)
        printf("%s\n", title);
    print_text(indent, v.text, v.size);
}

/* "q1: failed" and its text below; a problem may also be a text alone. */
static void print_problem(const struct wire_value *id, const struct wire_value *value)
{
    struct wire_iterator it = wire_children(value);
    struct wire_value kind, text;

    printf("  %.*s: ", (int)id->size, id->text);
    if (value->kind == WIRE_ARRAY && wire_next(&it, &kind) && kind.kind == WIRE_STR) {
        printf("%.*s\n", (int)kind.size, kind.text);
        if (wire_next(&it, &text) && text.kind == WIRE_STR)
            print_text("    ", text.text, text.size);
    } else {
        putchar('\n');
        if (value->kind == WIRE_STR)
            print_text("    ", value->text, value->size);
    }
}

static void print_pairs(const char *title, struct wire_span map)
{
    struct wire_value v, key, item;
    struct wire_iterator it;

    if (!wire_read(map, &v) || v.count == 0)
        return;
    printf("%s\n", title);
    it = wire_children(&v);
    while (wire_next(&it, &key) && wire_next(&it, &item)) {
        json_t *json = to_json(&item, 0);
        _cleanup_free_ char *text = json_dumps(json, JSON_ENCODE_ANY);
        printf("  %.*s: %s\n", (int)key.size, key.text, text ? text : "?");
        json_decref(json);
    }
}

static void print_verdict(const struct agent_message *m, const char *task, double seconds)
{
    struct wire_value result, grade, problems, key, item;
    struct wire_iterator it;

    if (!wire_read(m->result, &result) || !wire_read(m->grade, &grade))
        return;
    printf("%s: %.*s, grade %.2f %%  (%.3f s)\n", task, (int)result.size, result.text, grade.real,
           seconds);
    print_span(NULL, "  ", m->text);
    if (wire_read(m->problems, &problems) && problems.count > 0) {
        printf("Problems\n");
        it = wire_children(&problems);
        while (wire_next(&it, &key) && wire_next(&it, &item))
            print_problem(&key, &item);
    }
    print_pairs("Tests", m->tests);
    print_pairs("Custom values", m->custom);
    print_span("Standard output of the grader", "  ", m->stdout_text);
    print_span("Standard error of the grader", "  ", m->stderr_text);
}

bool grade_print(const struct agent_message *m, const char *task, enum cli_format format,
                 double seconds)
{
    static const char *const failures[] = {"crash", "timeout", "overflow", "killed"};
    struct wire_value result;

    if (format == CLI_JSON)
        print_json(m, task, seconds);
    else
        print_verdict(m, task, seconds);
    if (!wire_read(m->result, &result))
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(failures); i++)
        if (wire_is_text(&result, failures[i]))
            return false;
    return true;
}
