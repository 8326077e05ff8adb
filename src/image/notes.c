#include "image/notes.h"

#include "image/bounds.h"
#include "image/fields.h"

#include <string.h>

#define PATH_LIST_FIRST 4096

static const char *const list_names[LAYER_LISTS] = {
    [LAYER_OPAQUE] = "opaque",
    [LAYER_REPLACED] = "replaced",
    [LAYER_IMPLIED] = "implied",
    [LAYER_WHITEOUTS] = "whiteouts",
};

int path_list_add(struct path_list *l, const char *path)
{
    size_t size = strlen(path) + 1;

    if (size > LAYER_NAMES_MAX - l->size)
        return -ENOSPC;
    if (l->size + size > l->capacity) {
        size_t capacity = l->capacity ? l->capacity : PATH_LIST_FIRST;
        char *text;
        while (capacity < l->size + size)
            capacity *= 2;
        text = realloc(l->text, capacity);
        if (!text)
            return -ENOMEM;
        l->text = text;
        l->capacity = capacity;
    }
    memcpy(l->text + l->size, path, size);
    l->size += size;
    l->count++;
    return 0;
}

const char *path_list_next(const struct path_list *l, const char *previous)
{
    const char *next = previous ? previous + strlen(previous) + 1 : l->text;

    return next && next < l->text + l->size ? next : NULL;
}

void path_list_clear(struct path_list *l)
{
    free(l->text);
    *l = (struct path_list){0};
}

void layer_notes_clear(struct layer_notes *n)
{
    for (int i = 0; i < LAYER_LISTS; i++)
        path_list_clear(&n->lists[i]);
    buffer_clear(&n->sums);
}

static json_t *list_to_json(const struct path_list *l)
{
    json_t *array = json_array();

    for (const char *path = path_list_next(l, NULL); path; path = path_list_next(l, path)) {
        char encoded[3 * ENTRY_PATH_MAX + 1];
        char *to = encoded;
        for (const char *p = path; *p; p++) {
            unsigned char c = (unsigned char)*p;
            if (c == '%' || c < ' ' || c >= 127)
                to += snprintf(to, sizeof("%XX"), "%%%02X", c);
            else
                *to++ = *p;
        }
        *to = 0;
        if (json_array_append_new(array, json_string(encoded)) < 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

json_t *layer_notes_to_json(const struct layer_notes *n)
{
    json_t *json =
        json_pack("{s:I, s:I, s:I, s:I, s:i}", "bytes", (json_int_t)n->bytes, "entries",
                  (json_int_t)n->entries, "dropped_devices", (json_int_t)n->dropped_devices,
                  "dropped_xattrs", (json_int_t)n->dropped_xattrs, "sums", SUMS_OF_PROPERTIES);

    for (int i = 0; i < LAYER_LISTS; i++) {
        if (json_object_set_new(json, list_names[i], list_to_json(&n->lists[i])) < 0) {
            json_decref(json);
            return NULL;
        }
    }
    return json;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static int decode(const char *encoded, char *path)
{
    size_t used = 0;

    for (const char *p = encoded; *p; p++) {
        int c = (unsigned char)*p;
        if (used >= ENTRY_PATH_MAX)
            return -EBADMSG;
        if (c == '%') {
            int high = hex_digit(p[1]), low = high < 0 ? -1 : hex_digit(p[2]);
            if (low < 0)
                return -EBADMSG;
            c = high << 4 | low;
            p += 2;
        }
        path[used++] = (char)c;
    }
    path[used] = 0;
    return 0;
}

static int list_from_json(const json_t *json, const char *key, struct path_list *ret,
                          struct error *e)
{
    const json_t *array = NULL, *value;
    size_t i;
    int r = field_array(json, "", key, REQUIRED, LAYER_ENTRIES_MAX, &array, e);

    if (r < 0)
        return r;
    json_array_foreach (array, i, value) {
        char path[ENTRY_PATH_MAX + 1];
        if (!json_is_string(value) || decode(json_string_value(value), path) < 0)
            return error_set(e, -EBADMSG, "%s[%zu]: expected an encoded path", key, i);
        r = path_list_add(ret, path);
        if (r < 0)
            return error_sys(e, r, "%s", key);
    }
    return 0;
}

int layer_notes_from_json(const json_t *json, struct layer_notes *ret, struct error *e)
{
    _cleanup_notes_ struct layer_notes n = {0};
    uint64_t sums = SUMS_OF_FILES; /* whose notes do not say so */
    int r = field_size(json, "", "bytes", REQUIRED, INT64_MAX, &n.bytes, e);

    if (r >= 0)
        r = field_size(json, "", "entries", REQUIRED, INT64_MAX, &n.entries, e);
    if (r >= 0)
        r = field_size(json, "", "dropped_devices", REQUIRED, INT64_MAX, &n.dropped_devices, e);
    if (r >= 0)
        r = field_size(json, "", "dropped_xattrs", REQUIRED, INT64_MAX, &n.dropped_xattrs, e);
    if (r >= 0)
        r = field_size(json, "", "sums", OPTIONAL, SUMS_OF_PROPERTIES, &sums, e);
    for (int i = 0; r >= 0 && i < LAYER_LISTS; i++)
        r = list_from_json(json, list_names[i], &n.lists[i], e);
    if (r < 0)
        return r;
    n.sums_version = sums >= SUMS_OF_NAMES ? (enum sums_version)sums : SUMS_OF_FILES;
    *ret = n;
    n = (struct layer_notes){0};
    return 0;
}
