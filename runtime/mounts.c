#include "mounts.h"

#include "base/fdio.h"
#include "copytree.h"
#include "dirlinks.h"
#include "mountfd.h"
#include "rootfs.h"
#include "weaken.h"

#include <string.h>
#include <sys/stat.h>

/* Entries of a task tree that are looked through at once; it takes about a microsecond each. */
#define LOOK_ENTRIES_MAX 1000
/* Mode of directories made for the sandbox where the spec gives none. */
#define DIR_MODE_DEFAULT 0755

static const struct host_root *find_root(const struct mount_source *s,
                                         const struct sandbox_mount *m, struct error *e)
{
    if (m->root >= s->host->n_roots) {
        error_set(e, -EINVAL, "there is no root %u", m->root);
        return NULL;
    }
    return &s->host->roots[m->root];
}

static const char *below(const struct sandbox_mount *m)
{
    return m->source && m->source[0] ? m->source : ".";
}

/* An empty directory of the scratch, owned by container root. */
static int make_scratch_dir(const struct mount_source *s, const struct sandbox_mount *m,
                            size_t index, struct error *e)
{
    char name[16];

    snprintf(name, sizeof(name), "d%zu", index);
    return make_owned_dir(s->scratch_fd, name, m->mode ? m->mode : DIR_MODE_DEFAULT, s->base,
                          s->base, e);
}

/* Makes PATH below MOUNT_FD, component by component; what exists stays as it is. New directories
 * belong to container root. Nothing leaves the mount: links are resolved with it as the root, and
 * other mounts are not entered. */
static int make_dirs(int mount_fd, const char *path, mode_t mode, uint32_t owner, struct error *e)
{
    const uint64_t resolve = RESOLVE_UNTRUSTED | RESOLVE_NO_XDEV;
    _cleanup_free_ char *copy = strdup(path);
    _cleanup_close_ int at = fcntl(mount_fd, F_DUPFD_CLOEXEC, 3);

    if (!copy || at < 0)
        return error_sys(e, copy ? -errno : -ENOMEM, "%s", path);
    for (char *end = copy; end; end = end ? end + 1 : NULL) {
        char *name;
        int fd;
        end = strchr(end, '/');
        if (end)
            *end = 0;
        fd = fd_openat2(mount_fd, copy, O_PATH | O_DIRECTORY, 0, resolve);
        if (fd == -ENOENT) {
            name = strrchr(copy, '/');
            fd = make_owned_dir(at, name ? name + 1 : copy, mode, owner, owner, e);
            if (fd < 0)
                return fd;
        } else if (fd < 0) {
            return error_sys(e, fd, "open \"%s\"", copy);
        }
        safe_close(at);
        at = fd;
        if (end)
            *end = '/';
    }
    return 0;
}

static int make_all_dirs(const struct mount_source *s, const struct sandbox_mount *m, int mount_fd,
                         struct error *e)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < m->n_dirs; i++)
        r = make_dirs(mount_fd, m->dirs[i].path,
                      m->dirs[i].mode ? m->dirs[i].mode : DIR_MODE_DEFAULT, s->base, e);
    return r;
}

static unsigned attributes(const struct sandbox_mount *m)
{
    return MOUNT_ATTR_NODEV | (m->read_only ? MOUNT_ATTR_RDONLY : 0U);
}

/* DIR (or a file), which is in the scratch, as a detached mount. */
static int mount_scratch_dir(const struct mount_source *s, const struct sandbox_mount *m, int dir,
                             struct error *e)
{
    _cleanup_close_ int mount_fd = -EBADF;
    int r = make_all_dirs(s, m, dir, e);

    if (r < 0)
        return r;
    mount_fd = mount_clone(dir, false);
    if (mount_fd < 0)
        return error_sys(e, mount_fd, "clone a directory of the scratch");
    r = mount_change(mount_fd, attributes(m), -EBADF, false);
    return r < 0 ? error_sys(e, r, "set attributes") : TAKE_FD(mount_fd);
}

static int prepare_scratch(const struct mount_source *s, const struct sandbox_mount *m,
                           size_t index, struct error *e)
{
    _cleanup_close_ int dir = make_scratch_dir(s, m, index, e);

    return dir < 0 ? dir : mount_scratch_dir(s, m, dir, e);
}

