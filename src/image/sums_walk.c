/* The sums of a tree as it is: taken, or compared with those of a record. */
#include "base/fdio.h"
#include "base/text.h"
#include "image/sums.h"

#include <dirent.h>
#include <linux/limits.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#define READ_SIZE ((size_t)256 << 10)

/* A file with several names: which of them came first in the archive is known at the end. */
struct several {
    struct checksum content;
    struct sum_subject subject; /* without a path */
    char **names;               /* owned, as the array is */
    int code;                   /* why it cannot be read, or 0 */
};

struct walk {
    enum sums_version version;
    const struct buffer *expected; /* NULL: sums are only taken */
    struct buffer *sums;
    size_t explained; /* sums of EXPECTED that a fault speaks of */
    struct inode_map inodes;
    struct several *several; /* owned */
    size_t n_several, several_capacity;
    uint64_t files;
    sums_fault_fn fault;
    void *userdata;
    uint8_t *data; /* of READ_SIZE */
    char names[XATTR_LIST_MAX], value[XATTR_SIZE_MAX];
    char path[ENTRY_PATH_MAX + 1];
    size_t length;
};

/* --- what is read of a file --- */

static int sum_attributes(struct walk *w, int fd, uint64_t *ret)
{
    ssize_t n = flistxattr(fd, w->names, sizeof(w->names));

    *ret = 0;
    if (n < 0)
        return errno == EOPNOTSUPP ? 0 : -errno;
    for (char *name = w->names; name < w->names + n; name += strlen(name) + 1) {
        ssize_t size = fgetxattr(fd, name, w->value, sizeof(w->value));
        if (size < 0 && errno != ENODATA && errno != EOPNOTSUPP)
            return -errno;
        if (size >= 0)
            *ret += checksum_attribute(name, w->value, (size_t)size);
    }
    return 0;
}

static int sum_file(struct walk *w, int dir_fd, const char *name, struct checksum *c,
                    uint64_t *ret_attributes)
{
    _cleanup_close_ int fd =
        openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    ssize_t n;

    if (fd < 0)
        return -errno;
    while ((n = fd_read_full(fd, w->data, READ_SIZE)) > 0)
        checksum_update(c, w->data, (size_t)n);
    return n < 0 ? (int)n : sum_attributes(w, fd, ret_attributes);
}

static int sum_target(int dir_fd, const char *name, struct checksum *c)
{
    char target[ENTRY_PATH_MAX + 1];
    ssize_t n = readlinkat(dir_fd, name, target, sizeof(target));

    if (n < 0)
        return -errno;
    checksum_update(c, target, (size_t)n);
    return 0;
}

static int sum_content(struct walk *w, int dir_fd, const char *name, mode_t mode,
                       struct checksum *c, uint64_t *ret_attributes)
{
    if (S_ISREG(mode))
        return sum_file(w, dir_fd, name, c, ret_attributes);
    return S_ISLNK(mode) ? sum_target(dir_fd, name, c) : 0;
}

/* --- what becomes of it --- */

/* PATH is as RECORD says, or cannot be read because of CODE. */
static int judge_record(struct walk *w, const char *path, const struct sum_record *record, int code)
{
    const struct sum_record *known = NULL;
    unsigned differences = 0;
    int r;

    if (!w->expected)
        return code < 0 ? code : sums_add_record(w->sums, record);
    if (code == -ENOMEM)
        return code;
    r = sums_add(w->sums, record->path);
    if (r < 0)
        return r;
    if (code == 0) {
        known = sums_find(w->expected, record->path);
        differences = known ? sum_differences(known, record) : SUM_ADDITIONAL;
    }
    if (code < 0 || differences)
        w->fault(w->userdata, path, code < 0 ? code : (int)differences);
    return 0;
}

/* The older versions: PATH has SUM; if it differs, so do EXPLAINED sums. */
static int judge(struct walk *w, const char *path, uint64_t sum, int code, size_t explained)
{
    if (code == -ENOMEM)
        return code;
    if (code == 0 && sums_have(w->expected, sum))
        return sums_add(w->sums, sum);
    w->explained += explained;
    w->fault(w->userdata, path, code);
    return 0;
}

static struct sum_subject subject_of(const struct stat *st, const char *path, uint64_t attributes)
{
    return (struct sum_subject){path, st->st_mode, st->st_uid, st->st_gid, st->st_mtim, attributes};
}

