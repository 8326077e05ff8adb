#include "image/tree_internal.h"

#include "base/fdio.h"
#include "image/fields.h"

#include <string.h>
#include <sys/sysmacros.h>

/* Of what is smaller the kernel writes many to the disk in one go. */
#define WRITE_EARLY_MIN ((uint64_t)64 << 10)
/* A large file need not be complete. */
#define WRITE_EARLY_MAX ((uint64_t)4 << 20)

int layer_tree_new(int root_fd, const struct image_bounds *bounds, struct layer_notes *notes,
                   struct layer_tree **ret)
{
    struct layer_tree *t = calloc(1, sizeof(*t));

    if (!t)
        return -ENOMEM;
    t->root_fd = root_fd;
    t->bounds = bounds;
    t->parent_fd = -EBADF;
    t->notes = notes;
    notes->sums.max = SUMS_SIZE_MAX;
    *ret = t;
    return 0;
}

void layer_tree_free(struct layer_tree *t)
{
    if (!t)
        return;
    safe_close(t->parent_fd);
    path_list_clear(&t->directories);
    free(t->described);
    inode_map_clear(&t->linked);
    free(t);
}

static int make_root(struct layer_tree *t, const struct tar_entry *entry, struct error *e)
{
    int r;

    if (entry->type != TAR_DIRECTORY)
        return error_set(e, -EBADMSG, "the layer's root can only be a directory");
    t->parent_stale = true; /* it may be set-gid from now on */
    r = tree_set_attributes(t, t->root_fd, entry, NULL, e);
    t->root_described = true;
    return r < 0 ? r : tree_describe_directory(t, "", &entry->mtime, e);
}

static int make_directory(struct layer_tree *t, int parent_fd, const struct entry_name *n,
                          const struct tar_entry *entry, struct error *e)
{
    /* In a set-gid directory it has that bit, too. */
    const struct tree_made how = {entry->mode & 0777, t->parent_setgid};
    bool plain = !t->parent_setgid, made;
    _cleanup_close_ int fd = -EBADF;
    int r = tree_make_directory(t, parent_fd, n->path, n->base, how.mode, &made, e);

    if (r < 0)
        return r;
    fd = openat(parent_fd, n->base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return error_sys(e, -errno, "open");
    t->parent_stale |= strcmp(t->parent, n->path) == 0; /* likewise */
    r = tree_set_attributes(t, fd, entry, made && plain ? &how : NULL, e);
    return r < 0 ? r : tree_describe_directory(t, n->path, &entry->mtime, e);
}

/* The disk begins now rather than when the load waits for it, store_sync(). It is a head start and
 * promises nothing: that wait is for everything, and tells of every failure. */
static void write_early(int fd, uint64_t start, uint64_t end)
{
    if (end - start >= WRITE_EARLY_MIN)
        sync_file_range(fd, (off_t)start, (off_t)(end - start), SYNC_FILE_RANGE_WRITE);
}

static int write_data(int fd, struct tar_reader *reader, uint64_t size, struct checksum *sum,
                      struct error *e)
{
    const uint8_t *data;
    uint64_t offset = 0, end = 0, early = 0;
    size_t n;
    int r;

    while ((r = tar_data(reader, &data, &n, &offset, e)) > 0) {
        end = offset + n;
        checksum_update(sum, data, n);
        while (n > 0) {
            ssize_t written = pwrite(fd, data, n, (off_t)offset);
            if (written < 0 && errno == EINTR)
                continue;
            if (written < 0)
                return error_sys(e, -errno, "write");
            data += written;
            n -= (size_t)written;
            offset += (uint64_t)written;
        }
        if (end - early >= WRITE_EARLY_MAX) {
            write_early(fd, early, end);
            early = end;
        }
    }
    if (r < 0)
        return r;
    write_early(fd, early, end);
    /* A sparse file may end in a hole. */
    if (end < size && ftruncate(fd, (off_t)size) < 0)
        return error_sys(e, -errno, "ftruncate");
    return 0;
}

/* FD and NAME are where the file is. */
static int add_sum(struct layer_tree *t, const struct checksum *sum, const char *path, mode_t mode,
                   const struct tar_entry *entry, int fd, const char *name, struct error *e)
{
    struct sum_subject subject = {
        path, mode, (uid_t)entry->uid, (gid_t)entry->gid, entry->mtime, t->attributes,
    };
    int r = tree_stored_time(fd, name, &entry->mtime, &subject.mtime);

    if (r >= 0) {
        const struct sum_record record = sum_of_subject(sum, &subject);
        r = sums_add_record(&t->notes->sums, &record);
    }
    return r < 0 ? error_sys(e, r, "remember a checksum") : 0;
}

static int make_file(struct layer_tree *t, int parent_fd, const struct entry_name *n,
                     const struct tar_entry *entry, struct tar_reader *reader, struct error *e)
{
    const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, entry->mtime};
    const struct tree_made made = {entry->mode & 0777, t->parent_setgid};
    _cleanup_close_ int fd = openat(parent_fd, n->base, flags, made.mode);
    struct checksum sum = {0};
    bool whiteout;
    int r;

    if (fd < 0 && errno == EEXIST) {
        r = tree_clear_place(t, parent_fd, n->base, &whiteout, e);
        if (r < 0)
            return r;
        fd = openat(parent_fd, n->base, flags, made.mode);
    }
    if (fd < 0)
        return error_sys(e, -errno, "create");
    t->notes->sums_stale |= tar_is_sparse(reader);
    r = write_data(fd, reader, entry->size, &sum, e);
    /* After the data: writing clears set-id bits and capabilities. */
    if (r >= 0)
        r = tree_set_attributes(t, fd, entry, &made, e);
    if (r >= 0 && futimens(fd, times) < 0)
        r = error_sys(e, -errno, "set the time");
    t->notes->bytes += entry->size;
    return r < 0 ? r : add_sum(t, &sum, n->path, S_IFREG | entry->mode, entry, fd, "", e);
}

