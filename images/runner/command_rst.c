/* rst-code, rst-image, rst-indent, rst-msgblock: pieces of reStructuredText for feedback. */
#include "commands.h"

#include "base64.h"
#include "feedback.h"
#include "words.h"

#include "base/fdio.h"

#include <stdlib.h>
#include <string.h>

/* Text around each line of a block. */
static int indent(struct buffer *out, struct text t, const char *before, size_t times)
{
    int k = 0;

    for (size_t at = 0; k >= 0 && at < t.size;) {
        size_t end, n = words_line(t.data + at, t.size - at, &end);
        for (size_t i = 0; k >= 0 && i < times; i++)
            k = buffer_append(out, before, strlen(before));
        if (k >= 0)
            k = buffer_printf(out, "%.*s\n", (int)n, t.data + at);
        at += n + end;
    }
    return k;
}

/* Prints OUT and the line end that print() puts behind it. */
static int conclude(const struct invocation *c, struct buffer *out, int k, struct error *e)
{
    if (k >= 0)
        k = buffer_append(out, "\n", 1);
    if (k >= 0 && fwrite(out->data, 1, out->size, stdout) != out->size)
        k = -EIO;
    return k < 0 ? command_failed(c, k, e) : 0;
}

int command_rst_code(const struct invocation *c)
{
    enum { LANGUAGE, ESCAPE, CODE };
    static const struct args_spec spec = {
        .summary = "Print a code block. Without -c the code is read from standard input.",
        .options = {{'l', "language", "LANGUAGE", "language of the code"},
                    {'e', "escape", NULL, "interprets backslash escapes"},
                    {'c', "code", "CODE", "the code"}},
    };
    _cleanup_args_ struct args a;
    _cleanup_pool_ struct pool pool = {NULL};
    _cleanup_buffer_ struct buffer out = {.max = FEEDBACK_SIZE_MAX};
    struct error e = ERROR_INIT;
    struct text code;
    int k = args_parse(&spec, c->name, c->argv, &a);

    if (k >= 0)
        return k;
    k = command_message(&pool, args_value(&a, CODE), a.value[ESCAPE], &code, &e);
    if (k >= 0)
        k = buffer_printf(&out, "\n\n.. code-block:: %s\n\n", args_value(&a, LANGUAGE));
    if (k >= 0)
        k = indent(&out, code, "\t", 1);
    if (k >= 0)
        k = buffer_append(&out, "\n", 1);
    return conclude(c, &out, k, &e);
}

/* The extension of a file name as os.path.splitext() sees it, without the dot. */
static const char *extension(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path, *dot;

    name += strspn(name, ".");
    dot = strrchr(name, '.');
    return dot ? dot + 1 : "";
}

int command_rst_image(const struct invocation *c)
{
    static const struct args_spec spec = {
        .summary = "Print an image as a block of raw HTML.",
        .options = {{'f', "format", "FORMAT", "format of the image, else its extension"}},
        .positional = {"filename"},
    };
    _cleanup_args_ struct args a;
    _cleanup_buffer_ struct buffer image = {.max = 2 * FEEDBACK_SIZE_MAX};
    _cleanup_buffer_ struct buffer out = {.max = 2 * FEEDBACK_SIZE_MAX};
    struct error e = ERROR_INIT;
    const char *path, *format;
    int k = args_parse(&spec, c->name, c->argv, &a);

    if (k >= 0)
        return k;
    path = a.positional[0];
    format = *args_value(&a, 0) ? args_value(&a, 0) : extension(path);
    k = fd_read_file(AT_FDCWD, path, &image, FEEDBACK_SIZE_MAX);
    if (k < 0)
        return command_failed(c, error_sys(&e, k, "%s", path), &e);
    k = buffer_printf(&out, "\n\n.. raw:: html\n\n\t<img src=\"data:image/%s;base64,", format);
    if (k >= 0)
        k = buffer_reserve(&out, base64_size(image.size));
    if (k >= 0) {
        base64_encode(image.data, image.size, (char *)out.data + out.size);
        out.size += base64_size(image.size);
        k = buffer_printf(&out, "\">\n");
    }
    return conclude(c, &out, k, &e);
}

