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
#include "image/notes.h"
#include "image/oci.h"

/** Unpacks the compressed stream of IN_FD, IN_SIZE bytes from its position on, below ROOT_FD;
 * *ret_diff_id is the digest of all of it. */
int pipeline_run(int in_fd, uint64_t in_size, enum layer_compression compression, int root_fd,
                 struct layer_notes *notes, struct digest *ret_diff_id, struct error *e);
