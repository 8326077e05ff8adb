#include "input.h"

#include "base/fdio.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define INPUT_PREFIX strlen("/" INPUT_DIR "/")

/* Writing a text in pieces is slow; the file is built in memory and written at once. */
struct writer {
    int dir_fd;
    unsigned files;
    struct buffer out;
    struct error *e;
};

static int put(struct writer *w, const char *text)
{
    return buffer_append(&w->out, text, strlen(text));
}

static int write_value(struct writer *w, const struct wire_value *v, int depth);

static int write_key(struct writer *w, const struct wire_value *key)
{
    int k;

    if (key->kind != WIRE_STR)
        return error_set(w->e, -EINVAL, "a key of the input is no text");
    k = json_write_text(key->text, key->size, &w->out);
    return k < 0 ? k : put(w, ": ");
}

/* NOLINTNEXTLINE(misc-no-recursion): see write_value */
static int write_container(struct writer *w, const struct wire_value *v, int depth)
{
    struct wire_iterator it = wire_children(v);
    bool map = v->kind == WIRE_MAP;
    struct wire_value child;
    int k = put(w, map ? "{" : "[");

    for (bool first = true; k >= 0 && wire_next(&it, &child); first = false) {
        if (!first)
            k = put(w, ", ");
        if (k >= 0 && map) {
            k = write_key(w, &child);
            if (k >= 0 && !wire_next(&it, &child))
                break;
        }
        if (k >= 0)
            k = write_value(w, &child, depth + 1);
    }
    return k < 0 ? k : put(w, map ? "}" : "]");
}

/* NOLINTNEXTLINE(misc-no-recursion): JSON_DEPTH_MAX levels of under 300 bytes */
static int write_value(struct writer *w, const struct wire_value *v, int depth)
{
    if (depth >= JSON_DEPTH_MAX)
        return error_set(w->e, -EINVAL, "the input is nested too deeply");
    switch (v->kind) {
    case WIRE_NIL:
        return put(w, "null");
    case WIRE_BOOL:
        return put(w, v->boolean ? "true" : "false");
    case WIRE_INT:
        return buffer_printf(&w->out, "%lld", (long long)v->integer);
    case WIRE_FLOAT:
        return json_write_real(v->real, &w->out);
    case WIRE_STR:
        return json_write_text(v->text, v->size, &w->out);
    case WIRE_ARRAY:
    case WIRE_MAP:
        return write_container(w, v, depth);
    case WIRE_BIN:
        return error_set(w->e, -EINVAL, "Object of type bytes is not JSON serializable");
    case WIRE_EXT:
        break;
    }
    return error_set(w->e, -EINVAL, "Object of type ExtType is not JSON serializable");
}

/* Whether V is an uploaded file: exactly a filename, and a value that is bytes or text. */
static bool is_upload(const struct wire_value *v, struct wire_value *ret_name,
                      struct wire_value *ret_content)
{
    return v->kind == WIRE_MAP && v->count == 2 && wire_map_get(v->raw, "filename", ret_name) &&
           wire_map_get(v->raw, "value", ret_content) &&
           (ret_content->kind == WIRE_BIN || ret_content->kind == WIRE_STR);
}

static int write_bytes(int dir_fd, const char *name, const void *data, size_t size)
{
    _cleanup_close_ int fd =
        fd_openat2(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0644, 0);

    return fd < 0 ? fd : fd_write_full(fd, data, size);
}

static int write_upload(struct writer *w, const struct wire_value *name,
                        const struct wire_value *content, int depth)
{
    char file[40];
    int k;

    if (w->files >= INPUT_FILES_MAX)
        return error_set(w->e, -E2BIG, "more than %d files", INPUT_FILES_MAX);
    snprintf(file, sizeof(file), "__inputfile_%u", w->files++);
    k = write_bytes(w->dir_fd, file, content->text, content->size);
    if (k < 0)
        return error_sys(w->e, k, "/" INPUT_DIR "/%s", file);
    k = put(w, "{\"filename\": ");
    if (k >= 0)
        k = write_value(w, name, depth + 1);
    return k < 0 ? k : buffer_printf(&w->out, ", \"value\": \"/" INPUT_DIR "/%s\"}", file);
}

