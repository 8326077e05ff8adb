/* Bounds on what an image may ask of the host, each with its reason. image.h has those that its
 * users see. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* --- the image --- */

/** oci-layout is one small object. */
#define IMAGE_LAYOUT_FILE_MAX ((size_t)4096)
/** Manifests in one index: the biggest public ones list some 30 platforms, local layouts one a tag.
 */
#define IMAGE_INDEX_ENTRIES_MAX 4096
/** One string of a configuration: what execve(2) takes as one argument (MAX_ARG_STRLEN). */
#define IMAGE_STRING_MAX ((size_t)128 << 10)
/** A compressed layer; registries refuse more than 10 GiB, a graphics-card tool kit takes 5. */
#define IMAGE_BLOB_MAX ((uint64_t)32 << 30)

/* --- one layer --- */

/** The decompressed archive; a bomb of zeros inflates a thousandfold. */
#define LAYER_STREAM_MAX ((uint64_t)64 << 30)
/** Apparent sizes of the files together: also bounds what a sparse file claims to be. */
#define LAYER_BYTES_MAX ((uint64_t)64 << 30)
/** Entries; a complete TeX Live has 250,000. */
#define LAYER_ENTRIES_MAX 2000000
/** Bytes of directory names remembered while unpacking, because times of directories are set last.
 */
#define LAYER_NAMES_MAX ((size_t)64 << 20)

/* --- one entry --- */

/** PATH_MAX without its NUL: longer names could not be opened again. */
#define ENTRY_PATH_MAX 4095
/** NAME_MAX of every file system worth having. */
#define ENTRY_NAME_MAX 255
/** Components; removing a tree holds one descriptor a level. */
#define ENTRY_DEPTH_MAX 256
/** Owners are kept as in the image and shifted by an idmapped mount of 65,536 ids. */
#define ENTRY_OWNER_MAX 65535
/** Extended attributes of one entry, names and values: the kernel's own bound for one value. */
#define ENTRY_XATTR_BYTES_MAX ((size_t)64 << 10)
#define ENTRY_XATTRS_MAX      64
/** One pax extended header. A long path, a long link and the attributes fit four times over. */
#define ENTRY_PAX_MAX ((uint64_t)1 << 20)
/** Data regions of one sparse file. */
#define ENTRY_SPARSE_REGIONS_MAX 65536
