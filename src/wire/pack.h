/* Writing msgpack: always the smallest form, as Python's packb(use_bin_type=True) does. */
#pragma once

#include "wire/value.h"

/** A message under construction. The first failure (-ENOMEM, -EMSGSIZE) sticks in ERROR and the
 * calls after it do nothing, so that only the end has to be checked. */
struct wire_pack {
    struct buffer *out; /* not owned; a buffer without a bound gets WIRE_FRAME_MAX */
    int error;
};

void wire_pack_nil(struct wire_pack *p);
void wire_pack_bool(struct wire_pack *p, bool value);
void wire_pack_int(struct wire_pack *p, int64_t value);
/** Always float64. */
void wire_pack_float(struct wire_pack *p, double value);
/** A str of SIZE bytes; what is not UTF-8 in them is replaced by U+FFFD, so that no peer is ever
 * sent a str it cannot decode. */
void wire_pack_str(struct wire_pack *p, const char *text, size_t size);
/** The same for a C string; NULL is nil. */
void wire_pack_text(struct wire_pack *p, const char *text);
void wire_pack_bin(struct wire_pack *p, const void *data, size_t size);
/** The heads of containers: COUNT elements or pairs must follow. */
void wire_pack_array(struct wire_pack *p, size_t count);
void wire_pack_map(struct wire_pack *p, size_t count);
/** One value that is encoded already, unchanged; an empty span is nil. */
void wire_pack_raw(struct wire_pack *p, struct wire_span value);
