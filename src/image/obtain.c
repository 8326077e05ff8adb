/* From what a user typed to an image that can be run. */
#include "image/fields.h"
#include "image/image.h"
#include "image/names.h"
#include "image/oci.h"
#include "image/source.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static int obtain_rootfs(const struct image_reference *reference,
                         const struct image_load_options *options, struct image **ret,
                         struct error *e)
{
    _cleanup_(image_free_p) struct image *image = image_new();
    struct stat st;
    int r;

    if (!image)
        return error_sys(e, -ENOMEM, "image");
    image->directory = realpath(reference->path, NULL);
    if (!image->directory || stat(image->directory, &st) < 0)
        return error_sys(e, -errno, "rootfs:%s", reference->path);
    if (!S_ISDIR(st.st_mode))
        return error_set(e, -ENOTDIR, "rootfs:%s: not a directory", reference->path);
    image->name = strdup(options->name ? options->name : image->directory);
    image->os = strdup("linux");
    image->architecture = strdup(oci_architecture());
    if (!image->name || !image->os || !image->architecture)
        return error_sys(e, -ENOMEM, "image");
    r = image_config_apply(&options->config, image, e);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(image);
    return 0;
}

/* The digest by which the store would know the image. */
static int find_digest(const struct image_reference *reference, char *text, struct error *e)
{
    _cleanup_(image_source_close_p) struct image_source *source = NULL;
    _cleanup_(oci_manifest_free_p) struct oci_manifest *manifest = NULL;
    char shown[FIELD_SHOWN_MAX];
    int r = image_source_open(reference, &source, e);

    if (r >= 0)
        r = image_source_resolve(source, &manifest, e);
    if (r < 0)
        return error_prefix(e, r, "%s", image_reference_show(reference, shown));
    digest_text(&manifest->self.digest, text);
    return 0;
}

/* -ENOENT where the store, or the image in it, is not there. */
static int find_loaded(const char *store_dir, const char *digest, const char *name,
                       struct image **ret, struct error *e)
{
    _cleanup_(image_store_close_p) struct image_store *store = NULL;
    _cleanup_(image_free_p) struct image *image = NULL;
    int r = image_store_open(store_dir, IMAGE_STORE_READ, &store, e);

    if (r < 0)
        return r;
    if (name) {
        r = image_store_get(store, name, &image, e);
        if (r >= 0 && strcmp(image->digest, digest) != 0)
            return -ENOENT;
    } else {
        r = image_store_get(store, digest, &image, e);
    }
    if (r >= 0)
        *ret = TAKE_PTR(image);
    return r;
}

static int obtain_from_source(const char *store_dir, const char *text,
                              const struct image_reference *reference,
                              const struct image_load_options *options, struct image **ret,
                              struct error *e)
{
    _cleanup_(image_store_close_p) struct image_store *store = NULL;
    char digest[DIGEST_TEXT_SIZE];
    int r = find_digest(reference, digest, e);

    if (r < 0)
        return r;
    r = find_loaded(store_dir, digest, options->name, ret, e);
    if (r != -ENOENT)
        return r;
    if (e)
        *e = (struct error)ERROR_INIT;
    r = image_store_open(store_dir, IMAGE_STORE_CHANGE, &store, e);
    return r < 0 ? r : image_load(store, text, options, ret, e);
}

int image_obtain(const char *store_dir, const char *text, const struct image_load_options *options,
                 struct image **ret, struct error *e)
{
    static const struct image_load_options none;
    _cleanup_reference_ struct image_reference reference = {0};
    _cleanup_(image_store_close_p) struct image_store *store = NULL;
    int r;

    if (!image_reference_is_one(text)) {
        r = image_store_open(store_dir, IMAGE_STORE_READ, &store, e);
        return r < 0 ? r : image_store_get(store, text, ret, e);
    }
    r = image_reference_parse(text, &reference, e);
    if (r < 0)
        return r;
    options = options ? options : &none;
    if (reference.transport == TRANSPORT_ROOTFS)
        return obtain_rootfs(&reference, options, ret, e);
    return obtain_from_source(store_dir, text, &reference, options, ret, e);
}
