#include "image/fields.h"

#include "image/bounds.h"
#include "image/image.h"

#include <string.h>

static int parse(const void *data, size_t size, json_type type, json_t **ret, struct error *e)
{
    json_error_t error;
    json_t *json = NULL;
    char shown[FIELD_SHOWN_MAX];

    if (size == 0) /* jansson has no words for it */
        return error_set(e, -EBADMSG, "empty");
    json = json_loadb(data, size, JSON_REJECT_DUPLICATES, &error);
    if (!json)
        return error_set(e, -EBADMSG, "line %d: %s", error.line, show_foreign(error.text, shown));
    if (json_typeof(json) != type) {
        json_decref(json);
        return error_set(e, -EBADMSG, "expected a JSON %s",
                         type == JSON_OBJECT ? "object" : "array");
    }
    *ret = json;
    return 0;
}

int json_parse_object(const void *data, size_t size, json_t **ret, struct error *e)
{
    return parse(data, size, JSON_OBJECT, ret, e);
}

int json_parse_array(const void *data, size_t size, json_t **ret, struct error *e)
{
    return parse(data, size, JSON_ARRAY, ret, e);
}

static int wrong(const char *where, const char *key, const char *expected, struct error *e)
{
    return error_set(e, -EBADMSG, "%s%s: expected %s", where, key, expected);
}

/* Sets *ret to the value, or to NULL where it is absent and may be. */
static int get(const json_t *object, const char *where, const char *key, enum need need,
               const json_t **ret, struct error *e)
{
    const json_t *value = json_object_get(object, key);

    if (json_is_null(value))
        value = NULL;
    if (!value && need == REQUIRED)
        return error_set(e, -EBADMSG, "%s%s: missing", where, key);
    *ret = value;
    return 0;
}

int field_object(const json_t *object, const char *where, const char *key, enum need need,
                 const json_t **ret, struct error *e)
{
    const json_t *value = NULL;
    int r = get(object, where, key, need, &value, e);

    if (r < 0 || !value)
        return r;
    if (!json_is_object(value))
        return wrong(where, key, "an object", e);
    *ret = value;
    return 0;
}

int field_array(const json_t *object, const char *where, const char *key, enum need need,
                size_t max, const json_t **ret, struct error *e)
{
    const json_t *value = NULL;
    int r = get(object, where, key, need, &value, e);

    if (r < 0 || !value)
        return r;
    if (!json_is_array(value))
        return wrong(where, key, "an array", e);
    if (json_array_size(value) > max)
        return error_set(e, -EBADMSG, "%s%s: %zu elements, at most %zu are taken", where, key,
                         json_array_size(value), max);
    *ret = value;
    return 0;
}

static int check_string(const json_t *value, const char *where, const char *key, struct error *e)
{
    if (!json_is_string(value))
        return wrong(where, key, "a string", e);
    if (json_string_length(value) > IMAGE_STRING_MAX)
        return error_set(e, -EBADMSG, "%s%s: longer than %zu bytes", where, key, IMAGE_STRING_MAX);
    return 0;
}

int field_string(const json_t *object, const char *where, const char *key, enum need need,
                 const char **ret, struct error *e)
{
    const json_t *value = NULL;
    int r = get(object, where, key, need, &value, e);

    if (r < 0 || !value)
        return r;
    r = check_string(value, where, key, e);
    if (r < 0)
        return r;
    *ret = json_string_value(value);
    return 0;
}

int field_size(const json_t *object, const char *where, const char *key, enum need need,
               uint64_t max, uint64_t *ret, struct error *e)
{
    const json_t *value = NULL;
    int r = get(object, where, key, need, &value, e);

    if (r < 0 || !value)
        return r;
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return wrong(where, key, "a non-negative integer", e);
    if ((uint64_t)json_integer_value(value) > max)
        return error_set(e, -EBADMSG, "%s%s: %" JSON_INTEGER_FORMAT " is more than %llu", where,
                         key, json_integer_value(value), (unsigned long long)max);
    *ret = (uint64_t)json_integer_value(value);
    return 0;
}

int field_copy(const json_t *object, const char *where, const char *key, enum need need, char **ret,
               struct error *e)
{
    const char *text = NULL;
    char *copy;
    int r = field_string(object, where, key, need, &text, e);

    if (r < 0 || !text)
        return r;
    copy = strdup(text);
    if (!copy)
        return error_sys(e, -ENOMEM, "%s%s", where, key);
    *ret = copy;
    return 0;
}

int field_strings(const json_t *object, const char *where, const char *key, enum need need,
                  char ***ret, struct error *e)
{
    const json_t *array = NULL;
    char **list;
    int r = field_array(object, where, key, need, IMAGE_STRINGS_MAX, &array, e);

    if (r < 0 || !array)
        return r;
    list = calloc(json_array_size(array) + 1, sizeof(char *));
    if (!list)
        return error_sys(e, -ENOMEM, "%s%s", where, key);
    for (size_t i = 0; i < json_array_size(array); i++) {
        char name[64];
        snprintf(name, sizeof(name), "%s[%zu]", key, i);
        r = check_string(json_array_get(array, i), where, name, e);
        if (r >= 0) {
            list[i] = strdup(json_string_value(json_array_get(array, i)));
            if (!list[i])
                r = error_sys(e, -ENOMEM, "%s%s", where, name);
        }
        if (r < 0) {
            strv_free(list);
            return r;
        }
    }
    *ret = list;
    return 0;
}

const char *show_foreign(const char *text, char *buf)
{
    bool utf8 = text_is_utf8(text, strlen(text));
    size_t used = 0;

    for (const char *p = text; *p; p++) {
        unsigned char c = (unsigned char)*p;
        if (used + sizeof("\\xNN...") > FIELD_SHOWN_MAX) {
            memcpy(buf + used, "...", 3);
            used += 3;
            break;
        }
        /* U+0080..U+009F are terminal controls, too. */
        bool c1 = (c == 0xc2 && (unsigned char)p[1] < 0xa0) ||
                  (c < 0xa0 && p > text && (unsigned char)p[-1] == 0xc2);
        if (c < ' ' || c == 127 || c == '"' || c1 || (c >= 128 && !utf8))
            used += (size_t)snprintf(buf + used, FIELD_SHOWN_MAX - used, "\\x%02x", c);
        else
            buf[used++] = (char)c;
    }
    buf[used] = 0;
    return buf;
}
