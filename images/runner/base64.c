#include "base64.h"

void base64_encode(const void *data, size_t size, char *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t *p = data;

    for (; size >= 3; p += 3, size -= 3, out += 4) {
        out[0] = digits[p[0] >> 2];
        out[1] = digits[(p[0] & 3) << 4 | p[1] >> 4];
        out[2] = digits[(p[1] & 15) << 2 | p[2] >> 6];
        out[3] = digits[p[2] & 63];
    }
    if (size == 0)
        return;
    out[0] = digits[p[0] >> 2];
    out[1] = digits[(p[0] & 3) << 4 | (size == 2 ? p[1] >> 4 : 0)];
    out[2] = size == 2 ? digits[(p[1] & 15) << 2] : '=';
    out[3] = '=';
}
