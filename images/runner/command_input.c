/* getinput and parsetemplate. */
#include "commands.h"

#include "input.h"
#include "number.h"
#include "words.h"

#include "base/fdio.h"
#include "base/text.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What getinput copies at a time. */
#define COPY_SIZE ((size_t)64 << 10)
/** A template is a source file with holes; one that is larger is a mistake. */
#define TEMPLATE_SIZE_MAX ((size_t)64 << 20)

/* The commands of run scripts tell these two apart, and exit with 2. */
static int input_failed(bool missing)
{
    fputs(missing ? "Input file not found" : "Input is not compatible", stderr);
    return 2;
}

static int copy_file(int root_fd, const char *path)
{
    char bytes[COPY_SIZE];
    _cleanup_close_ int fd = fd_openat2(root_fd, path, O_RDONLY | O_NOFOLLOW | O_NOCTTY, 0, 0);
    ssize_t n;

    if (fd < 0)
        return fd;
    while ((n = fd_read_full(fd, bytes, sizeof(bytes))) > 0) {
        int k = fd_write_full(STDOUT_FILENO, bytes, (size_t)n);
        if (k < 0)
            return k;
    }
    return (int)n;
}

static int format_value(const struct json *v, struct buffer *out)
{
    char digits[NUMBER_REAL_SIZE];

    switch (v->kind) {
    case JSON_TEXT:
    case JSON_BIG:
        return buffer_append(out, v->text.data, v->text.size);
    case JSON_BOOL:
        return buffer_append(out, v->boolean ? "True" : "False", v->boolean ? 4 : 5);
    case JSON_REAL:
        number_format_real(v->real, digits);
        return buffer_append(out, digits, strlen(digits));
    case JSON_NULL:
        return -EINVAL;
    default:
        return json_write(v, out);
    }
}

int command_getinput(const struct invocation *c)
{
    static const struct args_spec spec = {
        .summary = "Print what was submitted for a problem, or one of @username, @email, @lang, "
                   "@time, @random...\nOf an uploaded file: its bytes, or with \":filename\" "
                   "behind the id its name.",
        .positional = {"problem"},
    };
    _cleanup_args_ struct args a;
    _cleanup_pool_ struct pool pool = {NULL};
    _cleanup_buffer_ struct buffer out = {.max = INPUT_SIZE_MAX};
    struct error e = ERROR_INIT;
    struct input_value found;
    struct json input;
    int k = args_parse(&spec, c->name, c->argv, &a);

    if (k >= 0)
        return k;
    k = input_load(c->root_fd, &pool, &input, &e);
    if (k < 0)
        return input_failed(k == -ENOENT);
    k = input_find(&input, &pool, a.positional[0], &found);
    if (k == -ENOENT) {
        fprintf(stderr, "%s: there is no input \"%s\"\n", c->name, a.positional[0]);
        return 1;
    }
    if (k == -EINVAL)
        return input_failed(true);
    if (k >= 0 && found.file) {
        k = copy_file(c->root_fd, found.file);
        if (k == -ENOENT)
            return input_failed(true);
        return k < 0 ? command_failed(c, error_sys(&e, k, "/%s", found.file), &e) : 0;
    }
    if (k >= 0)
        k = format_value(found.value, &out);
    if (k == -EINVAL) {
        fputs("Invalid/unknown input format. Please access it from Python using input.get_input.",
              stderr);
        return 2;
    }
    if (k >= 0)
        k = fd_write_full(STDOUT_FILENO, out.data, out.size);
    return k < 0 ? command_failed(c, error_sys(&e, k, "standard output"), &e) : 0;
}

static int append_text(struct buffer *b, struct text t)
{
    return buffer_append(b, t.data, t.size);
}

/* VALUE with PREFIX before and SUFFIX behind each of its lines. */
static int fill_hole(struct buffer *out, struct text prefix, struct text value, struct text suffix)
{
    int k = 0;

    for (size_t at = 0; k >= 0 && at < value.size;) {
        size_t end, n = words_line(value.data + at, value.size - at, &end);
        if (at)
            k = buffer_append(out, "\n", 1);
        if (k >= 0)
            k = append_text(out, prefix);
        if (k >= 0)
            k = buffer_append(out, value.data + at, n);
        if (k >= 0)
            k = append_text(out, suffix);
        at += n + end;
    }
    return k;
}

/* A hole: "@prefix@NAME@suffix@", with no "@" in prefix and suffix. */
struct hole {
    struct text prefix, suffix;
    size_t start, end;
};

/* The first hole for NAME in T from AT on. */
static bool find_hole(struct text t, size_t at, struct text name, struct hole *ret)
{
    for (size_t start = at; start < t.size; start++) {
        const char *p, *second, *last;
        size_t left;
        if (t.data[start] != '@')
            continue;
        p = t.data + start + 1;
        left = t.size - start - 1;
        second = memchr(p, '@', left);
        if (!second)
            return false;
        left -= (size_t)(second - p) + 1;
        if (left <= name.size || memcmp(second + 1, name.data, name.size) != 0 ||
            second[1 + name.size] != '@')
            continue;
        last = memchr(second + name.size + 2, '@', left - name.size - 1);
        if (!last)
            continue;
        ret->prefix = (struct text){p, (size_t)(second - p)};
        ret->suffix =
            (struct text){second + name.size + 2, (size_t)(last - (second + name.size + 2))};
        ret->start = start;
        ret->end = (size_t)(last - t.data) + 1;
        return true;
    }
    return false;
}

