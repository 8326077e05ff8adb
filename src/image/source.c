/* From a reference to one manifest and its blobs. The forms differ in how a blob's file is called
 * and where the way to the manifest begins. */
#include "image/source.h"
#include "weaken.h"

#include "image/bounds.h"
#include "image/fields.h"

#include <string.h>

#define FILE_NAME_MAX (DIGEST_TEXT_SIZE + 32)

struct image_source {
    const struct image_reference *reference;
    struct image_files *files;
};

void image_source_close(struct image_source *s)
{
    if (!s)
        return;
    image_files_close(s->files);
    free(s);
}

static bool is_layout(const struct image_source *s)
{
    return s->reference->transport == TRANSPORT_OCI ||
           s->reference->transport == TRANSPORT_OCI_ARCHIVE;
}

static bool is_archive(const struct image_reference *r)
{
    return r->transport == TRANSPORT_OCI_ARCHIVE || r->transport == TRANSPORT_DOCKER_ARCHIVE;
}

static int read_json_file(struct image_source *s, const char *name, size_t max, json_t **ret,
                          struct error *e)
{
    _cleanup_buffer_ struct buffer b = {0};
    int r = image_files_read(s->files, name, max, &b, e);

    if (r < 0)
        return r;
    r = json_parse_object(b.data, b.size, ret, e);
    return r < 0 ? error_prefix(e, r, "%s", name) : 0;
}