/* The line T without characters C that stand at position LIMIT or before. */
static int outdent_line(struct buffer *out, struct text t, const char *c, size_t limit)
{
    int k = 0;

    for (size_t at = 0, position = 1; k >= 0 && at < t.size; position++) {
        uint32_t unused;
        size_t n = words_decode(t.data + at, t.size - at, &unused);
        if (position > limit || strlen(c) != n || memcmp(c, t.data + at, n) != 0)
            k = buffer_append(out, t.data + at, n);
        at += n;
    }
    return k < 0 ? k : buffer_append(out, "\n", 1);
}

static int outdent(struct buffer *out, struct text t, const char *c, size_t limit)
{
    int k = 0;

    for (size_t at = 0; k >= 0 && at < t.size;) {
        size_t end, n = words_line(t.data + at, t.size - at, &end);
        k = outdent_line(out, (struct text){t.data + at, n}, c, limit);
        at += n + end;
    }
    return k;
}

int command_rst_indent(const struct invocation *c)
{
    enum { ESCAPE, INDENT_CHAR, AMOUNT, MESSAGE };
    static const struct args_spec spec = {
        .summary = "Indent a block, or with a negative amount take indentation away. Without -m "
                   "the text is read\nfrom standard input.",
        .options = {{'e', "escape", NULL, "interprets backslash escapes"},
                    {'c', "indent-char", "INDENT_CHAR", "what to indent with (default: a tab)"},
                    {'a', "amount", "AMOUNT", "how often (default: 1)"},
                    {'m', "message", "MESSAGE", "the text"}},
    };
    _cleanup_args_ struct args a;
    _cleanup_pool_ struct pool pool = {NULL};
    _cleanup_buffer_ struct buffer out = {.max = FEEDBACK_SIZE_MAX};
    struct error e = ERROR_INIT;
    const char *with;
    struct text text;
    long amount = 1;
    int k = args_parse(&spec, c->name, c->argv, &a);

    if (k >= 0)
        return k;
    if (a.value[AMOUNT] && args_integer(c->name, "amount", a.value[AMOUNT], &amount) < 0)
        return 2;
    with = a.value[INDENT_CHAR] ? a.value[INDENT_CHAR] : "\t";
    k = command_message(&pool, args_value(&a, MESSAGE), a.value[ESCAPE], &text, &e);
    if (k >= 0 && amount > 0)
        k = indent(&out, text, with, (size_t)amount);
    else if (k >= 0)
        k = outdent(&out, text, with, (size_t)-amount);
    return conclude(c, &out, k, &e);
}

int command_rst_msgblock(const struct invocation *c)
{
    enum { CLASS, ESCAPE, TITLE, MESSAGE };
    static const struct args_spec spec = {
        .summary = "Print a coloured message block. Without -m the text is read from standard "
                   "input.",
        .options = {{'c', "class", "CSSCLASS", "class [success|info|warning|danger]"},
                    {'e', "escape", NULL, "interprets backslash escapes"},
                    {'t', "title", "TITLE", "title of the block"},
                    {'m', "message", "MESSAGE", "the text"}},
    };
    static const char *const classes[] = {"info", "danger", "warning", "success"};
    _cleanup_args_ struct args a;
    _cleanup_pool_ struct pool pool = {NULL};
    _cleanup_buffer_ struct buffer out = {.max = FEEDBACK_SIZE_MAX};
    struct error e = ERROR_INIT;
    const char *class = classes[0], *title;
    struct text text;
    int k = args_parse(&spec, c->name, c->argv, &a);

    if (k >= 0)
        return k;
    for (size_t i = 0; i < ARRAY_SIZE(classes); i++)
        if (strcmp(args_value(&a, CLASS), classes[i]) == 0)
            class = classes[i];
    title = args_value(&a, TITLE);
    k = command_message(&pool, args_value(&a, MESSAGE), a.value[ESCAPE], &text, &e);
    if (k >= 0)
        k = *title ? buffer_printf(&out, "\n\n.. admonition:: %s\n", title)
                   : buffer_printf(&out, "\n\n.. note:: \n");
    if (k >= 0)
        k = buffer_printf(&out, "\t:class: alert alert-%s\n\n", class);
    if (k >= 0)
        k = indent(&out, text, "\t", 1);
    if (k >= 0)
        k = buffer_append(&out, "\n", 1);
    return conclude(c, &out, k, &e);
}
