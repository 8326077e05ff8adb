/* image_pack(), image_export(), and what loading a root file system is made of. */
#include "image/pack.h"

#include "base/fdio.h"
#include "base/text.h"
#include "image/fields.h"
#include "image/layout_write.h"
#include "image/names.h"
#include "image/oci.h"
#include "image/store.h"

#include <string.h>
#include <sys/stat.h>
#include <time.h>

static int open_root(const char *dir, int *ret, struct error *e)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return error_sys(e, -errno, "%s", dir);
    *ret = fd;
    return 0;
}

/* The time of creation: what was asked for, else that of the newest file, which repeats. */
static int find_time(char *const *dirs, const struct image_pack_options *options, int64_t *ret,
                     struct error *e)
{
    int64_t wanted = options->created;

    *ret = wanted < 0 ? 0 : wanted;
    for (; wanted < 0 && *dirs; dirs++) {
        _cleanup_close_ int fd = -EBADF;
        int64_t newest = 0;
        int r = open_root(*dirs, &fd, e);
        if (r >= 0 && (r = pack_newest(fd, options->stop, &newest, e)) < 0)
            error_prefix(e, r, "%s", *dirs);
        if (r < 0)
            return r;
        *ret = MAX(*ret, newest);
    }
    return 0;
}

static int describe(const struct image_config *config, int64_t created, struct image **ret,
                    struct error *e)
{
    _cleanup_(image_free_p) struct image *image = image_new();
    time_t time = (time_t)created;
    char text[40];
    struct tm tm;
    int r;

    if (!image)
        return error_sys(e, -ENOMEM, "image");
    if (!gmtime_r(&time, &tm) || strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        return error_set(e, -EINVAL, "a time of creation that no calendar has");
    image->created = strdup(text);
    image->architecture = strdup(oci_architecture());
    image->os = strdup("linux");
    if (!image->created || !image->architecture || !image->os)
        return error_sys(e, -ENOMEM, "image");
    r = image_config_apply(config, image, e);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(image);
    return 0;
}

static int add_trees(struct layout_writer *w, char *const *dirs,
                     const struct image_pack_options *options, struct image_packed *packed,
                     struct error *e)
{
    const struct pack_tree_options tree = {
        .overlay = options->overlay, .mtime_max = options->created, .stop = options->stop};

    for (; *dirs; dirs++) {
        _cleanup_close_ int fd = -EBADF;
        struct pack_tree_result result = {0};
        int r = open_root(*dirs, &fd, e);
        if (r >= 0 &&
            (r = layout_writer_add_layer(w, fd, &tree, options->compression, &result, e)) < 0)
            error_prefix(e, r, "%s", *dirs);
        if (r < 0)
            return r;
        packed->entries += result.entries;
        packed->bytes += result.bytes;
        packed->dropped_devices += result.dropped_devices;
        packed->dropped_xattrs += result.dropped_xattrs;
    }
    return 0;
}

int pack_into(const struct image_reference *target, char *const *dirs,
              const struct image_pack_options *options, struct image_packed *ret, struct error *e)
{
    _cleanup_(layout_writer_close_p) struct layout_writer *w = NULL;
    _cleanup_(image_free_p) struct image *image = NULL;
    struct image_packed packed = {0};
    char shown[FIELD_SHOWN_MAX];
    struct digest digest;
    int64_t created = 0;
    int r = find_time(dirs, options, &created, e);

    if (r >= 0)
        r = describe(&options->config, created, &image, e);
    if (r >= 0 && (r = layout_writer_open(target, &w, e)) < 0)
        error_prefix(e, r, "%s", image_reference_show(target, shown));
    if (r >= 0)
        r = add_trees(w, dirs, options, &packed, e);
    if (r >= 0 && (r = layout_writer_commit(w, image, target->reference, &digest, e)) < 0)
        error_prefix(e, r, "%s", image_reference_show(target, shown));
    if (r < 0)
        return r;
    digest_text(&digest, packed.digest);
    *ret = packed;
    return 0;
}

int image_compression_parse(const char *text, enum image_compression *ret)
{
    static const char *const names[] = {
        [IMAGE_COMPRESSION_ZSTD] = "zstd",
        [IMAGE_COMPRESSION_GZIP] = "gzip",
        [IMAGE_COMPRESSION_NONE] = "none",
    };

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (names[i] && strcmp(text, names[i]) == 0) {
            *ret = (enum image_compression)i;
            return 0;
        }
    }
    return -EINVAL;
}

