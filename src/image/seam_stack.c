/* A stack of layers as overlayfs sees it, without mounting it. */
#include "image/seam_internal.h"

#include "base/fdio.h"

#include <string.h>
#include <sys/xattr.h>

#define RESOLVE_LAYER (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)
/* Names of one directory's attributes together (XATTR_LIST_MAX), and one value (XATTR_SIZE_MAX). */
#define NAMES_MAX ((size_t)64 << 10)
#define VALUE_MAX ((size_t)64 << 10)

/* A list of paths for searching. */
struct index {
    const char **paths; /* sorted; the strings belong to the notes */
    size_t n;
};

struct stack {
    const struct seam_layer *layers;
    struct index (*indexes)[LAYER_LISTS]; /* owned, one row a layer */
    size_t n;
};

struct key {
    const char *path;
    size_t length;
};

static int compare_paths(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int compare_key(const void *a, const void *b)
{
    const struct key *key = a;
    const char *path = *(const char *const *)b;
    int r = strncmp(key->path, path, key->length);

    return r != 0 ? r : -(path[key->length] != 0);
}

static int index_make(const struct path_list *l, struct index *ret)
{
    ret->paths = calloc(l->count + 1, sizeof(*ret->paths));
    if (!ret->paths)
        return -ENOMEM;
    for (const char *path = path_list_next(l, NULL); path; path = path_list_next(l, path))
        ret->paths[ret->n++] = path;
    qsort(ret->paths, ret->n, sizeof(*ret->paths), compare_paths);
    return 0;
}

static bool index_has(const struct index *i, const char *path, size_t length)
{
    const struct key key = {path, length};

    return i->n > 0 && bsearch(&key, i->paths, i->n, sizeof(*i->paths), compare_key);
}

int stack_new(const struct seam_layer *layers, size_t n, struct stack **ret, struct error *e)
{
    _cleanup_(stack_free_p) struct stack *s = calloc(1, sizeof(*s));
    int r = 0;

    if (!s || !(s->indexes = calloc(n, sizeof(*s->indexes))))
        return error_sys(e, -ENOMEM, "stack of layers");
    s->layers = layers;
    s->n = n;
    for (size_t i = 0; r >= 0 && i < n; i++) {
        for (int list = 0; r >= 0 && list < LAYER_LISTS; list++)
            r = index_make(&layers[i].notes.lists[list], &s->indexes[i][list]);
    }
    if (r < 0)
        return error_sys(e, r, "stack of layers");
    *ret = TAKE_PTR(s);
    return 0;
}

void stack_free(struct stack *s)
{
    if (!s)
        return;
    for (size_t i = 0; s->indexes && i < s->n; i++) {
        for (int list = 0; list < LAYER_LISTS; list++)
            free(s->indexes[i][list].paths);
    }
    free(s->indexes);
    free(s);
}

/* Whether a directory above PATH hides what lower layers have there. */
static bool parent_hides_lower(const struct index *opaque, const char *path)
{
    if (opaque->n == 0 || !path[0])
        return false;
    if (index_has(opaque, path, 0))
        return true;
    for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/'))
        if (index_has(opaque, path, (size_t)(slash - path)))
            return true;
    return false;
}

void seam_view_clear(struct seam_view *v)
{
    if (v->top_fd != v->fd)
        safe_close(v->top_fd);
    v->fd = v->top_fd = safe_close(v->fd);
}

/* Takes one more layer's directory into the view. */
static void add_directory(struct seam_view *v, const struct index *notes, const char *path, int fd)
{
    size_t length = strlen(path);

    if (v->top_fd < 0) {
        v->top_fd = fd;
        v->whiteouts = index_has(&notes[LAYER_WHITEOUTS], path, length);
    } else if (!v->opaque) {
        v->merged = true;
    }
    v->opaque |= index_has(&notes[LAYER_OPAQUE], path, length);
    if (v->fd < 0 && !index_has(&notes[LAYER_IMPLIED], path, length))
        v->fd = fd;
    else if (v->top_fd != fd)
        safe_close(fd);
}

/* One layer's part of the view: 1 to go on with the next lower one. */
static int look_into(const struct stack *s, size_t i, const char *path, struct seam_view *v)
{
    const struct index *notes = s->indexes[i];
    int fd = fd_openat2(s->layers[i].fd, path[0] ? path : ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW,
                        0, RESOLVE_LAYER);

    if (fd == -ENOTDIR || fd == -ELOOP)
        return 0; /* something else is there, or a whiteout */
    if (fd < 0 && fd != -ENOENT)
        return fd;
    if (fd >= 0)
        add_directory(v, notes, path, fd);
    /* What only hides its content still has the lower one's owner, mode and time. */
    return !index_has(&notes[LAYER_REPLACED], path, strlen(path)) &&
           !parent_hides_lower(&notes[LAYER_OPAQUE], path);
}

int stack_look(const struct stack *s, const char *path, struct seam_view *ret, struct error *e)
{
    struct seam_view v = SEAM_VIEW_INIT;
    int r = 1;

    for (size_t i = s->n; r > 0 && i-- > 0;)
        r = v.fd < 0 || !v.merged ? look_into(s, i, path, &v) : 0;
    if (r < 0) {
        seam_view_clear(&v);
        return error_sys(e, r, "look at \"%s\" in a layer", path);
    }
    if (v.fd < 0)
        v.fd = v.top_fd; /* no entry describes it anywhere */
    *ret = v;
    return 0;
}

static int read_xattr(int fd, const char *name, struct attributes *a)
{
    _cleanup_free_ char *value = malloc(VALUE_MAX);
    ssize_t n = value ? fgetxattr(fd, name, value, VALUE_MAX) : -1;
    uint32_t size = (uint32_t)n;
    int r;

    if (n < 0)
        return value ? -errno : -ENOMEM;
    r = buffer_append(&a->xattrs, name, strlen(name) + 1);
    if (r >= 0)
        r = buffer_append(&a->xattrs, &size, sizeof(size));
    return r < 0 ? r : buffer_append(&a->xattrs, value, size);
}

int attributes_read(int fd, struct attributes *ret, struct error *e)
{
    struct attributes a = {0};
    _cleanup_free_ char *names = malloc(NAMES_MAX);
    ssize_t n = names ? flistxattr(fd, names, NAMES_MAX) : -1;
    struct stat st;
    int r = 0;

    if (!names || (n < 0 && errno != EOPNOTSUPP) || fstat(fd, &st) < 0)
        return error_sys(e, names ? -errno : -ENOMEM, "attributes of a directory");
    /* Unpacking kept user.* only; trusted.* is the opaque mark of that one layer. */
    for (char *name = names; n > 0 && name < names + n && r >= 0; name += strlen(name) + 1)
        if (strncmp(name, "user.", 5) == 0)
            r = read_xattr(fd, name, &a);
    if (r < 0) {
        buffer_clear(&a.xattrs);
        return error_sys(e, r, "attributes of a directory");
    }
    a.mode = st.st_mode & 07777;
    a.uid = st.st_uid;
    a.gid = st.st_gid;
    a.mtime = st.st_mtim;
    *ret = a;
    return 0;
}

bool attributes_equal(const struct attributes *a, const struct attributes *b)
{
    return a->mode == b->mode && a->uid == b->uid && a->gid == b->gid &&
           a->mtime.tv_sec == b->mtime.tv_sec && a->mtime.tv_nsec == b->mtime.tv_nsec &&
           a->xattrs.size == b->xattrs.size &&
           (a->xattrs.size == 0 || memcmp(a->xattrs.data, b->xattrs.data, a->xattrs.size) == 0);
}

int attributes_write(int fd, const struct attributes *a, struct error *e)
{
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, a->mtime};

    if (fchown(fd, a->uid, a->gid) < 0 || fchmod(fd, a->mode) < 0)
        return error_sys(e, -errno, "owner and mode");
    for (size_t at = 0; at < a->xattrs.size;) {
        const char *name = (const char *)a->xattrs.data + at;
        uint32_t size;
        at += strlen(name) + 1;
        memcpy(&size, a->xattrs.data + at, sizeof(size));
        at += sizeof(size);
        if (fsetxattr(fd, name, a->xattrs.data + at, size, 0) < 0)
            return error_sys(e, -errno, "extended attribute");
        at += size;
    }
    return futimens(fd, times) < 0 ? error_sys(e, -errno, "time") : 0;
}
