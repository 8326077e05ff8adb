/* Names of images in the store, and the references they are loaded from. */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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

enum image_transport {
    TRANSPORT_OCI,            /* oci:DIR[:REF|:@INDEX] */
    TRANSPORT_OCI_ARCHIVE,    /* oci-archive:FILE[:REF|:@INDEX] */
    TRANSPORT_DOCKER_ARCHIVE, /* docker-archive:FILE[:REF|:@INDEX] */
    TRANSPORT_DIR,            /* dir:DIR, as skopeo copies an image's files */
    TRANSPORT_ROOTFS,         /* rootfs:DIR, a plain root file system; ours */
};
#define IMAGE_SOURCE_INDEX_NONE SIZE_MAX

/** A reference as containers-transports(5) writes it. The path of oci and the archives has no colon
 * in it, REF may have some; the others are all path. */
struct image_reference {
    enum image_transport transport;
    char *path;      /* owned, like reference */
    char *reference; /* NULL where there is none */
    size_t index;    /* "@INDEX": the image's place in the source, else IMAGE_SOURCE_INDEX_NONE */
};

void image_reference_clear(struct image_reference *r);
#define _cleanup_reference_ _cleanup_(image_reference_clear)
/** Checks what Docker takes as the name of an image, and completes it by ":latest" where it has no
 * tag. *NAME is the caller's, and may be NULL. -EINVAL with the rule that is broken. */
int docker_name_complete(char **name, struct error *e);
/** Whether TEXT begins with a transport that is known here, and so is no name in the store. */
bool image_reference_is_one(const char *text);
/** -EINVAL names what is wrong: no transport, one that is not known, no path, empty REF. */
int image_reference_parse(const char *text, struct image_reference *ret, struct error *e);
/** "oci:DIR", for error lines: without REF. BUF has FIELD_SHOWN_MAX bytes. */
const char *image_reference_show(const struct image_reference *r, char *buf);
/** The name an image takes in the store when none is given: REF, or the last component of the path,
 * of an archive without its ".tar". The caller frees; -EINVAL where neither is a valid name. */
int image_reference_name(const struct image_reference *r, char **ret, struct error *e);
