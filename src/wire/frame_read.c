/* Reading the keys of one framed message. */
#include "wire/frame_pack.h"

int frame_open(const void *body, size_t size, struct wire_value *ret_type, struct error *e)
{
    struct wire_span map = {body, size};
    bool is_map;
    int r = wire_scan(body, size, WIRE_KEYS_STRICT, e);

    if (r < 0)
        return r;
    wire_map_begin(map, &is_map);
    if (!is_map)
        return error_set(e, -EBADMSG, "the message is no map");
    return frame_get(map, "type", ret_type, e);
}

int frame_get(struct wire_span map, const char *key, struct wire_value *ret, struct error *e)
{
    if (!wire_map_get(map, key, ret))
        return error_set(e, -EINVAL, "the message lacks \"%s\"", key);
    return 0;
}

int frame_get_str(struct wire_span map, const char *key, char **ret, struct error *e)
{
    struct wire_value v;
    int r = frame_get(map, key, &v, e);

    if (r < 0)
        return r;
    r = wire_str_dup(&v, ret);
    return r == -EINVAL ? error_set(e, r, "\"%s\" is no plain text", key) : r;
}

int frame_get_optional_str(struct wire_span map, const char *key, char **ret, struct error *e)
{
    struct wire_value v;
    int r = frame_get(map, key, &v, e);

    if (r < 0 || !wire_truthy(&v))
        return r;
    return frame_get_str(map, key, ret, e);
}

int frame_get_int(struct wire_span map, const char *key, int64_t *ret, struct error *e)
{
    struct wire_value v;
    int r = frame_get(map, key, &v, e);

    if (r < 0)
        return r;
    if (!wire_truthy(&v))
        *ret = 0;
    else if (v.kind == WIRE_INT)
        *ret = v.integer;
    else if (v.kind == WIRE_BOOL)
        *ret = 1;
    else
        return error_set(e, -EINVAL, "\"%s\" is no whole number", key);
    return 0;
}

int frame_get_bool(struct wire_span map, const char *key, bool *ret, struct error *e)
{
    struct wire_value v;
    int r = frame_get(map, key, &v, e);

    if (r == 0)
        *ret = wire_truthy(&v);
    return r;
}
