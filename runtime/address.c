#include "address.h"

#include "base/text.h"

#include <arpa/inet.h>
#include <string.h>

int address_parse(const char *text, struct address *ret)
{
    struct address a = {.family = strchr(text, ':') ? AF_INET6 : AF_INET};

    if (inet_pton(a.family, text, a.bytes) != 1)
        return -EINVAL;
    *ret = a;
    return 0;
}

void address_mask(const struct address_range *range, uint8_t ret[16])
{
    memset(ret, 0, 16);
    for (unsigned bit = 0; bit < range->prefix; bit++)
        ret[bit / 8] |= (uint8_t)(0x80U >> bit % 8);
}

int address_range_parse(const char *text, struct address_range *ret)
{
    char copy[INET6_ADDRSTRLEN + 4];
    struct address_range range;
    uint64_t prefix;
    uint8_t mask[16];
    char *slash;

    if (strlen(text) >= sizeof(copy))
        return -EINVAL;
    memcpy(copy, text, strlen(text) + 1);
    slash = strchr(copy, '/');
    if (slash)
        *slash++ = 0;
    if (address_parse(copy, &range.first) < 0)
        return -EINVAL;
    prefix = 8 * ADDRESS_SIZE(range.first.family);
    if (slash && text_parse_uint(slash, prefix, &prefix) < 0)
        return -EINVAL;
    range.prefix = (unsigned)prefix;
    address_mask(&range, mask);
    for (size_t i = 0; i < sizeof(mask); i++)
        if (range.first.bytes[i] & ~mask[i])
            return -EINVAL;
    *ret = range;
    return 0;
}

bool address_in_range(const struct address *a, const struct address_range *range)
{
    const struct address_range one = {*a, 8 * ADDRESS_SIZE(a->family)};

    return address_ranges_overlap(&one, range) && one.prefix >= range->prefix;
}

bool address_ranges_overlap(const struct address_range *a, const struct address_range *b)
{
    uint8_t mask[16];

    if (a->first.family != b->first.family)
        return false;
    address_mask(a->prefix < b->prefix ? a : b, mask);
    for (size_t i = 0; i < ADDRESS_SIZE(a->first.family); i++)
        if ((a->first.bytes[i] ^ b->first.bytes[i]) & mask[i])
            return false;
    return true;
}
