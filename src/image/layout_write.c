#include "image/layout_write.h"

#include "base/fdio.h"
#include "base/text.h"
#include "image/bounds.h"
#include "image/fields.h"
#include "image/layer_write.h"
#include "image/oci.h"
#include "image/output.h"
#include "image/output_part.h"

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>

#define OCI      "application/vnd.oci.image."
#define REF_NAME "org.opencontainers.image.ref.name"
/* Compact and sorted, so that the same image has the same digest. */
#define JSON_FORM (JSON_COMPACT | JSON_SORT_KEYS)

#define FILE_NAME_SIZE (sizeof("blobs/sha256/.json") + DIGEST_HEX_MAX)

struct layout_writer {
    enum image_transport transport;
    struct image_output *output;
    json_t *layers, *diff_ids;
    json_t *files; /* of the layers, as docker-archive names them */
};

void layout_writer_close(struct layout_writer *w)
{
    if (!w)
        return;
    image_output_close(w->output);
    json_decref(w->layers);
    json_decref(w->diff_ids);
    json_decref(w->files);
    free(w);
}

static bool is_layout(const struct layout_writer *w)
{
    return w->transport == TRANSPORT_OCI || w->transport == TRANSPORT_OCI_ARCHIVE;
}

static const char *blob_name(const struct layout_writer *w, const struct digest *digest,
                             const char *suffix, char *buf)
{
    snprintf(buf, FILE_NAME_SIZE, "%s%s%s", is_layout(w) ? "blobs/sha256/" : "", digest->hex,
             w->transport == TRANSPORT_DOCKER_ARCHIVE ? suffix : "");
    return buf;
}

