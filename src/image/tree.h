/* Writes the entries of one layer below a directory, in the form overlayfs wants: whiteouts as
 * 0/0 character devices; opaque directories are only noted, because marking them takes more
 * privilege than the writer has.
 *
 * Theory of operation. Meant to run confined, with the directory as its root, but it does not rely
 * on that: every entry is made by the descriptor of its parent directory, found by
 * openat2(RESOLVE_IN_ROOT), and never through a link in its last component. Links in parents are
 * followed inside the layer. A later entry replaces an earlier one of the same name, except that a
 * directory keeps what is in it. Whiteouts speak of lower layers only, in any order: where the
 * layer has a directory of that name, too, it becomes opaque. Times of directories come last. */
#pragma once

#include "base/error.h"
#include "image/notes.h"
#include "image/tar.h"

struct layer_tree;

/** ROOT_FD is kept open by the caller, and BOUNDS; NOTES are filled in as entries come. */
int layer_tree_new(int root_fd, const struct image_bounds *bounds, struct layer_notes *notes,
                   struct layer_tree **ret);
void layer_tree_free(struct layer_tree *t);
DEFINE_CLEANUP(struct layer_tree, layer_tree_free)

/** Reads the whole archive. Errors name the entry and the rule or call. */
int layer_tree_unpack(struct layer_tree *t, struct tar_reader *reader, struct error *e);
