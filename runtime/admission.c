#include "admission.h"

#include "host.h"
#include "weaken.h"

#include <fcntl.h>
#include <sys/stat.h>

static int check_root(const struct host *h, const char *field, uint32_t root, struct error *e)
{
    if (root >= h->n_roots)
        return error_set(e, -EINVAL, "%s: there is no root %u", field, root);
    return 0;
}

/* What sandbox_spec_validate() cannot know: the roots and what may be done with them. */
static int check_roots(const struct host *h, const struct sandbox_spec *spec, struct error *e)
{
    if (check_root(h, "layers_root", spec->layers_root, e) < 0)
        return -EINVAL;
    for (size_t i = 0; i < spec->n_mounts; i++) {
        const struct sandbox_mount *m = &spec->mounts[i];
        if (m->kind != SANDBOX_MOUNT_BIND && m->kind != SANDBOX_MOUNT_OVERLAY)
            continue;
        if (check_root(h, m->target, m->root, e) < 0)
            return -EINVAL;
        if (m->kind == SANDBOX_MOUNT_BIND && !m->read_only && h->roots[m->root].read_only)
            return error_set(e, -EACCES, "%s: root \"%s\" is never mounted writable", m->target,
                             h->roots[m->root].name);
    }
    for (size_t i = 0; i < spec->n_mounts; i++) {
        const struct sandbox_mount *m = &spec->mounts[i];
        if (!m->keep)
            continue;
        if (check_root(h, m->target, m->keep_root, e) < 0)
            return -EINVAL;
        if (h->roots[m->keep_root].read_only)
            return error_set(e, -EACCES, "%s: root \"%s\" takes no changes", m->target,
                             h->roots[m->keep_root].name);
    }
    for (size_t i = 0; i < spec->n_copies; i++) {
        const struct sandbox_copy *c = &spec->copies[i];
        if (check_root(h, c->path, c->root, e) < 0)
            return -EINVAL;
        if (c->out && h->roots[c->root].read_only)
            return error_set(e, -EACCES, "%s: root \"%s\" takes no files", c->path,
                             h->roots[c->root].name);
    }
    return 0;
}

/* A directory or an O_PATH fd would be a door out of the container's root, a block device one
 * around its quota. */
static int check_stdio(const int stdio[3], struct error *e)
{
    for (int i = 0; i < 3; i++) {
        int flags = stdio[i] >= 0 ? fcntl(stdio[i], F_GETFL) : 0;
        struct stat st = {0};
        if (stdio[i] < 0)
            continue;
        if (flags < 0 || (flags & O_PATH) || fstat(stdio[i], &st) < 0 || S_ISDIR(st.st_mode) ||
            S_ISBLK(st.st_mode))
            return error_set(e, -EINVAL, "stdio %d is no pipe, socket, file or terminal", i);
    }
    return 0;
}

/* See the spec's `terminal`. */
static int check_terminal(const struct sandbox_spec *spec, const int stdio[3], struct error *e)
{
    struct stat st;

    if (!spec->terminal)
        return 0;
    if (stdio[0] < 0 || stdio[1] >= 0 || stdio[2] >= 0 || fstat(stdio[0], &st) < 0 ||
        !S_ISSOCK(st.st_mode))
        return error_set(e, -EINVAL, "a terminal needs one socket as its stdio");
    return 0;
}

int admission_check(const struct host *h, const struct sandbox_spec *spec, const int stdio[3],
                    struct error *e)
{
    int r = sandbox_spec_validate(spec, e);

    if (r == 0 && !weakened("root-check"))
        r = check_roots(h, spec, e);
    if (r == 0 && !weakened("stdio-check"))
        r = check_stdio(stdio, e);
    return r == 0 ? check_terminal(spec, stdio, e) : r;
}
