#include "rootfs.h"

#include "base/fdio.h"
#include "etcfiles.h"
#include "mountfd.h"

#include <string.h>
#include <sys/sysmacros.h>

/* What mount(2) takes as data: one page. */
#define MOUNT_DATA_MAX 4096

/* By fds of detached mounts: nothing is ever attached. */
static int overlay_by_fd(const struct overlay *o, struct error *e)
{
    _cleanup_free_ struct mount_option *options = calloc(o->n_lowers + 6, sizeof(*options));
    size_t n = 0;

    if (!options)
        return error_sys(e, -ENOMEM, "overlay");
    for (size_t i = 0; i < o->n_lowers; i++)
        options[n++] = (struct mount_option){"lowerdir+", NULL, o->lowers[i]};
    options[n++] = (struct mount_option){"upperdir", NULL, o->upper_fd};
    options[n++] = (struct mount_option){"workdir", NULL, o->work_fd};
    options[n++] = (struct mount_option){"redirect_dir", o->lasting ? "off" : "on", -1};
    options[n++] = (struct mount_option){"metacopy", o->lasting ? "off" : "on", -1};
    options[n++] = (struct mount_option){"index", "off", -1};
    /* Nothing of the upper survives the sandbox: without this the last unmount would write the
     * whole scratch file system to disk. */
    if (!o->lasting)
        options[n++] = (struct mount_option){"volatile", NULL, -1};
    return mount_new("overlay", options, n, o->attrs, e);
}

/* Attaches layer NUMBER as /stage/NUMBER. */
static int stage(int mount_fd, size_t number, struct error *e)
{
    _cleanup_close_ int fd = -EBADF;
    char dir[32];
    int r;

    snprintf(dir, sizeof(dir), "/stage/%zu", number);
    if (mkdir(dir, 0700) < 0 && errno != EEXIST)
        return error_sys(e, -errno, "make %s", dir);
    fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_sys(e, -errno, "open %s", dir);
    r = mount_attach(mount_fd, fd);
    return r < 0 ? error_sys(e, r, "attach %s", dir) : 0;
}

static unsigned long classic_flags(unsigned attrs)
{
    return (attrs & MOUNT_ATTR_RDONLY ? MS_RDONLY : 0UL) |
           (attrs & MOUNT_ATTR_NOSUID ? MS_NOSUID : 0UL) |
           (attrs & MOUNT_ATTR_NODEV ? MS_NODEV : 0UL) |
           (attrs & MOUNT_ATTR_NOEXEC ? MS_NOEXEC : 0UL);
}

/* Mounts what is staged on /stage/o and takes a detached clone of it. */
static int mount_staged(const struct overlay *o, struct error *e)
{
    _cleanup_buffer_ struct buffer data = {.max = MOUNT_DATA_MAX - 1};
    _cleanup_close_ int attached = -EBADF;
    int fd, r = buffer_printf(&data, "lowerdir=");

    for (size_t i = 0; r == 0 && i < o->n_lowers; i++)
        r = buffer_printf(&data, i > 0 ? ":%zu" : "%zu", i);
    if (r == 0)
        r = buffer_printf(&data, ",upperdir=/proc/self/fd/%d,workdir=/proc/self/fd/%d,index=off,%s",
                          o->upper_fd, o->work_fd,
                          o->lasting ? "redirect_dir=off,metacopy=off"
                                     : "redirect_dir=on,metacopy=on,volatile");
    if (r < 0 || !buffer_string(&data))
        return error_sys(e, r < 0 ? r : -ENOMEM, "overlay of %zu layers", o->n_lowers);
    if (mkdir("/stage/o", 0700) < 0 && errno != EEXIST)
        return error_sys(e, -errno, "make /stage/o");
    /* The layers' names are relative to the working directory, so that 500 of them fit a page. */
    if (chdir("/stage") < 0)
        return error_sys(e, -errno, "enter /stage");
    r = mount("overlay", "/stage/o", "overlay", classic_flags(o->attrs), (char *)data.data) < 0
            ? error_sys(e, -errno, "mount overlay")
            : 0;
    if (chdir("/") < 0 && r == 0)
        r = error_sys(e, -errno, "leave /stage");
    if (r < 0)
        return r;
    attached = open("/stage/o", O_PATH | O_DIRECTORY | O_CLOEXEC);
    fd = attached < 0 ? -errno : mount_clone(attached, false);
    umount2("/stage/o", MNT_DETACH);
    return fd < 0 ? error_sys(e, fd, "clone overlay") : fd;
}

/* By paths: overlayfs before Linux 6.15 takes only mounts of the caller's namespace. It makes
 * clones of its own, so that the staged ones go at once. */
static int overlay_by_path(const struct overlay *o, struct error *e)
{
    size_t staged = 0;
    char dir[32];
    int r = 0;

    while (r == 0 && staged < o->n_lowers) {
        r = stage(o->lowers[staged], staged, e);
        staged += r == 0;
    }
    if (r == 0)
        r = mount_staged(o, e);
    while (staged > 0) {
        snprintf(dir, sizeof(dir), "/stage/%zu", --staged);
        umount2(dir, MNT_DETACH);
    }
    return r;
}

int overlay_mount(const struct host *h, const struct overlay *o, struct error *e)
{
    int r = h->overlay_by_fd ? overlay_by_fd(o, e) : -EINVAL;

    /* Who knows it only from hostns_probe_little() may be wrong. */
    return r == -EINVAL ? overlay_by_path(o, e) : r;
}

