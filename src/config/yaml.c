#include "config/yaml.h"

#include <stdarg.h>
#include <string.h>
#include <yaml.h>

struct anchor {
    char *name; /* owned */
    struct yaml_node *node;
};

/* A collection that is being filled. */
struct open_node {
    struct yaml_node *node;
    size_t capacity;
};

struct loader {
    yaml_parser_t parser;
    struct yaml_file *file;
    struct open_node open[YAML_DEPTH_MAX];
    size_t depth;
    struct anchor anchors[YAML_ANCHORS_MAX];
    size_t n_anchors, n_nodes;
    bool has_document;
};

static int fault_at(const char *path, size_t line, size_t column, struct error *e,
                    const char *format, ...) _printf_(5, 6);

static int fault_at(const char *path, size_t line, size_t column, struct error *e,
                    const char *format, ...)
{
    char text[ERROR_TEXT_MAX];
    va_list ap;

    va_start(ap, format);
    vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    return error_set(e, -EINVAL, "%s:%zu:%zu: %s", path, line, column, text);
}

int yaml_fault(const struct yaml_file *f, const struct yaml_node *node, struct error *e,
               const char *format, ...)
{
    char text[ERROR_TEXT_MAX];
    va_list ap;

    va_start(ap, format);
    vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    return fault_at(f->path, node->line, node->column, e, "%s", text);
}

/* Line and column of a byte, for faults that libyaml only gives an offset of. */
static void place_of(const char *text, size_t offset, size_t *ret_line, size_t *ret_column)
{
    *ret_line = *ret_column = 1;
    for (size_t i = 0; i < offset; i++) {
        (*ret_column)++;
        if (text[i] == '\n') {
            (*ret_line)++;
            *ret_column = 1;
        }
    }
}

static int parser_fault(const struct loader *l, const char *text, size_t size, struct error *e)
{
    const yaml_parser_t *p = &l->parser;
    size_t line = p->problem_mark.line + 1, column = p->problem_mark.column + 1;

    if (p->error == YAML_MEMORY_ERROR)
        return -ENOMEM;
    if (p->error == YAML_READER_ERROR)
        place_of(text, p->problem_offset < size ? p->problem_offset : size, &line, &column);
    return fault_at(l->file->path, line, column, e, "%s",
                    p->problem ? p->problem : "not readable as YAML");
}

static int mark_fault(const struct loader *l, const yaml_event_t *event, struct error *e,
                      const char *what)
{
    return fault_at(l->file->path, event->start_mark.line + 1, event->start_mark.column + 1, e,
                    "%s", what);
}

/* ---- building ---- */

static struct yaml_node *new_node(struct loader *l, const yaml_event_t *event, enum yaml_kind kind)
{
    struct yaml_node *n = calloc(1, sizeof(*n));

    if (!n)
        return NULL;
    n->kind = kind;
    n->line = (unsigned)event->start_mark.line + 1;
    n->column = (unsigned)event->start_mark.column + 1;
    n->next = l->file->nodes;
    l->file->nodes = n;
    l->n_nodes++;
    return n;
}

