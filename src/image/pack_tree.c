#include "image/pack_tree.h"

#include "base/fdio.h"
#include "base/text.h"
#include "image/bounds.h"
#include "image/fields.h"
#include "image/tar_write.h"

#include <dirent.h>
#include <linux/capability.h>
#include <linux/limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#define READ_SIZE  ((size_t)256 << 10)
#define CAPABILITY "security.capability"
#define OPAQUE     "trusted.overlay.opaque"

struct first_name { /* of a file that has several */
    dev_t device;
    ino_t inode;
    char *path; /* owned */
};

struct pack {
    const struct pack_tree_options *options;
    pack_sink_fn sink; /* NULL: only times are looked at */
    void *userdata;
    struct pack_tree_result result;
    struct first_name *links; /* sorted by device and inode */
    size_t n_links, links_capacity;
    struct buffer header;
    uint8_t *data; /* of READ_SIZE */
    char path[ENTRY_PATH_MAX + 1];
    size_t length;
};

static int check_stop(const struct pack *p, struct error *e)
{
    return p->options->stop && *p->options->stop ? error_sys(e, -ECANCELED, "pack") : 0;
}

static int flush(struct pack *p, struct error *e)
{
    int r = p->sink(p->userdata, p->header.data, p->header.size, e);

    p->header.size = 0;
    return r;
}

/* --- hard links --- */

static int compare_links(const void *a, const void *b)
{
    const struct first_name *one = a, *other = b;

    if (one->device != other->device)
        return one->device < other->device ? -1 : 1;
    return one->inode < other->inode ? -1 : one->inode > other->inode;
}

/* The name under which the file came before, or NULL after taking down this one. */
static int find_link(struct pack *p, const struct stat *st, const char **ret)
{
    const struct first_name key = {.device = st->st_dev, .inode = st->st_ino};
    size_t low = 0, high = p->n_links;

    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = compare_links(&key, &p->links[middle]);
        if (order == 0) {
            *ret = p->links[middle].path;
            return 0;
        }
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    if (p->n_links == p->links_capacity) {
        size_t capacity = p->links_capacity ? 2 * p->links_capacity : 64;
        struct first_name *grown = reallocarray(p->links, capacity, sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        p->links = grown;
        p->links_capacity = capacity;
    }
    memmove(&p->links[low + 1], &p->links[low], (p->n_links - low) * sizeof(*p->links));
    p->links[low] = key;
    p->n_links++;
    p->links[low].path = strdup(p->path);
    *ret = NULL;
    return p->links[low].path ? 0 : -ENOMEM;
}

/* --- extended attributes --- */

struct xattrs {
    struct tar_xattr list[ENTRY_XATTRS_MAX];
    size_t n;
    char names[XATTR_LIST_MAX];
    bool opaque;
};

static void xattrs_clear(struct xattrs *x)
{
    for (size_t i = 0; i < x->n; i++)
        free(x->list[i].value);
    x->n = 0;
}

/* Version 3 is version 2 with the root that a user namespace has; images have version 2. */
static void plain_capability(struct tar_xattr *x)
{
    struct vfs_ns_cap_data data;

    if (x->size != sizeof(data))
        return;
    memcpy(&data, x->value, sizeof(data));
    data.magic_etc = (data.magic_etc & ~VFS_CAP_REVISION_MASK) | VFS_CAP_REVISION_2;
    memcpy(x->value, &data, sizeof(data.magic_etc));
    x->size = sizeof(struct vfs_cap_data);
}

static int read_one(int fd, char *name, struct xattrs *x)
{
    struct tar_xattr *to = &x->list[x->n];
    ssize_t size = fgetxattr(fd, name, NULL, 0);

    if (size < 0)
        return errno == ENODATA ? 0 : -errno;
    if (x->n == ENTRY_XATTRS_MAX)
        return -E2BIG;
    to->value = malloc((size_t)size + 1);
    if (!to->value)
        return -ENOMEM;
    size = fgetxattr(fd, name, to->value, (size_t)size);
    if (size < 0) {
        free(to->value);
        return -errno;
    }
    to->name = name;
    to->size = (size_t)size;
    if (strcmp(name, CAPABILITY) == 0)
        plain_capability(to);
    x->n++;
    return 0;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct tar_xattr *)a)->name, ((const struct tar_xattr *)b)->name);
}

