/* image_load(): from a reference to a record in the store. Everything is made in tmp/; layers move
 * to their places when all of them are there and on disk, the record comes last. */
#include "base/fdio.h"
#include "base/text.h"
#include "image/bounds.h"
#include "image/fields.h"
#include "image/load_layers.h"
#include "image/names.h"
#include "image/oci.h"
#include "image/pack.h"
#include "image/seam.h"
#include "image/source.h"
#include "image/store.h"
#include "image/unpack.h"

#include <linux/limits.h>
#include <string.h>

struct load {
    struct image_store *store;
    const struct image_load_options *options;
    struct image_source *source;
    struct oci_manifest *manifest;
    struct digest *diff_ids; /* one a layer of the manifest */
    bool *fresh;             /* which of them were unpacked now */
    struct image *image;
    struct seam *seam; /* NULL where none is needed */
    bool seam_fresh;
    size_t *missing; /* those of them to be unpacked */
    uint64_t total;  /* size of their blobs */
    char what[64];
};

static void load_clear(struct load *l)
{
    image_source_close(l->source);
    oci_manifest_free(l->manifest);
    free(l->diff_ids);
    free(l->fresh);
    free(l->missing);
    seam_free(l->seam);
    image_free(l->image);
}

static int read_config(struct load *l, struct error *e)
{
    _cleanup_json_ json_t *json = NULL;
    char text[DIGEST_TEXT_SIZE];
    size_t n = 0;
    int r = image_source_read(l->source, &l->manifest->config, "configuration", &json, e);

    if (r < 0)
        return r;
    r = oci_config_parse(json, l->image, &l->diff_ids, &n, e);
    if (r >= 0 && n != l->manifest->n_layers)
        r = error_set(e, -EBADMSG, "rootfs.diff_ids: %zu entries, the manifest has %zu layers", n,
                      l->manifest->n_layers);
    if (r < 0)
        return error_prefix(e, r, "configuration %s",
                            digest_text(&l->manifest->config.digest, text));
    l->image->id = strdup(digest_text(&l->manifest->config.digest, text));
    l->image->digest = strdup(digest_text(&l->manifest->self.digest, text));
    return l->image->id && l->image->digest ? 0 : error_sys(e, -ENOMEM, "image");
}

static void report_progress(void *userdata, uint64_t done)
{
    struct load *l = userdata;

    l->options->progress(l->options->userdata, l->what, done, MAX(done, l->total));
}

static void tell_one(void *userdata, uint64_t done)
{
    (void)userdata;
    layer_work_tell(done);
}

static int unpack_into(struct load *l, size_t i, struct error *e)
{
    struct oci_descriptor *blob = &l->manifest->layers[i];
    const struct digest *diff_id = &l->diff_ids[i];
    _cleanup_image_file_ struct image_file file = IMAGE_FILE_INIT;
    _cleanup_close_ int root_fd = -EBADF;
    _cleanup_notes_ struct layer_notes notes = {0};
    struct unpack_request q = {
        .file = &file,
        .blob = blob,
        .diff_id = diff_id,
        .bounds = l->options->bounds ? l->options->bounds : &image_bounds_default,
        .progress = l->options->progress ? tell_one : NULL,
    };
    int r = image_source_open_blob(l->source, blob, &file, e);

    if (r >= 0)
        r = store_begin_layer(l->store, diff_id, &root_fd, e);
    if (r < 0)
        return r;
    q.root_fd = root_fd;
    r = unpack_layer(&q, &notes, e);
    return r < 0 ? r : store_note_layer(l->store, diff_id, &notes, e);
}

static int unpack_one(void *userdata, size_t number, struct error *e)
{
    struct load *l = userdata;
    size_t i = l->missing[number];
    char text[DIGEST_TEXT_SIZE];
    int r = unpack_into(l, i, e);

    return r < 0 ? error_prefix(e, r, "layer %s", digest_text(&l->manifest->layers[i].digest, text))
                 : 0;
}

/* A layer that stands twice in the image is unpacked once. */
static bool unpacked_before(const struct load *l, size_t i)
{
    for (size_t j = 0; j < i; j++)
        if (l->fresh[j] && digest_equal(&l->diff_ids[j], &l->diff_ids[i]))
            return true;
    return false;
}