/* Puts N into the collection that is open, or makes it the root. */
static int place_node(struct loader *l, struct yaml_node *n)
{
    struct open_node *in = l->depth > 0 ? &l->open[l->depth - 1] : NULL;
    struct yaml_node **grown;

    if (!in) {
        l->file->root = n;
        return 0;
    }
    if (in->node->n == in->capacity) {
        size_t capacity = in->capacity ? 2 * in->capacity : 8;
        /* An array of pointers is meant: NOLINTNEXTLINE(bugprone-sizeof-expression) */
        grown = realloc(in->node->items, capacity * sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        in->node->items = grown;
        in->capacity = capacity;
    }
    in->node->items[in->node->n++] = n;
    return 0;
}

static int set_anchor(struct loader *l, const yaml_event_t *event, const yaml_char_t *name,
                      struct yaml_node *n, struct error *e)
{
    char *copy;

    if (!name)
        return 0;
    if (l->n_anchors == YAML_ANCHORS_MAX)
        return mark_fault(l, event, e, "too many anchors");
    copy = strdup((const char *)name);
    if (!copy)
        return -ENOMEM;
    l->anchors[l->n_anchors++] = (struct anchor){copy, n};
    return 0;
}

static int add_scalar(struct loader *l, const yaml_event_t *event, struct error *e)
{
    struct yaml_node *n = new_node(l, event, YAML_SCALAR);

    if (!n)
        return -ENOMEM;
    n->size = event->data.scalar.length;
    n->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    n->text = malloc(n->size + 1);
    if (!n->text)
        return -ENOMEM;
    memcpy(n->text, event->data.scalar.value, n->size);
    n->text[n->size] = 0;
    if (set_anchor(l, event, event->data.scalar.anchor, n, e) < 0)
        return -EINVAL;
    return place_node(l, n);
}

static int open_collection(struct loader *l, const yaml_event_t *event, enum yaml_kind kind,
                           const yaml_char_t *anchor, struct error *e)
{
    struct yaml_node *n;
    int r;

    if (l->depth == YAML_DEPTH_MAX)
        return mark_fault(l, event, e, "nested too deep");
    n = new_node(l, event, kind);
    if (!n)
        return -ENOMEM;
    r = set_anchor(l, event, anchor, n, e);
    if (r == 0)
        r = place_node(l, n);
    if (r == 0)
        l->open[l->depth++] = (struct open_node){n, 0};
    return r;
}

static int add_alias(struct loader *l, const yaml_event_t *event, struct error *e)
{
    const char *name = (const char *)event->data.alias.anchor;

    l->n_nodes++;
    for (size_t i = l->n_anchors; i > 0; i--) /* an anchor that is set again hides the first */
        if (strcmp(l->anchors[i - 1].name, name) == 0)
            return place_node(l, l->anchors[i - 1].node);
    return mark_fault(l, event, e, "an alias to an anchor that does not exist");
}

bool yaml_is_text(const struct yaml_node *n, const char *text)
{
    return n->kind == YAML_SCALAR && n->size == strlen(text) && memcmp(n->text, text, n->size) == 0;
}

bool yaml_is_merge(const struct yaml_node *key)
{
    return key->plain && yaml_is_text(key, "<<");
}

static int close_collection(struct loader *l, struct error *e)
{
    const struct yaml_node *n = l->open[--l->depth].node;

    for (size_t i = 0; n->kind == YAML_MAPPING && i + 1 < n->n; i += 2)
        if (yaml_is_merge(n->items[i]) && n->items[i + 1]->kind != YAML_MAPPING)
            return yaml_fault(l->file, n->items[i + 1], e, "only one mapping can be merged");
    return 0;
}

static int take_event(struct loader *l, const yaml_event_t *event, struct error *e)
{
    if (l->n_nodes >= YAML_NODES_MAX)
        return mark_fault(l, event, e, "too many nodes");
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (l->has_document)
            return mark_fault(l, event, e, "a second document");
        l->has_document = true;
        return 0;
    case YAML_SCALAR_EVENT:
        return add_scalar(l, event, e);
    case YAML_ALIAS_EVENT:
        return add_alias(l, event, e);
    case YAML_SEQUENCE_START_EVENT:
        return open_collection(l, event, YAML_SEQUENCE, event->data.sequence_start.anchor, e);
    case YAML_MAPPING_START_EVENT:
        return open_collection(l, event, YAML_MAPPING, event->data.mapping_start.anchor, e);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return close_collection(l, e);
    default:
        return 0;
    }
}

static int load_events(struct loader *l, const char *text, size_t size, struct error *e)
{
    bool end = false;
    int r = 0;

    while (r == 0 && !end) {
        yaml_event_t event;
        if (!yaml_parser_parse(&l->parser, &event))
            return parser_fault(l, text, size, e);
        end = event.type == YAML_STREAM_END_EVENT;
        r = take_event(l, &event, e);
        yaml_event_delete(&event);
    }
    return r;
}