/* Owner, mode and time of what cannot or should not be opened. */
static int set_by_name(struct layer_tree *t, int parent_fd, const char *base,
                       const struct tar_entry *entry, struct error *e)
{
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, entry->mtime};

    if ((entry->uid != 0 || entry->gid != 0 || t->parent_setgid) &&
        fchownat(parent_fd, base, (uid_t)entry->uid, (gid_t)entry->gid, AT_SYMLINK_NOFOLLOW) < 0)
        return error_sys(e, -errno, "chown");
    if (entry->type == TAR_FIFO && fchmodat(parent_fd, base, entry->mode, 0) < 0)
        return error_sys(e, -errno, "chmod");
    if (utimensat(parent_fd, base, times, AT_SYMLINK_NOFOLLOW) < 0)
        return error_sys(e, -errno, "set the time");
    return 0;
}

static int make_symlink_or_fifo(struct layer_tree *t, int parent_fd, const struct entry_name *n,
                                const struct tar_entry *entry, struct error *e)
{
    struct checksum sum = {0};
    mode_t mode = S_IFIFO | entry->mode;
    bool whiteout;
    int r = tree_drop_xattrs(t, entry, e);

    t->attributes = 0;
    if (r >= 0)
        r = tree_clear_place(t, parent_fd, n->base, &whiteout, e);
    if (r < 0)
        return r;
    if (entry->type == TAR_SYMLINK && !entry->link[0])
        return error_set(e, -EBADMSG, "a link to nothing");
    if (entry->type == TAR_SYMLINK)
        r = symlinkat(entry->link, parent_fd, n->base);
    else
        r = mknodat(parent_fd, n->base, S_IFIFO | 0600, 0);
    if (r < 0)
        return error_sys(e, -errno, "create");
    r = set_by_name(t, parent_fd, n->base, entry, e);
    if (r < 0)
        return r;
    if (entry->type == TAR_SYMLINK) {
        checksum_update(&sum, entry->link, strlen(entry->link));
        mode = S_IFLNK | 0777; /* the kernel's */
    }
    return add_sum(t, &sum, n->path, mode, entry, parent_fd, n->base, e);
}