/* Which layers are new to the store, and which of them were not complete in tmp/ already. */
static int find_missing(struct load *l, size_t *ret, struct error *e)
{
    size_t n = 0;

    l->fresh = calloc(l->manifest->n_layers, sizeof(*l->fresh));
    l->missing = calloc(l->manifest->n_layers, sizeof(*l->missing));
    if (!l->fresh || !l->missing)
        return error_sys(e, -ENOMEM, "layers");
    for (size_t i = 0; i < l->manifest->n_layers; i++) {
        bool there = false;
        int r = store_has_layer(l->store, &l->diff_ids[i], &there, e);
        if (r < 0)
            return r;
        l->fresh[i] = !there && !unpacked_before(l, i);
        if (!l->fresh[i] || store_has_unfinished(l->store, &l->diff_ids[i]))
            continue;
        l->missing[n++] = i;
        l->total += l->manifest->layers[i].size;
    }
    *ret = n;
    return 0;
}

static int unpack_layers(struct load *l, struct error *e)
{
    struct layer_work work = {.unpack = unpack_one, .userdata = l};
    int r = find_missing(l, &work.n, e);

    if (r < 0)
        return r;
    snprintf(l->what, sizeof(l->what), "%zu of %zu layers", work.n, l->manifest->n_layers);
    if (l->options->progress)
        work.progress = report_progress;
    return layer_work_run(&work, e);
}

/* The record, then everything at once: each wait for the disk costs the same again. */
static int commit(struct load *l, struct error *e)
{
    bool any = l->seam_fresh;
    int r;

    for (size_t i = 0; i < l->manifest->n_layers; i++)
        any |= l->fresh[i];
    r = store_write_record(l->store, l->image, !any, e);
    if (r >= 0 && any)
        r = store_sync(l->store, e);
    for (size_t i = 0; r >= 0 && i < l->manifest->n_layers; i++)
        if (l->fresh[i])
            r = store_commit_layer(l->store, &l->diff_ids[i], e);
    if (r >= 0 && l->seam_fresh)
        r = store_commit_layer(l->store, seam_digest(l->seam), e);
    return r < 0 ? r : store_commit_record(l->store, l->image, e);
}

/* Layers below one whose root is opaque are not part of the image. */
static void cut_hidden_layers(struct load *l, struct seam_layer *stack, size_t *n)
{
    for (size_t i = *n; i-- > 1;) {
        for (const char *path = path_list_next(&stack[i].notes.lists[LAYER_OPAQUE], NULL); path;
             path = path_list_next(&stack[i].notes.lists[LAYER_OPAQUE], path)) {
            if (path[0])
                continue;
            for (size_t j = 0; j < i; j++) {
                free(l->image->layers[j]);
                safe_close(stack[j].fd);
                layer_notes_clear(&stack[j].notes);
            }
            *n -= i;
            memmove(l->image->layers, l->image->layers + i, (*n + 1) * sizeof(char *));
            memmove(stack, stack + i, *n * sizeof(*stack));
            return;
        }
    }
}

static int make_seam(struct load *l, struct error *e)
{
    _cleanup_close_ int fd = -EBADF;
    _cleanup_notes_ struct layer_notes notes = {0};
    const struct digest *digest = seam_digest(l->seam);
    char text[DIGEST_TEXT_SIZE];
    bool there = false;
    int r = store_has_layer(l->store, digest, &there, e);

    if (r >= 0 && !there)
        l->seam_fresh = true;
    if (l->seam_fresh && !store_has_unfinished(l->store, digest)) {
        r = store_begin_layer(l->store, digest, &fd, e);
        if (r >= 0)
            r = seam_make(l->seam, fd, &notes, e);
        if (r >= 0)
            r = sums_take(fd, &notes.sums, e);
        if (r >= 0)
            r = store_note_layer(l->store, digest, &notes, e);
    }
    if (r >= 0 && strv_append(&l->image->layers, digest_text(digest, text)) < 0)
        r = error_sys(e, -ENOMEM, "image");
    return r < 0 ? error_prefix(e, r, "seam of the layers") : 0;
}

static int join_stack(struct load *l, struct seam_layer *stack, size_t *n, struct error *e)
{
    for (; l->image->layers[*n]; ++*n) {
        struct digest diff_id;
        int r = digest_parse(l->image->layers[*n], &diff_id);
        if (r >= 0)
            r = store_open_layer(l->store, &diff_id, &stack[*n].fd, &stack[*n].notes, e);
        if (r < 0)
            return r;
    }
    cut_hidden_layers(l, stack, n);
    for (size_t i = 0; i < *n; i++) {
        l->image->size += stack[i].notes.bytes;
        l->image->dropped_devices += stack[i].notes.dropped_devices;
        l->image->dropped_xattrs += stack[i].notes.dropped_xattrs;
    }
    return seam_plan(stack, *n, &l->seam, e);
}

