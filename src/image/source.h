/* Where images are loaded from: one reference's source, opened. It finds the manifest and its blobs
 * whatever the source's form; contents are verified by whoever reads them. */
#pragma once

#include "base/error.h"
#include "image/files.h"
#include "image/names.h"
#include "image/oci.h"

#include <jansson.h>

struct image_source;

/** Opens the directory or archive of any transport but rootfs and checks that it is what it is said
 * to be. REFERENCE is kept by the caller. */
int image_source_open(const struct image_reference *reference, struct image_source **ret,
                      struct error *e);
void image_source_close(struct image_source *s);
DEFINE_CLEANUP(struct image_source, image_source_close)

/** The manifest of the image that the reference means, or of the only one for this machine, through
 * nested indexes. */
int image_source_resolve(struct image_source *s, struct oci_manifest **ret, struct error *e);
/** Reads a JSON blob whole: size, digest, syntax checked. *ret is a new reference. */
int image_source_read(struct image_source *s, const struct oci_descriptor *d, const char *what,
                      json_t **ret, struct error *e);
/** Opens a blob of the right size; the content is not looked at, except that a layer whose
 * compression nobody told has it filled in. */
int image_source_open_blob(struct image_source *s, struct oci_descriptor *d, struct image_file *ret,
                           struct error *e);

/* For source.c's other half, docker_archive.c. */

/** manifest.json of `docker save`: the image REFERENCE means, as a manifest. Layers and
 * configuration bear file names; digests are left for whoever knows them. */
int docker_manifest_choose(const json_t *array, const struct image_reference *reference,
                           struct oci_manifest **ret, struct error *e);
