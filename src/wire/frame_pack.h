/* Private to src/wire: one framed message under construction, and the parts of one that is read. */
#pragma once

#include "wire/frame.h"
#include "wire/pack.h"

struct frame_pack {
    struct wire_pack pack;
    size_t before; /* size of the buffer before */
};
/** Begins a frame: room for the length, a map of "type" and KEYS more keys. */
struct frame_pack frame_begin(const char *type, size_t keys, struct buffer *out);
/** Writes the length and checks that any peer can decode what was written; undoes everything on
 * failure. */
int frame_end(struct frame_pack *f, enum frame_order order);

/** Scans BODY and finds its "type". -EBADMSG: no msgpack map with string keys; -EINVAL: no type. */
int frame_open(const void *body, size_t size, struct wire_value *ret_type, struct error *e);

/* One key of a message that was opened: -EINVAL with its name where it is missing or of a wrong
 * kind, -ENOMEM. */
int frame_get(struct wire_span map, const char *key, struct wire_value *ret, struct error *e);
/** A str without NULs. */
int frame_get_str(struct wire_span map, const char *key, char **ret, struct error *e);
/** The same; nil and "" leave *RET NULL. */
int frame_get_optional_str(struct wire_span map, const char *key, char **ret, struct error *e);
/** A number; nil and what Python takes for 0 are 0. */
int frame_get_int(struct wire_span map, const char *key, int64_t *ret, struct error *e);
int frame_get_bool(struct wire_span map, const char *key, bool *ret, struct error *e);
