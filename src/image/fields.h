/* Checked access to foreign JSON. Every error names the field: "layers[3].size: expected a
 * non-negative integer". WHERE is the path in front of KEY: "" or one that ends in ".". */
#pragma once

#include "base/error.h"
#include "base/text.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum need { OPTIONAL, REQUIRED }; /* an absent optional field, or null, leaves *ret untouched */

static inline void json_decref_p(json_t **json)
{
    json_decref(*json);
}
#define _cleanup_json_ _cleanup_(json_decref_p)

/** Parses SIZE bytes as one JSON object without duplicate keys; *ret is a new reference. -EBADMSG.
 */
int json_parse_object(const void *data, size_t size, json_t **ret, struct error *e);
/** Likewise one array. */
int json_parse_array(const void *data, size_t size, json_t **ret, struct error *e);

/** The field's value, borrowed from OBJECT. -EBADMSG where it is missing or of another type. */
int field_object(const json_t *object, const char *where, const char *key, enum need need,
                 const json_t **ret, struct error *e);
int field_array(const json_t *object, const char *where, const char *key, enum need need,
                size_t max, const json_t **ret, struct error *e);
int field_string(const json_t *object, const char *where, const char *key, enum need need,
                 const char **ret, struct error *e);
int field_size(const json_t *object, const char *where, const char *key, enum need need,
               uint64_t max, uint64_t *ret, struct error *e);
/** A copy, the caller's. */
int field_copy(const json_t *object, const char *where, const char *key, enum need need, char **ret,
               struct error *e);
/** A list of strings, the caller's (strv_free). */
int field_strings(const json_t *object, const char *where, const char *key, enum need need,
                  char ***ret, struct error *e);

#define FIELD_SHOWN_MAX 200
/** Foreign text made fit for an error line: control characters, quotes and bytes that are not UTF-8
 * become \xNN, what is too long is cut. Writes into BUF of FIELD_SHOWN_MAX and returns it. */
const char *show_foreign(const char *text, char *buf);
