#include "image/sums.h"

#include <linux/capability.h>
#include <string.h>

#define STRIPE     ((size_t)32)
#define LANE_PRIME 0x9E3779B185EBCA87ULL
#define MIX_PRIME  0xC2B2AE3D27D4EB4FULL

#define SUMS_CAPABILITY "security.capability"

static uint64_t rotate(uint64_t value, int bits)
{
    return value << bits | value >> (64 - bits);
}

/* Every step can be undone for a given word, so that a change of one word never gets lost. */
static void take_stripe(struct checksum *c, const uint8_t *data)
{
    for (size_t i = 0; i < ARRAY_SIZE(c->lanes); i++) {
        uint64_t word;
        memcpy(&word, data + i * sizeof(word), sizeof(word));
        c->lanes[i] = rotate((c->lanes[i] + i + 1) ^ word * MIX_PRIME, 31) * LANE_PRIME;
    }
}

void checksum_update(struct checksum *c, const void *data, size_t size)
{
    const uint8_t *at = data;

    c->size += size;
    if (c->tail_size > 0) {
        size_t n = MIN(STRIPE - c->tail_size, size);
        memcpy(c->tail + c->tail_size, at, n);
        c->tail_size += n;
        at += n;
        size -= n;
        if (c->tail_size < STRIPE)
            return;
        take_stripe(c, c->tail);
        c->tail_size = 0;
    }
    for (; size >= STRIPE; size -= STRIPE, at += STRIPE)
        take_stripe(c, at);
    memcpy(c->tail, at, size);
    c->tail_size = size;
}

static uint64_t mix(uint64_t sum, uint64_t value)
{
    sum = rotate(sum ^ value * MIX_PRIME, 27) * LANE_PRIME;
    return sum ^ sum >> 29;
}

uint64_t checksum_file(const struct checksum *c, mode_t mode, uid_t uid, gid_t gid)
{
    struct checksum end = *c;
    uint64_t sum = mix(c->size, mode);

    memset(end.tail + end.tail_size, 0, STRIPE - end.tail_size);
    take_stripe(&end, end.tail);
    for (size_t i = 0; i < ARRAY_SIZE(end.lanes); i++)
        sum = mix(sum, end.lanes[i]);
    return mix(sum, (uint64_t)uid << 32 | gid);
}

/* The sums of different things differ, whatever they are of. */
enum { KIND_SUBJECT = 1, KIND_LINK, KIND_WHITEOUT, KIND_ATTRIBUTE };

static uint64_t checksum_bytes(uint64_t kind, const void *data, size_t size)
{
    struct checksum c = {0};

    checksum_update(&c, data, size);
    return checksum_file(&c, (mode_t)kind, 0, 0);
}

uint64_t checksum_path(const char *path)
{
    return checksum_bytes(KIND_SUBJECT, path, strlen(path));
}

/* What the unpacker keeps, and what would steer overlayfs. */
static bool is_of_layers(const char *name)
{
    return strncmp(name, "user.", 5) == 0 || strncmp(name, "trusted.overlay.", 16) == 0 ||
           strcmp(name, SUMS_CAPABILITY) == 0;
}

/* Version 3 of a capability is version 2 with a root, which depends on who asks the kernel. */
static size_t plain_capability(const void *value, size_t size, struct vfs_ns_cap_data *ret)
{
    memcpy(ret, value, MIN(size, sizeof(*ret)));
    ret->magic_etc = (ret->magic_etc & ~VFS_CAP_REVISION_MASK) | VFS_CAP_REVISION_2;
    return MIN(size, sizeof(struct vfs_cap_data));
}

uint64_t checksum_attribute(const char *name, const void *value, size_t size)
{
    struct vfs_ns_cap_data capability = {0};
    struct checksum c = {0};

    if (!is_of_layers(name))
        return 0;
    if (strcmp(name, SUMS_CAPABILITY) == 0) {
        size = plain_capability(value, size, &capability);
        value = &capability;
    }
    checksum_update(&c, name, strlen(name) + 1);
    checksum_update(&c, value, size);
    return checksum_file(&c, KIND_ATTRIBUTE, 0, 0);
}

uint64_t checksum_subject(const struct checksum *c, const struct sum_subject *subject)
{
    uint64_t sum = checksum_file(c, subject->mode, subject->uid, subject->gid);

    sum = mix(sum, checksum_path(subject->path));
    sum = mix(sum, (uint64_t)subject->mtime.tv_sec);
    sum = mix(sum, (uint64_t)subject->mtime.tv_nsec);
    return mix(sum, subject->attributes);
}

uint64_t checksum_link(const char *path, uint64_t first)
{
    return mix(checksum_bytes(KIND_LINK, path, strlen(path)), first);
}

uint64_t checksum_whiteout(const char *path)
{
    return checksum_bytes(KIND_WHITEOUT, path, strlen(path));
}

int sums_add(struct buffer *sums, uint64_t sum)
{
    return buffer_append(sums, &sum, sizeof(sum));
}

int sums_order(const void *a, const void *b)
{
    uint64_t one, other;

    memcpy(&one, a, sizeof(one));
    memcpy(&other, b, sizeof(other));
    return one < other ? -1 : one > other;
}

void sums_sort(struct buffer *sums)
{
    if (sums->size > 0)
        qsort(sums->data, sums->size / sizeof(uint64_t), sizeof(uint64_t), sums_order);
}

bool sums_have(const struct buffer *sums, uint64_t sum)
{
    return sums->size > 0 &&
           bsearch(&sum, sums->data, sums->size / sizeof(sum), sizeof(sum), sums_order) != NULL;
}

size_t sums_missing(const struct buffer *expected, const struct buffer *found)
{
    size_t missing = 0, at = 0;

    for (size_t i = 0; i < expected->size; i += sizeof(uint64_t)) {
        int order = 1;
        while (at < found->size && (order = sums_order(found->data + at, expected->data + i)) < 0)
            at += sizeof(uint64_t);
        if (at < found->size && order == 0)
            at += sizeof(uint64_t);
        else
            missing++;
    }
    return missing;
}

void inode_map_clear(struct inode_map *m)
{
    free(m->places);
    *m = (struct inode_map){0};
}

/* The place of an inode, or the free one where it belongs. */
static struct inode_place *find_place(const struct inode_map *m, uint64_t inode)
{
    size_t at = (inode * LANE_PRIME >> 20) % m->size;

    while (m->places[at].inode && m->places[at].inode != inode)
        at = (at + 1) % m->size;
    return &m->places[at];
}

static int grow(struct inode_map *m)
{
    struct inode_map grown = {.size = m->size ? 2 * m->size : 1024, .n = m->n};

    grown.places = calloc(grown.size, sizeof(*grown.places));
    if (!grown.places)
        return -ENOMEM;
    for (size_t i = 0; i < m->size; i++)
        if (m->places[i].inode)
            *find_place(&grown, m->places[i].inode) = m->places[i];
    free(m->places);
    *m = grown;
    return 0;
}

int inode_map_put(struct inode_map *m, uint64_t inode, uint64_t value)
{
    struct inode_place *place;
    int r = 2 * m->n >= m->size ? grow(m) : 0;

    if (r < 0)
        return r;
    place = find_place(m, inode);
    m->n += !place->inode;
    *place = (struct inode_place){inode, value};
    return 0;
}

bool inode_map_get(const struct inode_map *m, uint64_t inode, uint64_t *ret)
{
    const struct inode_place *place = m->size ? find_place(m, inode) : NULL;

    if (!place || !place->inode)
        return false;
    *ret = place->value;
    return true;
}