/* Opens a source below a root. 1 with *RET_FD set, 0 when it is missing and may be. */
static int open_source(const struct mount_source *s, const struct sandbox_mount *m, int *ret_fd,
                       struct error *e)
{
    const struct host_root *root = find_root(s, m, e);
    int flags = O_PATH | (m->kind == SANDBOX_MOUNT_BIND ? 0 : O_DIRECTORY);
    int fd;

    if (!root)
        return -EINVAL;
    if (m->kind == SANDBOX_MOUNT_BIND && !m->source[0]) {
        /* A root that is a file has nothing below it to be looked up. */
        fd = fcntl(root->fd, F_DUPFD_CLOEXEC, 3);
        fd = fd < 0 ? -errno : fd;
    } else {
        fd = fd_openat2(root->fd, below(m), flags, 0, RESOLVE_UNTRUSTED);
    }
    if (fd == -ENOENT && m->optional)
        return 0;
    if (fd < 0)
        return error_sys(e, fd, "root \"%s\": \"%s\"", root->name, below(m));
    *ret_fd = fd;
    return 1;
}

/* Whether R of mount_change() says that this file system has no id mapping (EINVAL: the type lacks
 * it; EPERM: it is a mapped mount already). */
static bool cannot_be_mapped(int r)
{
    return r == -EINVAL || r == -EPERM;
}

/* Replaces the links to directories of the tree FD, in TARGET, where M asks for it. */
static int follow_links(const struct mount_source *s, const struct sandbox_mount *m, int fd,
                        int target, struct error *e)
{
    int r;

    if (!m->follow_links)
        return 0;
    r = dirlinks_replace(s->host->roots[m->root].fd, fd, target, s->base, e);
    return MIN(r, 0);
}

/* The upper layer "uN" of an overlay whose lower's root is ST. */
static int make_upper(const struct mount_source *s, const struct sandbox_mount *m, size_t index,
                      const struct stat *st, struct error *e)
{
    mode_t mode = m->mode ? m->mode : st->st_mode & 07777;
    char name[16];

    snprintf(name, sizeof(name), "u%zu", index);
    return make_owned_dir(s->scratch_fd, name, mode, s->base + st->st_uid, s->base + st->st_gid, e);
}

/* What an overlay over the tree FD would not show right is put into its upper layer first. */
static int copy_into_upper(const struct mount_source *s, const struct sandbox_mount *m,
                           size_t index, int fd, struct error *e)
{
    _cleanup_close_ int upper = -EBADF;
    struct stat st;

    if (fstat(fd, &st) < 0)
        return error_sys(e, -errno, "\"%s\"", below(m));
    upper = make_upper(s, m, index, &st, e);
    return upper < 0 ? upper : follow_links(s, m, fd, upper, e);
}

/* A file that cannot be mapped: a copy "dN" in the scratch, with the owner it has. */
static int copy_file(const struct mount_source *s, size_t index, int fd, const struct stat *st,
                     struct error *e)
{
    uid_t uid = s->base + (st->st_uid < SANDBOX_ID_RANGE ? st->st_uid : 0);
    gid_t gid = s->base + (st->st_gid < SANDBOX_ID_RANGE ? st->st_gid : 0);
    char name[16];
    int r;

    snprintf(name, sizeof(name), "d%zu", index);
    r = copytree_place(s->host->proc_fd, fd, s->scratch_fd, name, COPYTREE_ENTRIES_MAX, e);
    if (r < 0)
        return error_prefix(e, r, "copy \"%s\"", name);
    if (fchownat(s->scratch_fd, name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0)
        return error_sys(e, -errno, "give away the copy");
    return 1;
}

int mount_copy(const struct mount_source *s, const struct sandbox_mount *m, size_t index,
               bool force, struct error *e)
{
    _cleanup_close_ int fd = -EBADF, dir = -EBADF;
    struct copytree_survey survey = {.foreign_owner = true};
    struct stat st;
    int r = open_source(s, m, &fd, e);

    if (r <= 0)
        return r;
    if (fstat(fd, &st) < 0)
        return error_sys(e, -errno, "\"%s\"", below(m));
    if (!S_ISDIR(st.st_mode))
        return copy_file(s, index, fd, &st, e);
    if (!force) {
        r = copytree_survey(fd, COPYTREE_ENTRIES_MAX, &survey, e);
        if (r < 0)
            return r;
    }
    if (!survey.foreign_owner)
        return survey.links && m->follow_links ? copy_into_upper(s, m, index, fd, e) : 0;
    dir = make_scratch_dir(s, m, index, e);
    if (dir < 0)
        return dir;
    r = copytree(fd, dir, s->base, e);
    if (r == 0)
        r = follow_links(s, m, fd, dir, e);
    if (r < 0)
        return r;
    if (m->mode && fchmod(dir, m->mode) < 0)
        return error_sys(e, -errno, "set the mode");
    return 1;
}

/* The copy that mount_copy() made. */
static int prepare_copied(const struct mount_source *s, const struct sandbox_mount *m, size_t index,
                          struct error *e)
{
    _cleanup_close_ int dir = -EBADF;
    char name[16];

