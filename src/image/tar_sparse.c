/* Maps of sparse files in the four forms GNU tar has had. */
#include "image/tar_internal.h"

#include <string.h>

#define GNU_MAP_OFFSET       386
#define GNU_MAP_ENTRIES      4
#define GNU_EXTENDED_OFFSET  482
#define GNU_REAL_SIZE_OFFSET 483
#define GNU_MORE_ENTRIES     21
#define GNU_MORE_EXTENDED    504
#define GNU_NUMBER           12
/* Decimal digits of a 64-bit number in a 1.0 map. */
#define MAP_DIGITS_MAX 20

int tar_add_region(struct tar_extra *x, uint64_t offset, uint64_t size, struct error *e)
{
    struct tar_region *grown = x->regions;

    if (image_bound_exceeded(x->bounds, IMAGE_BOUND_REGIONS, x->n_regions + 1,
                             "regions in a sparse file", e))
        return -EFBIG;
    if ((x->n_regions & (x->n_regions - 1)) == 0)
        grown = reallocarray(x->regions, x->n_regions ? 2 * x->n_regions : 1, sizeof(*grown));
    if (!grown)
        return error_sys(e, -ENOMEM, "sparse map");
    x->regions = grown;
    grown[x->n_regions++] = (struct tar_region){offset, size};
    return 0;
}

static int bad_map(struct error *e)
{
    return error_set(e, -EBADMSG, "damaged sparse map");
}

static int add_gnu_entries(struct tar_extra *x, const uint8_t *at, int n, struct error *e)
{
    for (int i = 0; i < n; i++, at += (size_t)2 * GNU_NUMBER) {
        uint64_t offset = 0, size = 0;
        int r;
        if (at[0] == 0 && at[GNU_NUMBER] == 0)
            return 0;
        if (tar_number(at, GNU_NUMBER, &offset) < 0 ||
            tar_number(at + GNU_NUMBER, GNU_NUMBER, &size) < 0)
            return bad_map(e);
        r = tar_add_region(x, offset, size, e);
        if (r < 0)
            return r;
    }
    return 0;
}

int tar_read_gnu_map(struct tar_reader *t, const uint8_t *header, struct error *e)
{
    bool more = header[GNU_EXTENDED_OFFSET] != 0;
    int r;

    if (tar_number(header + GNU_REAL_SIZE_OFFSET, GNU_NUMBER, &t->extra.real_size) < 0)
        return bad_map(e);
    t->extra.has_real_size = true;
    r = add_gnu_entries(&t->extra, header + GNU_MAP_OFFSET, GNU_MAP_ENTRIES, e);
    while (r >= 0 && more) {
        const uint8_t *block;
        r = tar_read_block(t, &block, e);
        if (r == 0)
            return bad_map(e);
        if (r < 0)
            return r;
        more = block[GNU_MORE_EXTENDED] != 0;
        r = add_gnu_entries(&t->extra, block, GNU_MORE_ENTRIES, e);
    }
    return r;
}

/* One line of a 1.0 map; blocks are read as the text goes over their end. */
static int read_line(struct tar_reader *t, uint8_t *block, size_t *at, uint64_t *ret,
                     struct error *e)
{
    uint64_t value = 0;

    for (int digits = 0;; digits++) {
        uint8_t c;
        if (*at == TAR_BLOCK) {
            int r;
            if (t->stored < TAR_BLOCK)
                return bad_map(e);
            r = tar_read_bytes(t, block, TAR_BLOCK, e);
            if (r < 0)
                return r;
            t->stored -= TAR_BLOCK;
            *at = 0;
        }
        c = block[(*at)++];
        if (c == '\n' && digits > 0) {
            *ret = value;
            return 0;
        }
        if (c < '0' || c > '9' || digits >= MAP_DIGITS_MAX ||
            value > (INT64_MAX - (uint64_t)(c - '0')) / 10)
            return bad_map(e);
        value = value * 10 + (uint64_t)(c - '0');
    }
}

int tar_read_map_1_0(struct tar_reader *t, struct error *e)
{
    uint8_t block[TAR_BLOCK] = {0};
    size_t at = TAR_BLOCK;
    uint64_t n = 0;
    int r = read_line(t, block, &at, &n, e);

    for (; r >= 0 && n > 0; n--) {
        uint64_t offset = 0, size = 0;
        r = read_line(t, block, &at, &offset, e);
        if (r >= 0)
            r = read_line(t, block, &at, &size, e);
        if (r >= 0)
            r = tar_add_region(&t->extra, offset, size, e);
    }
    return r;
}

int tar_check_regions(const struct tar_extra *x, uint64_t real_size, uint64_t stored,
                      struct error *e)
{
    uint64_t end = 0, sum = 0;

    for (size_t i = 0; i < x->n_regions; i++) {
        const struct tar_region *region = &x->regions[i];
        if (region->offset < end || region->size > real_size ||
            region->offset > real_size - region->size)
            return bad_map(e);
        end = region->offset + region->size;
        sum += region->size;
    }
    return sum == stored ? 0 : bad_map(e);
}
