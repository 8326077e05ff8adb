/* Inside the cage: decompress, hash and unpack one layer, overlapping.
 *
 *   descriptor -> decompressor thread -> ring -> hashing thread (diffID)
 *                                             -> this thread: archive reader, tree
 *
 * The archive reader may stop before the stream does; the rest is drained, so that the diffID is
 * that of all of it. */
#pragma once

#include "base/error.h"
#include "image/digest.h"
#include "image/image_bounds.h"
#include "image/notes.h"
#include "image/oci.h"

struct pipeline_input {
    int fd; /* read from its position on */
    uint64_t size;
    enum layer_compression compression;
};

/** Unpacks the compressed stream below ROOT_FD; *ret_diff_id is the digest of all of it. */
int pipeline_run(const struct pipeline_input *in, int root_fd, const struct image_bounds *bounds,
                 struct layer_notes *notes, struct digest *ret_diff_id, struct error *e);
