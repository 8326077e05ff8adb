#include "image/entry.h"
#include "weaken.h"

#include <stdbool.h>
#include <string.h>

#define WHITEOUT_PREFIX ".wh."
#define OPAQUE_NAME     ".wh..wh..opq"

static bool is_reserved(const char *component)
{
    return strncmp(component, WHITEOUT_PREFIX, strlen(WHITEOUT_PREFIX)) == 0;
}

/* Copies the components with single slashes between them. */
static int canonical(const char *raw, char *path, struct error *e)
{
    size_t used = 0, depth = 0;

    if (strlen(raw) > ENTRY_PATH_MAX)
        return error_set(e, -EBADMSG, "the name is longer than %d bytes", ENTRY_PATH_MAX);
    for (const char *p = raw; *p;) {
        size_t length = strcspn(p, "/");
        if (length == 2 && p[0] == '.' && p[1] == '.' && !weakened("entry-names"))
            return error_set(e, -EBADMSG, "the name has \"..\" in it");
        if (length > ENTRY_NAME_MAX + strlen(WHITEOUT_PREFIX))
            return error_set(e, -EBADMSG, "a component is longer than %d bytes", ENTRY_NAME_MAX);
        if (length > 0 && !(length == 1 && p[0] == '.')) {
            if (++depth > ENTRY_DEPTH_MAX)
                return error_set(e, -EBADMSG, "more than %d directories deep", ENTRY_DEPTH_MAX);
            if (used > 0)
                path[used++] = '/';
            memcpy(path + used, p, length);
            used += length;
        }
        p += length;
        p += *p == '/';
    }
    path[used] = 0;
    return 0;
}

static int check_components(const char *path, const char *base, struct error *e)
{
    for (const char *p = path; p < base; p += strcspn(p, "/") + 1)
        if (is_reserved(p))
            return error_set(e, -EBADMSG, "a directory name begins with \".wh.\"");
    for (const char *p = path; *p;) {
        size_t length = strcspn(p, "/");
        if (length > ENTRY_NAME_MAX && !(p == base && is_reserved(p)))
            return error_set(e, -EBADMSG, "a component is longer than %d bytes", ENTRY_NAME_MAX);
        p += length;
        p += *p == '/';
    }
    return 0;
}

/* BASE begins with ".wh.": takes the prefix off, or the whole component for the opaque mark. */
static int parse_whiteout(struct entry_name *n, char *base, struct error *e)
{
    const char *target = base + strlen(WHITEOUT_PREFIX);

    if (strcmp(base, OPAQUE_NAME) == 0) {
        n->kind = ENTRY_OPAQUE;
        memcpy(n->path, n->parent, strlen(n->parent) + 1);
        n->base = n->path;
        return 0;
    }
    if (!target[0] || strcmp(target, ".") == 0 || strcmp(target, "..") == 0)
        return error_set(e, -EBADMSG, "a whiteout of nothing");
    if (is_reserved(target))
        return error_set(e, -EBADMSG, "a whiteout of a name that begins with \".wh.\"");
    n->kind = ENTRY_WHITEOUT;
    memmove(base, target, strlen(target) + 1);
    return 0;
}

int entry_name_parse(const char *raw, struct entry_name *ret, struct error *e)
{
    char *slash, *base;
    int r = canonical(raw, ret->path, e);

    if (r < 0)
        return r;
    slash = strrchr(ret->path, '/');
    base = slash ? slash + 1 : ret->path;
    r = check_components(ret->path, base, e);
    if (r < 0)
        return r;
    memcpy(ret->parent, ret->path, (size_t)(base - ret->path));
    ret->parent[slash ? slash - ret->path : 0] = 0;
    ret->base = base;
    if (!ret->path[0]) {
        ret->kind = ENTRY_ROOT;
        return raw[0] ? 0 : error_set(e, -EBADMSG, "an empty name");
    }
    if (is_reserved(base))
        return parse_whiteout(ret, base, e);
    ret->kind = ENTRY_NODE;
    return 0;
}
