#include "template.h"

#include "expression.h"
#include "feedback.h"
#include "words.h"

#include <string.h>

#define SPACES " \t\r\n\v\f"

/* What a block between "{%" and "%}" begins with. */
enum word { WORD_IF, WORD_ELIF, WORD_ELSE, WORD_ENDIF, WORD_SET, WORD_RAW, WORD_OTHER };
static const char *const words[] = {"if", "elif", "else", "endif", "set", "raw"};

struct condition {
    bool outer_live; /* whether what is around it is rendered */
    bool taken;      /* one of its branches was */
    bool has_else;
};

struct renderer {
    struct expression_reader in;
    struct buffer out;
    bool live; /* what is read is rendered */
    struct condition conditions[TEMPLATE_DEPTH_MAX];
    size_t depth;
};

static int put(struct renderer *r, const char *data, size_t size)
{
    return r->live ? buffer_append(&r->out, data, size) : 0;
}

/* Takes what ends a construct, "}}" or "%}" with "-" or "+" before; after a "-" no blanks stay. */
static int take_end(struct renderer *r, const char *end)
{
    char sign;

    expression_skip_blanks(&r->in);
    sign = *r->in.at;
    if ((sign == '-' || sign == '+') && strncmp(r->in.at + 1, end, 2) == 0)
        r->in.at++;
    if (strncmp(r->in.at, end, 2) != 0)
        return expression_beyond(&r->in, "\"%.20s\" where \"%s\" should be", r->in.at, end);
    r->in.at += 2;
    if (sign == '-')
        r->in.at += strspn(r->in.at, SPACES);
    return 0;
}

static int render_value(struct renderer *r)
{
    struct text t = TEXT_EMPTY;
    struct value v = {.defined = false};
    int k = expression_read(&r->in, &v);

    if (k >= 0)
        k = take_end(r, "}}");
    if (k >= 0)
        k = value_text(&r->in, &v, &t);
    return k < 0 ? k : put(r, t.data, t.size);
}

static int skip_comment(struct renderer *r)
{
    const char *end = strstr(r->in.at, "#}");

    if (!end)
        return expression_wrong(&r->in, "a comment without \"#}\"");
    r->in.at = end + 2;
    if (end[-1] == '-')
        r->in.at += strspn(r->in.at, SPACES);
    return 0;
}

/* Everything up to {% endraw %} as it is. */
static int copy_raw(struct renderer *r)
{
    int k = take_end(r, "%}");
    const char *start = r->in.at, *end = start, *p;
    size_t size;

    for (; k >= 0 && (end = strstr(end, "{%")); end += 2) {
        bool strip = end[2] == '-';
        p = end + 2 + (strip || end[2] == '+');
        p += strspn(p, SPACES);
        if (strncmp(p, "endraw", 6) != 0)
            continue;
        for (size = (size_t)(end - start); strip && size && strchr(SPACES, start[size - 1]);)
            size--;
        k = put(r, start, size);
        r->in.at = p + 6;
        return k < 0 ? k : take_end(r, "%}");
    }
    return k < 0 ? k : expression_wrong(&r->in, "\"raw\" without \"endraw\"");
}

/* The condition of an if or elif; in a branch that is not rendered it is only read. */
static int read_condition(struct renderer *r, struct condition *c)
{
    bool evaluate = c->outer_live && !c->taken;
    struct value v = {.defined = false};
    int k = expression_read(&r->in, &v);

    r->live = k >= 0 && evaluate && value_is_true(&v);
    c->taken |= r->live;
    return k < 0 ? k : take_end(r, "%}");
}

static int begin_if(struct renderer *r)
{
    struct condition *c;

    if (r->depth == TEMPLATE_DEPTH_MAX)
        return expression_wrong(&r->in, "more than %d conditions within one another",
                                TEMPLATE_DEPTH_MAX);
    c = &r->conditions[r->depth++];
    *c = (struct condition){.outer_live = r->live};
    return read_condition(r, c);
}

