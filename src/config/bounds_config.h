/* Bounds of unpacking images: "image-bounds" in the configuration file, --bound on a command line.
 */
#pragma once

#include "config/settings.h"
#include "image/image_bounds.h"

/** The bounds by name, as the file has them. */
struct settings bounds_config_settings(void);
/** Sets one bound by "NAME=VALUE". -EINVAL with a text that names it; -ENOMEM. */
int bounds_config_set(struct image_bounds *b, const char *assignment, struct error *e);
/** The defaults, over them the section "image-bounds" of the file PATH, and over that ASSIGNMENTS
 * (ending in NULL, or NULL). The rest of the file must be right, too. PATH is NULL for the default
 * file, which may be missing. */
int bounds_config_read(const char *path, char *const *assignments, struct image_bounds *ret,
                       struct error *e);