static int read_xattrs(struct pack *p, int fd, struct xattrs *x)
{
    ssize_t n = flistxattr(fd, x->names, sizeof(x->names));
    int r = 0;

    if (n < 0)
        return errno == EOPNOTSUPP ? 0 : -errno;
    for (char *name = x->names; r >= 0 && name < x->names + n; name += strlen(name) + 1) {
        if (strncmp(name, "user.", 5) == 0 || strcmp(name, CAPABILITY) == 0)
            r = read_one(fd, name, x);
        else if (p->options->overlay && strcmp(name, OPAQUE) == 0)
            x->opaque = true;
        else if (!p->options->overlay)
            p->result.dropped_xattrs++;
    }
    if (x->n > 0)
        qsort(x->list, x->n, sizeof(*x->list), compare_names);
    return r;
}

/* --- entries --- */

static int add_header(struct pack *p, const struct stat *st, struct tar_entry *entry,
                      struct error *e)
{
    int r;

    if (st->st_uid > ENTRY_OWNER_MAX || st->st_gid > ENTRY_OWNER_MAX)
        return error_set(e, -EINVAL, "owner %u:%u is outside 0..%d", st->st_uid, st->st_gid,
                         ENTRY_OWNER_MAX);
    if (++p->result.entries > LAYER_ENTRIES_MAX)
        return error_set(e, -EFBIG, "more than %d entries", LAYER_ENTRIES_MAX);
    if (!entry->path)
        entry->path = p->length > 0 ? p->path : "./";
    entry->mode = st->st_mode & 07777;
    entry->uid = st->st_uid;
    entry->gid = st->st_gid;
    entry->mtime = st->st_mtim;
    if (p->options->mtime_max >= 0 && st->st_mtim.tv_sec > p->options->mtime_max)
        entry->mtime = (struct timespec){p->options->mtime_max, 0};
    r = tar_write_header(&p->header, entry);
    return r < 0 ? error_sys(e, r, "header") : flush(p, e);
}

static int add_data(struct pack *p, int fd, uint64_t size, struct error *e)
{
    uint64_t left = size;
    int r = 0;

    while (r >= 0 && left > 0) {
        ssize_t n = fd_read_full(fd, p->data, (size_t)MIN((uint64_t)READ_SIZE, left));
        if (n < 0)
            return error_sys(e, (int)n, "read");
        if (n == 0)
            return error_set(e, -EIO, "became shorter while it was read");
        r = check_stop(p, e);
        if (r >= 0)
            r = p->sink(p->userdata, p->data, (size_t)n, e);
        left -= (uint64_t)n;
    }
    p->result.bytes += size;
    if (r >= 0)
        r = tar_write_padding(&p->header, size);
    return r < 0 ? r : flush(p, e);
}

static int add_file(struct pack *p, int dir_fd, const char *name, struct error *e)
{
    _cleanup_close_ int fd =
        openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    _cleanup_free_ struct xattrs *x = calloc(1, sizeof(*x));
    struct tar_entry entry = {.type = TAR_FILE};
    struct stat st;
    int r;

    if (!x || fd < 0 || fstat(fd, &st) < 0)
        return error_sys(e, x ? -errno : -ENOMEM, "open");
    if (!S_ISREG(st.st_mode))
        return error_set(e, -EIO, "changed while it was read");
    r = read_xattrs(p, fd, x);
    if (r < 0) {
        xattrs_clear(x);
        return error_sys(e, r, "extended attributes");
    }
    entry.size = (uint64_t)st.st_size;
    entry.xattrs = x->list;
    entry.n_xattrs = x->n;
    r = add_header(p, &st, &entry, e);
    xattrs_clear(x);
    return r < 0 ? r : add_data(p, fd, entry.size, e);
}

static int add_symlink(struct pack *p, int dir_fd, const char *name, const struct stat *st,
                       struct error *e)
{
    struct tar_entry entry = {.type = TAR_SYMLINK};
    char target[ENTRY_PATH_MAX + 1];
    ssize_t n = readlinkat(dir_fd, name, target, sizeof(target));

