/* What a stack of layers needs beside its layers.
 *
 * A layer stands in the store once, whatever it is stacked on. Two things depend on what is below
 * it, though:
 *   - An archive may have "etc/new" without "etc". The image's /etc keeps the owner, mode and time
 *     of the layer below; but overlayfs takes them from the topmost directory, which unpacking had
 *     to invent.
 *   - Overlayfs hides whiteouts only in directories that are merged. Where no other layer has the
 *     directory, names of whiteouts would show up in it that cannot be opened or removed.
 * The seam is one more layer on top, of directories only, each with the owner, mode, time and
 * attributes that the image means: it corrects the first, and makes the second merged. Most images
 * need none. It is named by the digest of its description, so that equal ones are one. */
#pragma once

#include "base/error.h"
#include "image/digest.h"
#include "image/notes.h"

/** Directories of one seam, a parent counted once for each that is below it; each is looked up in
 * all layers. */
#define SEAM_DIRECTORIES_MAX (1 << 20)

struct seam_layer { /* of the stack */
    int fd;         /* its root */
    struct layer_notes notes;
};

struct seam;

/** Works out the seam of N layers, lowest first. *ret is NULL where none is needed. */
int seam_plan(const struct seam_layer *layers, size_t n, struct seam **ret, struct error *e);
void seam_free(struct seam *s);
DEFINE_CLEANUP(struct seam, seam_free)
const struct digest *seam_digest(const struct seam *s);
/** Makes the directories below ROOT_FD, which is empty. *ret_notes says how many. */
int seam_make(const struct seam *s, int root_fd, struct layer_notes *ret_notes, struct error *e);