static int keep_several(struct walk *w, int dir_fd, const char *name, const struct stat *st)
{
    struct several *s;
    uint64_t attributes = 0, number = w->n_several;
    int r;

    if (inode_map_get(&w->inodes, st->st_ino, &number))
        return strv_append(&w->several[number].names, w->path);
    if (w->n_several == w->several_capacity) {
        size_t capacity = w->several_capacity ? 2 * w->several_capacity : 64;
        struct several *grown = reallocarray(w->several, capacity, sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        w->several = grown;
        w->several_capacity = capacity;
    }
    r = inode_map_put(&w->inodes, st->st_ino, number);
    if (r < 0)
        return r;
    w->files++;
    s = &w->several[w->n_several++];
    *s = (struct several){0};
    s->code = sum_content(w, dir_fd, name, st->st_mode, &s->content, &attributes);
    s->subject = subject_of(st, NULL, attributes);
    return strv_append(&s->names, w->path);
}

static uint64_t sum_as(const struct several *s, const char *path)
{
    struct sum_subject subject = s->subject;

    subject.path = path;
    return checksum_subject(&s->content, &subject);
}

/* Any of the names may be the one that the archive had the content with. */
static int judge_several_records(struct walk *w, const struct several *s)
{
    struct sum_subject subject = s->subject;
    struct sum_record record;
    const char *first = NULL;
    int r;

    for (char **name = s->names; w->expected && *name && !first; name++) {
        const struct sum_record *known = sums_find(w->expected, checksum_path(*name));
        if (known && known->mode != SUM_FURTHER_NAME)
            first = *name;
    }
    subject.path = first = first ? first : s->names[0];
    record = sum_of_subject(&s->content, &subject);
    r = judge_record(w, first, &record, s->code);
    for (char **name = s->names; r >= 0 && *name; name++) {
        if (*name == first)
            continue;
        record = sum_of_link(*name, checksum_path(first));
        r = judge_record(w, *name, &record, 0);
    }
    return r;
}

/* All names but FIRST are links to it. */
static int judge_links(struct walk *w, const struct several *s, const char *first)
{
    int r = judge(w, first, sum_as(s, first), 0, 1);

    for (char **name = s->names; r >= 0 && *name; name++)
        if (*name != first)
            r = judge(w, *name, checksum_link(*name, checksum_path(first)), 0, 1);
    return r;
}

static int judge_several(struct walk *w, const struct several *s)
{
    const char *least = s->names[0];

    if (w->version == SUMS_OF_PROPERTIES)
        return judge_several_records(w, s);
    for (char **name = s->names; *name; name++) {
        if (s->code == 0 && sums_have(w->expected, sum_as(s, *name)))
            return judge_links(w, s, *name);
        least = strcmp(*name, least) < 0 ? *name : least;
    }
    return judge(w, least, sum_as(s, least), s->code, strv_length(s->names));
}

static int visit_whiteout(struct walk *w)
{
    if (w->version == SUMS_OF_PROPERTIES) {
        const struct sum_record record = sum_of_whiteout(w->path);
        return judge_record(w, w->path, &record, 0);
    }
    return w->version == SUMS_OF_FILES ? 0 : judge(w, w->path, checksum_whiteout(w->path), 0, 1);
}

/* Version 1: names mean nothing, and one of several is enough. */
static int visit_old(struct walk *w, int dir_fd, const char *name, const struct stat *st)
{
    struct checksum c = {0};
    uint64_t attributes;
    int r;

    if (st->st_nlink > 1 && inode_map_get(&w->inodes, st->st_ino, &attributes))
        return 0;
    r = st->st_nlink > 1 ? inode_map_put(&w->inodes, st->st_ino, 0) : 0;
    if (r < 0)
        return r;
    w->files++;
    r = sum_content(w, dir_fd, name, st->st_mode, &c, &attributes);
    return judge(w, w->path, checksum_file(&c, st->st_mode, st->st_uid, st->st_gid), r, 1);
}

/* W's path, CODE says why it could not be read. */
static int judge_subject(struct walk *w, const struct checksum *c, const struct stat *st,
                         uint64_t attributes, int code)
{
    const struct sum_subject subject = subject_of(st, w->path, attributes);
    struct sum_record record;

    if (w->version != SUMS_OF_PROPERTIES)
        return judge(w, w->path, checksum_subject(c, &subject), code, 1);
    record = sum_of_subject(c, &subject);
    return judge_record(w, w->path, &record, code);
}

static int visit_file(struct walk *w, int dir_fd, const char *name, const struct stat *st)
{
    struct checksum c = {0};
    uint64_t attributes = 0;
    int r;

    if (S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0))
        return visit_whiteout(w);
    if (w->version == SUMS_OF_FILES)
        return visit_old(w, dir_fd, name, st);
    if (st->st_nlink > 1)
        return keep_several(w, dir_fd, name, st);
    w->files++;
    r = sum_content(w, dir_fd, name, st->st_mode, &c, &attributes);
    return judge_subject(w, &c, st, attributes, r);
}

/* --- the walk --- */

static int visit_directory(struct walk *w, int fd)
{
    static const struct checksum nothing;
    uint64_t attributes = 0;
    struct stat st = {0};
    int r;

    if (w->version == SUMS_OF_FILES)
        return 0;
    r = fstat(fd, &st) < 0 ? -errno : sum_attributes(w, fd, &attributes);
    return judge_subject(w, &nothing, &st, attributes, r);
}

/* NOLINTBEGIN(misc-no-recursion): not deeper than the layer's entries, ENTRY_DEPTH_MAX */
static int walk_directory(struct walk *w, int dir_fd, int depth);

