/* The name of an archive entry, made canonical and judged: pure text. */
#pragma once

#include "base/error.h"
#include "image/bounds.h"

/** What an entry's name asks for (image-spec, layer.md, "Whiteouts"). */
enum entry_kind {
    ENTRY_ROOT,     /* the layer's own root directory */
    ENTRY_NODE,     /* something to create */
    ENTRY_WHITEOUT, /* ".wh.NAME": NAME of lower layers is gone */
    ENTRY_OPAQUE,   /* ".wh..wh..opq": so is everything the directory had */
};

struct entry_name {
    enum entry_kind kind;
    char path[ENTRY_PATH_MAX + 1]; /* "a/b/c"; for whiteouts with NAME, for opaque the directory */
    char parent[ENTRY_PATH_MAX + 1]; /* "a/b", "" for the root */
    const char *base;                /* points into path: "c"; for opaque it means nothing */
};

/** Takes leading slashes, "." components and doubled or trailing slashes away; ".." is refused, as
 * are empty, too long or too deep names, whiteouts of nothing, of "." or "..", and names below or
 * beside them that begin with the reserved ".wh.". -EBADMSG and the rule. */
int entry_name_parse(const char *raw, struct entry_name *ret, struct error *e);