static int write_input(struct writer *w, struct wire_span input)
{
    struct wire_value map, value, name, content;
    struct wire_iterator it;
    int k;

    if (!wire_read(input, &map) || map.kind != WIRE_MAP)
        return error_set(w->e, -EINVAL, "the input is no map");
    it = wire_children(&map);
    k = put(w, "{");
    for (bool first = true; k >= 0 && wire_next(&it, &value); first = false) {
        if (!first)
            k = put(w, ", ");
        if (k >= 0)
            k = write_key(w, &value);
        if (k < 0 || !wire_next(&it, &value))
            break;
        k = is_upload(&value, &name, &content) ? write_upload(w, &name, &content, 1)
                                               : write_value(w, &value, 1);
    }
    return k < 0 ? k : put(w, "}");
}

int input_write(int root_fd, const struct runner_message *start, struct error *e)
{
    _cleanup_close_ int dir_fd = -EBADF;
    struct writer w = {.out = {.max = INPUT_SIZE_MAX}, .e = e};
    struct wire_value debug;
    int k;

    if (mkdirat(root_fd, INPUT_DIR, 0755) < 0 && errno != EEXIST)
        return error_sys(e, -errno, "/" INPUT_DIR);
    dir_fd = fd_openat2(root_fd, INPUT_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, 0);
    if (dir_fd < 0)
        return error_sys(e, dir_fd, "/" INPUT_DIR);
    w.dir_fd = dir_fd;
    k = put(&w, "{\"type\": \"start\", \"input\": ");
    if (k >= 0)
        k = write_input(&w, start->input);
    if (k >= 0 && wire_read(start->debug, &debug)) {
        k = put(&w, ", \"debug\": ");
        if (k >= 0)
            k = write_value(&w, &debug, 0);
    }
    if (k >= 0)
        k = put(&w, "}");
    if (k >= 0)
        k = write_bytes(dir_fd, INPUT_FILE, w.out.data, w.out.size);
    buffer_clear(&w.out);
    return k < 0 && e && !*e->text ? error_sys(e, k, "/" INPUT_DIR "/" INPUT_FILE) : k;
}

int input_load(int root_fd, struct pool *pool, struct json *ret, struct error *e)
{
    _cleanup_buffer_ struct buffer b = {.max = 2 * INPUT_SIZE_MAX};
    struct json all, *input;
    int k = fd_read_file(root_fd, INPUT_DIR "/" INPUT_FILE, &b, INPUT_SIZE_MAX);

    if (k < 0)
        return error_sys(e, k, "/" INPUT_DIR "/" INPUT_FILE);
    k = json_parse(pool, (const char *)b.data, b.size, &all, e);
    if (k < 0)
        return k;
    input = json_get(&all, text_of("input"));
    if (!input || input->kind != JSON_MAP)
        return error_set(e, -EBADMSG, "there is no input in it");
    *ret = *input;
    return 0;
}

bool input_is_file(struct json *v, struct json **ret_name, struct json **ret_path)
{
    *ret_name = json_get(v, text_of("filename"));
    *ret_path = json_get(v, text_of("value"));
    return *ret_name && *ret_path;
}

int input_find(struct json *input, struct pool *pool, const char *problem, struct input_value *ret)
{
    size_t size = strcspn(problem, ":");
    const char *part = problem[size] ? problem + size + 1 : "";
    struct json *v, *name, *path;
    char *id = pool_copy(pool, problem, size);

    if (!id)
        return -ENOMEM;
    v = json_get(input, text_of(id));
    if (!v)
        return -ENOENT;
    *ret = (struct input_value){.value = v};
    if (!input_is_file(v, &name, &path))
        return 0;
    /* Of "id:filename:more" the middle counts. */
    if (strcspn(part, ":") == strlen("filename") && strncmp(part, "filename", 8) == 0) {
        ret->value = name;
        return 0;
    }
    /* Only what PID 1 wrote: a path that came with the submission is no file of ours. */
    if (path->kind != JSON_TEXT || strncmp(path->text.data, "/" INPUT_DIR "/", INPUT_PREFIX) != 0 ||
        strchr(path->text.data + INPUT_PREFIX, '/'))
        return -EINVAL;
    *ret = (struct input_value){.file = path->text.data + 1};
    return 0;
}