/* PATH has become a further name of THERE, whose name was TARGET. */
static int add_link_sum(struct layer_tree *t, const char *path, const char *target,
                        const struct stat *there, struct error *e)
{
    uint64_t first = checksum_path(target);
    int r = 0;

    if (there->st_nlink == 1)
        r = inode_map_put(&t->linked, there->st_ino, first);
    else if (!inode_map_get(&t->linked, there->st_ino, &first))
        t->notes->sums_stale = true;
    if (r >= 0) {
        const struct sum_record record = sum_of_link(path, first);
        r = sums_add_record(&t->notes->sums, &record);
    }
    return r < 0 ? error_sys(e, r, "remember a checksum") : 0;
}

/* Both ends by their directories' descriptors; the last component of neither is followed. */
static int link_from(struct layer_tree *t, int parent_fd, const struct entry_name *n,
                     const struct entry_name *target, struct error *e)
{
    _cleanup_close_ int target_fd = tree_open_directory(t, target->parent);
    struct stat there, here;
    bool whiteout;
    int r = target_fd < 0 ? target_fd : tree_stat(target_fd, target->base, &there);

    if (r == -ENOENT || r == -ENOTDIR || (r == 0 && tree_is_whiteout(&there)))
        return error_set(e, -EBADMSG, "a hard link to a file that is not in this layer");
    if (r < 0)
        return error_sys(e, r, "the target of the hard link");
    if (S_ISDIR(there.st_mode))
        return error_set(e, -EBADMSG, "a hard link to a directory");
    if (tree_stat(parent_fd, n->base, &here) == 0 && here.st_ino == there.st_ino &&
        here.st_dev == there.st_dev)
        return 0;
    r = tree_clear_place(t, parent_fd, n->base, &whiteout, e);
    if (r < 0)
        return r;
    if (linkat(target_fd, target->base, parent_fd, n->base, 0) < 0)
        return error_sys(e, -errno, "link");
    return add_link_sum(t, n->path, target->path, &there, e);
}

static int make_hardlink(struct layer_tree *t, int parent_fd, const struct entry_name *n,
                         const struct tar_entry *entry, struct error *e)
{
    struct entry_name target;
    int r = entry_name_parse(entry->link, &target, e);

    if (r >= 0 && target.kind != ENTRY_NODE)
        r = error_set(e, -EBADMSG, "not a file");
    if (r < 0)
        return error_prefix(e, r, "the target of the hard link");
    return link_from(t, parent_fd, n, &target, e);
}

/* A device of the layer is not made; an earlier entry of its name still goes. */
static int drop_device(struct layer_tree *t, const struct entry_name *n,
                       const struct tar_entry *entry, struct error *e)
{
    _cleanup_close_ int fd = tree_open_directory(t, n->parent);
    bool whiteout;
    int r = tree_drop_xattrs(t, entry, e);

    t->notes->dropped_devices++;
    if (r < 0 || fd < 0)
        return r;
    return tree_clear_place(t, fd, n->base, &whiteout, e);
}

static int make_node(struct layer_tree *t, const struct entry_name *n,
                     const struct tar_entry *entry, struct tar_reader *reader, struct error *e)
{
    int parent_fd, r;

    if (entry->type == TAR_CHARACTER_DEVICE || entry->type == TAR_BLOCK_DEVICE)
        return drop_device(t, n, entry, e);
    r = tree_open_parent(t, n->parent, &parent_fd, e);
    if (r < 0)
        return r;
    switch (entry->type) {
    case TAR_DIRECTORY:
        return make_directory(t, parent_fd, n, entry, e);
    case TAR_HARDLINK:
        return make_hardlink(t, parent_fd, n, entry, e);
    case TAR_SYMLINK:
    case TAR_FIFO:
        return make_symlink_or_fifo(t, parent_fd, n, entry, e);
    default:
        return make_file(t, parent_fd, n, entry, reader, e);
    }
}

