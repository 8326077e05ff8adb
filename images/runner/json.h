/* JSON as Python's json module reads and writes it: the form of the feedback file and of the input
 * file, which run scripts in other languages read too. NaN, Infinity and integers of any length are
 * values; a lone surrogate is read as U+FFFD. */
#pragma once

#include "base/buffer.h"
#include "base/error.h"
#include "pool.h"

#include <stdbool.h>
#include <stdint.h>

/** Nesting that is read: Python's msgpack, which reads it last, stops at 1024. */
#define JSON_DEPTH_MAX 1000

enum json_kind {
    JSON_NULL,
    JSON_BOOL,
    JSON_INTEGER,
    JSON_BIG, /* an integer beyond int64, as its decimal text */
    JSON_REAL,
    JSON_TEXT,
    JSON_LIST,
    JSON_MAP
};

/** UTF-8, with a NUL behind that is not counted; may have others inside. Not owned. */
struct text {
    const char *data;
    size_t size;
};

#define TEXT_EMPTY                                                                                 \
    {                                                                                              \
        "", 0                                                                                      \
    }

struct json_member;
struct json {
    enum json_kind kind;
    union {
        bool boolean;
        int64_t integer;
        double real;
        struct text text; /* JSON_TEXT, JSON_BIG */
        struct {
            struct json *items;
            size_t count, capacity;
        } list;
        struct {
            struct json_member *members;
            size_t count, capacity;
        } map;
    };
};
struct json_member {
    struct text key;
    struct json value;
};

/** Reads exactly one value; everything it points to is in POOL. -EBADMSG with a line that names the
 * byte offset, -ENOMEM. */
int json_parse(struct pool *pool, const char *text, size_t size, struct json *ret, struct error *e);

/** Writes V as json.dumps() does: ASCII only, ", " and ": " between. -EMSGSIZE, -ENOMEM. */
int json_write(const struct json *v, struct buffer *out);
/* Parts of it, for those who have no tree. */
int json_write_text(const char *data, size_t size, struct buffer *out);
int json_write_real(double value, struct buffer *out);

/** The text of a C string, which must live as long as the value. */
struct text text_of(const char *string);
struct json json_text(struct text t);
struct json json_integer(int64_t value);
struct json json_real(double value);
struct json json_bool(bool value);
struct json json_map(void);

/** The value of KEY in the map V, to be read or changed in place; NULL where V is no map or has
 * none. */
struct json *json_get(struct json *v, struct text key);
/** Sets KEY in the map V; KEY and VALUE are not copied. -ENOMEM. */
int json_set(struct pool *pool, struct json *v, struct text key, struct json value);
/** Puts VALUE at the end of the list V. -ENOMEM. */
int json_append(struct pool *pool, struct json *v, struct json value);
