#include "image/layout_write.h"

#include "base/fdio.h"
#include "base/text.h"
#include "image/bounds.h"
#include "image/fields.h"
#include "image/layer_write.h"
#include "image/oci.h"

#include <dirent.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#define OCI      "application/vnd.oci.image."
#define REF_NAME "org.opencontainers.image.ref.name"
/* Compact and sorted, so that the same image has the same digest. */
#define JSON_FORM (JSON_COMPACT | JSON_SORT_KEYS)

struct layout_writer {
    int fd;       /* the layout; locked */
    int blobs_fd; /* blobs/sha256 */
    json_t *layers, *diff_ids;
};

void layout_writer_close(struct layout_writer *w)
{
    if (!w)
        return;
    safe_close(w->blobs_fd);
    safe_close(w->fd);
    json_decref(w->layers);
    json_decref(w->diff_ids);
    free(w);
}

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
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            *ret = false;
    closedir(dir);
    return 0;
}

/* NAME appears whole or not at all. */
static int write_file(int dir_fd, const char *name, const void *data, size_t size)
{
    char part[32];
    _cleanup_close_ int fd = -EBADF;
    int r;

    snprintf(part, sizeof(part), ".part.%d", (int)getpid());
    fd = openat(dir_fd, part, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0)
        return -errno;
    r = fd_write_full(fd, data, size);
    if (r >= 0 && fsync(fd) < 0)
        r = -errno;
    if (r >= 0 && renameat(dir_fd, part, dir_fd, name) < 0)
        r = -errno;
    if (r < 0)
        unlinkat(dir_fd, part, 0);
    return r;
}

static int prepare(struct layout_writer *w, struct error *e)
{
    static const char text[] = "{\"imageLayoutVersion\": \"1.0.0\"}";
    bool empty = false;
    int r = 0;

    /* One writer at a time: the index is read and written again. */
    if (flock(w->fd, LOCK_EX) < 0)
        return error_sys(e, -errno, "lock");
    if (faccessat(w->fd, "oci-layout", F_OK, 0) < 0) {
        r = is_empty(w->fd, &empty);
        if (r >= 0 && !empty)
            return error_set(e, -ENOTDIR, "neither an OCI image layout nor empty");
        if (r >= 0)
            r = write_file(w->fd, "oci-layout", text, strlen(text));
    }
    if (r >= 0 && mkdirat(w->fd, "blobs", 0755) < 0 && errno != EEXIST)
        r = -errno;
    if (r >= 0 && mkdirat(w->fd, "blobs/sha256", 0755) < 0 && errno != EEXIST)
        r = -errno;
    if (r >= 0)
        w->blobs_fd = openat(w->fd, "blobs/sha256", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (r < 0 || w->blobs_fd < 0)
        return error_sys(e, r < 0 ? r : -errno, "make the layout");
    return 0;
}

int layout_writer_open(const char *path, struct layout_writer **ret, struct error *e)
{
    _cleanup_(layout_writer_close_p) struct layout_writer *w = calloc(1, sizeof(*w));
    int r;

    if (!w)
        return error_sys(e, -ENOMEM, "layout");
    w->fd = w->blobs_fd = -EBADF;
    w->layers = json_array();
    w->diff_ids = json_array();
    if (mkdir(path, 0755) < 0 && errno != EEXIST)
        return error_sys(e, -errno, "make");
    w->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (w->fd < 0)
        return error_sys(e, -errno, "open");
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

int layout_writer_add_layer(struct layout_writer *w, int root_fd,
                            const struct pack_tree_options *options,
                            enum image_compression compression, struct pack_tree_result *result,
                            struct error *e)
{
    static const char *const types[] = {
        [IMAGE_COMPRESSION_ZSTD] = OCI "layer.v1.tar+zstd",
        [IMAGE_COMPRESSION_NONE] = OCI "layer.v1.tar",
    };
    struct layer_written written;
    struct pack_tree_result packed = {0};
    char text[DIGEST_TEXT_SIZE];
    int r = layer_write(w->blobs_fd, root_fd, options, compression, &written, &packed, e);

    if (r < 0)
        return r;
    json_array_append_new(w->layers, descriptor(types[compression], &written.blob, written.size));
    json_array_append_new(w->diff_ids, json_string(digest_text(&written.diff_id, text)));
    if (result)
        *result = packed;
    return 0;
}

/* --- documents --- */

static int add_document(struct layout_writer *w, const json_t *json, const char *media_type,
                        json_t **ret, struct digest *ret_digest, struct error *e)
{
    _cleanup_free_ char *text = json ? json_dumps(json, JSON_FORM) : NULL;
    struct digest digest;
    int r = text ? digest_of(DIGEST_SHA256, text, strlen(text), &digest) : -ENOMEM;

    if (r >= 0)
        r = write_file(w->blobs_fd, digest.hex, text, strlen(text));
    if (r < 0)
        return error_sys(e, r, "write a blob");
    *ret = descriptor(media_type, &digest, strlen(text));
    *ret_digest = digest;
    return 0;
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
    int r = fd_read_file(w->fd, "index.json", &b, IMAGE_JSON_MAX);

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

/* Takes MANIFEST's reference. Blobs of a replaced image stay, since others may share them. */
static int update_index(struct layout_writer *w, json_t *manifest, const char *reference,
                        struct error *e)
{
    _cleanup_json_ json_t *index = NULL, *entry = manifest;
    _cleanup_free_ char *text = NULL;
    json_t *manifests;
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
    text = json_dumps(index, JSON_FORM);
    r = text ? write_file(w->fd, "index.json", text, strlen(text)) : -ENOMEM;
    return r < 0 ? error_sys(e, r, "index.json") : 0;
}

int layout_writer_commit(struct layout_writer *w, const struct image *image, const char *reference,
                         struct digest *ret, struct error *e)
{
    _cleanup_json_ json_t *config = image_document(w, image), *manifest = NULL;
    json_t *config_descriptor = NULL, *self = NULL;
    struct digest digest;
    int r = check_texts(image, e);

    if (r >= 0)
        r = add_document(w, config, OCI "config.v1+json", &config_descriptor, &digest, e);
    if (r < 0)
        return r;
    manifest = json_pack("{s:i, s:s, s:o, s:O}", "schemaVersion", 2, "mediaType",
                         OCI "manifest.v1+json", "config", config_descriptor, "layers", w->layers);
    r = add_document(w, manifest, OCI "manifest.v1+json", &self, &digest, e);
    if (r >= 0 && fsync(w->blobs_fd) < 0)
        r = error_sys(e, -errno, "fsync");
    r = r < 0 ? r : update_index(w, self, reference, e);
    if (r < 0)
        return r;
    *ret = digest;
    return 0;
}
