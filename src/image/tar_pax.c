/* pax extended headers (POSIX pax, "pax Extended Header"): records "LENGTH KEY=VALUE\n". */
#include "image/tar_internal.h"

#include "base/text.h"

#include <string.h>

#define XATTR_PREFIX    "SCHILY.xattr."
#define PAX_NUMBER_MAX  ((uint64_t)INT64_MAX)
#define NSEC_DIGITS     9
#define PAX_LENGTH_LAST 10 /* digits of a record's length that are read */

void tar_extra_clear(struct tar_extra *x)
{
    free(x->path);
    free(x->link);
    free(x->sparse_name);
    for (size_t i = 0; i < x->n_xattrs; i++) {
        free(x->xattrs[i].name);
        free(x->xattrs[i].value);
    }
    free(x->xattrs);
    free(x->regions);
    *x = (struct tar_extra){.bounds = x->bounds};
}

static int bad(const char *key, struct error *e)
{
    return error_set(e, -EBADMSG, "bad value in the pax record \"%s\"", key);
}

/* An empty value takes an earlier record back. */
static int set_name(char **ret, const char *key, const char *value, size_t size, struct error *e)
{
    char *copy = NULL;

    if (memchr(value, 0, size))
        return bad(key, e);
    if (size > ENTRY_PATH_MAX)
        return error_set(e, -ENAMETOOLONG, "the pax record \"%s\" is longer than %d bytes", key,
                         ENTRY_PATH_MAX);
    if (size > 0 && !(copy = strndup(value, size)))
        return error_sys(e, -ENOMEM, "pax record");
    free(*ret);
    *ret = copy;
    return 0;
}

/* VALUE is followed by a NUL. */
static int set_number(uint64_t *ret, bool *ret_has, const char *key, const char *value,
                      struct error *e)
{
    *ret_has = value[0] != 0;
    if (*ret_has && text_parse_uint(value, PAX_NUMBER_MAX, ret) < 0)
        return bad(key, e);
    return 0;
}

/* "[-]SECONDS[.FRACTION]", digits behind the ninth cut off. */
static int set_time(struct tar_extra *x, const char *key, const char *value, struct error *e)
{
    bool negative = value[0] == '-';
    char *whole = strdupa(value + negative);
    char *fraction = strchr(whole, '.');
    uint64_t seconds = 0;
    long nsec = 0;

    x->has_mtime = value[0] != 0;
    if (!x->has_mtime)
        return 0;
    if (fraction) {
        *fraction++ = 0;
        if (fraction[strspn(fraction, "0123456789")])
            return bad(key, e);
        for (int i = 0; i < NSEC_DIGITS; i++)
            nsec = nsec * 10 + (*fraction ? *fraction++ - '0' : 0);
    }
    if (text_parse_uint(whole, PAX_NUMBER_MAX, &seconds) < 0)
        return bad(key, e);
    x->mtime.tv_sec = negative ? -(time_t)seconds : (time_t)seconds;
    x->mtime.tv_nsec = nsec;
    if (negative && nsec > 0) {
        x->mtime.tv_sec--;
        x->mtime.tv_nsec = 1000000000L - nsec;
    }
    return 0;
}

static int add_xattr(struct tar_extra *x, const char *key, const char *value, size_t size,
                     struct error *e)
{
    const char *name = key + strlen(XATTR_PREFIX);
    struct tar_xattr *grown, *xattr;

    x->xattr_bytes += strlen(name) + size;
    if (image_bound_exceeded(x->bounds, IMAGE_BOUND_XATTRS, x->n_xattrs + 1, "extended attributes",
                             e) ||
        image_bound_exceeded(x->bounds, IMAGE_BOUND_XATTR_BYTES, x->xattr_bytes,
                             "bytes of extended attributes", e))
        return -EFBIG;
    grown = reallocarray(x->xattrs, x->n_xattrs + 1, sizeof(*grown));
    if (!grown)
        return error_sys(e, -ENOMEM, "pax record");
    x->xattrs = grown;
    xattr = &grown[x->n_xattrs++];
    xattr->name = strdup(name);
    xattr->value = malloc(size + 1);
    xattr->size = size;
    if (!xattr->name || !xattr->value)
        return error_sys(e, -ENOMEM, "pax record");
    memcpy(xattr->value, value, size);
    return 0;
}