static int parse_target(const char *text, enum image_compression compression,
                        struct image_reference *ret, struct error *e)
{
    _cleanup_reference_ struct image_reference reference = {0};
    int r = image_reference_parse(text, &reference, e);

    if (r < 0)
        return r;
    if (reference.transport == TRANSPORT_ROOTFS)
        return error_set(e, -EINVAL, "%s: only read, not written", text);
    if (reference.index != IMAGE_SOURCE_INDEX_NONE)
        return error_set(e, -EINVAL, "%s: a place (@INDEX) can only be read", text);
    if (reference.transport == TRANSPORT_DOCKER_ARCHIVE) {
        if (compression != IMAGE_COMPRESSION_DEFAULT && compression != IMAGE_COMPRESSION_NONE)
            return error_set(e, -EINVAL, "%s: its layers are not compressed", text);
        r = docker_name_complete(&reference.reference, e);
    }
    if (r < 0)
        return error_prefix(e, r, "%s", text);
    *ret = reference;
    reference = (struct image_reference){0};
    return 0;
}

int image_pack(char *const *dirs, const char *target, const struct image_pack_options *options,
               struct image_packed *ret, struct error *e)
{
    _cleanup_reference_ struct image_reference reference = {0};
    int r = parse_target(target, options->compression, &reference, e);

    return r < 0 ? r : pack_into(&reference, dirs, options, ret, e);
}

static int export_layers(struct image_store *s, struct layout_writer *w, const struct image *image,
                         const struct image_export_options *options, struct image_packed *packed,
                         struct error *e)
{
    const struct pack_tree_options tree = {.overlay = true, .mtime_max = -1, .stop = options->stop};

    for (char **layer = image->layers; *layer; layer++) {
        _cleanup_close_ int fd = -EBADF;
        _cleanup_notes_ struct layer_notes notes = {0};
        struct pack_tree_result result = {0};
        struct digest diff_id;
        int r = digest_parse(*layer, &diff_id);
        if (r >= 0)
            r = store_open_layer(s, &diff_id, &fd, &notes, e);
        if (r >= 0)
            r = layout_writer_add_layer(w, fd, &tree, options->compression, &result, e);
        if (r < 0)
            return error_prefix(e, r, "layer %s", *layer);
        packed->entries += result.entries;
        packed->bytes += result.bytes;
    }
    return 0;
}

int image_export(struct image_store *s, const char *name, const char *target,
                 const struct image_export_options *options, struct image_packed *ret,
                 struct error *e)
{
    _cleanup_reference_ struct image_reference reference = {0};
    _cleanup_(layout_writer_close_p) struct layout_writer *w = NULL;
    _cleanup_(image_free_p) struct image *image = NULL;
    struct image_packed packed = {0};
    char shown[FIELD_SHOWN_MAX];
    struct digest digest;
    int r = parse_target(target, options->compression, &reference, e);

    if (r >= 0)
        r = image_store_get(s, name, &image, e);
    if (r < 0)
        return r;
    r = layout_writer_open(&reference, &w, e);
    if (r >= 0)
        r = export_layers(s, w, image, options, &packed, e);
    if (r >= 0)
        r = layout_writer_commit(w, image, reference.reference, &digest, e);
    if (r < 0)
        return error_prefix(e, r, "%s", image_reference_show(&reference, shown));
    digest_text(&digest, packed.digest);
    *ret = packed;
    return 0;
}
