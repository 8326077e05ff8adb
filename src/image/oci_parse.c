/* Index and manifest: JSON to plain data. Documents that could be taken for the other kind are
 * refused (CVE-2021-41190), as image-spec 1.0.2 asks. */
#include "image/bounds.h"
#include "image/fields.h"
#include "image/oci.h"

#include <string.h>

#define OCI_INDEX       "application/vnd.oci.image.index.v1+json"
#define OCI_MANIFEST    "application/vnd.oci.image.manifest.v1+json"
#define OCI_CONFIG      "application/vnd.oci.image.config.v1+json"
#define DOCKER_INDEX    "application/vnd.docker.distribution.manifest.list.v2+json"
#define DOCKER_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"
#define DOCKER_CONFIG   "application/vnd.docker.container.image.v1+json"

#define REF_NAME "org.opencontainers.image.ref.name"

static const struct {
    const char *media_type;
    enum layer_compression compression;
} layer_types[] = {
    {"application/vnd.oci.image.layer.v1.tar", LAYER_PLAIN},
    {"application/vnd.oci.image.layer.v1.tar+gzip", LAYER_GZIP},
    {"application/vnd.oci.image.layer.v1.tar+zstd", LAYER_ZSTD},
    {"application/vnd.docker.image.rootfs.diff.tar", LAYER_PLAIN},
    {"application/vnd.docker.image.rootfs.diff.tar.gzip", LAYER_GZIP},
    {"application/vnd.docker.image.rootfs.diff.tar.zstd", LAYER_ZSTD},
};

void oci_manifest_free(struct oci_manifest *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < m->n_layers; i++)
        free(m->layers[i].file);
    free(m->layers);
    free(m->config.file);
    free(m);
}

static bool is_either(const char *text, const char *a, const char *b)
{
    return strcmp(text, a) == 0 || strcmp(text, b) == 0;
}

static int parse_descriptor(const json_t *object, const char *where, struct oci_descriptor *ret,
                            const char **ret_media_type, struct error *e)
{
    const char *digest = NULL;
    int r = field_string(object, where, "mediaType", REQUIRED, ret_media_type, e);

    if (r >= 0)
        r = field_string(object, where, "digest", REQUIRED, &digest, e);
    if (r >= 0)
        r = field_size(object, where, "size", REQUIRED, IMAGE_BLOB_MAX, &ret->size, e);
    if (r < 0)
        return r;
    if (digest_parse(digest, &ret->digest) < 0)
        return error_set(e, -EBADMSG, "%sdigest: expected sha256:HEX or sha512:HEX", where);
    return 0;
}

/* schemaVersion 2, the media type one of the two (or absent), and none of the other kind's fields.
 */
static int check_kind(const json_t *json, const char *oci, const char *docker,
                      const char *const *others, struct error *e)
{
    const char *media_type = NULL;
    uint64_t version = 0;
    char shown[FIELD_SHOWN_MAX];
    int r = field_size(json, "", "schemaVersion", REQUIRED, 2, &version, e);

    if (r >= 0)
        r = field_string(json, "", "mediaType", OPTIONAL, &media_type, e);
    if (r < 0)
        return r;
    if (version != 2)
        return error_set(e, -EBADMSG, "schemaVersion: expected 2");
    if (media_type && !is_either(media_type, oci, docker))
        return error_set(e, -EBADMSG, "mediaType: \"%s\" where %s was expected",
                         show_foreign(media_type, shown), oci);
    for (; *others; others++)
        if (json_object_get(json, *others))
            return error_set(e, -EBADMSG, "%s: does not belong in %s (type confusion)", *others,
                             oci);
    return 0;
}

static int parse_index_entry(const json_t *object, const char *where, struct oci_index_entry *ret,
                             struct error *e)
{
    const json_t *annotations = NULL, *platform = NULL;
    const char *media_type = NULL;
    int r;

    if (!json_is_object(object))
        return error_set(e, -EBADMSG, "%.*s: expected an object", (int)strlen(where) - 1, where);
    r = parse_descriptor(object, where, &ret->descriptor, &media_type, e);
    if (r >= 0)
        r = field_object(object, where, "annotations", OPTIONAL, &annotations, e);
    if (r >= 0 && annotations) {
        char below[96];
        snprintf(below, sizeof(below), "%sannotations.", where);
        r = field_string(annotations, below, REF_NAME, OPTIONAL, &ret->name, e);
    }
    if (r >= 0)
        r = field_object(object, where, "platform", OPTIONAL, &platform, e);
    if (r >= 0 && platform) {
        char below[96];
        snprintf(below, sizeof(below), "%splatform.", where);
        r = field_string(platform, below, "os", REQUIRED, &ret->os, e);
        if (r >= 0)
            r = field_string(platform, below, "architecture", REQUIRED, &ret->architecture, e);
    }
    if (r < 0)
        return r;
    ret->is_index = is_either(media_type, OCI_INDEX, DOCKER_INDEX);
    ret->is_image = is_either(media_type, OCI_MANIFEST, DOCKER_MANIFEST);
    return 0;
}

