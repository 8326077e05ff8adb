#include "image/seam_internal.h"

#include "base/fdio.h"

#include <inttypes.h>
#include <string.h>

void seam_free(struct seam *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->n; i++)
        buffer_clear(&s->directories[i].attributes.xattrs);
    free(s->directories);
    path_list_clear(&s->paths);
    free(s);
}

const struct digest *seam_digest(const struct seam *s)
{
    return &s->digest;
}

static int compare_paths(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int add_path(struct seam *s, const char *path, struct error *e)
{
    int r = s->paths.count < SEAM_DIRECTORIES_MAX ? path_list_add(&s->paths, path) : -ENOSPC;

    if (r == -ENOSPC)
        return error_set(e, -EFBIG, "too many directories whose attributes are in lower layers");
    return r < 0 ? error_sys(e, r, "seam") : 0;
}

/* Whether overlayfs would show PATH with other attributes than the image means, or with the names
 * of whiteouts in it. */
static int needs_seam(const struct stack *stack, const char *path, bool *ret, struct error *e)
{
    _cleanup_view_ struct seam_view view = SEAM_VIEW_INIT;
    struct attributes meant = {0}, shown = {0};
    int r = stack_look(stack, path, &view, e);

    *ret = false;
    if (r < 0 || view.fd < 0)
        return r;
    if (view.whiteouts && !view.merged && path[0]) {
        *ret = true; /* the root itself is always merged with the container's upper layer */
        return 0;
    }
    if (view.fd == view.top_fd)
        return 0;
    r = attributes_read(view.fd, &meant, e);
    if (r >= 0)
        r = attributes_read(view.top_fd, &shown, e);
    /* Nobody looks at the time of "/": it alone is not worth a layer. */
    if (!path[0])
        shown.mtime = meant.mtime;
    if (r >= 0)
        *ret = !attributes_equal(&meant, &shown);
    buffer_clear(&meant.xattrs);
    buffer_clear(&shown.xattrs);
    return r;
}

static int add_with_parents(struct seam *s, const char *path, struct error *e)
{
    char *copy = strdupa(path);
    int r = add_path(s, copy, e);

    while (r >= 0 && copy[0]) {
        char *slash = strrchr(copy, '/');
        *(slash ? slash : copy) = 0;
        r = add_path(s, copy, e);
    }
    return r;
}

static int check_list(struct seam *s, const struct stack *stack, const struct path_list *l,
                      struct error *e)
{
    for (const char *path = path_list_next(l, NULL); path; path = path_list_next(l, path)) {
        bool needed = false;
        int r = needs_seam(stack, path, &needed, e);
        if (r >= 0 && needed)
            r = add_with_parents(s, path, e);
        if (r < 0)
            return r;
    }
    return 0;
}

static int read_directory(const struct stack *stack, struct seam_directory *d, struct error *e)
{
    _cleanup_view_ struct seam_view view = SEAM_VIEW_INIT;
    int r = stack_look(stack, d->path, &view, e);

    if (r >= 0 && view.fd < 0)
        r = error_set(e, -EBADMSG, "\"%s\" is not a directory", d->path);
    return r < 0 ? r : attributes_read(view.fd, &d->attributes, e);
}

/* The sorted directories without doubles, and their attributes. */
static int fill(struct seam *s, const struct stack *stack, struct error *e)
{
    _cleanup_free_ const char **paths = reallocarray(NULL, s->paths.count, sizeof(*paths));
    size_t n = 0;

    s->directories = reallocarray(NULL, s->paths.count, sizeof(*s->directories));
    if (!paths || !s->directories)
        return error_sys(e, -ENOMEM, "seam");
    for (const char *path = path_list_next(&s->paths, NULL); path;
         path = path_list_next(&s->paths, path))
        paths[n++] = path;
    qsort(paths, n, sizeof(*paths), compare_paths);
    for (size_t i = 0; i < n; i++) {
        struct seam_directory *d = &s->directories[s->n];
        int r;
        if (i > 0 && strcmp(paths[i], paths[i - 1]) == 0)
            continue;
        *d = (struct seam_directory){.path = paths[i]};
        r = read_directory(stack, d, e);
        if (r < 0)
            return r;
        s->n++;
    }
    return 0;
}

static int describe(struct seam *s, struct error *e)
{
    _cleanup_buffer_ struct buffer text = {.max = (size_t)1 << 30};
    int r = buffer_printf(&text, "dockless seam 1\n");

    for (size_t i = 0; r >= 0 && i < s->n; i++) {
        const struct attributes *a = &s->directories[i].attributes;
        r = buffer_append(&text, s->directories[i].path, strlen(s->directories[i].path) + 1);
        if (r >= 0)
            r = buffer_printf(&text, "%o %u %u %" PRId64 ".%09ld %zu\n", (unsigned)a->mode, a->uid,
                              a->gid, (int64_t)a->mtime.tv_sec, a->mtime.tv_nsec, a->xattrs.size);
        if (r >= 0)
            r = buffer_append(&text, a->xattrs.data, a->xattrs.size);
    }
    if (r >= 0)
        r = digest_of(DIGEST_SHA256, text.data, text.size, &s->digest);
    return r < 0 ? error_sys(e, r, "seam") : 0;
}

int seam_plan(const struct seam_layer *layers, size_t n, struct seam **ret, struct error *e)
{
    _cleanup_(seam_free_p) struct seam *s = calloc(1, sizeof(*s));
    _cleanup_(stack_free_p) struct stack *stack = NULL;
    int r;

    if (!s)
        return error_sys(e, -ENOMEM, "seam");
    r = stack_new(layers, n, &stack, e);
    for (size_t i = 0; r >= 0 && i < n; i++) {
        r = check_list(s, stack, &layers[i].notes.lists[LAYER_IMPLIED], e);
        if (r >= 0)
            r = check_list(s, stack, &layers[i].notes.lists[LAYER_WHITEOUTS], e);
    }
    if (r >= 0 && s->paths.count > 0) {
        r = fill(s, stack, e);
        if (r >= 0)
            r = describe(s, e);
    }
    if (r < 0)
        return r;
    *ret = s->paths.count > 0 ? TAKE_PTR(s) : NULL;
    return 0;
}

static int open_directory(int root_fd, const char *path)
{
    return fd_openat2(root_fd, path[0] ? path : ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0,
                      RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
}

static int make_one(int root_fd, const char *path)
{
    const char *slash = strrchr(path, '/');
    char *parent = strndupa(path, slash ? (size_t)(slash - path) : 0);
    _cleanup_close_ int fd = open_directory(root_fd, parent);

    if (fd < 0)
        return fd;
    return mkdirat(fd, slash ? slash + 1 : path, 0700) < 0 ? -errno : 0;
}

int seam_make(const struct seam *s, int root_fd, struct layer_notes *ret_notes, struct error *e)
{
    for (size_t i = 0; i < s->n; i++) {
        const char *path = s->directories[i].path;
        int r = path[0] ? make_one(root_fd, path) : 0;
        if (r < 0)
            return error_sys(e, r, "make \"%s\"", path);
    }
    /* Children first: making them changed the times of their parents. */
    for (size_t i = s->n; i-- > 0;) {
        const struct seam_directory *d = &s->directories[i];
        _cleanup_close_ int fd = open_directory(root_fd, d->path);
        int r = fd < 0 ? error_sys(e, fd, "open") : attributes_write(fd, &d->attributes, e);
        if (r < 0)
            return error_prefix(e, r, "\"%s\"", d->path);
    }
    *ret_notes = (struct layer_notes){.entries = s->n};
    return 0;
}
