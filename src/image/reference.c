/* References: where an image is loaded from. */
#include "image/fields.h"
#include "image/image.h"
#include "image/names.h"

#include "base/text.h"

#include <string.h>

#define ARCHIVE_SUFFIX ".tar"

static const struct {
    const char *prefix;
    bool takes_reference;
} transports[] = {
    [TRANSPORT_OCI] = {"oci:", true},
    [TRANSPORT_OCI_ARCHIVE] = {"oci-archive:", true},
    [TRANSPORT_DOCKER_ARCHIVE] = {"docker-archive:", true},
    [TRANSPORT_DIR] = {"dir:", false},
    [TRANSPORT_ROOTFS] = {"rootfs:", false},
};

void image_reference_clear(struct image_reference *r)
{
    free(r->path);
    free(r->reference);
    r->path = r->reference = NULL;
}

static int find_transport(const char *text, enum image_transport *ret)
{
    for (size_t i = 0; i < ARRAY_SIZE(transports); i++) {
        if (strncmp(text, transports[i].prefix, strlen(transports[i].prefix)) != 0)
            continue;
        *ret = (enum image_transport)i;
        return 0;
    }
    return -EINVAL;
}

bool image_reference_is_one(const char *text)
{
    enum image_transport transport;

    return find_transport(text, &transport) == 0;
}

/* What stands behind the path: a name or "@" and the image's place in the source. */
static int parse_rest(const char *rest, const char *text, struct image_reference *r,
                      struct error *e)
{
    uint64_t index;

    if (!rest[0])
        return error_set(e, -EINVAL, "image reference %s: nothing behind the last colon", text);
    if (rest[0] != '@') {
        r->reference = strdup(rest);
        return r->reference ? 0 : error_sys(e, -ENOMEM, "image reference");
    }
    if (text_parse_uint(rest + 1, INT32_MAX, &index) < 0)
        return error_set(e, -EINVAL, "image reference %s: expected a number behind the @", text);
    r->index = (size_t)index;
    return 0;
}

int image_reference_parse(const char *text, struct image_reference *ret, struct error *e)
{
    _cleanup_reference_ struct image_reference r = {.index = IMAGE_SOURCE_INDEX_NONE};
    char shown[FIELD_SHOWN_MAX];
    const char *path, *end;
    int result = 0;

    if (find_transport(text, &r.transport) < 0)
        return error_set(e, -EINVAL,
                         "image reference \"%s\": expected oci:, oci-archive:, docker-archive:, "
                         "dir: or rootfs: and a path",
                         show_foreign(text, shown));
    path = text + strlen(transports[r.transport].prefix);
    end = transports[r.transport].takes_reference ? strchrnul(path, ':') : strchr(path, 0);
    if (end == path)
        return error_set(e, -EINVAL, "image reference %s names no path",
                         transports[r.transport].prefix);
    r.path = strndup(path, (size_t)(end - path));
    if (!r.path)
        return error_sys(e, -ENOMEM, "image reference");
    if (*end)
        result = parse_rest(end + 1, text, &r, e);
    if (result < 0)
        return result;
    *ret = r;
    r = (struct image_reference){0};
    return 0;
}

const char *image_reference_show(const struct image_reference *r, char *buf)
{
    char shown[FIELD_SHOWN_MAX];

    snprintf(buf, FIELD_SHOWN_MAX, "%s%.180s", transports[r->transport].prefix,
             show_foreign(r->path, shown));
    return buf;
}

/* The last component, without slashes behind it; an archive's without ".tar". */
static char *name_of_path(const struct image_reference *r)
{
    size_t end = strlen(r->path), suffix = strlen(ARCHIVE_SUFFIX), begin;

    while (end > 1 && r->path[end - 1] == '/')
        end--;
    for (begin = end; begin > 0 && r->path[begin - 1] != '/';)
        begin--;
    if ((r->transport == TRANSPORT_OCI_ARCHIVE || r->transport == TRANSPORT_DOCKER_ARCHIVE) &&
        end - begin > suffix && memcmp(r->path + end - suffix, ARCHIVE_SUFFIX, suffix) == 0)
        end -= suffix;
    return strndup(r->path + begin, end - begin);
}

int image_reference_name(const struct image_reference *r, char **ret, struct error *e)
{
    _cleanup_free_ char *name = r->reference ? strdup(r->reference) : name_of_path(r);
    int result;

    if (!name)
        return error_sys(e, -ENOMEM, "image name");
    result = image_name_check(name, e);
    if (result < 0)
        return error_prefix(e, result, "choose another one with --name");
    *ret = TAKE_PTR(name);
    return 0;
}