static int check_layout_file(struct image_source *s, struct error *e)
{
    _cleanup_json_ json_t *json = NULL;
    const char *version = NULL;
    int r = read_json_file(s, "oci-layout", IMAGE_LAYOUT_FILE_MAX, &json, e);

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

int image_source_open(const struct image_reference *reference, struct image_source **ret,
                      struct error *e)
{
    _cleanup_(image_source_close_p) struct image_source *s = calloc(1, sizeof(*s));
    int r;

    if (!s)
        return error_sys(e, -ENOMEM, "image source");
    s->reference = reference;
    r = is_archive(reference) ? image_files_open_archive(reference->path, &s->files, e)
                              : image_files_open_directory(reference->path, &s->files, e);
    if (r >= 0 && is_layout(s))
        r = check_layout_file(s, e);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(s);
    return 0;
}

static const char *blob_name(const struct image_source *s, const struct oci_descriptor *d,
                             char *buf)
{
    if (d->file)
        return d->file;
    if (is_layout(s))
        snprintf(buf, FILE_NAME_MAX, "blobs/%s/%s", digest_name(&d->digest), d->digest.hex);
    else
        snprintf(buf, FILE_NAME_MAX, "%s", d->digest.hex);
    return buf;
}

static int find_compression(const struct image_file *file, enum layer_compression *ret,
                            struct error *e)
{
    uint8_t head[4] = {0};
    ssize_t n = image_file_read(file, 0, head, sizeof(head));

    if (n < 0)
        return error_sys(e, (int)n, "read the blob");
    if (head[0] == 0x1f && head[1] == 0x8b)
        *ret = LAYER_GZIP;
    else if (memcmp(head, "\x28\xb5\x2f\xfd", sizeof(head)) == 0)
        *ret = LAYER_ZSTD;
    else
        *ret = LAYER_PLAIN;
    return 0;
}

static int open_blob(struct image_source *s, const struct oci_descriptor *d, const char *name,
                     struct image_file *ret, struct error *e)
{
    int r = image_files_open(s->files, name, ret, e);

    if (r == -ENOENT)
        return error_set(e, r, "the blob is missing (%s)", name);
    if (r < 0)
        return r;
    if (!d->unverified && ret->size != d->size) {
        r = error_set(e, -EBADMSG, "the blob has %llu bytes, its descriptor says %llu",
                      (unsigned long long)ret->size, (unsigned long long)d->size);
        image_file_close(ret);
    }
    return r;
}

int image_source_open_blob(struct image_source *s, struct oci_descriptor *d, struct image_file *ret,
                           struct error *e)
{
    _cleanup_image_file_ struct image_file file = IMAGE_FILE_INIT;
    char buf[FILE_NAME_MAX];
    int r = open_blob(s, d, blob_name(s, d, buf), &file, e);

    if (r >= 0 && d->unverified) {
        d->size = file.size;
        r = file.size > IMAGE_BLOB_MAX ? error_set(e, -EFBIG, "the blob is too big")
                                       : find_compression(&file, &d->compression, e);
    }
    if (r < 0)
        return r;
    *ret = file;
    file.fd = -EBADF;
    return 0;
}

static int read_blob(struct image_source *s, const struct oci_descriptor *d, const char *name,
                     json_t **ret, struct error *e)
{
    _cleanup_image_file_ struct image_file file = IMAGE_FILE_INIT;
    _cleanup_free_ char *data = NULL;
    struct digest found;
    char text[DIGEST_TEXT_SIZE];
    ssize_t n;
    int r = d->size > IMAGE_JSON_MAX ? -EFBIG : open_blob(s, d, name, &file, e);

    if (r == -EFBIG || (r >= 0 && file.size > IMAGE_JSON_MAX))
        return error_set(e, -EFBIG, "larger than %zu bytes", IMAGE_JSON_MAX);
    if (r < 0)
        return r;
    data = malloc(file.size + 1);
    if (!data)
        return error_sys(e, -ENOMEM, "read");
    n = image_file_read(&file, 0, data, file.size);
    r = n < 0 ? (int)n : digest_of(d->digest.algorithm, data, (size_t)n, &found);
    if (r < 0)
        return error_sys(e, r, "read");
    if (!digest_equal(&found, &d->digest) && !weakened("digest"))
        return error_set(e, -EBADMSG, "digest mismatch: the content is %s",
                         digest_text(&found, text));
    return json_parse_object(data, (size_t)n, ret, e);
}

static int read_named(struct image_source *s, const struct oci_descriptor *d, const char *name,
                      const char *what, json_t **ret, struct error *e)
{
    char text[DIGEST_TEXT_SIZE];
    int r = read_blob(s, d, name, ret, e);

    return r < 0 ? error_prefix(e, r, "%s %s", what, digest_text(&d->digest, text)) : 0;
}

int image_source_read(struct image_source *s, const struct oci_descriptor *d, const char *what,
                      json_t **ret, struct error *e)
{
    char buf[FILE_NAME_MAX];

    return read_named(s, d, blob_name(s, d, buf), what, ret, e);
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

/* "@INDEX": the entry at that place, whatever else there is. */
static int choose_by_index(const struct oci_index_entry *entries, size_t n, size_t index,
                           const struct oci_index_entry **ret, struct error *e)
{
    if (index >= n)
        return error_set(e, -ENOENT, "there is no image @%zu, only %zu", index, n);
    if (!entries[index].is_image && !entries[index].is_index)
        return error_set(e, -ENOTSUP, "manifests[%zu]: neither an image nor an index", index);
    *ret = &entries[index];
    return 0;
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
            return error_set(e, -ENOTUNIQ, "several images: choose one with :REFERENCE or :@INDEX");
        }
        found = entry;
    }
    if (!found)
        return nothing_found(entries, n, reference, e);
    *ret = found;
    return 0;
}

/* dir: gives manifests a suffix. */
static int read_document(struct image_source *s, const struct oci_descriptor *d, const char *what,
                         json_t **ret, struct error *e)
{
    char buf[FILE_NAME_MAX];

    if (is_layout(s))
        return image_source_read(s, d, what, ret, e);
    snprintf(buf, sizeof(buf), "%s.manifest.json", d->digest.hex);
    return read_named(s, d, buf, what, ret, e);
}

static int parse_manifest(const json_t *json, const struct oci_descriptor *d,
                          struct oci_manifest **ret, struct error *e)
{
    char text[DIGEST_TEXT_SIZE];
    int r = oci_manifest_parse(json, ret, e);

    if (r < 0)
        return error_prefix(e, r, "manifest %s", digest_text(&d->digest, text));
    (*ret)->self = *d;
    return 0;
}