static int join_layers(struct load *l, struct error *e)
{
    struct seam_layer *stack = calloc(strv_length(l->image->layers) + 1, sizeof(*stack));
    size_t n = 0;
    int r = stack ? join_stack(l, stack, &n, e) : error_sys(e, -ENOMEM, "layers");

    for (size_t i = 0; i < n; i++) {
        safe_close(stack[i].fd);
        layer_notes_clear(&stack[i].notes);
    }
    free(stack);
    return r < 0 || !l->seam ? r : make_seam(l, e);
}

/* Layers of `docker save` have no digest of their own: the diffID names them. */
static void name_layers(struct load *l)
{
    for (size_t i = 0; i < l->manifest->n_layers; i++)
        if (l->manifest->layers[i].unverified)
            l->manifest->layers[i].digest = l->diff_ids[i];
}

static int load_image(struct load *l, const struct image_reference *reference, struct error *e)
{
    char shown[FIELD_SHOWN_MAX];
    int r = image_source_open(reference, &l->source, e);

    if (r >= 0)
        r = image_source_resolve(l->source, &l->manifest, e);
    if (r < 0 || !l->manifest)
        return error_prefix(e, r, "%s", image_reference_show(reference, shown));
    r = read_config(l, e);
    if (r >= 0)
        name_layers(l);
    if (r >= 0)
        r = unpack_layers(l, e);
    if (r >= 0)
        r = join_layers(l, e);
    return r < 0 ? error_prefix(e, r, "%s", image_reference_show(reference, shown)) : 0;
}

/* A root file system is packed into a layout below tmp/ and loaded from there: what it is verified
 * by is its own. */
static int load_rootfs(struct load *l, const struct image_reference *rootfs, struct error *e)
{
    const struct image_pack_options options = {
        .config = l->options->config,
        .compression = IMAGE_COMPRESSION_NONE,
        .created = -1,
    };
    char *dirs[] = {rootfs->path, NULL};
    _cleanup_free_ char *place = text_printf("%s/tmp/rootfs", l->store->directory);
    const struct image_reference packed = {TRANSPORT_OCI, place, NULL, IMAGE_SOURCE_INDEX_NONE};
    struct image_packed result = {0};
    char shown[FIELD_SHOWN_MAX];
    int r =
        place ? pack_into(&packed, dirs, &options, &result, e) : error_sys(e, -ENOMEM, "rootfs");

    if (r < 0)
        return error_prefix(e, r, "%s", image_reference_show(rootfs, shown));
    r = load_image(l, &packed, e);
    if (r < 0)
        return r;
    l->image->dropped_devices += result.dropped_devices;
    l->image->dropped_xattrs += result.dropped_xattrs;
    return 0;
}

static bool config_is_set(const struct image_config *c)
{
    return c->cmd || c->entrypoint || c->env || c->labels || c->working_dir || c->user;
}

static int choose_name(const struct image_reference *reference, const char *wanted, char **ret,
                       struct error *e)
{
    _cleanup_free_ char *name = NULL;
    char file[NAME_MAX + 1];
    int r;

    if (!wanted)
        r = image_reference_name(reference, &name, e);
    else if ((r = image_name_check(wanted, e)) >= 0 && !(name = strdup(wanted)))
        r = error_sys(e, -ENOMEM, "image name");
    if (r >= 0)
        r = image_file_name(name, file, e);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(name);
    return 0;
}

int image_load(struct image_store *s, const char *reference,
               const struct image_load_options *options, struct image **ret_image, struct error *e)
{
    static const struct image_load_options none;
    _cleanup_(load_clear) struct load l = {.store = s, .options = options ? options : &none};
    _cleanup_reference_ struct image_reference parsed = {0};
    int r;

    if (s->mode != IMAGE_STORE_CHANGE)
        return error_set(e, -EROFS, "image store %s: opened for reading only", s->directory);
    r = image_reference_parse(reference, &parsed, e);
    if (r < 0)
        return r;
    l.image = image_new();
    if (!l.image)
        return error_sys(e, -ENOMEM, "image");
    if (parsed.transport != TRANSPORT_ROOTFS && config_is_set(&l.options->config))
        return error_set(e, -EINVAL, "%s: only rootfs: takes a configuration", reference);
    r = choose_name(&parsed, l.options->name, &l.image->name, e);
    if (r >= 0)
        r = parsed.transport == TRANSPORT_ROOTFS ? load_rootfs(&l, &parsed, e)
                                                 : load_image(&l, &parsed, e);
    if (r >= 0)
        r = commit(&l, e);
    store_empty_tmp(s, NULL);
    if (r < 0)
        return r;
    /* Nobody else changes the store before it is closed. */
    r = store_hold_image(s, l.image, e);
    if (r < 0)
        return r;
    *ret_image = TAKE_PTR(l.image);
    return 0;
}