    if (n < 0 || (size_t)n == sizeof(target))
        return error_sys(e, n < 0 ? -errno : -ENAMETOOLONG, "readlink");
    target[n] = 0;
    entry.link = target;
    return add_header(p, st, &entry, e);
}

/* Overlayfs's whiteout as the archive writes it: an empty file of another name. */
static int add_whiteout(struct pack *p, const char *name, struct error *e)
{
    const struct stat st = {.st_mode = S_IFREG | 0600};
    struct tar_entry entry = {.type = TAR_FILE};
    _cleanup_free_ char *path =
        text_printf("%.*s.wh.%s", (int)(p->length - strlen(name)), p->path, name);

    if (!path)
        return error_sys(e, -ENOMEM, "whiteout");
    entry.path = path;
    return add_header(p, &st, &entry, e);
}

static int add_other(struct pack *p, int dir_fd, const char *name, const struct stat *st,
                     struct error *e)
{
    const char *first = NULL;
    int r;

    if (p->options->overlay && S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0))
        return add_whiteout(p, name, e);
    if (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode) || S_ISSOCK(st->st_mode)) {
        p->result.dropped_devices++;
        return 0;
    }
    if (st->st_mtime > p->result.newest)
        p->result.newest = st->st_mtime;
    if (!p->sink)
        return 0;
    r = st->st_nlink > 1 ? find_link(p, st, &first) : 0;
    if (r < 0)
        return error_sys(e, r, "hard link");
    if (first) {
        struct tar_entry entry = {.type = TAR_HARDLINK, .link = first};
        return add_header(p, st, &entry, e);
    }
    if (S_ISREG(st->st_mode))
        return add_file(p, dir_fd, name, e);
    if (S_ISLNK(st->st_mode))
        return add_symlink(p, dir_fd, name, st, e);
    return add_header(p, st, &(struct tar_entry){.type = TAR_FIFO}, e);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int read_names(int dir_fd, char ***ret)
{
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;
    char **names = NULL;
    size_t n = 0, capacity = 0;
    int r = 0;

    if (!dir) {
        safe_close(fd);
        return -errno;
    }
    while (r >= 0 && (errno = 0, entry = readdir(dir))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (n + 1 >= capacity) {
            char **grown;
            capacity = capacity ? 2 * capacity : 64;
            grown = reallocarray(names, capacity, sizeof(*grown));
            if (!grown) {
                r = -ENOMEM;
                break;
            }
            names = grown;
        }
        names[n] = strdup(entry->d_name);
        r = names[n] ? 0 : -ENOMEM;
        names[++n] = NULL;
    }
    if (r >= 0 && errno)
        r = -errno;
    closedir(dir);
    if (r < 0) {
        strv_free(names);
        return r;
    }
    if (n > 0)
        qsort(names, n, sizeof(*names), by_name);
    *ret = names;
    return 0;
}

static int add_directory_entry(struct pack *p, int fd, bool *ret_opaque, struct error *e)
{
    _cleanup_free_ struct xattrs *x = calloc(1, sizeof(*x));
    struct tar_entry entry = {.type = TAR_DIRECTORY};
    _cleanup_free_ char *path = NULL;
    struct stat st;
    int r = x ? read_xattrs(p, fd, x) : -ENOMEM;

    if (r >= 0 && fstat(fd, &st) < 0)
        r = -errno;
    if (r >= 0 && p->length > 0 && !(path = text_printf("%s/", p->path)))
        r = -ENOMEM;
    if (r >= 0) {
        entry.path = path;
        entry.xattrs = x->list;
        entry.n_xattrs = x->n;
        *ret_opaque = x->opaque;
        r = add_header(p, &st, &entry, e);
    } else {
        r = error_sys(e, r, "directory");
    }
    if (x)
        xattrs_clear(x);
    return r;
}

static int add_opaque(struct pack *p, struct error *e)
{
    const struct stat st = {.st_mode = S_IFREG | 0600};
    struct tar_entry entry = {.type = TAR_FILE};
    _cleanup_free_ char *path = text_printf("%s/.wh..wh..opq", p->path);

    if (!path)
        return error_sys(e, -ENOMEM, "opaque directory");
    entry.path = path;
    return add_header(p, &st, &entry, e);
}

