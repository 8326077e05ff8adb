/* One tree as one layer's blob: packed, hashed and compressed in one go, the compression on all of
 * the machine's cores. */
#pragma once

#include "base/error.h"
#include "image/digest.h"
#include "image/image.h"
#include "image/pack_tree.h"

struct layer_written {
    struct digest blob, diff_id;
    uint64_t size; /* of the blob */
};

/** Packs the tree below ROOT_FD into FD, from its position on. */
int layer_write(int fd, int root_fd, const struct pack_tree_options *options,
                enum image_compression compression, struct layer_written *ret,
                struct pack_tree_result *ret_result, struct error *e);