static int make_whiteout(struct layer_tree *t, const struct entry_name *n, struct error *e)
{
    struct stat st;
    int parent_fd, r = tree_open_parent(t, n->parent, &parent_fd, e);

    if (r < 0)
        return r;
    if (mknodat(parent_fd, n->base, S_IFCHR, makedev(0, 0)) == 0) {
        /* One note a directory is enough; they mostly come in a row. */
        const struct path_list *l = &t->notes->lists[LAYER_WHITEOUTS];
        const struct sum_record record = sum_of_whiteout(n->path);
        size_t length = strlen(n->parent) + 1;
        r = sums_add_record(&t->notes->sums, &record);
        if (r < 0)
            return error_sys(e, r, "remember a checksum");
        if (l->size >= length && memcmp(l->text + l->size - length, n->parent, length) == 0 &&
            (l->size == length || !l->text[l->size - length - 1]))
            return 0;
        return tree_note(t, &t->notes->lists[LAYER_WHITEOUTS], n->parent, e);
    }
    if (errno != EEXIST)
        return error_sys(e, -errno, "make the whiteout");
    r = tree_stat(parent_fd, n->base, &st);
    if (r < 0)
        return error_sys(e, r, "stat");
    /* The layer's own file hides the lower one already; its own directory would be merged. */
    return S_ISDIR(st.st_mode) ? tree_note_replaced(t, n->path, e) : 0;
}

static int make_opaque(struct layer_tree *t, const struct entry_name *n, struct error *e)
{
    int parent_fd, r = tree_open_parent(t, n->path, &parent_fd, e);

    return r < 0 ? r : tree_note(t, &t->notes->lists[LAYER_OPAQUE], n->path, e);
}

static int check_name(const struct image_bounds *b, const char *path, struct error *e)
{
    uint64_t depth = 0;

    if (image_bound_exceeded(b, IMAGE_BOUND_PATH, strlen(path), "bytes in its name", e))
        return -EFBIG;
    for (const char *p = path; *p; depth++) {
        size_t length = strcspn(p, "/");
        if (image_bound_exceeded(b, IMAGE_BOUND_NAME, length, "bytes in a component of its name",
                                 e))
            return -EFBIG;
        p += length;
        p += *p == '/';
    }
    return image_bound_exceeded(b, IMAGE_BOUND_DEPTH, depth, "directories deep", e) ? -EFBIG : 0;
}

static int check_bounds(struct layer_tree *t, const struct tar_entry *entry, struct error *e)
{
    struct layer_notes *notes = t->notes;

    if (image_bound_exceeded(t->bounds, IMAGE_BOUND_ENTRIES, ++notes->entries,
                             "entries in the layer", e))
        return -EFBIG;
    if (entry->uid > ENTRY_OWNER_MAX || entry->gid > ENTRY_OWNER_MAX)
        return error_set(e, -EBADMSG, "owner %llu:%llu is outside 0..%d",
                         (unsigned long long)entry->uid, (unsigned long long)entry->gid,
                         ENTRY_OWNER_MAX);
    /* Sizes are below 2^63 each. */
    if (image_bound_exceeded(t->bounds, IMAGE_BOUND_FILES, notes->bytes + entry->size,
                             "bytes in the layer's files", e))
        return -EFBIG;
    return 0;
}

static int add_entry(struct layer_tree *t, const struct tar_entry *entry, struct tar_reader *reader,
                     struct error *e)
{
    struct entry_name n;
    int r = entry_name_parse(entry->path, &n, e);

    if (r >= 0)
        r = check_bounds(t, entry, e);
    if (r >= 0)
        r = check_name(t->bounds, n.path, e);
    if (r < 0)
        return r;
    if (n.kind == ENTRY_ROOT)
        return make_root(t, entry, e);
    if (n.kind == ENTRY_NODE)
        return make_node(t, &n, entry, reader, e);
    /* AUFS made all whiteouts hard links of one file. */
    if (entry->type != TAR_FILE && entry->type != TAR_HARDLINK)
        return error_set(e, -EBADMSG, "a whiteout that is not a file");
    return n.kind == ENTRY_OPAQUE ? make_opaque(t, &n, e) : make_whiteout(t, &n, e);
}

int layer_tree_unpack(struct layer_tree *t, struct tar_reader *reader, struct error *e)
{
    const struct tar_entry *entry = NULL;
    int r;

    while ((r = tar_next(reader, &entry, e)) >= 0 && entry) {
        r = add_entry(t, entry, reader, e);
        if (r < 0) {
            char shown[FIELD_SHOWN_MAX];
            return error_prefix(e, r, "entry \"%s\"", show_foreign(entry->path, shown));
        }
    }
    return r < 0 ? r : tree_finish(t, e);
}
