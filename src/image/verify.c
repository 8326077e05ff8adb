/* Whether what is in the store is still what was unpacked. */
#include "base/text.h"
#include "image/store.h"
#include "image/sums.h"

#include <string.h>

struct verify {
    struct image_store *store;
    const struct image_verify_options *options;
    struct image_verified *result;
    struct image *const *images; /* all that are verified */
    size_t n_images;
    const char *layer;
    struct buffer expected; /* of the layer */
    enum sums_version version;
    size_t number, total; /* of the layers */
};

/* Of several images that share the layer, the first. */
static const char *image_of_layer(const struct verify *v)
{
    for (size_t i = 0; i < v->n_images; i++)
        for (char **layer = v->images[i]->layers; *layer; layer++)
            if (strcmp(*layer, v->layer) == 0)
                return v->images[i]->name;
    return "";
}

static void tell(struct verify *v, const char *path, const char *what)
{
    const struct image_fault fault = {image_of_layer(v), v->layer, path, what};

    v->result->faults++;
    if (v->options->fault)
        v->options->fault(v->options->userdata, &fault);
}

static void tell_properties(struct verify *v, const char *path, unsigned differences)
{
    static const char *const words[SUM_PROPERTIES] = {
        "type", "content", "link target",          "mode",    "owner",
        "time", "xattrs",  "file it is linked to", "missing", "additional",
    };
    char text[256] = "";
    size_t used = 0;

    for (unsigned i = 0; i < SUM_PROPERTIES; i++)
        if (differences & 1U << i)
            used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s", used > 0 ? ", " : "",
                                     words[i]);
    if (!(differences & (SUM_MISSING | SUM_ADDITIONAL)))
        snprintf(text + used, sizeof(text) - used, ": not as unpacked");
    tell(v, path, text);
}

static void tell_difference(void *userdata, const char *path, int code)
{
    struct verify *v = userdata;

    if (code < 0)
        tell(v, path, strerror(-code));
    else if (code > 0)
        tell_properties(v, path, (unsigned)code);
    else if (v->version == SUMS_OF_FILES)
        tell(v, path, "not what was unpacked: its content, type, mode or owner differs");
    else
        tell(v, path,
             "not what was unpacked: it is new, or its content, type, mode, owner, time, links or "
             "attributes differ");
}

static int compare_layer(struct verify *v, int fd, struct error *e)
{
    struct sums_found found = {0};
    int r = sums_compare(fd, v->version, &v->expected, tell_difference, v, &found, e);

    if (r < 0)
        return r;
    v->result->files += found.files;
    if (found.missing > 0) {
        char text[64];
        /* What is new or has another name may stand for some that are gone. */
        snprintf(text, sizeof(text), "%zu %s are missing", found.missing,
                 v->version == SUMS_OF_FILES ? "files" : "names or more");
        tell(v, "", text);
    }
    return 0;
}

/* What makes the layer unreadable is a fault, not a failure: others can still be verified. */
static int verify_layer(struct verify *v, const char *layer)
{
    _cleanup_close_ int fd = -EBADF;
    _cleanup_notes_ struct layer_notes notes = {0};
    struct error e = ERROR_INIT;
    struct digest diff_id;
    char what[64];
    int r = digest_parse(layer, &diff_id);

    v->layer = layer;
    buffer_clear(&v->expected);
    v->result->layers++;
    snprintf(what, sizeof(what), "layer %zu of %zu", v->number, v->total);
    if (v->options->progress)
        v->options->progress(v->options->userdata, what, v->number, v->total);
    if (r >= 0)
        r = store_open_layer(v->store, &diff_id, &fd, &notes, &e);
    v->version = notes.sums_version;
    if (r >= 0)
        r = store_read_sums(v->store, &diff_id, v->version, &v->expected, &e);
    if (r >= 0)
        r = compare_layer(v, fd, &e);
    if (r == -ENOMEM)
        return r;
    if (r < 0)
        tell(v, "", e.text);
    return 0;
}

static int collect(struct image *const *images, size_t n, char ***ret)
{
    for (size_t i = 0; i < n; i++) {
        for (char **layer = images[i]->layers; *layer; layer++) {
            bool there = false;
            int r;
            for (char **other = *ret; other && *other && !there; other++)
                there = strcmp(*other, *layer) == 0;
            r = there ? 0 : strv_append(ret, *layer);
            if (r < 0)
                return r;
        }
    }
    return 0;
}

int image_store_verify(struct image_store *s, const char *name,
                       const struct image_verify_options *options, struct image_verified *ret,
                       struct error *e)
{
    struct image_verified result = {0};
    struct verify v = {.store = s, .options = options, .result = &result};
    _cleanup_strv_ char **layers = NULL;
    struct image **images = NULL, *one = NULL;
    size_t n = 1;
    int r =
        name ? image_store_get(s, name, &one, e) : image_store_list(s, IMAGE_HOLD, &images, &n, e);

    if (r < 0)
        return r;
    r = collect(name ? &one : images, n, &layers);
    v.images = name ? &one : images;
    v.n_images = n;
    v.total = strv_length(layers);
    for (char **layer = layers; r >= 0 && layer && *layer; layer++) {
        v.number++;
        r = verify_layer(&v, *layer);
    }
    buffer_clear(&v.expected);
    image_free(one);
    for (size_t i = 0; images && i < n; i++)
        image_free(images[i]);
    free(images);
    if (r < 0)
        return error_sys(e, r, "verify");
    *ret = result;
    return 0;
}