int oci_index_parse(const json_t *json, struct oci_index_entry **ret_entries, size_t *ret_n,
                    struct error *e)
{
    static const char *const others[] = {"layers", "config", "fsLayers", NULL};
    _cleanup_free_ struct oci_index_entry *entries = NULL;
    const json_t *manifests = NULL;
    size_t n;
    int r = check_kind(json, OCI_INDEX, DOCKER_INDEX, others, e);

    if (r >= 0)
        r = field_array(json, "", "manifests", REQUIRED, IMAGE_INDEX_ENTRIES_MAX, &manifests, e);
    if (r < 0)
        return r;
    n = json_array_size(manifests);
    entries = calloc(n + 1, sizeof(*entries));
    if (!entries)
        return error_sys(e, -ENOMEM, "manifests");
    for (size_t i = 0; i < n; i++) {
        char where[64];
        snprintf(where, sizeof(where), "manifests[%zu].", i);
        r = parse_index_entry(json_array_get(manifests, i), where, &entries[i], e);
        if (r < 0)
            return r;
    }
    *ret_entries = TAKE_PTR(entries);
    *ret_n = n;
    return 0;
}

static int parse_layer(const json_t *object, const char *where, struct oci_descriptor *ret,
                       struct error *e)
{
    const char *media_type = NULL;
    char shown[FIELD_SHOWN_MAX];
    int r;

    if (!json_is_object(object))
        return error_set(e, -EBADMSG, "%.*s: expected an object", (int)strlen(where) - 1, where);
    r = parse_descriptor(object, where, ret, &media_type, e);
    if (r < 0)
        return r;
    for (size_t i = 0; i < ARRAY_SIZE(layer_types); i++) {
        if (strcmp(media_type, layer_types[i].media_type) == 0) {
            ret->compression = layer_types[i].compression;
            return 0;
        }
    }
    show_foreign(media_type, shown);
    if (strstr(media_type, "nondistributable") || strstr(media_type, "foreign"))
        return error_set(e, -ENOTSUP,
                         "%smediaType: \"%s\": a foreign layer, which is not in the image and "
                         "would have to be fetched elsewhere",
                         where, shown);
    return error_set(e, -ENOTSUP, "%smediaType: \"%s\" is not a layer type known here", where,
                     shown);
}

static int parse_layers(const json_t *json, struct oci_manifest *m, struct error *e)
{
    const json_t *layers = NULL;
    int r = field_array(json, "", "layers", REQUIRED, IMAGE_LAYERS_MAX, &layers, e);

    if (r < 0)
        return r;
    if (json_array_size(layers) == 0)
        return error_set(e, -EBADMSG, "layers: empty");
    m->layers = calloc(json_array_size(layers), sizeof(*m->layers));
    if (!m->layers)
        return error_sys(e, -ENOMEM, "layers");
    m->n_layers = json_array_size(layers);
    for (size_t i = 0; i < m->n_layers; i++) {
        char where[64];
        snprintf(where, sizeof(where), "layers[%zu].", i);
        r = parse_layer(json_array_get(layers, i), where, &m->layers[i], e);
        if (r < 0)
            return r;
    }
    return 0;
}

int oci_manifest_parse(const json_t *json, struct oci_manifest **ret, struct error *e)
{
    static const char *const others[] = {"manifests", "fsLayers", NULL};
    _cleanup_(oci_manifest_free_p) struct oci_manifest *m = calloc(1, sizeof(*m));
    const json_t *config = NULL;
    const char *media_type = NULL;
    char shown[FIELD_SHOWN_MAX];
    int r;

    if (!m)
        return error_sys(e, -ENOMEM, "manifest");
    r = check_kind(json, OCI_MANIFEST, DOCKER_MANIFEST, others, e);
    if (r >= 0)
        r = field_object(json, "", "config", REQUIRED, &config, e);
    if (r >= 0)
        r = parse_descriptor(config, "config.", &m->config, &media_type, e);
    if (r < 0)
        return r;
    if (!is_either(media_type, OCI_CONFIG, DOCKER_CONFIG))
        return error_set(e, -ENOTSUP, "config.mediaType: \"%s\": an artifact, not an image",
                         show_foreign(media_type, shown));
    r = parse_layers(json, m, e);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(m);
    return 0;
}