/* elif, else and endif. */
static int go_on_with_if(struct renderer *r, enum word word)
{
    struct condition *c;

    if (!r->depth)
        return expression_wrong(&r->in, "\"%s\" without \"if\"", words[word]);
    c = &r->conditions[r->depth - 1];
    if (word != WORD_ENDIF && c->has_else)
        return expression_wrong(&r->in, "\"%s\" after \"else\"", words[word]);
    if (word == WORD_ELIF)
        return read_condition(r, c);
    c->has_else = true;
    r->live = c->outer_live && !c->taken;
    if (word == WORD_ENDIF) {
        r->live = c->outer_live;
        r->depth--;
    }
    return take_end(r, "%}");
}

static int set_name(struct renderer *r)
{
    struct text name = TEXT_EMPTY;
    struct value v = {.defined = false};
    int k = expression_name(&r->in, &name);

    if (k < 0)
        return k;
    expression_skip_blanks(&r->in);
    if (*r->in.at != '=')
        return expression_beyond(&r->in, "\"set\" without \"=\"");
    r->in.at++;
    k = expression_read(&r->in, &v);
    if (k >= 0)
        k = take_end(r, "%}");
    if (k < 0 || !r->live)
        return k;
    if (!v.defined)
        return expression_beyond(&r->in, "\"set\" to what is not defined");
    return json_set(r->in.pool, r->in.names, name, v.json);
}

static int render_block(struct renderer *r)
{
    struct text name = TEXT_EMPTY;
    unsigned word = 0;
    int k = expression_name(&r->in, &name);

    if (k < 0)
        return k;
    while (word < WORD_OTHER && strcmp(words[word], name.data) != 0)
        word++;
    switch ((enum word)word) {
    case WORD_IF:
        return begin_if(r);
    case WORD_ELIF:
    case WORD_ELSE:
    case WORD_ENDIF:
        return go_on_with_if(r, (enum word)word);
    case WORD_SET:
        return set_name(r);
    case WORD_RAW:
        return copy_raw(r);
    default:
        return expression_beyond(&r->in, "\"%s\"", name.data);
    }
}

/* Text up to the next construct, and that. */
static int render_next(struct renderer *r)
{
    const char *start = r->in.at, *p = start;
    size_t size;
    char kind;
    int k;

    while ((p = strchr(p, '{')) && !(p[1] && strchr("{%#", p[1])))
        p++;
    if (!p)
        p = start + strlen(start);
    size = (size_t)(p - start);
    kind = *p ? p[1] : 0;
    if (kind && p[2] == '-')
        while (size && strchr(SPACES, start[size - 1]))
            size--;
    k = put(r, start, size);
    r->in.at = p;
    if (!kind || k < 0)
        return k;
    r->in.at += 2 + (p[2] == '-' || (p[2] == '+' && kind != '{'));
    return kind == '{' ? render_value(r) : kind == '%' ? render_block(r) : skip_comment(r);
}

/* With "\n" as the only line end, and without the last one. */
static struct text normalized(struct pool *pool, struct text t)
{
    char *out = pool_alloc(pool, t.size + 1);
    size_t n = 0;

    if (!out)
        return (struct text){NULL, 0};
    for (size_t i = 0; i < t.size; i++) {
        if (t.data[i] != '\r')
            out[n++] = t.data[i];
        else if (t.data[i + 1] != '\n')
            out[n++] = '\n';
    }
    n -= n && out[n - 1] == '\n';
    out[n] = 0;
    return (struct text){out, n};
}

int template_render(struct pool *pool, struct text source, struct json *names,
                    const struct template_translator *translator, struct text *ret, struct error *e)
{
    struct text t = normalized(pool, source);
    struct renderer r = {.in = {.pool = pool,
                                .names = names,
                                .translator = translator,
                                .start = t.data,
                                .at = t.data,
                                .e = e},
                         .out = {.max = FEEDBACK_SIZE_MAX},
                         .live = true};
    int k = !t.data ? -ENOMEM : 0;

    if (k >= 0 && strlen(t.data) != t.size)
        k = expression_wrong(&r.in, "a NUL character");
    while (k >= 0 && *r.in.at)
        k = render_next(&r);
    if (k >= 0 && r.depth)
        k = expression_wrong(&r.in, "\"if\" without \"endif\"");
    if (k >= 0) {
        *ret = (struct text){pool_copy(pool, r.out.data, r.out.size), r.out.size};
        k = ret->data ? 0 : -ENOMEM;
    }
    buffer_clear(&r.out);
    return k;
}
