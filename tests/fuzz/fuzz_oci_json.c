/* links: image */
/* Documents of a foreign image: index, manifest, configuration; and the store's own records and
 * notes, which must come back as they were written. */
#include "image/fields.h"
#include "image/notes.h"
#include "image/oci.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_image_documents(const json_t *json, struct error *e)
{
    _cleanup_(oci_manifest_free_p) struct oci_manifest *manifest = NULL;
    _cleanup_(image_free_p) struct image *image = image_new();
    _cleanup_free_ struct oci_index_entry *entries = NULL;
    _cleanup_free_ struct digest *diff_ids = NULL;
    size_t n = 0;

    (void)oci_index_parse(json, &entries, &n, e);
    (void)oci_manifest_parse(json, &manifest, e);
    if (image && oci_config_parse(json, image, &diff_ids, &n, e) == 0 && image->created_unix < 0)
        abort();
}

static void try_record(const json_t *json, struct error *e)
{
    _cleanup_(image_free_p) struct image *image = NULL, *again = NULL;
    _cleanup_json_ json_t *written = NULL, *rewritten = NULL;

    if (image_from_json(json, &image, e) < 0)
        return;
    written = image_to_json(image);
    if (image_from_json(written, &again, e) < 0)
        abort();
    rewritten = image_to_json(again);
    if (!json_equal(written, rewritten))
        abort();
}

static void try_notes(const json_t *json, struct error *e)
{
    _cleanup_notes_ struct layer_notes notes = {0}, again = {0};
    _cleanup_json_ json_t *written = NULL, *rewritten = NULL;

    if (layer_notes_from_json(json, &notes, e) < 0)
        return;
    written = layer_notes_to_json(&notes);
    if (!written || layer_notes_from_json(written, &again, e) < 0)
        abort();
    rewritten = layer_notes_to_json(&again);
    if (!json_equal(written, rewritten))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_json_ json_t *json = NULL;
    struct error e = ERROR_INIT;

    if (json_parse_object(data, size, &json, &e) < 0)
        return 0;
    try_image_documents(json, &e);
    try_record(json, &e);
    try_notes(json, &e);
    return 0;
}