    snprintf(name, sizeof(name), "d%zu", index);
    dir = openat(s->scratch_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (dir < 0)
        return error_sys(e, -errno, "open the copy");
    return mount_scratch_dir(s, m, dir, e);
}

static int prepare_bind(const struct mount_source *s, const struct sandbox_mount *m, size_t index,
                        enum mount_wants *ret_wants, struct error *e)
{
    _cleanup_close_ int fd = -EBADF, mount_fd = -EBADF;
    struct stat st;
    int r = open_source(s, m, &fd, e);

    if (r <= 0)
        return r < 0 ? r : prepare_scratch(s, m, index, e);
    if (s->host->roots[m->root].read_only && !m->read_only)
        return error_set(e, -EROFS, "root \"%s\" is read-only", s->host->roots[m->root].name);
    mount_fd = mount_clone(fd, true);
    if (mount_fd < 0)
        return error_sys(e, mount_fd, "clone \"%s\"", below(m));
    if (fstat(fd, &st) < 0)
        return error_sys(e, -errno, "\"%s\"", below(m));
    r = mount_change(mount_fd, attributes(m), s->userns_fd, true);
    if (cannot_be_mapped(r) && m->read_only && (S_ISDIR(st.st_mode) || S_ISREG(st.st_mode))) {
        *ret_wants = MOUNT_WANTS_COPY;
        return 0;
    }
    if (r < 0)
        return error_sys(e, r, "idmap \"%s\"%s", below(m),
                         cannot_be_mapped(r) ? ", whose file system cannot map ids: it can only be "
                                               "given read-only, as a copy"
                                             : "");
    return TAKE_FD(mount_fd);
}

/* A directory that stays: made as the host's root, so that it is container root's behind the id
 * mapping, and opened through MAPPED, a mapped clone of the root KEEP. */
static int open_kept(int keep, int mapped, const char *name, mode_t mode, struct error *e)
{
    int fd;

    if (mkdirat(keep, name, mode) < 0 && errno != EEXIST)
        return error_sys(e, -errno, "make \"%s\" for kept changes", name);
    fd = openat(mapped, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? error_sys(e, -errno, "open \"%s\" for kept changes", name) : fd;
}

/* Where the mapped clone is while the overlay is made: one that is nowhere would be gone with its
 * descriptor. */
#define KEEP_STAGE "/stage/keep"

/* Upper and work directories for M where its changes are to stay. Files get the ids they have
 * inside: the clone is mapped, and knows the host's root, as which overlayfs works in "work". The
 * caller detaches KEEP_STAGE. */
static int open_keep(const struct mount_source *s, const struct sandbox_mount *m, int *ret_upper,
                     int *ret_work, struct error *e)
{
    int keep = s->host->roots[m->keep_root].fd;
    _cleanup_close_ int mapped = mount_clone(keep, false), upper = -EBADF, work = -EBADF;
    _cleanup_close_ int place = -EBADF, userns = id_range_userns_with_root(s->base, e);
    int r;

    if (userns < 0)
        return userns;
    r = mapped < 0 ? mapped : mount_change(mapped, MOUNT_ATTR_NODEV, userns, false);
    if (r < 0)
        return error_sys(e, r, "idmap the directory for kept changes");
    if (mkdir(KEEP_STAGE, 0700) < 0 && errno != EEXIST)
        return error_sys(e, -errno, "make " KEEP_STAGE);
    place = open(KEEP_STAGE, O_PATH | O_DIRECTORY | O_CLOEXEC);
    r = place < 0 ? -errno : mount_attach(mapped, place);
    if (r < 0)
        return error_sys(e, r, "attach " KEEP_STAGE);
    upper = open_kept(keep, mapped, "upper", 0755, e);
    work = upper < 0 ? upper : open_kept(keep, mapped, "work", 0700, e);
    if (work < 0)
        return work;
    *ret_upper = TAKE_FD(upper);
    *ret_work = TAKE_FD(work);
    return 0;
}

/* Upper and work directories in the scratch, gone with it. */
static int open_scratch_upper(const struct mount_source *s, const struct sandbox_mount *m,
                              size_t index, const struct stat *st, int *ret_upper, int *ret_work,
                              struct error *e)
{
    _cleanup_close_ int upper = -EBADF;
    char name[16];
    int work;

    snprintf(name, sizeof(name), "u%zu", index);
    upper = openat(s->scratch_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (upper < 0)
        upper = make_upper(s, m, index, st, e);
    if (upper < 0)
        return upper;
    snprintf(name, sizeof(name), "w%zu", index);
    work = make_owned_dir(s->scratch_fd, name, 0700, 0, 0, e);
    if (work < 0)
        return work;
    *ret_upper = TAKE_FD(upper);
    *ret_work = work;
    return 0;
}

/* Upper and work directories "uN", "wN" of an overlay whose lower's root is ST; mount_copy() may
 * have made the upper. */
static int mount_over(const struct mount_source *s, const struct sandbox_mount *m, size_t index,
                      int lower, const struct stat *st, struct error *e)
{
    _cleanup_close_ int upper = -EBADF, work = -EBADF, mount_fd = -EBADF;
    int r = m->keep ? open_keep(s, m, &upper, &work, e)
                    : open_scratch_upper(s, m, index, st, &upper, &work, e);

    if (r == 0)
        r = overlay_mount(s->host,
                          &(struct overlay){.lowers = &lower,
                                            .n_lowers = 1,
                                            .upper_fd = upper,
                                            .work_fd = work,
                                            .attrs = MOUNT_ATTR_NODEV,
                                            .lasting = m->keep},
                          e);
    if (m->keep)
        umount2(KEEP_STAGE, MNT_DETACH | UMOUNT_NOFOLLOW);
    if (r < 0)
        return r;
    mount_fd = r;
    r = make_all_dirs(s, m, mount_fd, e);
    if (r == 0 && m->read_only)
        r = mount_change(mount_fd, MOUNT_ATTR_RDONLY, -EBADF, false);
    return r < 0 ? error_prefix(e, r, "overlay") : TAKE_FD(mount_fd);
}

/* What the tree FD wants before it may be the lower of an overlay. */
static int look_at_tree(const struct sandbox_mount *m, int fd, enum mount_ready ready,
                        enum mount_wants *ret_wants, struct error *e)
{
    struct copytree_survey survey;
    int r;

    if (ready == MOUNT_LOOKED_AT)
        return 0;
    r = copytree_survey(fd, LOOK_ENTRIES_MAX, &survey, e);
    if (r < 0 && r != -E2BIG)
        return r;
    if (r == -E2BIG || (survey.links && m->follow_links))
        *ret_wants = MOUNT_WANTS_LOOK;
    if (r == 0 && survey.foreign_owner)
        *ret_wants = MOUNT_WANTS_COPY;
    return 0;
}

static int prepare_overlay(const struct mount_source *s, const struct sandbox_mount *m,
                           size_t index, enum mount_ready ready, enum mount_wants *ret_wants,
                           struct error *e)
{
    _cleanup_close_ int fd = -EBADF, lower = -EBADF;
    struct stat st;
    int r = open_source(s, m, &fd, e);

    if (r <= 0)
        return r < 0 ? r : prepare_scratch(s, m, index, e);
    if (fstat(fd, &st) < 0)
        return error_sys(e, -errno, "\"%s\"", below(m));
    r = look_at_tree(m, fd, ready, ret_wants, e);
    if (r < 0 || *ret_wants != MOUNT_WANTS_NOTHING)
        return r;
    lower = mount_clone(fd, false);
    if (lower < 0)
        return error_sys(e, lower, "clone \"%s\"", below(m));
    r = mount_change(lower, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV, s->userns_fd, false);
    if (cannot_be_mapped(r)) {
        *ret_wants = MOUNT_WANTS_COPY;
        return 0;
    }
    if (r < 0)
        return error_sys(e, r, "idmap \"%s\"", below(m));
    r = mount_over(s, m, index, lower, &st, e);
    janitor_close_fds(s->host->janitor, (int[]){TAKE_FD(lower)}, 1);
    return r;
}

static int prepare_tmpfs(const struct mount_source *s, const struct sandbox_mount *m,
                         struct error *e)
{
    struct mount_tmpfs t = {
        .size = m->size ? m->size : s->memory / 2,
        .owner = s->base,
        .mode = m->mode ? m->mode : DIR_MODE_DEFAULT,
    };

    return mount_new_tmpfs(&t, attributes(m) | MOUNT_ATTR_NOSUID, e);
}

/* A subtree (or one file, such as a socket) of a mount of the parent, as it is at this moment. The
 * parent's processes may change the tree while we look: everything is done on what the one lookup
 * found, and that lies inside the parent's mount. */
static int prepare_parent(const struct mount_source *s, const struct sandbox_mount *m,
                          struct error *e)
{
    const uint64_t resolve = weakened("parent-resolve") ? 0 : RESOLVE_UNTRUSTED | RESOLVE_NO_XDEV;
    _cleanup_close_ int fd = -EBADF, mount_fd = -EBADF;
    int r;

    if (m->root >= s->n_parent)
        return error_set(e, -EINVAL, "the parent has no mount %u", m->root);
    fd = fd_openat2(s->parent[m->root], below(m), O_PATH, 0, resolve);
    if (fd == -ENOENT && m->optional) {
        r = make_dirs(s->parent[m->root], below(m), m->mode ? m->mode : DIR_MODE_DEFAULT, s->base,
                      e);
        if (r < 0)
            return r;
        fd = fd_openat2(s->parent[m->root], below(m), O_PATH, 0, resolve);
    }
    if (fd < 0)
        return error_sys(e, fd, "parent's \"%s\"", below(m));
    mount_fd = mount_clone(fd, false);
    if (mount_fd < 0)
        return error_sys(e, mount_fd, "clone parent's \"%s\"", below(m));
    r = mount_change(mount_fd, attributes(m), -EBADF, false);
    return r < 0 ? error_sys(e, r, "set attributes") : TAKE_FD(mount_fd);
}

int mount_prepare(const struct mount_source *s, const struct sandbox_mount *m, size_t index,
                  enum mount_ready ready, enum mount_wants *ret_wants, struct error *e)
{
    *ret_wants = MOUNT_WANTS_NOTHING;
    if (ready == MOUNT_COPIED)
        return prepare_copied(s, m, index, e);
    switch (m->kind) {
    case SANDBOX_MOUNT_BIND:
        return prepare_bind(s, m, index, ret_wants, e);
    case SANDBOX_MOUNT_OVERLAY:
        return prepare_overlay(s, m, index, ready, ret_wants, e);
    case SANDBOX_MOUNT_SCRATCH:
        return prepare_scratch(s, m, index, e);
    case SANDBOX_MOUNT_TMPFS:
        return prepare_tmpfs(s, m, e);
    case SANDBOX_MOUNT_PARENT:
        return prepare_parent(s, m, e);
    default:
        return error_set(e, -EINVAL, "unknown kind of mount");
    }
}

int mount_keep(const struct host *h, int mount_fd, const char *name, struct error *e)
{
    _cleanup_close_ int keep_dir = -EBADF, target = -EBADF, fd = -EBADF;
    struct stat st;
    int r;

    fd = fcntl(mount_fd, F_DUPFD_CLOEXEC, 3);
    if (fd < 0)
        return error_sys(e, -errno, "keep a mount");
    if (h->clone_detached)
        return TAKE_FD(fd);
    keep_dir = open("/keep", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (keep_dir < 0 || fstat(mount_fd, &st) < 0)
        return error_sys(e, -errno, "open /keep");
    if (S_ISDIR(st.st_mode) ? mkdirat(keep_dir, name, 0700) < 0
                            : mknodat(keep_dir, name, S_IFREG | 0600, 0) < 0)
        return error_sys(e, -errno, "make /keep/%s", name);
    target = openat(keep_dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    r = target < 0 ? -errno : mount_attach(mount_fd, target);
    if (r < 0) {
        unlinkat(keep_dir, name, S_ISDIR(st.st_mode) ? AT_REMOVEDIR : 0);
        return error_sys(e, r, "attach /keep/%s", name);
    }
    return TAKE_FD(fd);
}

void mount_unkeep(const struct host *h, int kept_fd, const char *name)
{
    _cleanup_free_ char *path = NULL;

    janitor_close_fds(h->janitor, &kept_fd, 1);
    if (h->clone_detached || asprintf(&path, "/keep/%s", name) < 0)
        return;
    umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW);
    if (rmdir(path) < 0)
        unlink(path);
}
