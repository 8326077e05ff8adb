/* IP addresses and ranges of them as the network's configuration writes them. Pure logic. */
#pragma once

#include "base/error.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

/** Bytes of an address of FAMILY: 4 or 16. */
#define ADDRESS_SIZE(family) ((family) == AF_INET ? 4U : 16U)

struct address {
    int family; /* AF_INET, AF_INET6 */
    uint8_t bytes[16];
};

/** All addresses whose first `prefix` bits are those of `first`. */
struct address_range {
    struct address first; /* the bits behind the prefix are 0 */
    unsigned prefix;
};

/** Parses "192.0.2.1" or "2001:db8::1"; -EINVAL. */
int address_parse(const char *text, struct address *ret);

/** Parses "ADDRESS/PREFIX" or "ADDRESS"; -EINVAL also where a bit behind the prefix is set. */
int address_range_parse(const char *text, struct address_range *ret);

bool address_in_range(const struct address *a, const struct address_range *range);
bool address_ranges_overlap(const struct address_range *a, const struct address_range *b);

/** Fills the 4 or 16 bytes of the mask. */
void address_mask(const struct address_range *range, uint8_t ret[16]);