static int walk_child(struct walk *w, int dir_fd, const char *name, size_t length, int depth)
{
    struct stat st;
    int fd;

    if (depth > ENTRY_DEPTH_MAX || length + strlen(name) + 2 > sizeof(w->path))
        return -ENAMETOOLONG;
    w->length = length + (size_t)snprintf(w->path + length, sizeof(w->path) - length, "%s%s",
                                          length > 0 ? "/" : "", name);
    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    if (!S_ISDIR(st.st_mode))
        return visit_file(w, dir_fd, name, &st);
    fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? -errno : walk_directory(w, fd, depth + 1);
}

/* DIR_FD is taken over. */
static int walk_directory(struct walk *w, int dir_fd, int depth)
{
    DIR *dir = fdopendir(dir_fd);
    struct dirent *entry;
    size_t length = w->length;
    int r;

    if (!dir) {
        r = -errno;
        close(dir_fd);
        return r;
    }
    r = visit_directory(w, dirfd(dir));
    while (r >= 0 && (errno = 0, entry = readdir(dir)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            r = walk_child(w, dirfd(dir), entry->d_name, length, depth);
    if (r >= 0 && errno)
        r = -errno;
    closedir(dir);
    return r;
}
/* NOLINTEND(misc-no-recursion) */

static int walk_all(struct walk *w, int root_fd, struct error *e)
{
    _cleanup_free_ uint8_t *data = malloc(READ_SIZE);
    int fd = data ? openat(root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    int r;

    if (fd < 0)
        return error_sys(e, data ? -errno : -ENOMEM, "walk");
    w->data = data;
    r = walk_directory(w, fd, 0);
    if (r < 0)
        return error_sys(e, r, "%s", w->path);
    for (size_t i = 0; r >= 0 && i < w->n_several; i++)
        r = judge_several(w, &w->several[i]);
    if (r < 0)
        return error_sys(e, r, "checksums");
    if (w->expected)
        sums_sort(w->sums);
    else
        sums_sort_records(w->sums);
    return 0;
}

/* The path of what is gone, as far as its name and those above it were kept. -ENAMETOOLONG where
 * the records are damaged. */
static int path_of_record(const struct walk *w, const struct sum_record *record, char *path,
                          size_t size)
{
    const uint64_t root = checksum_path("");
    size_t at = size - 1;

    path[at] = 0;
    for (; record && record->path != root; record = sums_find(w->expected, record->parent)) {
        size_t length = strnlen(record->name, sizeof(record->name));
        bool cut = length == sizeof(record->name);
        size_t need = length + (cut ? strlen("...") : 0) + (path[at] ? 1 : 0);
        if (need == 0 || need > at)
            return -ENAMETOOLONG;
        if (path[at])
            path[--at] = '/';
        if (cut) {
            at -= strlen("...");
            memcpy(path + at, "...", strlen("..."));
        }
        at -= length;
        memcpy(path + at, record->name, length);
    }
    memmove(path, path + at, size - at);
    return 0;
}

/* Of a directory that is gone with all in it only itself. */
static void tell_missing(struct walk *w)
{
    for (size_t i = 0; i < w->expected->size; i += sizeof(struct sum_record)) {
        struct sum_record record;
        memcpy(&record, w->expected->data + i, sizeof(record));
        if (sums_have(w->sums, record.path) ||
            (sums_find(w->expected, record.parent) && !sums_have(w->sums, record.parent)))
            continue;
        if (path_of_record(w, &record, w->path, sizeof(w->path)) < 0)
            w->path[0] = 0;
        w->fault(w->userdata, w->path, SUM_MISSING);
    }
}

static void walk_free(struct walk *w)
{
    inode_map_clear(&w->inodes);
    for (size_t i = 0; i < w->n_several; i++)
        strv_free(w->several[i].names);
    free(w->several);
    free(w);
}
DEFINE_CLEANUP(struct walk, walk_free)

int sums_take(int root_fd, struct buffer *ret, struct error *e)
{
    _cleanup_(walk_free_p) struct walk *w = calloc(1, sizeof(*w));

    if (!w)
        return error_sys(e, -ENOMEM, "checksums");
    ret->max = SUMS_SIZE_MAX;
    w->version = SUMS_OF_PROPERTIES;
    w->sums = ret;
    return walk_all(w, root_fd, e);
}

int sums_compare(int root_fd, enum sums_version version, const struct buffer *expected,
                 sums_fault_fn fault, void *userdata, struct sums_found *ret, struct error *e)
{
    _cleanup_(walk_free_p) struct walk *w = calloc(1, sizeof(*w));
    _cleanup_buffer_ struct buffer found = {.max = SUMS_SIZE_MAX};
    size_t missing;
    int r;

    if (!w)
        return error_sys(e, -ENOMEM, "checksums");
    w->version = version;
    w->expected = expected;
    w->sums = &found;
    w->fault = fault;
    w->userdata = userdata;
    r = walk_all(w, root_fd, e);
    if (r < 0)
        return r;
    if (version == SUMS_OF_PROPERTIES) {
        tell_missing(w);
        *ret = (struct sums_found){.files = w->files};
        return 0;
    }
    missing = sums_missing(expected, &found);
    *ret = (struct sums_found){w->files, missing > w->explained ? missing - w->explained : 0};
    return 0;
}
