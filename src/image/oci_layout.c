/* The directory: files by descriptor, never through links, and the way from a reference to one
 * manifest. */
#include "base/fdio.h"
#include "image/bounds.h"
#include "image/fields.h"
#include "image/oci.h"

#include <string.h>
#include <sys/stat.h>

#define RESOLVE_BLOB (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)

struct oci_layout {
    int fd;
};

/* Opens a regular file of the layout. O_NONBLOCK: a fifo must not stop us before it is refused. */
static int open_file(struct oci_layout *l, const char *path, int *ret, uint64_t *ret_size,
                     struct error *e)
{
    _cleanup_close_ int fd =
        fd_openat2(l->fd, path, O_RDONLY | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW, 0, RESOLVE_BLOB);
    struct stat st;

    if (fd == -ELOOP)
        return error_set(e, fd, "%s: a symbolic link", path);
    if (fd < 0)
        return error_sys(e, fd, "%s", path);
    if (fstat(fd, &st) < 0)
        return error_sys(e, -errno, "%s", path);
    if (!S_ISREG(st.st_mode))
        return error_set(e, -EBADMSG, "%s: not a regular file", path);
    *ret = TAKE_FD(fd);
    *ret_size = (uint64_t)st.st_size;
    return 0;
}

static int read_file(struct oci_layout *l, const char *path, size_t max, struct buffer *ret,
                     struct error *e)
{
    _cleanup_close_ int fd = -EBADF;
    uint64_t size = 0;
    int r = open_file(l, path, &fd, &size, e);

    if (r < 0)
        return r;
    r = size > max ? -EFBIG : fd_read_all(fd, ret, max);
    if (r == -EFBIG)
        return error_set(e, r, "%s: larger than %zu bytes", path, max);
    return r < 0 ? error_sys(e, r, "%s", path) : 0;
}

static int read_json_file(struct oci_layout *l, const char *path, size_t max, json_t **ret,
                          struct error *e)
{
    _cleanup_buffer_ struct buffer b = {0};
    int r = read_file(l, path, max, &b, e);

    if (r < 0)
        return r;
    r = json_parse_object(b.data, b.size, ret, e);
    return r < 0 ? error_prefix(e, r, "%s", path) : 0;
}

static int check_layout_file(struct oci_layout *l, struct error *e)
{
    _cleanup_json_ json_t *json = NULL;
    const char *version = NULL;
    int r = read_json_file(l, "oci-layout", IMAGE_LAYOUT_FILE_MAX, &json, e);

    if (r == -ENOENT)
        return error_set(e, r, "not an OCI image layout (it has no file \"oci-layout\")");
    if (r >= 0) {
        r = field_string(json, "", "imageLayoutVersion", REQUIRED, &version, e);
        if (r >= 0 && strncmp(version, "1.", 2) != 0)
            r = error_set(e, -ENOTSUP, "imageLayoutVersion: expected 1.x");
        if (r < 0)
            error_prefix(e, r, "oci-layout");
    }
    return r;
}

int oci_layout_open(const char *directory, struct oci_layout **ret, struct error *e)
{
    _cleanup_(oci_layout_close_p) struct oci_layout *l = calloc(1, sizeof(*l));
    int r;

    if (!l)
        return error_sys(e, -ENOMEM, "image layout");
    l->fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (l->fd < 0)
        return error_sys(e, -errno, "open");
    r = check_layout_file(l, e);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(l);
    return 0;
}

void oci_layout_close(struct oci_layout *l)
{
    if (!l)
        return;
    safe_close(l->fd);
    free(l);
}

int oci_layout_open_blob(struct oci_layout *l, const struct oci_descriptor *d, int *ret,
                         struct error *e)
{
    _cleanup_close_ int fd = -EBADF;
    char path[DIGEST_TEXT_SIZE + sizeof("blobs//")];
    uint64_t size = 0;
    int r;

    snprintf(path, sizeof(path), "blobs/%s/%s", digest_name(&d->digest), d->digest.hex);
    r = open_file(l, path, &fd, &size, e);
    if (r == -ENOENT)
        return error_set(e, r, "the blob is missing (%s)", path);
    if (r < 0)
        return r;
    if (size != d->size)
        return error_set(e, -EBADMSG, "the blob has %llu bytes, its descriptor says %llu",
                         (unsigned long long)size, (unsigned long long)d->size);
    *ret = TAKE_FD(fd);
    return 0;
}

static int read_blob(struct oci_layout *l, const struct oci_descriptor *d, json_t **ret,
                     struct error *e)
{
    _cleanup_close_ int fd = -EBADF;
    _cleanup_buffer_ struct buffer b = {0};
    struct digest found;
    char text[DIGEST_TEXT_SIZE];
    int r;