/* Indexes may stand in indexes, each with names of its own: the entry of the name, wherever it is.
 */
struct search {
    struct image_source *source;
    const char *name;
    struct oci_index_entry found; /* without its strings */
    bool has_found;
    size_t read; /* indexes */
};

/* NOLINTNEXTLINE(misc-no-recursion): bounded by IMAGE_INDEX_DEPTH */
static int search_index(struct search *s, const json_t *json, int depth, struct error *e)
{
    _cleanup_free_ struct oci_index_entry *entries = NULL;
    size_t n = 0;
    int r = oci_index_parse(json, &entries, &n, e);

    for (size_t i = 0; r >= 0 && i < n; i++) {
        struct oci_index_entry *entry = &entries[i];
        _cleanup_json_ json_t *inner = NULL;
        if (!platform_fits(entry) || (!entry->is_image && !entry->is_index))
            continue;
        if (entry->name && strcmp(entry->name, s->name) == 0) {
            if (s->has_found &&
                !digest_equal(&s->found.descriptor.digest, &entry->descriptor.digest))
                return error_set(e, -ENOTUNIQ, "several images bear this name");
            s->found = *entry;
            s->has_found = true;
        } else if (entry->is_index) {
            char text[DIGEST_TEXT_SIZE];
            if (depth == IMAGE_INDEX_DEPTH)
                return error_set(e, -ELOOP, "indexes nested more than %d deep", IMAGE_INDEX_DEPTH);
            if (++s->read > IMAGE_INDEXES_MAX)
                return error_set(e, -EFBIG, "more than %d indexes", IMAGE_INDEXES_MAX);
            r = read_document(s->source, &entry->descriptor, "index", &inner, e);
            if (r >= 0 && (r = search_index(s, inner, depth + 1, e)) < 0)
                error_prefix(e, r, "index %s", digest_text(&entry->descriptor.digest, text));
        }
    }
    return r;
}

/* Looks below the top level for REFERENCE, which it does not have. */
static int find_below(struct image_source *source, const json_t *index, const char *name,
                      struct oci_index_entry *ret, bool *ret_found, struct error *e)
{
    struct search s = {.source = source, .name = name};
    int r = search_index(&s, index, 0, e);

    *ret = s.found;
    *ret_found = s.has_found;
    return r;
}

static bool has_name(const struct oci_index_entry *entries, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (entries[i].name && strcmp(entries[i].name, name) == 0)
            return true;
    return false;
}

/* From the index JSON, whose reference it takes, downwards. */
static int walk_indexes(struct image_source *s, json_t *json, const char *first,
                        struct oci_manifest **ret, struct error *e)
{
    const struct image_reference *reference = s->reference;
    _cleanup_json_ json_t *index = json;
    char what[DIGEST_TEXT_SIZE + 8];

    snprintf(what, sizeof(what), "%s", first);
    for (int depth = 0; depth <= IMAGE_INDEX_DEPTH; depth++) {
        _cleanup_free_ struct oci_index_entry *entries = NULL;
        const struct oci_index_entry *chosen = NULL;
        struct oci_index_entry below;
        struct oci_descriptor next;
        bool is_index, found = false;
        size_t n = 0;
        int r = oci_index_parse(index, &entries, &n, e);

        if (r >= 0 && depth == 0 && reference->reference &&
            !has_name(entries, n, reference->reference))
            r = find_below(s, index, reference->reference, &below, &found, e);
        if (found)
            chosen = &below;
        else if (r >= 0 && depth == 0 && reference->index != IMAGE_SOURCE_INDEX_NONE)
            r = choose_by_index(entries, n, reference->index, &chosen, e);
        else if (r >= 0)
            r = choose(entries, n, depth == 0 ? reference->reference : NULL, &chosen, e);
        if (r < 0 || !chosen)
            return error_prefix(e, r, "%s", what);
        next = chosen->descriptor;
        is_index = chosen->is_index;
        json_decref(index);
        index = NULL;
        r = read_document(s, &next, is_index ? "index" : "manifest", &index, e);
        if (r < 0 || !is_index)
            return r < 0 ? r : parse_manifest(index, &next, ret, e);
        snprintf(what, sizeof(what), "index ");
        digest_text(&next.digest, what + strlen("index "));
    }
    return error_set(e, -ELOOP, "indexes nested more than %d deep", IMAGE_INDEX_DEPTH);
}