/* GNU.sparse.map of format 0.1: "OFFSET,SIZE,OFFSET,SIZE". */
static int set_map(struct tar_extra *x, const char *key, const char *value, struct error *e)
{
    char *text = strdup(value), *rest = text;
    uint64_t offset = 0, size = 0;
    int r = text ? 0 : error_sys(e, -ENOMEM, "pax record");

    while (r >= 0 && rest && *rest) {
        char *first = strsep(&rest, ","), *second = strsep(&rest, ",");
        if (!second || text_parse_uint(first, PAX_NUMBER_MAX, &offset) < 0 ||
            text_parse_uint(second, PAX_NUMBER_MAX, &size) < 0)
            r = bad(key, e);
        else
            r = tar_add_region(x, offset, size, e);
    }
    free(text);
    return r;
}

static int sparse_record(struct tar_extra *x, const char *key, const char *value, size_t size,
                         struct error *e)
{
    const char *word = key + strlen("GNU.sparse.");
    uint64_t number = 0;
    bool has = false;
    int r;

    x->sparse = true;
    if (strcmp(word, "name") == 0)
        return set_name(&x->sparse_name, key, value, size, e);
    if (strcmp(word, "map") == 0)
        return set_map(x, key, value, e);
    if (strcmp(word, "size") == 0 || strcmp(word, "realsize") == 0)
        return set_number(&x->real_size, &x->has_real_size, key, value, e);
    r = set_number(&number, &has, key, value, e);
    if (r < 0)
        return r;
    if (strcmp(word, "major") == 0 && number <= 1) {
        x->sparse_major = (unsigned)number;
    } else if (strcmp(word, "minor") == 0 && number <= 1u - x->sparse_major) {
        x->sparse_minor = (unsigned)number;
    } else if (strcmp(word, "offset") == 0 && !x->region_open) {
        x->region_open = true;
        return tar_add_region(x, number, 0, e);
    } else if (strcmp(word, "numbytes") == 0 && x->region_open) {
        x->region_open = false;
        x->regions[x->n_regions - 1].size = number;
    } else if (strcmp(word, "numblocks") != 0) {
        return bad(key, e);
    }
    return 0;
}

static int one_record(struct tar_extra *x, const char *key, const char *value, size_t size,
                      struct error *e)
{
    if (strncmp(key, XATTR_PREFIX, strlen(XATTR_PREFIX)) == 0)
        return add_xattr(x, key, value, size, e);
    if (strcmp(key, "path") == 0)
        return set_name(&x->path, key, value, size, e);
    if (strcmp(key, "linkpath") == 0)
        return set_name(&x->link, key, value, size, e);
    /* All others are numbers or sparse maps, or are not ours to read: comments, access times. */
    if (memchr(value, 0, size))
        return bad(key, e);
    if (strcmp(key, "size") == 0)
        return set_number(&x->size, &x->has_size, key, value, e);
    if (strcmp(key, "uid") == 0)
        return set_number(&x->uid, &x->has_uid, key, value, e);
    if (strcmp(key, "gid") == 0)
        return set_number(&x->gid, &x->has_gid, key, value, e);
    if (strcmp(key, "mtime") == 0)
        return set_time(x, key, value, e);
    if (strncmp(key, "GNU.sparse.", strlen("GNU.sparse.")) == 0)
        return sparse_record(x, key, value, size, e);
    return 0;
}

/* The bytes are changed: separators become NULs. */
int tar_parse_pax(struct tar_extra *x, char *data, size_t size, struct error *e)
{
    while (size > 0) {
        size_t length = 0, digits = 0;
        char *key, *equals;
        int r;

        for (; digits < size && digits < PAX_LENGTH_LAST && data[digits] >= '0' &&
               data[digits] <= '9';
             digits++)
            length = length * 10 + (size_t)(data[digits] - '0');
        if (digits == 0 || digits == size || data[digits] != ' ' || length > size ||
            length < digits + sizeof("k=") || data[length - 1] != '\n')
            return error_set(e, -EBADMSG, "damaged pax record");
        data[length - 1] = 0;
        key = data + digits + 1;
        equals = memchr(key, '=', (size_t)(data + length - 1 - key));
        if (!equals || equals == key || memchr(key, 0, (size_t)(equals - key)))
            return error_set(e, -EBADMSG, "damaged pax record");
        *equals = 0;
        r = one_record(x, key, equals + 1, (size_t)(data + length - 1 - (equals + 1)), e);
        if (r < 0)
            return r;
        data += length;
        size -= length;
    }
    return x->region_open ? error_set(e, -EBADMSG, "incomplete sparse map") : 0;
}
