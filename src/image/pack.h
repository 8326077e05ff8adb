/* The inside of image_pack(), for the room's own files. */
#pragma once

#include "image/image.h"
#include "image/names.h"

/** Packs DIRS, lowest first, as the image TARGET. */
int pack_into(const struct image_reference *target, char *const *dirs,
              const struct image_pack_options *options, struct image_packed *ret, struct error *e);
