/* What the unpacking of a layer found out that its tree does not tell. Paths are canonical: no
 * leading slash, no "." or "..", "" for the layer's root. */
#pragma once

#include "base/buffer.h"
#include "base/error.h"
#include "base/text.h"
#include "image/sums.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/** A growing list of strings in one piece of memory, each with its NUL. */
struct path_list {
    char *text; /* owned */
    size_t size, capacity, count;
};

/** Appends a copy. -ENOSPC beyond what a layer can have (LAYER_NAMES_MAX), -ENOMEM. */
int path_list_add(struct path_list *l, const char *path);
void path_list_clear(struct path_list *l);
/** The string behind PREVIOUS, the first one for NULL; NULL at the end. */
const char *path_list_next(const struct path_list *l, const char *previous);

/** The attribute by which overlayfs knows LAYER_OPAQUE; its value is "y". */
#define LAYER_OPAQUE_MARK "trusted.overlay.opaque"

/** Lists of directories. */
enum layer_list {
    LAYER_OPAQUE,    /* hide what lower layers have in them */
    LAYER_REPLACED,  /* are opaque because the lower directory itself is gone */
    LAYER_IMPLIED,   /* parents of entries that no entry describes */
    LAYER_WHITEOUTS, /* have whiteouts in them */
    LAYER_LISTS,
};

struct layer_notes {
    uint64_t bytes; /* contents of regular files */
    uint64_t entries;
    uint64_t dropped_devices;
    uint64_t dropped_xattrs;
    struct path_list lists[LAYER_LISTS];
    struct buffer sums;             /* sums.h; kept in a file of their own */
    enum sums_version sums_version; /* of those that are kept */
    bool sums_stale; /* entries were replaced, or never counted: they have to be taken again */
};

void layer_notes_clear(struct layer_notes *n);
#define _cleanup_notes_ _cleanup_(layer_notes_clear)

/** As JSON, a new reference; NULL when there is no memory. Names are bytes, JSON is not: each is
 * percent-encoded. */
json_t *layer_notes_to_json(const struct layer_notes *n);
int layer_notes_from_json(const json_t *json, struct layer_notes *ret, struct error *e);