/* dir:, where manifest.json is the manifest or an index. Its digest is what it has. */
static int resolve_directory(struct image_source *s, struct oci_manifest **ret, struct error *e)
{
    _cleanup_buffer_ struct buffer b = {0};
    struct oci_descriptor self = {0};
    json_t *json = NULL;
    int r = image_files_read(s->files, "manifest.json", IMAGE_JSON_MAX, &b, e);

    if (r == -ENOENT)
        return error_set(e, r, "not an image directory (it has no file \"manifest.json\")");
    if (r < 0)
        return r;
    r = json_parse_object(b.data, b.size, &json, e);
    if (r < 0)
        return error_prefix(e, r, "manifest.json");
    if (json_object_get(json, "manifests"))
        return walk_indexes(s, json, "manifest.json", ret, e);
    self.size = b.size;
    r = digest_of(DIGEST_SHA256, b.data, b.size, &self.digest);
    r = r < 0 ? error_sys(e, r, "manifest.json") : parse_manifest(json, &self, ret, e);
    json_decref(json);
    return r;
}

/* The configuration of a `docker save` is named by its digest: "HEX.json" or "blobs/sha256/HEX". */
static int name_config(struct image_source *s, struct oci_manifest *m, struct error *e)
{
    _cleanup_buffer_ struct buffer b = {0};
    const char *file = m->config.file, *slash = strrchr(file, '/');
    char shown[FIELD_SHOWN_MAX], text[DIGEST_TEXT_SIZE];
    int r = image_files_read(s->files, file, IMAGE_JSON_MAX, &b, e);

    if (r >= 0)
        r = digest_of(DIGEST_SHA256, b.data, b.size, &m->config.digest);
    if (r < 0)
        return error_prefix(e, r, "configuration");
    file = slash ? slash + 1 : file;
    if (strncmp(file, m->config.digest.hex, strlen(m->config.digest.hex)) != 0)
        return error_set(e, -EBADMSG, "configuration %s: digest mismatch: the content is %s",
                         show_foreign(file, shown), digest_text(&m->config.digest, text));
    m->config.size = b.size;
    /* There is no manifest of which a digest could be taken. */
    m->self.digest = m->config.digest;
    return 0;
}

static int resolve_docker(struct image_source *s, struct oci_manifest **ret, struct error *e)
{
    _cleanup_buffer_ struct buffer b = {0};
    _cleanup_json_ json_t *json = NULL;
    _cleanup_(oci_manifest_free_p) struct oci_manifest *m = NULL;
    int r = image_files_read(s->files, "manifest.json", IMAGE_JSON_MAX, &b, e);

    if (r == -ENOENT)
        return error_set(e, r, "not written by \"docker save\" (it has no file \"manifest.json\")");
    if (r < 0)
        return r;
    r = json_parse_array(b.data, b.size, &json, e);
    if (r >= 0)
        r = docker_manifest_choose(json, s->reference, &m, e);
    if (r < 0)
        return error_prefix(e, r, "manifest.json");
    r = name_config(s, m, e);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(m);
    return 0;
}

int image_source_resolve(struct image_source *s, struct oci_manifest **ret, struct error *e)
{
    json_t *json = NULL;
    int r;

    if (s->reference->transport == TRANSPORT_DOCKER_ARCHIVE)
        return resolve_docker(s, ret, e);
    if (s->reference->transport == TRANSPORT_DIR)
        return resolve_directory(s, ret, e);
    r = read_json_file(s, "index.json", IMAGE_JSON_MAX, &json, e);
    return r < 0 ? r : walk_indexes(s, json, "index.json", ret, e);
}