/* NOLINTBEGIN(misc-no-recursion): bounded by ENTRY_DEPTH_MAX */
static int add_directory(struct pack *p, int fd, int depth, struct error *e);

static int add_child(struct pack *p, int dir_fd, const char *name, int depth, struct error *e)
{
    _cleanup_close_ int fd = -EBADF;
    struct stat st;

    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return error_sys(e, -errno, "stat");
    /* In an archive such names mean something else. */
    if (strncmp(name, ".wh.", 4) == 0)
        return error_set(e, -EINVAL, "a name that begins with \".wh.\"");
    if (!S_ISDIR(st.st_mode))
        return add_other(p, dir_fd, name, &st, e);
    if (depth == ENTRY_DEPTH_MAX)
        return error_set(e, -ENAMETOOLONG, "more than %d directories deep", ENTRY_DEPTH_MAX);
    fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return error_sys(e, -errno, "open");
    return add_directory(p, fd, depth + 1, e);
}

static int add_directory(struct pack *p, int fd, int depth, struct error *e)
{
    _cleanup_strv_ char **names = NULL;
    size_t length = p->length;
    bool opaque = false;
    int r = p->sink ? add_directory_entry(p, fd, &opaque, e) : 0;

    if (r >= 0 && opaque)
        r = add_opaque(p, e);
    if (r >= 0 && (r = read_names(fd, &names)) < 0)
        return error_sys(e, r, "read the directory");
    for (char **name = names; r >= 0 && name && *name; name++) {
        int n =
            snprintf(p->path + length, sizeof(p->path) - length, "%s%s", length ? "/" : "", *name);
        if (length + (size_t)n >= sizeof(p->path))
            return error_set(e, -ENAMETOOLONG, "a name longer than %d bytes", ENTRY_PATH_MAX);
        p->length = length + (size_t)n;
        r = check_stop(p, e);
        if (r >= 0)
            r = add_child(p, fd, *name, depth, e);
    }
    /* On failure the name stays, for the error's sake. */
    if (r >= 0) {
        p->length = length;
        p->path[length] = 0;
    }
    return r;
}
/* NOLINTEND(misc-no-recursion) */

static int pack_all(struct pack *p, int root_fd, struct error *e)
{
    int r = add_directory(p, root_fd, 1, e);

    if (r >= 0 && p->sink) {
        r = tar_write_end(&p->header);
        r = r < 0 ? error_sys(e, r, "archive") : flush(p, e);
    }
    if (r < 0 && p->length > 0) {
        char shown[FIELD_SHOWN_MAX];
        return error_prefix(e, r, "\"%s\"", show_foreign(p->path, shown));
    }
    return r;
}

static int run(int root_fd, const struct pack_tree_options *options, pack_sink_fn sink,
               void *userdata, struct pack_tree_result *ret, struct error *e)
{
    _cleanup_free_ struct pack *p = calloc(1, sizeof(*p));
    _cleanup_free_ uint8_t *data = malloc(READ_SIZE);
    int r;

    if (!p || !data)
        return error_sys(e, -ENOMEM, "pack");
    p->options = options;
    p->sink = sink;
    p->userdata = userdata;
    p->data = data;
    r = pack_all(p, root_fd, e);
    for (size_t i = 0; i < p->n_links; i++)
        free(p->links[i].path);
    free(p->links);
    buffer_clear(&p->header);
    if (r < 0)
        return r;
    *ret = p->result;
    return 0;
}

int pack_tree(int root_fd, const struct pack_tree_options *options, pack_sink_fn sink,
              void *userdata, struct pack_tree_result *ret, struct error *e)
{
    return run(root_fd, options, sink, userdata, ret, e);
}

int pack_newest(int root_fd, const volatile sig_atomic_t *stop, int64_t *ret, struct error *e)
{
    const struct pack_tree_options only_stop = {.stop = stop};
    struct pack_tree_result result = {0};
    int r = run(root_fd, &only_stop, NULL, NULL, &result, e);

    if (r >= 0)
        *ret = result.newest;
    return r;
}