    if (d->size > IMAGE_JSON_MAX)
        return error_set(e, -EFBIG, "larger than %zu bytes", IMAGE_JSON_MAX);
    r = oci_layout_open_blob(l, d, &fd, e);
    if (r < 0)
        return r;
    r = fd_read_all(fd, &b, d->size);
    if (r >= 0)
        r = digest_of(d->digest.algorithm, b.data, b.size, &found);
    if (r < 0)
        return error_sys(e, r, "read");
    if (!digest_equal(&found, &d->digest))
        return error_set(e, -EBADMSG, "digest mismatch: the content is %s",
                         digest_text(&found, text));
    return json_parse_object(b.data, b.size, ret, e);
}

int oci_layout_read(struct oci_layout *l, const struct oci_descriptor *d, const char *what,
                    json_t **ret, struct error *e)
{
    char text[DIGEST_TEXT_SIZE];
    int r = read_blob(l, d, ret, e);

    return r < 0 ? error_prefix(e, r, "%s %s", what, digest_text(&d->digest, text)) : 0;
}

static bool platform_fits(const struct oci_index_entry *entry)
{
    return !entry->os || (strcmp(entry->os, "linux") == 0 &&
                          strcmp(entry->architecture, oci_architecture()) == 0);
}

static int nothing_found(const struct oci_index_entry *entries, size_t n, const char *reference,
                         struct error *e)
{
    char shown[FIELD_SHOWN_MAX];

    for (size_t i = 0; i < n; i++) {
        const char *name = entries[i].name;
        if (reference && (!name || strcmp(name, reference) != 0))
            continue;
        if (!entries[i].is_image && !entries[i].is_index)
            return error_set(e, -ENOTSUP, "manifests[%zu]: neither an image nor an index", i);
        return error_set(e, -ENOENT, "no image for linux/%s", oci_architecture());
    }
    if (reference)
        return error_set(e, -ENOENT, "there is no image \"%s\"", show_foreign(reference, shown));
    return error_set(e, -ENOENT, "the index is empty");
}

/* The entry that REFERENCE means, or the only one there is. Entries for other platforms and
 * attestations ("unknown") do not count. */
static int choose(const struct oci_index_entry *entries, size_t n, const char *reference,
                  const struct oci_index_entry **ret, struct error *e)
{
    const struct oci_index_entry *found = NULL;

    for (size_t i = 0; i < n; i++) {
        const struct oci_index_entry *entry = &entries[i];
        if (reference && (!entry->name || strcmp(entry->name, reference) != 0))
            continue;
        if (!platform_fits(entry) || (!entry->is_image && !entry->is_index))
            continue;
        if (found && !digest_equal(&found->descriptor.digest, &entry->descriptor.digest)) {
            if (reference)
                return error_set(e, -ENOTUNIQ, "several images bear this name");
            return error_set(e, -ENOTUNIQ,
                             "several images: choose one with oci:DIRECTORY:REFERENCE");
        }
        found = entry;
    }
    if (!found)
        return nothing_found(entries, n, reference, e);
    *ret = found;
    return 0;
}

static int read_manifest(struct oci_layout *l, const struct oci_descriptor *d,
                         struct oci_manifest **ret, struct error *e)
{
    _cleanup_json_ json_t *json = NULL;
    char text[DIGEST_TEXT_SIZE];
    int r = oci_layout_read(l, d, "manifest", &json, e);

    if (r < 0)
        return r;
    r = oci_manifest_parse(json, ret, e);
    if (r < 0)
        return error_prefix(e, r, "manifest %s", digest_text(&d->digest, text));
    (*ret)->self = *d;
    return 0;
}

int oci_layout_resolve(struct oci_layout *l, const char *reference, struct oci_manifest **ret,
                       struct error *e)
{
    _cleanup_json_ json_t *json = NULL;
    char what[DIGEST_TEXT_SIZE + 8] = "index.json";
    int r = read_json_file(l, "index.json", IMAGE_JSON_MAX, &json, e);

    if (r < 0)
        return r;
    for (int depth = 0; depth <= IMAGE_INDEX_DEPTH; depth++) {
        _cleanup_free_ struct oci_index_entry *entries = NULL;
        const struct oci_index_entry *chosen = NULL;
        struct oci_descriptor next;
        bool is_index;
        size_t n = 0;

        r = oci_index_parse(json, &entries, &n, e);
        if (r >= 0)
            r = choose(entries, n, reference, &chosen, e);
        if (r < 0 || !chosen)
            return error_prefix(e, r, "%s", what);
        next = chosen->descriptor;
        is_index = chosen->is_index;
        json_decref(json);
        json = NULL;
        if (!is_index)
            return read_manifest(l, &next, ret, e);
        reference = NULL;
        r = oci_layout_read(l, &next, "index", &json, e);
        if (r < 0)
            return r;
        snprintf(what, sizeof(what), "index ");
        digest_text(&next.digest, what + strlen("index "));
    }
    return error_set(e, -ELOOP, "indexes nested more than %d deep", IMAGE_INDEX_DEPTH);
}