int yaml_load(const char *path, const char *text, size_t size, struct yaml_file *ret,
              struct error *e)
{
    _cleanup_yaml_ struct yaml_file file = {.path = path};
    struct loader *l = calloc(1, sizeof(*l));
    int r;

    if (!l || !yaml_parser_initialize(&l->parser)) {
        free(l);
        return -ENOMEM;
    }
    l->file = &file;
    yaml_parser_set_input_string(&l->parser, (const unsigned char *)text, size);
    yaml_parser_set_encoding(&l->parser, YAML_UTF8_ENCODING);
    r = load_events(l, text, size, e);
    yaml_parser_delete(&l->parser);
    for (size_t i = 0; i < l->n_anchors; i++)
        free(l->anchors[i].name);
    free(l);
    if (r < 0)
        return r;
    *ret = file;
    file = (struct yaml_file){0};
    return 0;
}

void yaml_clear(struct yaml_file *f)
{
    for (struct yaml_node *n = f->nodes, *next; n; n = next) {
        next = n->next;
        free(n->text);
        free(n->items);
        free(n);
    }
    *f = (struct yaml_file){0};
}

/* ---- looking ---- */

const struct yaml_node *yaml_merged(const struct yaml_node *map)
{
    const struct yaml_node *found = NULL;

    for (size_t i = 0; i + 1 < map->n; i += 2)
        if (yaml_is_merge(map->items[i]))
            found = map->items[i + 1];
    return found;
}

const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key)
{
    const struct yaml_node *found = NULL;

    for (int depth = 0; map && !found && depth <= YAML_MERGES_MAX; depth++) {
        if (map->kind != YAML_MAPPING)
            return NULL;
        for (size_t i = 0; i + 1 < map->n; i += 2)
            if (yaml_is_text(map->items[i], key))
                found = map->items[i + 1];
        map = yaml_merged(map);
    }
    return found;
}

static bool is_one_of(const struct yaml_node *n, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (yaml_is_text(n, words[i]))
            return true;
    return false;
}

bool yaml_is_null(const struct yaml_node *n)
{
    static const char *const words[] = {"", "~", "null", "Null", "NULL"};

    return n->plain && is_one_of(n, words, ARRAY_SIZE(words));
}

int yaml_boolean(const struct yaml_node *n)
{
    static const char *const yes[] = {"yes",  "Yes", "YES", "true", "True",
                                      "TRUE", "on",  "On",  "ON"};
    static const char *const no[] = {"no",    "No",  "NO",  "false", "False",
                                     "FALSE", "off", "Off", "OFF"};

    if (n->plain && is_one_of(n, yes, ARRAY_SIZE(yes)))
        return 1;
    return n->plain && is_one_of(n, no, ARRAY_SIZE(no)) ? 0 : -1;
}

int yaml_text(const struct yaml_file *f, const struct yaml_node *n, const char *what, char **ret,
              struct error *e)
{
    char *copy;

    if (n->kind != YAML_SCALAR || memchr(n->text, 0, n->size))
        return yaml_fault(f, n, e, "\"%s\" must be plain text", what);
    copy = strdup(n->text);
    if (!copy)
        return -ENOMEM;
    *ret = copy;
    return 0;
}

int yaml_check_key(const struct yaml_file *f, const struct yaml_node *map, size_t index,
                   struct error *e)
{
    const struct yaml_node *key = map->items[index];

    if (key->kind != YAML_SCALAR)
        return yaml_fault(f, key, e, "a key must be plain text");
    for (size_t i = 0; i < index; i += 2)
        if (yaml_is_text(map->items[i], key->text))
            return yaml_fault(f, key, e, "\"%s\" is there twice", key->text);
    return 0;
}

int yaml_entries(const struct yaml_file *f, const struct yaml_node *map, size_t *ret,
                 struct error *e)
{
    if (map->kind != YAML_MAPPING && !yaml_is_null(map))
        return yaml_fault(f, map, e, "here must be keys with values");
    *ret = map->kind == YAML_MAPPING ? map->n : 0;
    return 0;
}
