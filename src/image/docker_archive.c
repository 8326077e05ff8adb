/* manifest.json of `docker save`, podman save and skopeo: a list of images, each with the names of
 * its configuration and layers in the archive, and its tags. */
#include "image/bounds.h"
#include "image/fields.h"
#include "image/source.h"

#include "base/text.h"

#include <string.h>

#define HUB         "docker.io/"
#define HUB_LIBRARY HUB "library/"

/* "busybox" and "docker.io/library/busybox:latest" are the same to Docker. */
static char *full_name(const char *name)
{
    const char *slash = strrchr(name, '/');
    const char *tag = strchr(slash ? slash : name, ':');

    if (strncmp(name, HUB_LIBRARY, strlen(HUB_LIBRARY)) == 0)
        name += strlen(HUB_LIBRARY);
    else if (strncmp(name, HUB, strlen(HUB)) == 0)
        name += strlen(HUB);
    return text_printf("%s%s", name, tag ? "" : ":latest");
}

static int has_tag(const json_t *tags, const char *name, bool *ret, struct error *e)
{
    _cleanup_free_ char *wanted = full_name(name);
    const json_t *tag;
    size_t i;

    if (!wanted)
        return error_sys(e, -ENOMEM, "RepoTags");
    *ret = false;
    json_array_foreach ((json_t *)(uintptr_t)tags, i, tag) {
        _cleanup_free_ char *full = NULL;
        if (!json_is_string(tag))
            return error_set(e, -EBADMSG, "RepoTags[%zu]: expected a string", i);
        full = full_name(json_string_value(tag));
        if (!full)
            return error_sys(e, -ENOMEM, "RepoTags");
        *ret |= strcmp(full, wanted) == 0;
    }
    return 0;
}

static int find_by_name(const json_t *array, const char *name, const json_t **ret, struct error *e)
{
    char shown[FIELD_SHOWN_MAX];
    const json_t *entry;
    size_t i;

    json_array_foreach ((json_t *)(uintptr_t)array, i, entry) {
        const json_t *tags = NULL;
        bool fits = false;
        int r = field_array(entry, "", "RepoTags", OPTIONAL, IMAGE_STRINGS_MAX, &tags, e);
        if (r >= 0 && tags)
            r = has_tag(tags, name, &fits, e);
        if (r < 0)
            return error_prefix(e, r, "[%zu]", i);
        if (fits && *ret)
            return error_set(e, -ENOTUNIQ, "several images bear this name");
        if (fits)
            *ret = entry;
    }
    if (*ret)
        return 0;
    return error_set(e, -ENOENT, "there is no image \"%s\"", show_foreign(name, shown));
}

static int find_entry(const json_t *array, const struct image_reference *reference,
                      const json_t **ret, struct error *e)
{
    size_t n = json_array_size(array), index = 0;

    if (reference->reference)
        return find_by_name(array, reference->reference, ret, e);
    if (n == 0)
        return error_set(e, -ENOENT, "it has no image");
    if (reference->index != IMAGE_SOURCE_INDEX_NONE)
        index = reference->index;
    else if (n > 1)
        return error_set(e, -ENOTUNIQ, "several images: choose one with :NAME or :@INDEX");
    if (index >= n)
        return error_set(e, -ENOENT, "there is no image @%zu, only %zu", index, n);
    *ret = json_array_get(array, index);
    return 0;
}

static int take_layers(const json_t *entry, struct oci_manifest *m, struct error *e)
{
    const json_t *layers = NULL;
    int r = field_array(entry, "", "Layers", REQUIRED, IMAGE_LAYERS_MAX, &layers, e);

    if (r < 0)
        return r;
    if (json_array_size(layers) == 0)
        return error_set(e, -EBADMSG, "Layers: empty");
    m->layers = calloc(json_array_size(layers), sizeof(*m->layers));
    if (!m->layers)
        return error_sys(e, -ENOMEM, "Layers");
    m->n_layers = json_array_size(layers);
    for (size_t i = 0; i < m->n_layers; i++) {
        const char *file = json_string_value(json_array_get(layers, i));
        if (!file || !file[0] || strlen(file) > ENTRY_PATH_MAX)
            return error_set(e, -EBADMSG, "Layers[%zu]: expected a file's name", i);
        m->layers[i].unverified = true;
        m->layers[i].file = strdup(file);
        if (!m->layers[i].file)
            return error_sys(e, -ENOMEM, "Layers");
    }
    return 0;
}

int docker_manifest_choose(const json_t *array, const struct image_reference *reference,
                           struct oci_manifest **ret, struct error *e)
{
    _cleanup_(oci_manifest_free_p) struct oci_manifest *m = calloc(1, sizeof(*m));
    const json_t *entry = NULL;
    const char *config = NULL;
    int r;

    if (!m)
        return error_sys(e, -ENOMEM, "manifest");
    if (json_array_size(array) > IMAGE_INDEX_ENTRIES_MAX)
        return error_set(e, -EFBIG, "more than %d images", IMAGE_INDEX_ENTRIES_MAX);
    r = find_entry(array, reference, &entry, e);
    if (r >= 0 && !json_is_object(entry))
        r = error_set(e, -EBADMSG, "expected objects");
    if (r >= 0)
        r = field_string(entry, "", "Config", REQUIRED, &config, e);
    if (r < 0 || !config)
        return r;
    if (!config[0] || strlen(config) > ENTRY_PATH_MAX)
        return error_set(e, -EBADMSG, "Config: expected a file's name");
    m->config.file = strdup(config);
    r = m->config.file ? take_layers(entry, m, e) : error_sys(e, -ENOMEM, "Config");
    if (r < 0)
        return r;
    *ret = TAKE_PTR(m);
    return 0;
}