int make_owned_dir(int dir_fd, const char *name, mode_t mode, uid_t uid, gid_t gid, struct error *e)
{
    _cleanup_close_ int fd = -EBADF;
    struct stat st;

    if (mkdirat(dir_fd, name, 0700) < 0)
        return error_sys(e, -errno, "make \"%s\"", name);
    fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return error_sys(e, -errno, "open \"%s\"", name);
    /* In a tree that a container writes to, another directory may lie there by now, and changing
     * its owner and mode would open it. None that a container can put there belongs to us. */
    if (st.st_uid != geteuid())
        return error_set(e, -ESTALE, "\"%s\" was replaced while it was made", name);
    /* Owner before mode: chown(2) takes set-id bits away. */
    if (fchown(fd, uid, gid) < 0 || fchmod(fd, mode) < 0)
        return error_sys(e, -errno, "give away \"%s\"", name);
    return TAKE_FD(fd);
}

/* One layer as an idmapped detached mount; *RET_ST is its root, ids as in the image. */
static int open_layer(const struct host_root *root, const char *layer, int userns_fd,
                      struct stat *ret_st, struct error *e)
{
    _cleanup_close_ int fd = -EBADF, mount_fd = -EBADF;
    int r;

    fd = fd_openat2(root->fd, layer[0] ? layer : ".", O_PATH | O_DIRECTORY, 0, RESOLVE_UNTRUSTED);
    if (fd < 0)
        return error_sys(e, fd, "layer \"%s\"", layer);
    if (fstat(fd, ret_st) < 0)
        return error_sys(e, -errno, "layer \"%s\"", layer);
    mount_fd = mount_clone(fd, false);
    if (mount_fd < 0)
        return error_sys(e, mount_fd, "layer \"%s\": clone", layer);
    r = mount_change(mount_fd, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV, userns_fd, false);
    if (r < 0)
        return error_sys(e, r,
                         "layer \"%s\": idmap (does the file system of root \"%s\" "
                         "support it?)",
                         layer, root->name);
    return TAKE_FD(mount_fd);
}

/* Where the layers put /etc: looked up from the top, as overlayfs does. */
static int find_etc(const int *lowers, size_t n, struct stat *ret, struct error *e)
{
    for (size_t i = 0; i < n; i++) {
        if (fstatat(lowers[i], "etc", ret, AT_SYMLINK_NOFOLLOW) == 0) {
            bool whiteout = S_ISCHR(ret->st_mode) && ret->st_rdev == makedev(0, 0);
            if (whiteout)
                break;
            if (!S_ISDIR(ret->st_mode))
                return error_set(e, -ENOTDIR, "/etc of the image is no directory");
            return 1;
        }
        if (errno != ENOENT)
            return error_sys(e, -errno, "look for /etc");
    }
    return 0;
}

/* The upper starts with what every container has of its own in /etc. Attributes of a directory are
 * those of its topmost layer, so the upper's copies take over the image's. */
static int fill_upper(const struct sandbox_spec *spec, const struct network_place *place,
                      int upper_fd, const int *lowers, size_t n, uint32_t base, struct error *e)
{
    _cleanup_close_ int etc_fd = -EBADF;
    struct stat st = {.st_uid = base, .st_gid = base, .st_mode = 0755};
    int r = find_etc(lowers, n, &st, e);

    if (r < 0)
        return r;
    etc_fd = make_owned_dir(upper_fd, "etc", st.st_mode & 07777, st.st_uid, st.st_gid, e);
    if (etc_fd < 0)
        return etc_fd;
    return etcfiles_write(etc_fd, spec, place, base, e);
}

static int mount_layers(const struct host *h, const struct sandbox_spec *spec,
                        const struct network_place *place, int scratch_fd, const int *lowers,
                        size_t n, const struct stat *top, uint32_t base, struct error *e)
{
    _cleanup_close_ int upper = -EBADF, work = -EBADF;
    uid_t uid = base + (top->st_uid < SANDBOX_ID_RANGE ? top->st_uid : 0);
    gid_t gid = base + (top->st_gid < SANDBOX_ID_RANGE ? top->st_gid : 0);
    int r;

    upper = make_owned_dir(scratch_fd, "u", top->st_mode & 07777, uid, gid, e);
    if (upper < 0)
        return upper;
    work = make_owned_dir(scratch_fd, "w", 0700, 0, 0, e);
    if (work < 0)
        return work;
    r = fill_upper(spec, place, upper, lowers, n, base, e);
    if (r < 0)
        return r;
    return overlay_mount(h,
                         &(struct overlay){.lowers = lowers,
                                           .n_lowers = n,
                                           .upper_fd = upper,
                                           .work_fd = work,
                                           .attrs = MOUNT_ATTR_NODEV},
                         e);
}

int rootfs_make(const struct host *h, const struct sandbox_spec *spec,
                const struct network_place *place, int scratch_fd, int userns_fd, uint32_t base,
                struct error *e)
{
    int lowers[SANDBOX_LAYERS_MAX];
    struct stat top = {.st_mode = 0755};
    size_t n = 0;
    int r = 0;

    if (spec->layers_root >= h->n_roots)
        return error_set(e, -EINVAL, "there is no root %u", spec->layers_root);
    while (spec->layers[n])
        n++;
    /* The spec has the lowest first, overlayfs wants the topmost first. */
    for (size_t i = 0; i < n; i++) {
        struct stat st;
        r = open_layer(&h->roots[spec->layers_root], spec->layers[n - 1 - i], userns_fd, &st, e);
        if (r < 0) {
            n = i;
            break;
        }
        lowers[i] = r;
        if (i == 0)
            top = st;
    }
    if (r >= 0)
        r = mount_layers(h, spec, place, scratch_fd, lowers, n, &top, base, e);
    /* The overlay has clones of its own. */
    janitor_close_fds(h->janitor, lowers, n);
    return r;
}
