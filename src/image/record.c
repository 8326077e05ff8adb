/* What dockless keeps of an image: struct image to JSON and back. The same words stand in
 * images/NAME.json and in the output of `image inspect --format json`. */
#include "image/digest.h"
#include "image/fields.h"
#include "image/image.h"
#include "image/names.h"
#include "image/oci.h"

#include <string.h>

struct image *image_new(void)
{
    struct image *image = calloc(1, sizeof(*image));

    if (image)
        image->lease_fd = -EBADF;
    return image;
}

void image_free(struct image *image)
{
    if (!image)
        return;
    safe_close(image->lease_fd);
    free(image->directory);
    free(image->name);
    free(image->digest);
    free(image->id);
    free(image->created);
    free(image->architecture);
    free(image->os);
    strv_free(image->layers);
    strv_free(image->env);
    strv_free(image->entrypoint);
    strv_free(image->cmd);
    free(image->working_dir);
    free(image->user);
    free(image->stop_signal);
    for (size_t i = 0; i < image->n_labels; i++) {
        free(image->labels[i].key);
        free(image->labels[i].value);
    }
    free(image->labels);
    strv_free(image->history_created);
    free(image);
}

const char *image_label(const struct image *image, const char *key)
{
    for (size_t i = 0; i < image->n_labels; i++)
        if (strcmp(image->labels[i].key, key) == 0)
            return image->labels[i].value;
    return NULL;
}

int image_layer_path(const char *diff_id, char *buf, struct error *e)
{
    struct digest digest;

    if (digest_parse(diff_id, &digest) < 0 || digest.algorithm != DIGEST_SHA256) {
        char shown[FIELD_SHOWN_MAX];
        return error_set(e, -EINVAL, "layer \"%s\": not a sha256 digest",
                         show_foreign(diff_id, shown));
    }
    snprintf(buf, IMAGE_LAYER_PATH_SIZE, "layers/%.64s", digest.hex);
    return 0;
}

static json_t *text_json(const char *text)
{
    return text ? json_string(text) : json_null();
}

static json_t *list_json(char *const *list)
{
    json_t *array = json_array();

    for (; list && *list; list++)
        json_array_append_new(array, json_string(*list));
    return array;
}

json_t *image_to_json(const struct image *image)
{
    json_t *json = json_object(), *labels = json_object();

    for (size_t i = 0; i < image->n_labels; i++)
        json_object_set_new(labels, image->labels[i].key, json_string(image->labels[i].value));
    json_object_set_new(json, "name", text_json(image->name));
    json_object_set_new(json, "digest", text_json(image->digest));
    json_object_set_new(json, "id", text_json(image->id));
    json_object_set_new(json, "created", text_json(image->created));
    json_object_set_new(json, "created_unix", json_integer(image->created_unix));
    json_object_set_new(json, "architecture", text_json(image->architecture));
    json_object_set_new(json, "os", text_json(image->os));
    json_object_set_new(json, "layers", list_json(image->layers));
    json_object_set_new(json, "env", list_json(image->env));
    json_object_set_new(json, "entrypoint", list_json(image->entrypoint));
    json_object_set_new(json, "cmd", list_json(image->cmd));
    json_object_set_new(json, "working_dir", text_json(image->working_dir));
    json_object_set_new(json, "user", text_json(image->user));
    json_object_set_new(json, "stop_signal", text_json(image->stop_signal));
    json_object_set_new(json, "labels", labels);
    json_object_set_new(json, "size", json_integer((json_int_t)image->size));
    json_object_set_new(json, "dropped_devices", json_integer((json_int_t)image->dropped_devices));
    json_object_set_new(json, "dropped_xattrs", json_integer((json_int_t)image->dropped_xattrs));
    return json;
}

int image_labels_from_json(const json_t *object, const char *where, const char *key,
                           struct image *image, struct error *e)
{
    const json_t *labels = NULL, *value;
    const char *label;
    int r = field_object(object, where, key, OPTIONAL, &labels, e);

