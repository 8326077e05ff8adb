/* Names of images in the store, and the references they are loaded from. */
#pragma once

#include "base/error.h"

#include <stddef.h>

/** Checks a store name: 1 to IMAGE_NAME_MAX of [A-Za-z0-9._/:@+-], beginning with a letter or a
 * digit. -EINVAL with the rule that is broken. */
int image_name_check(const char *name, struct error *e);

#define IMAGE_FILE_SUFFIX ".json"
/** Writes the record's file name into BUF of NAME_MAX + 1: characters outside [A-Za-z0-9._-]
 * percent-encoded, ".json" behind. -ENAMETOOLONG. */
int image_file_name(const char *name, char *buf, struct error *e);
/** The inverse; -EINVAL where FILE is not what image_file_name() gives. NAME has room for
 * IMAGE_NAME_MAX + 1. */
int image_name_from_file(const char *file, char *name);

/** "oci:DIR[:REF]" as containers-transports(5) writes it: DIR has no colon, REF may have some. */
struct image_reference {
    char *directory; /* owned, like reference */
    char *reference; /* NULL where there is none */
};

void image_reference_clear(struct image_reference *r);
#define _cleanup_reference_ _cleanup_(image_reference_clear)
/** -EINVAL names what is wrong: no transport, one that is not known, no directory, empty REF. */
int image_reference_parse(const char *text, struct image_reference *ret, struct error *e);
/** The name an image takes in the store when none is given: REF, or the last component of DIR. The
 * caller frees; -EINVAL where neither is a valid name. */
int image_reference_name(const struct image_reference *r, char **ret, struct error *e);
