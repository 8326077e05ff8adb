/* One layer: from a blob to a directory, both digests verified. */
#pragma once

#include "base/error.h"
#include "image/digest.h"
#include "image/files.h"
#include "image/image_bounds.h"
#include "image/notes.h"
#include "image/oci.h"

struct unpack_request {
    const struct image_file *file; /* the blob; its size is the descriptor's */
    const struct oci_descriptor *blob;
    const struct digest *diff_id;
    const struct image_bounds *bounds;
    int root_fd; /* the empty directory to unpack into */
    void (*progress)(void *userdata, uint64_t done);
    void *userdata;
};

/** Runs the unpacker in a confined child process, which reads the blob, and hashes the blob
 * meanwhile. Opaque directories are marked afterwards. Must be called from a single-threaded
 * process, because it forks and goes on in the child. Errors do not name the layer. -EBADMSG for
 * wrong digests and all that is wrong with the archive. */
int unpack_layer(const struct unpack_request *q, struct layer_notes *ret, struct error *e);
