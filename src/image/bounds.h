/* Bounds on what an image may ask of the host, each with its reason. image.h has those that its
 * users see, image_bounds.h those that can be set; what is here of a layer and an entry is what the
 * unpacker is built for. */
#pragma once

#include "image/image_bounds.h"

#include <stddef.h>
#include <stdint.h>

/* --- the image --- */

/** oci-layout is one small object. */
#define IMAGE_LAYOUT_FILE_MAX ((size_t)4096)
/** Manifests in one index: the biggest public ones list some 30 platforms, local layouts one a tag.
 */
#define IMAGE_INDEX_ENTRIES_MAX 4096
/** Indexes read while looking for a name in nested ones. */
#define IMAGE_INDEXES_MAX 256
/** One string of a configuration: what execve(2) takes as one argument (MAX_ARG_STRLEN). */
#define IMAGE_STRING_MAX ((size_t)128 << 10)
/** A compressed layer; registries refuse more than 10 GiB, a graphics-card tool kit takes 5. */
#define IMAGE_BLOB_MAX ((uint64_t)32 << 30)

/* --- one layer --- */

/** Entries that a layer can ever have, and bytes of directory names. */
#define LAYER_ENTRIES_MAX 8000000
#define LAYER_NAMES_MAX   ((size_t)256 << 20)
#define LAYER_BYTES_MAX   ((uint64_t)4 << 40)

/* --- one entry --- */

/** PATH_MAX without its NUL: longer names could not be opened again. */
#define ENTRY_PATH_MAX 4095
/** NAME_MAX of every file system worth having. */
#define ENTRY_NAME_MAX 255
/** Components; removing a tree holds one descriptor a level. */
#define ENTRY_DEPTH_MAX 512
/** Owners are kept as in the image and shifted by an idmapped mount of 65,536 ids. */
#define ENTRY_OWNER_MAX 65535
/** Extended attributes of one entry. */
#define ENTRY_XATTRS_MAX 1024
