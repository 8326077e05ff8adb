/* What an entry says about its file beside the content. */
#include "image/tree_internal.h"

#include "base/fdio.h"
#include "image/fields.h"
#include "weaken.h"

#include <string.h>
#include <sys/xattr.h>

#define CAPABILITY "security.capability"

/* Attributes by which overlayfs is steered would let a layer speak about other layers. */
static bool steers_overlayfs(const char *name)
{
    return strncmp(name, "trusted.overlay.", 16) == 0 || strncmp(name, "user.overlay.", 13) == 0;
}

static bool is_kept(const char *name)
{
    return strncmp(name, "user.", 5) == 0 || strcmp(name, CAPABILITY) == 0;
}

static int refuse_steering(const struct tar_xattr *xattr, struct error *e)
{
    char shown[FIELD_SHOWN_MAX];

    if (!steers_overlayfs(xattr->name) || weakened("overlay-attributes"))
        return 0;
    return error_set(e, -EBADMSG, "the extended attribute \"%s\" would steer overlayfs",
                     show_foreign(xattr->name, shown));
}

int tree_drop_xattrs(struct layer_tree *t, const struct tar_entry *entry, struct error *e)
{
    for (size_t i = 0; i < entry->n_xattrs; i++) {
        int r = refuse_steering(&entry->xattrs[i], e);
        if (r < 0)
            return r;
    }
    t->notes->dropped_xattrs += entry->n_xattrs;
    return 0;
}

/* security.capability is kept as it is: written by a writer in a user namespace whose root is the
 * host's, the kernel keeps it as version 3 with root 0, which means the same. */
static int set_xattr(struct layer_tree *t, int fd, const struct tar_xattr *xattr, struct error *e)
{
    char shown[FIELD_SHOWN_MAX];
    int r = refuse_steering(xattr, e);

    if (r < 0)
        return r;
    if (!is_kept(xattr->name)) {
        t->notes->dropped_xattrs++;
        return 0;
    }
    if (fsetxattr(fd, xattr->name, xattr->value, xattr->size, 0) == 0) {
        t->attributes += checksum_attribute(xattr->name, xattr->value, xattr->size);
        return 0;
    }
    /* tmpfs has had user.* since Linux 6.6 only; programs live without. */
    if (errno == EOPNOTSUPP && strcmp(xattr->name, CAPABILITY) != 0) {
        t->notes->dropped_xattrs++;
        return 0;
    }
    r = -errno;
    return error_sys(e, r, "the extended attribute \"%s\"", show_foreign(xattr->name, shown));
}

int tree_set_attributes(struct layer_tree *t, int fd, const struct tar_entry *entry,
                        const struct tree_made *made, struct error *e)
{
    bool owned = made && entry->uid == 0 && entry->gid == 0 && !made->gid_inherited;

    if (!owned && fchown(fd, (uid_t)entry->uid, (gid_t)entry->gid) < 0)
        return error_sys(e, -errno, "chown");
    /* After chown and writing, which clear set-id bits. */
    if ((!made || made->mode != entry->mode || entry->mode & 07000) && fchmod(fd, entry->mode) < 0)
        return error_sys(e, -errno, "chmod");
    t->attributes = 0;
    for (size_t i = 0; i < entry->n_xattrs; i++) {
        int r = set_xattr(t, fd, &entry->xattrs[i], e);
        if (r < 0)
            return r;
    }
    return 0;
}

/* File systems keep what is usual; only the rest is asked for. */
int tree_stored_time(int fd, const char *name, const struct timespec *wanted, struct timespec *ret)
{
    struct stat st;

    *ret = *wanted;
    if (wanted->tv_nsec == 0 && wanted->tv_sec >= 0 && wanted->tv_sec <= INT32_MAX)
        return 0;
    if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) < 0)
        return -errno;
    *ret = st.st_mtim;
    return 0;
}

int tree_describe_directory(struct layer_tree *t, const char *path, const struct timespec *mtime,
                            struct error *e)
{
    size_t n = t->directories.count;

    if (n == t->described_capacity) {
        size_t capacity = n ? 2 * n : 256;
        struct described *grown = reallocarray(t->described, capacity, sizeof(*grown));
        if (!grown)
            return error_sys(e, -ENOMEM, "remember a time");
        t->described = grown;
        t->described_capacity = capacity;
    }
    t->described[n] = (struct described){*mtime, t->attributes};
    return tree_note(t, &t->directories, path, e);
}

