/* The inside of image_pack(), for the room's own files. */
#pragma once

#include "image/image.h"

/** Packs DIRS, lowest first, as the image REFERENCE (or NULL) of the layout, which is made where it
 * is missing. */
int pack_into(const char *layout, const char *reference, char *const *dirs,
              const struct image_pack_options *options, struct image_packed *ret, struct error *e);
