/* OCI documents (image-spec, image-index.md, manifest.md, config.md). */
#pragma once

#include "base/error.h"
#include "image/digest.h"
#include "image/image.h"

#include <stdint.h>

enum layer_compression { LAYER_PLAIN, LAYER_GZIP, LAYER_ZSTD };

struct oci_descriptor {
    struct digest digest;
    uint64_t size;
    enum layer_compression compression; /* of a layer */
    bool unverified; /* nobody told its digest, size and compression: `docker save` */
    char *file;      /* its name in the source, owned by the manifest; NULL: its digest's */
};

struct oci_manifest {
    struct oci_descriptor self, config;
    struct oci_descriptor *layers; /* lowest first */
    size_t n_layers;
};

void oci_manifest_free(struct oci_manifest *m);
DEFINE_CLEANUP(struct oci_manifest, oci_manifest_free)

/** What an index entry says, as far as choosing one needs it. The strings belong to the JSON. */
struct oci_index_entry {
    struct oci_descriptor descriptor;
    bool is_index;
    bool is_image;            /* neither: an artifact */
    const char *name;         /* org.opencontainers.image.ref.name, or NULL */
    const char *os;           /* NULL where it names no platform */
    const char *architecture; /* likewise */
};

/** Reads one index. *ret_entries is the caller's, its strings live as long as JSON. -EBADMSG. */
int oci_index_parse(const json_t *json, struct oci_index_entry **ret_entries, size_t *ret_n,
                    struct error *e);
/** Reads one image manifest. -EBADMSG for what it must not be, -ENOTSUP for layers that are not in
 * the image ("foreign") or of an unknown type. */
int oci_manifest_parse(const json_t *json, struct oci_manifest **ret, struct error *e);
/** Reads a configuration: everything of struct image but name, digest, id and size. layers gets
 * every diffID once, at its topmost place; *ret_diff_ids (the caller's) one per layer. */
int oci_config_parse(const json_t *json, struct image *image, struct digest **ret_diff_ids,
                     size_t *ret_n, struct error *e);
/** The labels at KEY of OBJECT, which may lack them. */
int image_labels_from_json(const json_t *object, const char *where, const char *key,
                           struct image *image, struct error *e);
/** The name of this machine in platform objects ("amd64", "arm64"). */
const char *oci_architecture(void);
/** Seconds since the epoch of an RFC 3339 time, 0 where TEXT is none or earlier. */
int64_t oci_parse_time(const char *text);