    if (r < 0 || !labels)
        return r;
    if (json_object_size(labels) > IMAGE_STRINGS_MAX)
        return error_set(e, -EBADMSG, "%s%s: more than %d labels", where, key, IMAGE_STRINGS_MAX);
    image->labels = calloc(json_object_size(labels) + 1, sizeof(*image->labels));
    if (!image->labels)
        return error_sys(e, -ENOMEM, "%s%s", where, key);
    json_object_foreach ((json_t *)(uintptr_t)labels, label, value) {
        struct image_label *l = &image->labels[image->n_labels];
        char shown[FIELD_SHOWN_MAX];
        if (!json_is_string(value))
            return error_set(e, -EBADMSG, "%s%s[\"%s\"]: expected a string", where, key,
                             show_foreign(label, shown));
        l->key = strdup(label);
        l->value = strdup(json_string_value(value));
        image->n_labels++;
        if (!l->key || !l->value)
            return error_sys(e, -ENOMEM, "%s%s", where, key);
    }
    return 0;
}

static int check_digests(const struct image *image, struct error *e)
{
    struct digest digest;
    char path[IMAGE_LAYER_PATH_SIZE];

    if (digest_parse(image->digest, &digest) < 0)
        return error_set(e, -EBADMSG, "digest: expected a digest");
    if (digest_parse(image->id, &digest) < 0)
        return error_set(e, -EBADMSG, "id: expected a digest");
    if (!image->layers[0] || strv_length(image->layers) > IMAGE_LAYERS_MAX)
        return error_set(e, -EBADMSG, "layers: expected 1 to %d", IMAGE_LAYERS_MAX);
    for (char **layer = image->layers; *layer; layer++)
        if (image_layer_path(*layer, path, e) < 0)
            return -EBADMSG;
    return image_name_check(image->name, e) < 0 ? -EBADMSG : 0;
}

static int fill_from_json(const json_t *json, struct image *image, struct error *e)
{
    const struct {
        const char *key;
        enum need need;
        char **ret;
    } texts[] = {
        {"name", REQUIRED, &image->name},
        {"digest", REQUIRED, &image->digest},
        {"id", REQUIRED, &image->id},
        {"created", OPTIONAL, &image->created},
        {"architecture", REQUIRED, &image->architecture},
        {"os", REQUIRED, &image->os},
        {"working_dir", OPTIONAL, &image->working_dir},
        {"user", OPTIONAL, &image->user},
        {"stop_signal", OPTIONAL, &image->stop_signal},
    };
    const struct {
        const char *key;
        char ***ret;
    } lists[] = {
        {"layers", &image->layers},
        {"env", &image->env},
        {"entrypoint", &image->entrypoint},
        {"cmd", &image->cmd},
    };
    uint64_t created = 0;
    int r = 0;

    for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(texts); i++)
        r = field_copy(json, "", texts[i].key, texts[i].need, texts[i].ret, e);
    for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(lists); i++)
        r = field_strings(json, "", lists[i].key, REQUIRED, lists[i].ret, e);
    if (r >= 0)
        r = image_labels_from_json(json, "", "labels", image, e);
    if (r >= 0)
        r = field_size(json, "", "created_unix", REQUIRED, INT64_MAX, &created, e);
    if (r >= 0)
        r = field_size(json, "", "size", REQUIRED, INT64_MAX, &image->size, e);
    if (r >= 0)
        r = field_size(json, "", "dropped_devices", OPTIONAL, INT64_MAX, &image->dropped_devices,
                       e);
    if (r >= 0)
        r = field_size(json, "", "dropped_xattrs", OPTIONAL, INT64_MAX, &image->dropped_xattrs, e);
    image->created_unix = (int64_t)created;
    return r < 0 ? r : check_digests(image, e);
}

int image_from_json(const json_t *json, struct image **ret, struct error *e)
{
    _cleanup_(image_free_p) struct image *image = image_new();
    int r;

    if (!image)
        return error_sys(e, -ENOMEM, "image");
    r = fill_from_json(json, image, e);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(image);
    return 0;
}
