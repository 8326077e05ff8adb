/* Foreign msgpack, read by our own hands (msgpack-c writes what we send, see pack.h: its reader
 * builds trees, nests 32 deep where a submission may nest 1024, and takes any bytes for a str).
 * Checked in one pass, then read in place. Nothing is ever decoded into a tree: a value is a span
 * of the frame it came in, so forwarding one is copying its bytes, exactly as they were.
 * Specification: github.com/msgpack/msgpack/blob/master/spec.md. */
#pragma once

#include "base/buffer.h"
#include "base/error.h"

#include <stdbool.h>

/* Bounds. A submission's files travel inside one message, so frames may be large; nesting and the
 * number of objects are what the Python programs behind us pay for. */
#define WIRE_FRAME_MAX ((size_t)256 << 20)
/** Python's msgpack unpacker gives up at this nesting; what it would refuse must not be sent on. */
#define WIRE_DEPTH_MAX 1024
/** An empty map costs one byte here and 64 in CPython. */
#define WIRE_OBJECTS_MAX ((size_t)4 << 20)

/** Which map keys are right: those Python can hash, or only str and bin (strict_map_key). */
enum wire_keys { WIRE_KEYS_ANY, WIRE_KEYS_STRICT };

/** Checks that DATA is exactly one well-formed msgpack value within the bounds, as Python's
 * unpackb() would take it: every str strict UTF-8 (keys included), no map inside a key, extension
 * codes 0..127 or a valid timestamp. Allocates nothing. -EBADMSG with a line that names the byte
 * offset and the rule. */
int wire_scan(const void *data, size_t size, enum wire_keys keys, struct error *e);

/** One encoded value, somewhere in a frame; size 0: there is none. Not owned. */
struct wire_span {
    const uint8_t *data;
    size_t size;
};

/** Whether VALUE is well-formed and no container in it is deeper than DEPTH (1: a flat one). */
bool wire_nested_within(struct wire_span value, size_t depth);

enum wire_kind {
    WIRE_NIL,
    WIRE_BOOL,
    WIRE_INT,
    WIRE_FLOAT,
    WIRE_STR,
    WIRE_BIN,
    WIRE_ARRAY,
    WIRE_MAP,
    WIRE_EXT
};

/** The head of one value. */
struct wire_value {
    enum wire_kind kind;
    struct wire_span raw; /* the whole value */
    bool boolean;
    int64_t integer; /* a uint64 above INT64_MAX reads as INT64_MAX */
    double real;
    const char *text; /* WIRE_STR, WIRE_BIN, WIRE_EXT payload: SIZE bytes, no NUL behind */
    size_t size;
    size_t count; /* WIRE_ARRAY: elements; WIRE_MAP: pairs */
};

/** Walks values laid end to end. Safe on bytes nobody has scanned: it stops at the first that is
 * not whole. */
struct wire_iterator {
    const uint8_t *at, *end;
    size_t left; /* values still to come */
};

/** Reads the head of the value at RAW; false where there is none or it is not whole. */
bool wire_read(struct wire_span raw, struct wire_value *ret);
/** The elements of an array, or keys and values in turn of a map; nothing for other kinds. */
struct wire_iterator wire_children(const struct wire_value *v);
/** The next value; false at the end. */
bool wire_next(struct wire_iterator *it, struct wire_value *ret);

/** The keys and values of the map at RAW as far as it is whole; nothing where it is no map. */
struct wire_iterator wire_map_begin(struct wire_span raw, bool *ret_is_map);
/** The value of the str key KEY in the map at RAW (the last one wins, as in Python). False where
 * RAW is no map or has no such key. */
bool wire_map_get(struct wire_span map, const char *key, struct wire_value *ret);
/** Whether V is the str TEXT. */
bool wire_is_text(const struct wire_value *v, const char *text);
/** What Python's bool() says of V; a span that holds nothing is false. */
bool wire_truthy(const struct wire_value *v);
/** A NUL-terminated copy; -EINVAL where V is no str or has a NUL inside, -ENOMEM. */
int wire_str_dup(const struct wire_value *v, char **ret);