/* Text of the part of the input that NAME stands for, read when its first hole is found. */
static int hole_value(const struct invocation *c, struct pool *pool, struct json *v,
                      bool is_content, struct text *ret)
{
    _cleanup_buffer_ struct buffer b = {.max = 2 * TEMPLATE_SIZE_MAX};
    int k;

    if (v->kind != JSON_TEXT)
        return -EINVAL;
    *ret = v->text;
    if (!is_content)
        return 0;
    if (strncmp(v->text.data, "/" INPUT_DIR "/", strlen("/" INPUT_DIR "/")) != 0)
        return -ENOENT;
    k = fd_read_file(c->root_fd, v->text.data + 1, &b, TEMPLATE_SIZE_MAX);
    if (k < 0)
        return k;
    if (!text_is_utf8(b.data, b.size))
        return -EBADMSG;
    *ret = (struct text){pool_copy(pool, b.data, b.size), b.size};
    return ret->data ? 0 : -ENOMEM;
}

/* Fills all holes for NAME in *T. */
static int fill_field(const struct invocation *c, struct pool *pool, struct text name,
                      struct json *v, bool is_content, struct text *t)
{
    _cleanup_buffer_ struct buffer out = {.max = TEMPLATE_SIZE_MAX};
    struct text value = {NULL, 0};
    struct hole hole;
    size_t at = 0;
    int k = 0;

    while (k >= 0 && find_hole(*t, at, name, &hole)) {
        if (!value.data)
            k = hole_value(c, pool, v, is_content, &value);
        if (k >= 0)
            k = buffer_append(&out, t->data + at, hole.start - at);
        if (k >= 0)
            k = fill_hole(&out, hole.prefix, value, hole.suffix);
        at = hole.end;
    }
    if (k < 0 || !value.data)
        return k;
    k = buffer_append(&out, t->data + at, t->size - at);
    if (k < 0)
        return k;
    *t = (struct text){pool_copy(pool, out.data, out.size), out.size};
    return t->data ? 0 : -ENOMEM;
}

static struct text with_suffix(struct pool *pool, struct text id, const char *suffix)
{
    size_t n = strlen(suffix);
    char *name = pool_alloc(pool, id.size + n + 1);

    if (!name)
        return (struct text){NULL, 0};
    memcpy(name, id.data, id.size);
    memcpy(name + id.size, suffix, n + 1);
    return (struct text){name, id.size + n};
}

static int fill_template(const struct invocation *c, struct pool *pool, struct json *input,
                         struct text *t)
{
    int k = 0;

    for (size_t i = 0; k >= 0 && i < input->map.count; i++) {
        struct json_member *m = &input->map.members[i];
        struct json *name, *path;
        struct text field;
        if (!input_is_file(&m->value, &name, &path)) {
            k = fill_field(c, pool, m->key, &m->value, false, t);
            continue;
        }
        field = with_suffix(pool, m->key, ":filename");
        k = field.data ? fill_field(c, pool, field, name, false, t) : -ENOMEM;
        field = with_suffix(pool, m->key, ":value");
        if (k >= 0)
            k = field.data ? fill_field(c, pool, field, path, true, t) : -ENOMEM;
    }
    return k;
}

/* Makes the directories above PATH. What fails here fails again when the file is made. */
static void make_parents(struct pool *pool, const char *path)
{
    char *copy = pool_copy(pool, path, strlen(path));

    if (!copy)
        return;
    for (char *p = copy; (p = strchr(p + 1, '/'));) {
        *p = 0;
        mkdir(copy, 0777);
        *p = '/';
    }
}

static int write_output(const char *path, struct text t)
{
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0666);

    return fd < 0 ? -errno : fd_write_full(fd, t.data, t.size);
}

int command_parsetemplate(const struct invocation *c)
{
    static const struct args_spec spec = {
        .summary = "Put the input into the holes of a template, which look so: "
                   "@prefix@problem@suffix@.",
        .options = {{'o', "output", "OUTPUT", "write there instead of into the template"}},
        .positional = {"input"},
    };
    _cleanup_args_ struct args a;
    _cleanup_pool_ struct pool pool = {NULL};
    _cleanup_buffer_ struct buffer b = {.max = 2 * TEMPLATE_SIZE_MAX};
    const char *output;
    struct json input;
    struct text t;
    int k = args_parse(&spec, c->name, c->argv, &a);

    if (k >= 0)
        return k;
    output = *args_value(&a, 0) ? args_value(&a, 0) : a.positional[0];
    k = input_load(c->root_fd, &pool, &input, NULL);
    if (k >= 0)
        k = fd_read_file(AT_FDCWD, a.positional[0], &b, TEMPLATE_SIZE_MAX);
    if (k >= 0 && !text_is_utf8(b.data, b.size))
        k = -EBADMSG;
    if (k >= 0) {
        t = (struct text){(const char *)b.data, b.size};
        k = fill_template(c, &pool, &input, &t);
    }
    if (k == -EINVAL) {
        fprintf(stderr, "%s: the template has a hole for something that is no text\n", c->name);
        return 1;
    }
    if (k >= 0) {
        make_parents(&pool, output);
        k = write_output(output, t);
    }
    return k < 0 ? input_failed(k != -EBADMSG) : 0;
}
