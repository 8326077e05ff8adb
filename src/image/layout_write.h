/* Writes an image: into an OCI image layout, beside those that it has, or as a new archive or
 * directory. Blobs come first and what speaks of them last, each by one rename: whoever reads
 * meanwhile sees the old image or the new one. */
#pragma once

#include "base/error.h"
#include "image/digest.h"
#include "image/image.h"
#include "image/names.h"
#include "image/pack_tree.h"

#include <jansson.h>

struct layout_writer;

/** Opens the layout that TARGET names, which is made where it is missing or empty, or begins
 * whatever else it names. -ENOTDIR for a directory that is something else, -ENOTEMPTY, -EEXIST for
 * what has to be new. TARGET is not kept. */
int layout_writer_open(const struct image_reference *target, struct layout_writer **ret,
                       struct error *e);
void layout_writer_close(struct layout_writer *w);
DEFINE_CLEANUP(struct layout_writer, layout_writer_close)

/** Packs the tree below ROOT_FD as the next layer, lowest first. RESULT may be NULL. */
int layout_writer_add_layer(struct layout_writer *w, int root_fd,
                            const struct pack_tree_options *options,
                            enum image_compression compression, struct pack_tree_result *result,
                            struct error *e);
/** Writes configuration, manifest and index: the image REFERENCE (NULL: without a name) has the
 * layers added so far and what IMAGE says of its configuration. *ret is the manifest's digest, in a
 * docker-archive the configuration's. */
int layout_writer_commit(struct layout_writer *w, const struct image *image, const char *reference,
                         struct digest *ret, struct error *e);
