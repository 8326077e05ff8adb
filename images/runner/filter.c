#include "filter.h"

#include "feedback.h"
#include "words.h"

#include <string.h>

static int set_text(struct value *v, struct text t)
{
    if (!t.data)
        return -ENOMEM;
    *v = (struct value){.defined = true, .json = json_text(t)};
    return 0;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static char upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

/* Letters of ASCII only: beyond, one would need tables. */
static int change_case(struct expression_reader *r, struct value *v, char (*first)(char),
                       char (*rest)(char))
{
    struct text t = TEXT_EMPTY;
    char *out;
    int k = value_text(r, v, &t);

    if (k < 0)
        return k;
    out = pool_copy(r->pool, t.data, t.size);
    for (size_t i = 0; out && i < t.size; i++) {
        if ((unsigned char)out[i] >= 0x80)
            return expression_beyond(r, "upper and lower case of letters beyond ASCII");
        out[i] = i == 0 ? first(out[i]) : rest(out[i]);
    }
    return set_text(v, (struct text){out, t.size});
}

static int trim(struct expression_reader *r, struct value *v)
{
    static const char blanks[] = " \t\r\n\v\f";
    struct text t = TEXT_EMPTY;
    int k = value_text(r, v, &t);

    while (t.size && strchr(blanks, t.data[t.size - 1]))
        t.size--;
    while (t.size && strchr(blanks, *t.data)) {
        t.data++;
        t.size--;
    }
    return k < 0 ? k : set_text(v, (struct text){pool_copy(r->pool, t.data, t.size), t.size});
}

static int length(struct expression_reader *r, struct value *v)
{
    int64_t n = 0;

    if (v->defined && v->json.kind != JSON_TEXT)
        return expression_wrong(r, "the length of what is no text");
    for (size_t i = 0; v->defined && i < v->json.text.size; n++) {
        uint32_t c;
        i += words_decode(v->json.text.data + i, v->json.text.size - i, &c);
    }
    *v = (struct value){.defined = true, .json = json_integer(n)};
    return 0;
}

/* Puts REPLACEMENTS[i] in the place of every FOUND[i]. */
static int replace_all(struct expression_reader *r, struct value *v, const struct text *found,
                       const struct text *replacements, size_t n)
{
    struct buffer out = {.max = FEEDBACK_SIZE_MAX};
    struct text t = TEXT_EMPTY;
    size_t i = 0;
    int k = value_text(r, v, &t);

    while (k >= 0 && i < t.size) {
        size_t j = 0;
        while (j < n && (t.size - i < found[j].size ||
                         memcmp(t.data + i, found[j].data, found[j].size) != 0))
            j++;
        k = j < n ? buffer_append(&out, replacements[j].data, replacements[j].size)
                  : buffer_append(&out, t.data + i, 1);
        i += j < n ? found[j].size : 1;
    }
    if (k >= 0)
        k = set_text(v, (struct text){pool_copy(r->pool, out.data, out.size), out.size});
    buffer_clear(&out);
    return k;
}

static int escape(struct expression_reader *r, struct value *v)
{
    static const struct text found[] = {{"&", 1}, {"<", 1}, {">", 1}, {"'", 1}, {"\"", 1}};
    static const struct text entities[] = {
        {"&amp;", 5}, {"&lt;", 4}, {"&gt;", 4}, {"&#39;", 5}, {"&#34;", 5}};

    return replace_all(r, v, found, entities, ARRAY_SIZE(found));
}

static int replace(struct expression_reader *r, struct value *v, const struct value *arguments)
{
    struct text from = TEXT_EMPTY, to = TEXT_EMPTY;
    int k = value_text(r, &arguments[0], &from);

    if (k >= 0)
        k = value_text(r, &arguments[1], &to);
    if (k >= 0 && from.size == 0)
        k = expression_beyond(r, "the replacement of nothing");
    return k < 0 ? k : replace_all(r, v, &from, &to, 1);
}

static int use_default(struct value *v, const struct value *arguments, size_t n)
{
    bool also_false = n > 1 && value_is_true(&arguments[1]);

    if (v->defined && !(also_false && !value_is_true(v)))
        return 0;
    if (n > 0)
        *v = arguments[0];
    else
        *v = (struct value){.defined = true, .json = json_text(text_of(""))};
    return 0;
}

static bool is(const char *name, const char *one, const char *other)
{
    return strcmp(name, one) == 0 || (other && strcmp(name, other) == 0);
}

int filter_apply(struct expression_reader *r, const char *name, struct value *v,
                 const struct value *arguments, size_t n)
{
    if (is(name, "default", "d"))
        return use_default(v, arguments, n);
    if (n == 2 && is(name, "replace", NULL))
        return replace(r, v, arguments);
    if (n)
        return expression_beyond(r, "the filter \"%s\" with arguments", name);
    if (is(name, "upper", NULL))
        return change_case(r, v, upper, upper);
    if (is(name, "lower", NULL))
        return change_case(r, v, lower, lower);
    if (is(name, "capitalize", NULL))
        return change_case(r, v, upper, lower);
    if (is(name, "trim", NULL))
        return trim(r, v);
    if (is(name, "length", "count"))
        return length(r, v);
    if (is(name, "escape", "e"))
        return escape(r, v);
    if (is(name, "safe", "string")) {
        struct text t = TEXT_EMPTY;
        int k = value_text(r, v, &t);
        return k < 0 ? k : set_text(v, t);
    }
    return expression_beyond(r, "the filter \"%s\"", name);
}