/* But for what we write there. */
static int is_empty(int fd, bool *ret)
{
    int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = copy < 0 ? NULL : fdopendir(copy);
    struct dirent *entry;

    if (!dir) {
        safe_close(copy);
        return -errno;
    }
    *ret = true;
    while ((entry = readdir(dir)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            strncmp(entry->d_name, OUTPUT_PART_PREFIX, strlen(OUTPUT_PART_PREFIX)) != 0)
            *ret = false;
    closedir(dir);
    return 0;
}

/* What says of what kind it all is. */
static int write_kind(struct layout_writer *w, struct error *e)
{
    static const char layout[] = "{\"imageLayoutVersion\": \"1.0.0\"}";
    static const char directory[] = "Directory Transport Version: 1.1\n";

    if (is_layout(w))
        return image_output_add(w->output, "oci-layout", layout, strlen(layout), e);
    if (w->transport == TRANSPORT_DIR)
        return image_output_add(w->output, "version", directory, strlen(directory), e);
    return 0;
}

/* Whether the directory FD can be written into: a layout can, and whatever is empty. */
static int check_target(const struct layout_writer *w, int fd, bool *ret_layout, struct error *e)
{
    bool empty = false;
    int r;

    *ret_layout = w->transport == TRANSPORT_OCI && faccessat(fd, "oci-layout", F_OK, 0) == 0;
    if (*ret_layout)
        return 0;
    r = is_empty(fd, &empty);
    if (r < 0)
        return error_sys(e, r, "look into the directory");
    if (empty)
        return 0;
    if (w->transport == TRANSPORT_OCI)
        return error_set(e, -ENOTDIR, "neither an OCI image layout nor empty");
    return error_set(e, -ENOTEMPTY, "the directory is not empty");
}

static int prepare(struct layout_writer *w, struct error *e)
{
    int fd = image_output_fd(w->output), r = 0;
    bool layout = false;

    if (fd >= 0)
        r = check_target(w, fd, &layout, e);
    if (r >= 0 && !layout)
        r = write_kind(w, e);
    if (r >= 0 && is_layout(w))
        r = image_output_make_directory(w->output, "blobs", e);
    if (r >= 0 && is_layout(w))
        r = image_output_make_directory(w->output, "blobs/sha256", e);
    return r;
}

int layout_writer_open(const struct image_reference *target, struct layout_writer **ret,
                       struct error *e)
{
    _cleanup_(layout_writer_close_p) struct layout_writer *w = calloc(1, sizeof(*w));
    int r;

    if (!w)
        return error_sys(e, -ENOMEM, "layout");
    w->transport = target->transport;
    w->layers = json_array();
    w->diff_ids = json_array();
    w->files = json_array();
    if (w->transport == TRANSPORT_OCI || w->transport == TRANSPORT_DIR)
        r = image_output_directory(target->path, &w->output, e);
    else
        r = image_output_archive(target->path, &w->output, e);
    if (r >= 0)
        r = prepare(w, e);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(w);
    return 0;
}

static json_t *descriptor(const char *media_type, const struct digest *digest, uint64_t size)
{
    char text[DIGEST_TEXT_SIZE];

    return json_pack("{s:s, s:s, s:I}", "mediaType", media_type, "digest",
                     digest_text(digest, text), "size", (json_int_t)size);
}

static int write_layer(struct layout_writer *w, int root_fd,
                       const struct pack_tree_options *options, enum image_compression compression,
                       struct layer_written *written, struct pack_tree_result *packed,
                       struct error *e)
{
    char name[FILE_NAME_SIZE];
    int fd = -EBADF, r = image_output_begin(w->output, &fd, e);

    if (r < 0)
        return r;
    r = layer_write(fd, root_fd, options, compression, written, packed, e);
    if (r < 0) {
        image_output_drop(w->output);
        return r;
    }
    blob_name(w, &written->blob, ".tar", name);
    json_array_append_new(w->files, json_string(name));
    return image_output_end(w->output, name, written->size, e);
}

int layout_writer_add_layer(struct layout_writer *w, int root_fd,
                            const struct pack_tree_options *options,
                            enum image_compression compression, struct pack_tree_result *result,
                            struct error *e)
{
    static const char *const types[] = {
        [IMAGE_COMPRESSION_DEFAULT] = OCI "layer.v1.tar+zstd",
        [IMAGE_COMPRESSION_ZSTD] = OCI "layer.v1.tar+zstd",
        [IMAGE_COMPRESSION_GZIP] = OCI "layer.v1.tar+gzip",
        [IMAGE_COMPRESSION_NONE] = OCI "layer.v1.tar",
    };
    struct layer_written written;
    struct pack_tree_result packed = {0};
    char text[DIGEST_TEXT_SIZE];
    int r;

    if (w->transport == TRANSPORT_DOCKER_ARCHIVE)
        compression = IMAGE_COMPRESSION_NONE;
    r = write_layer(w, root_fd, options, compression, &written, &packed, e);
    if (r < 0)
        return r;
    json_array_append_new(w->layers, descriptor(types[compression], &written.blob, written.size));
    json_array_append_new(w->diff_ids, json_string(digest_text(&written.diff_id, text)));
    if (result)
        *result = packed;
    return 0;
}

/* --- documents --- */

/* Under NAME, or that of its digest. */
static int add_document(struct layout_writer *w, const char *name, const json_t *json,
                        struct digest *ret, uint64_t *ret_size, struct error *e)
{
    _cleanup_free_ char *text = json ? json_dumps(json, JSON_FORM) : NULL;
    char buf[FILE_NAME_SIZE];
    int r = text ? digest_of(DIGEST_SHA256, text, strlen(text), ret) : -ENOMEM;

    if (r < 0)
        return error_sys(e, r, "write a document");
    *ret_size = strlen(text);
    return image_output_add(w->output, name ? name : blob_name(w, ret, ".json", buf), text,
                            strlen(text), e);
}

static json_t *strings(char *const *list)
{
    json_t *array = json_array();

    for (; list && *list; list++)
        json_array_append_new(array, json_string(*list));
    return array;
}

static void set_text(json_t *object, const char *key, const char *text)
{
    if (text && text[0])
        json_object_set_new(object, key, json_string(text));
}

static json_t *run_config(const struct image *image)
{
    json_t *config = json_object(), *labels = json_object();

    for (size_t i = 0; i < image->n_labels; i++)
        json_object_set_new(labels, image->labels[i].key, json_string(image->labels[i].value));
    if (image->env && image->env[0])
        json_object_set_new(config, "Env", strings(image->env));
    if (image->entrypoint && image->entrypoint[0])
        json_object_set_new(config, "Entrypoint", strings(image->entrypoint));
    if (image->cmd && image->cmd[0])
        json_object_set_new(config, "Cmd", strings(image->cmd));
    set_text(config, "WorkingDir", image->working_dir);
    set_text(config, "User", image->user);
    set_text(config, "StopSignal", image->stop_signal);
    json_object_set_new(config, "Labels", labels);
    return config;
}

static json_t *image_document(struct layout_writer *w, const struct image *image)
{
    json_t *json = json_object(), *history = json_array();

    set_text(json, "created", image->created);
    set_text(json, "architecture", image->architecture);
    set_text(json, "os", image->os);
    json_object_set_new(json, "config", run_config(image));
    json_object_set_new(json, "rootfs",
                        json_pack("{s:s, s:O}", "type", "layers", "diff_ids", w->diff_ids));
    for (size_t i = 0; i < json_array_size(w->diff_ids); i++) {
        json_t *step = json_pack("{s:s}", "created_by", "dockless image");
        set_text(step, "created", image->created);
        json_array_append_new(history, step);
    }
    json_object_set_new(json, "history", history);
    return json;
}

/* Strings that are not UTF-8 cannot be told in JSON; they would be left out silently. */
static int check_texts(const struct image *image, struct error *e)
{
    char *const *const lists[] = {image->env, image->entrypoint, image->cmd};
    bool good = true;

    for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
        for (char *const *text = lists[i]; text && *text; text++)
            good &= text_is_utf8(*text, strlen(*text));
    for (size_t i = 0; i < image->n_labels; i++)
        good &= text_is_utf8(image->labels[i].key, strlen(image->labels[i].key)) &&
                text_is_utf8(image->labels[i].value, strlen(image->labels[i].value));
    return good ? 0 : error_set(e, -EILSEQ, "the configuration is not UTF-8");
}

/* --- the index --- */

static int read_index(struct layout_writer *w, json_t **ret, struct error *e)
{
    _cleanup_buffer_ struct buffer b = {0};
    _cleanup_free_ struct oci_index_entry *entries = NULL;
    json_t *json = NULL;
    size_t n = 0;
    int fd = image_output_fd(w->output);
    int r = fd < 0 ? -ENOENT : fd_read_file(fd, "index.json", &b, IMAGE_JSON_MAX);

    if (r == -ENOENT) {
        *ret = json_pack("{s:i, s:[]}", "schemaVersion", 2, "manifests");
        return 0;
    }
    r = r < 0 ? error_sys(e, r, "read") : json_parse_object(b.data, b.size, &json, e);
    if (r >= 0)
        r = oci_index_parse(json, &entries, &n, e);
    if (r < 0) {
        json_decref(json);
        return error_prefix(e, r, "index.json");
    }
    *ret = json;
    return 0;
}

static bool bears(const json_t *entry, const char *reference)
{
    const json_t *annotations = json_object_get(entry, "annotations");
    const char *name = json_string_value(json_object_get(annotations, REF_NAME));

    return reference ? name && strcmp(name, reference) == 0 : !name;
}

/* Blobs of a replaced image stay, since others may share them. */
static int update_index(struct layout_writer *w, json_t *entry, const char *reference,
                        struct error *e)
{
    _cleanup_json_ json_t *index = NULL;
    struct digest digest;
    json_t *manifests;
    uint64_t size;
    int r;

    if (reference)
        json_object_set_new(entry, "annotations", json_pack("{s:s}", REF_NAME, reference));
    r = read_index(w, &index, e);
    if (r < 0)
        return r;
    manifests = json_object_get(index, "manifests");
    for (size_t i = json_array_size(manifests); i-- > 0;)
        if (bears(json_array_get(manifests, i), reference))
            json_array_remove(manifests, i);
    json_array_append(manifests, entry);
    return add_document(w, "index.json", index, &digest, &size, e);
}

/* --- the three ways to say what belongs together --- */

/* What has to be new and was made by others meanwhile stays theirs. */
static int finish_new(struct layout_writer *w, struct error *e)
{
    int r = image_output_finish(w->output, e);

    return r == -EAGAIN ? error_sys(e, -EEXIST, "finish") : r;
}

/* Where others have made the layout meanwhile, the index has to name their images, too. */
static int finish_layout(struct layout_writer *w, json_t *entry, const char *reference,
                         struct error *e)
{
    bool layout = true;
    int r;

    do {
        int fd = image_output_fd(w->output);
        r = fd >= 0 ? check_target(w, fd, &layout, e) : 0;
        if (r >= 0)
            r = update_index(w, entry, reference, e);
        if (r >= 0)
            r = image_output_finish(w->output, e);
    } while (r == -EAGAIN);
    return r;
}

static int commit_manifest(struct layout_writer *w, const struct digest *config, uint64_t size,
                           const char *reference, struct digest *ret, struct error *e)
{
    _cleanup_json_ json_t *manifest =
        json_pack("{s:i, s:s, s:o, s:O}", "schemaVersion", 2, "mediaType", OCI "manifest.v1+json",
                  "config", descriptor(OCI "config.v1+json", config, size), "layers", w->layers);
    _cleanup_json_ json_t *entry = NULL;
    uint64_t manifest_size = 0;
    int r =
        add_document(w, is_layout(w) ? NULL : "manifest.json", manifest, ret, &manifest_size, e);

    if (r < 0)
        return r;
    if (!is_layout(w))
        return finish_new(w, e);
    entry = descriptor(OCI "manifest.v1+json", ret, manifest_size);
    return finish_layout(w, entry, reference, e);
}

/* The list that `docker load` reads. */
static int commit_docker(struct layout_writer *w, const struct digest *config,
                         const char *reference, struct error *e)
{
    _cleanup_json_ json_t *list = NULL;
    json_t *tags = json_array();
    char name[FILE_NAME_SIZE];
    struct digest digest;
    uint64_t size;
    int r;

    if (reference)
        json_array_append_new(tags, json_string(reference));
    list = json_pack("[{s:s, s:o, s:O}]", "Config", blob_name(w, config, ".json", name), "RepoTags",
                     tags, "Layers", w->files);
    r = add_document(w, "manifest.json", list, &digest, &size, e);
    return r < 0 ? r : finish_new(w, e);
}

int layout_writer_commit(struct layout_writer *w, const struct image *image, const char *reference,
                         struct digest *ret, struct error *e)
{
    _cleanup_json_ json_t *config = image_document(w, image);
    struct digest digest = {0}, manifest;
    uint64_t size = 0;
    int r = check_texts(image, e);

    if (r >= 0)
        r = add_document(w, NULL, config, &digest, &size, e);
    if (r < 0)
        return r;
    manifest = digest;
    if (w->transport == TRANSPORT_DOCKER_ARCHIVE)
        r = commit_docker(w, &digest, reference, e);
    else
        r = commit_manifest(w, &digest, size, reference, &manifest, e);
    if (r < 0)
        return r;
    *ret = manifest;
    return 0;
}
