/* Foreign msgpack, checked before anything is allocated for it. */
#pragma once

#include "base/buffer.h"
#include "base/error.h"

#include <msgpack.h>
#include <stdbool.h>

/* Bounds. A submission's files travel inside one message, so frames may be large; nesting and the
 * number of objects are what a decoder pays for. */
#define WIRE_FRAME_MAX   ((size_t)256 << 20)
#define WIRE_DEPTH_MAX   64
#define WIRE_OBJECTS_MAX ((size_t)4 << 20)

/** Checks that DATA is exactly one well-formed msgpack value within the bounds, every str strict
 * UTF-8 (map keys included). -EBADMSG with a line that names the byte offset and the rule. */
int wire_scan(const void *data, size_t size, struct error *e);

/** A decoded value and the zone that owns it. */
struct wire_value {
    msgpack_unpacked unpacked;
    bool loaded;
};
/** wire_scan() and then decodes. The value points into DATA for str and bin: DATA must outlive it.
 */
int wire_value_load(struct wire_value *v, const void *data, size_t size, struct error *e);
void wire_value_clear(struct wire_value *v);
#define _cleanup_wire_value_ _cleanup_(wire_value_clear)

/** The value of KEY in MAP (last one wins, as in Python), or NULL. */
const msgpack_object *wire_map_get(const msgpack_object *map, const char *key);
bool wire_str_equals(const msgpack_object *o, const char *text);
/** A NUL-terminated copy; -EINVAL where O is no str or has a NUL inside. */
int wire_str_dup(const msgpack_object *o, char **ret);