static int compare_paths(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static const char **sorted(const struct path_list *l)
{
    const char **array = reallocarray(NULL, l->count + 1, sizeof(*array));
    size_t n = 0;

    if (!array)
        return NULL;
    for (const char *path = path_list_next(l, NULL); path; path = path_list_next(l, path))
        array[n++] = path;
    if (n > 0)
        qsort(array, n, sizeof(*array), compare_paths);
    return array;
}

/* Opens a directory that was noted, -ENOTDIR, -ELOOP or -ENOENT where a later entry took its place.
 */
static int open_noted(struct layer_tree *t, const char *path)
{
    return fd_openat2(t->root_fd, path[0] ? path : ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0,
                      RESOLVE_UNTRUSTED);
}

/* Sorts the list, and leaves out doubles, what is no directory any more and what is in WITHOUT. */
static int tidy(struct layer_tree *t, struct path_list *l, const struct path_list *without,
                struct error *e)
{
    struct path_list tidied = {0};
    _cleanup_free_ const char **paths = sorted(l);
    _cleanup_free_ const char **others = without ? sorted(without) : NULL;
    int r = 0;

    if (!paths || (without && !others))
        return error_sys(e, -ENOMEM, "sort names");
    for (size_t i = 0; r >= 0 && i < l->count; i++) {
        _cleanup_close_ int fd = -EBADF;
        if (i > 0 && strcmp(paths[i], paths[i - 1]) == 0)
            continue;
        if (others && bsearch(&paths[i], others, without->count, sizeof(*others), compare_paths))
            continue;
        fd = open_noted(t, paths[i]);
        if (fd >= 0)
            r = tree_note(t, &tidied, paths[i], e);
    }
    path_list_clear(l);
    *l = tidied;
    return r;
}

/* A directory that stands: its time, and its sum. */
static int finish_directory(struct layer_tree *t, const char *path, const struct described *d,
                            struct error *e)
{
    static const struct checksum nothing;
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, d->mtime};
    const char *const opaque[] = {path};
    _cleanup_close_ int fd = open_noted(t, path);
    struct sum_subject subject;
    struct sum_record record;
    struct stat st;

    if (fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP)
        return 0;
    if (fd < 0)
        return error_sys(e, fd, "open a directory again");
    if (futimens(fd, times) < 0 || fstat(fd, &st) < 0)
        return error_sys(e, -errno, "set a directory's time");
    subject =
        (struct sum_subject){path, st.st_mode, st.st_uid, st.st_gid, st.st_mtim, d->attributes};
    if (path[0] && bsearch(opaque, t->opaque, t->notes->lists[LAYER_OPAQUE].count,
                           sizeof(*t->opaque), compare_paths))
        subject.attributes += checksum_attribute(LAYER_OPAQUE_MARK, "y", 1);
    record = sum_of_subject(&nothing, &subject);
    if (sums_add_record(&t->notes->sums, &record) < 0)
        return error_sys(e, -ENOMEM, "remember a checksum");
    return 0;
}

struct place { /* of a directory in the list */
    const char *path;
    const struct described *described;
};

static int compare_places(const void *a, const void *b)
{
    const struct place *one = a, *other = b;
    int order = strcmp(one->path, other->path);

    if (order != 0)
        return order;
    return one->described < other->described ? -1 : one->described > other->described;
}

/* Of an entry that came twice, the last time stays. */
static int finish_described(struct layer_tree *t, struct error *e)
{
    size_t n = t->directories.count, i = 0;
    _cleanup_free_ struct place *places = reallocarray(NULL, n + 1, sizeof(*places));
    int r = 0;

    if (!places)
        return error_sys(e, -ENOMEM, "sort names");
    for (const char *path = path_list_next(&t->directories, NULL); path;
         path = path_list_next(&t->directories, path), i++)
        places[i] = (struct place){path, &t->described[i]};
    if (n > 0)
        qsort(places, n, sizeof(*places), compare_places);
    for (i = 0; r >= 0 && i < n; i++) {
        if (i + 1 == n || strcmp(places[i].path, places[i + 1].path) != 0)
            r = finish_directory(t, places[i].path, places[i].described, e);
        else if (places[i].described->attributes)
            t->notes->sums_stale = true; /* attributes add up */
    }
    return r;
}

int tree_finish(struct layer_tree *t, struct error *e)
{
    static const struct described epoch; /* the same tree each time it is unpacked */
    _cleanup_free_ const char **opaque = NULL;
    int r = t->root_described ? 0 : tree_note(t, &t->notes->lists[LAYER_IMPLIED], "", e);

    if (r >= 0)
        r = tidy(t, &t->notes->lists[LAYER_IMPLIED], &t->directories, e);
    if (r >= 0)
        r = tidy(t, &t->notes->lists[LAYER_OPAQUE], NULL, e);
    if (r >= 0)
        r = tidy(t, &t->notes->lists[LAYER_REPLACED], NULL, e);
    if (r >= 0)
        r = tidy(t, &t->notes->lists[LAYER_WHITEOUTS], NULL, e);
    if (r < 0)
        return r;
    t->opaque = opaque = sorted(&t->notes->lists[LAYER_OPAQUE]);
    if (!opaque)
        return error_sys(e, -ENOMEM, "sort names");
    for (const char *path = path_list_next(&t->notes->lists[LAYER_IMPLIED], NULL); r >= 0 && path;
         path = path_list_next(&t->notes->lists[LAYER_IMPLIED], path))
        r = finish_directory(t, path, &epoch, e);
    return r < 0 ? r : finish_described(t, e);
}
