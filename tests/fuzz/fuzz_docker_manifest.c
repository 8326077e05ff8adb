/* links: image */
/* manifest.json of a foreign `docker save`, asked for every kind of reference. */
#include "image/fields.h"
#include "image/names.h"
#include "image/oci.h"
#include "image/source.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const references[] = {
        "docker-archive:a.tar", "docker-archive:a.tar:debian:12", "docker-archive:a.tar:@1"};
    _cleanup_json_ json_t *json = NULL;
    struct error e = ERROR_INIT;

    if (json_parse_array(data, size, &json, &e) < 0)
        return 0;
    for (size_t i = 0; i < ARRAY_SIZE(references); i++) {
        _cleanup_reference_ struct image_reference reference = {0};
        _cleanup_(oci_manifest_free_p) struct oci_manifest *manifest = NULL;
        if (image_reference_parse(references[i], &reference, &e) < 0)
            abort();
        e = (struct error)ERROR_INIT;
        if (docker_manifest_choose(json, &reference, &manifest, &e) < 0 && !e.text[0])
            abort();
    }
    return 0;
}
