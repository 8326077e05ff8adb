#include "image/fields.h"
#include "image/tar_internal.h"

#include <inttypes.h>
#include <string.h>

/* A header block (POSIX ustar interchange format). */
#define FIELD_NAME     0, 100
#define FIELD_MODE     100, 8
#define FIELD_UID      108, 8
#define FIELD_GID      116, 8
#define FIELD_SIZE     124, 12
#define FIELD_MTIME    136, 12
#define FIELD_CHECKSUM 148, 8
#define FIELD_LINK     157, 100
#define FIELD_PREFIX   345, 155
#define FIELD_STAR     345, 131 /* the prefix of Joerg Schilling's star, times behind it */
#define TYPE_OFFSET    156
#define MAGIC_OFFSET   257
#define STAR_MAGIC     508

/* Number and text of a field; FIELD is two macro arguments. */
#define NUMBER(header, field, ret) number_at(header, field, ret)
#define TEXT(buf, header, field)   text_at(buf, header, field)

int tar_reader_new(tar_fill_fn fill, void *userdata, struct tar_reader **ret)
{
    struct tar_reader *t = calloc(1, sizeof(*t));

    if (!t)
        return -ENOMEM;
    t->fill = fill;
    t->userdata = userdata;
    t->extra.bounds = &image_bounds_default;
    *ret = t;
    return 0;
}

void tar_reader_bound(struct tar_reader *t, const struct image_bounds *bounds)
{
    t->extra.bounds = bounds;
}

void tar_reader_free(struct tar_reader *t)
{
    if (!t)
        return;
    tar_extra_clear(&t->extra);
    free(t);
}

/* Makes the present run non-empty: 1, 0 at the stream's end, or a negative errno. */
static int refill(struct tar_reader *t, struct error *e)
{
    while (t->at == t->end) {
        ssize_t n = t->fill(t->userdata, &t->at, e);
        t->end = t->at;
        if (n <= 0)
            return (int)n;
        t->end += n;
        t->position += (uint64_t)n;
    }
    return 1;
}

void tar_reader_jumps(struct tar_reader *t, tar_jump_fn jump)
{
    t->jump = jump;
}

uint64_t tar_position(const struct tar_reader *t)
{
    return t->position - (uint64_t)(t->end - t->at);
}

bool tar_is_sparse(const struct tar_reader *t)
{
    return t->extra.regions || (t->entry.type == TAR_FILE && t->entry.size != t->stored);
}

static int truncated(struct error *e)
{
    return error_set(e, -EBADMSG, "the archive ends in the middle");
}

int tar_read_bytes(struct tar_reader *t, void *data, uint64_t size, struct error *e)
{
    uint8_t *to = data;

    while (size > 0) {
        size_t n;
        int r = refill(t, e);
        if (r <= 0)
            return r < 0 ? r : truncated(e);
        n = (size_t)MIN((uint64_t)(t->end - t->at), size);
        memcpy(to, t->at, n);
        to += n;
        t->at += n;
        size -= n;
    }
    return 0;
}

int tar_skip(struct tar_reader *t, uint64_t size, struct error *e)
{
    while (size > 0) {
        size_t n;
        int r;
        if (t->jump && t->at == t->end) {
            uint64_t jumped = t->jump(t->userdata, size);
            t->position += jumped;
            size -= jumped;
            if (size == 0)
                break;
        }
        r = refill(t, e);
        if (r <= 0)
            return r < 0 ? r : truncated(e);
        n = (size_t)MIN((uint64_t)(t->end - t->at), size);
        t->at += n;
        size -= n;
    }
    return 0;
}

int tar_read_block(struct tar_reader *t, const uint8_t **ret, struct error *e)
{
    int r = refill(t, e);

    if (r <= 0)
        return r;
    if (t->end - t->at >= TAR_BLOCK) {
        *ret = t->at;
        t->at += TAR_BLOCK;
        return 1;
    }
    r = tar_read_bytes(t, t->block, TAR_BLOCK, e);
    if (r < 0)
        return r;
    *ret = t->block;
    return 1;
}

/* GNU and star write what octal digits cannot hold as big-endian binary, the top bit set. */
static int base_256(const uint8_t *field, size_t size, uint64_t *ret)
{
    uint64_t value = field[0] & 0x3f;

    if (field[0] & 0x40)
        return -EBADMSG; /* negative */
    for (size_t i = 1; i < size; i++) {
        if (value >> 55)
            return -EBADMSG;
        value = value << 8 | field[i];
    }
    *ret = value;
    return 0;
}

int tar_number(const uint8_t *field, size_t size, uint64_t *ret)
{
    uint64_t value = 0;
    size_t i = 0;

    if (field[0] & 0x80)
        return base_256(field, size, ret);
    while (i < size && (field[i] == ' ' || field[i] == 0))
        i++;
    for (; i < size && field[i] >= '0' && field[i] <= '7'; i++)
        value = value << 3 | (uint64_t)(field[i] - '0');
    if (i < size && field[i] != ' ' && field[i] != 0)
        return -EBADMSG;
    *ret = value;
    return 0;
}

static int number_at(const uint8_t *header, size_t offset, size_t size, uint64_t *ret)
{
    return tar_number(header + offset, size, ret);
}

/* Copies a text field, which need not end in a NUL, and returns its length. */
static size_t text_at(char *buf, const uint8_t *header, size_t offset, size_t size)
{
    size_t length = strnlen((const char *)header + offset, size);

    memcpy(buf, header + offset, length);
    buf[length] = 0;
    return length;
}

/* Some old writers summed signed characters. */
static int check_sum(const uint8_t *header)
{
    uint64_t expected = 0, sum = 0;
    int64_t signed_sum = 0;
    const size_t field[] = {FIELD_CHECKSUM};

    for (size_t i = 0; i < TAR_BLOCK; i++) {
        uint8_t c = i >= field[0] && i < field[0] + field[1] ? ' ' : header[i];
        sum += c;
        signed_sum += (int8_t)c;
    }
    if (NUMBER(header, FIELD_CHECKSUM, &expected) < 0)
        return -EBADMSG;
    return expected == sum || (int64_t)expected == signed_sum ? 0 : -EBADMSG;
}

static bool is_zero(const uint8_t *block)
{
    return block[0] == 0 && memcmp(block, block + 1, TAR_BLOCK - 1) == 0;
}

/* The next header block; 0 at the archive's end: two blocks of zeros, or nothing more. */
static int next_header(struct tar_reader *t, const uint8_t **ret, struct error *e)
{
    int r = tar_read_block(t, ret, e);

    if (r <= 0)
        return r;
    if (is_zero(*ret)) {
        r = tar_read_block(t, ret, e);
        if (r > 0 && !is_zero(*ret))
            return error_set(e, -EBADMSG, "a lone block of zeros between entries");
        return r < 0 ? r : 0;
    }
    if (check_sum(*ret) < 0)
        return error_set(e, -EBADMSG, "damaged header (wrong checksum)");
    return 1;
}

static uint64_t padding_of(uint64_t size)
{
    return (TAR_BLOCK - size % TAR_BLOCK) % TAR_BLOCK;
}

/* The content of an extended header or of a GNU long name, with a NUL behind. */
static int read_extended(struct tar_reader *t, uint64_t size, char **ret, struct error *e)
{
    _cleanup_free_ char *data = NULL;
    int r;

    if (image_bound_exceeded(t->extra.bounds, IMAGE_BOUND_HEADER, size,
                             "bytes in one extended header", e))
        return -EFBIG;
    data = malloc(size + 1);
    if (!data)
        return error_sys(e, -ENOMEM, "extended header");
    r = tar_read_bytes(t, data, size, e);
    if (r >= 0)
        r = tar_skip(t, padding_of(size), e);
    if (r < 0)
        return r;
    data[size] = 0;
    *ret = TAKE_PTR(data);
    return 0;
}

static int long_name(char **to, char *data, struct error *e)
{
    char *copy;

    if (strlen(data) > ENTRY_PATH_MAX)
        return error_set(e, -ENAMETOOLONG, "a name longer than %d bytes", ENTRY_PATH_MAX);
    copy = strdup(data);
    if (!copy)
        return error_sys(e, -ENOMEM, "long name");
    free(*to);
    *to = copy;
    return 0;
}

/* Reads headers that only describe the next one: 1 when TYPE was such. */
static int describes_next(struct tar_reader *t, uint8_t type, uint64_t size, struct error *e)
{
    _cleanup_free_ char *data = NULL;
    int r;

    if (!type || !strchr("xXgLK", type))
        return 0;
    r = read_extended(t, size, &data, e);
    if (r < 0 || !data)
        return r;
    if (type == 'x' || type == 'X')
        r = tar_parse_pax(&t->extra, data, size, e);
    else if (type == 'L')
        r = long_name(&t->extra.path, data, e);
    else if (type == 'K')
        r = long_name(&t->extra.link, data, e);
    return r < 0 ? r : 1;
}

static void set_names(struct tar_reader *t, const uint8_t *header)
{
    const char *magic = (const char *)header + MAGIC_OFFSET;
    char prefix[156];
    size_t length = 0;

    TEXT(t->link, header, FIELD_LINK);
    if (memcmp(magic, "ustar\0", 6) == 0) {
        bool star = memcmp(header + STAR_MAGIC, "tar\0", 4) == 0;
        length = star ? TEXT(prefix, header, FIELD_STAR) : TEXT(prefix, header, FIELD_PREFIX);
    }
    if (length > 0) {
        memcpy(t->path, prefix, length);
        t->path[length++] = '/';
    }
    TEXT(t->path + length, header, FIELD_NAME);
    if (t->extra.path)
        snprintf(t->path, sizeof(t->path), "%s", t->extra.path);
    if (t->extra.sparse_name)
        snprintf(t->path, sizeof(t->path), "%s", t->extra.sparse_name);
    if (t->extra.link)
        snprintf(t->link, sizeof(t->link), "%s", t->extra.link);
    t->entry.path = t->path;
    t->entry.link = t->link;
}

static int set_numbers(struct tar_reader *t, const uint8_t *header, struct error *e)
{
    const struct tar_extra *x = &t->extra;
    uint64_t mode = 0, mtime = 0;

    if (NUMBER(header, FIELD_MODE, &mode) < 0)
        return error_set(e, -EBADMSG, "damaged header (mode)");
    if (!x->has_uid && NUMBER(header, FIELD_UID, &t->entry.uid) < 0)
        return error_set(e, -EBADMSG, "damaged header (owner)");
    if (!x->has_gid && NUMBER(header, FIELD_GID, &t->entry.gid) < 0)
        return error_set(e, -EBADMSG, "damaged header (group)");
    if (!x->has_mtime && NUMBER(header, FIELD_MTIME, &mtime) < 0)
        return error_set(e, -EBADMSG, "damaged header (time)");
    if (x->has_uid)
        t->entry.uid = x->uid;
    if (x->has_gid)
        t->entry.gid = x->gid;
    t->entry.mode = (mode_t)(mode & 07777);
    t->entry.mtime = x->has_mtime ? x->mtime : (struct timespec){(time_t)mtime, 0};
    t->entry.xattrs = x->xattrs;
    t->entry.n_xattrs = x->n_xattrs;
    return 0;
}

static int set_type(struct tar_reader *t, uint8_t type, struct error *e)
{
    size_t length = strlen(t->path);

    switch (type) {
    case 0:
    case '0': /* before ustar, directories were files with a slash behind */
        t->entry.type = length > 0 && t->path[length - 1] == '/' ? TAR_DIRECTORY : TAR_FILE;
        return 0;
    case '7':
    case 'S':
        t->entry.type = TAR_FILE;
        return 0;
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
        t->entry.type = (enum tar_type)(TAR_HARDLINK + (type - '1'));
        return 0;
    default:
        return error_set(e, -EBADMSG, "entry type 0x%02x is not known", type);
    }
}

/* Sizes and the sparse map; afterwards `stored` is what follows in the stream. */
static int set_data(struct tar_reader *t, const uint8_t *header, uint64_t size, struct error *e)
{
    struct tar_extra *x = &t->extra;
    bool gnu_sparse = header[TYPE_OFFSET] == 'S';
    uint64_t whole = size;
    int r = 0;

    t->region = 0;
    t->region_done = t->offset = 0;
    t->entry.size = 0;
    t->padding = padding_of(size);
    t->stored = size;
    if (t->entry.type != TAR_FILE) {
        /* Whatever size a link or a directory claims, no data follows it (as Go reads). */
        t->stored = t->padding = 0;
        return 0;
    }
    if (!gnu_sparse && !x->sparse) {
        t->entry.size = size;
        return 0;
    }
    if (gnu_sparse)
        r = tar_read_gnu_map(t, header, e);
    else if (x->sparse_major == 1)
        r = tar_read_map_1_0(t, e);
    if (r < 0)
        return r;
    t->entry.size = x->has_real_size ? x->real_size : whole;
    return tar_check_regions(x, t->entry.size, t->stored, e);
}

static int read_entry(struct tar_reader *t, const uint8_t *header, uint64_t size, struct error *e)
{
    uint8_t copy[TAR_BLOCK];
    int r;

    /* The sparse map may be read over the run the header stands in. */
    memcpy(copy, header, TAR_BLOCK);
    set_names(t, copy);
    if (!t->path[0])
        return error_set(e, -EBADMSG, "it has no name");
    r = set_type(t, copy[TYPE_OFFSET], e);
    if (r >= 0)
        r = set_numbers(t, copy, e);
    if (r >= 0)
        r = set_data(t, copy, t->extra.has_size ? t->extra.size : size, e);
    return r;
}

/* To the next header. Some writers leave out the padding of the last entry along with the blocks of
 * zeros at the end; nothing is lost by it. */
static int skip_rest(struct tar_reader *t, struct error *e)
{
    uint64_t padding = t->padding;
    int r = tar_skip(t, t->stored, e);

    t->stored = t->padding = 0;
    if (r < 0 || padding == 0)
        return r;
    r = refill(t, e);
    if (r <= 0) {
        t->finished = r == 0;
        return r;
    }
    return tar_skip(t, padding, e);
}

/* Says of R's error which entry it is about: the one whose name is known, or what begins there. */
static int name_entry(const struct tar_reader *t, int r, struct error *e)
{
    const char *path = t->extra.path ? t->extra.path : t->path;
    char shown[FIELD_SHOWN_MAX];

    if (path[0])
        return error_prefix(e, r, "entry \"%s\"", show_foreign(path, shown));
    return error_prefix(e, r, "entry at byte %" PRIu64, t->start);
}

/* The header of the next entry, when all that describe it have been read: 1, or 0 at the archive's
 * end. */
static int find_entry(struct tar_reader *t, const uint8_t **ret, uint64_t *ret_size,
                      struct error *e)
{
    bool described = false;

    for (;;) {
        int r = t->finished ? 0 : next_header(t, ret, e);
        uint8_t type;
        if (r < 0)
            return r;
        if (r == 0) {
            t->finished = true;
            return described ? truncated(e) : 0;
        }
        if (NUMBER(*ret, FIELD_SIZE, ret_size) < 0 || *ret_size > INT64_MAX)
            return error_set(e, -EBADMSG, "damaged header (size)");
        type = (*ret)[TYPE_OFFSET];
        r = describes_next(t, type, *ret_size, e);
        if (r <= 0)
            return r < 0 ? r : 1;
        described |= type != 'g';
    }
}

int tar_next(struct tar_reader *t, const struct tar_entry **ret, struct error *e)
{
    const uint8_t *header;
    uint64_t size = 0;
    int r = skip_rest(t, e);

    if (r < 0)
        return name_entry(t, r, e);
    tar_extra_clear(&t->extra);
    t->entry = (struct tar_entry){0};
    t->path[0] = 0;
    t->start = tar_position(t);
    r = find_entry(t, &header, &size, e);
    if (r == 0) {
        *ret = NULL;
        return 0;
    }
    if (r > 0)
        r = read_entry(t, header, size, e);
    if (r < 0)
        return name_entry(t, r, e);
    *ret = &t->entry;
    return 0;
}

/* How much of the data lies together from here on, and where in the file. */
static uint64_t next_piece(struct tar_reader *t, uint64_t *ret_offset)
{
    const struct tar_extra *x = &t->extra;

    if (!x->regions) {
        *ret_offset = t->offset;
        return t->stored;
    }
    while (t->region < x->n_regions && t->region_done == x->regions[t->region].size) {
        t->region++;
        t->region_done = 0;
    }
    if (t->region == x->n_regions)
        return 0;
    *ret_offset = x->regions[t->region].offset + t->region_done;
    return x->regions[t->region].size - t->region_done;
}

int tar_data(struct tar_reader *t, const uint8_t **ret_data, size_t *ret_size, uint64_t *ret_offset,
             struct error *e)
{
    uint64_t n;
    int r;

    if (t->entry.type != TAR_FILE)
        return 0;
    n = next_piece(t, ret_offset);
    if (n == 0)
        return 0;
    r = refill(t, e);
    if (r <= 0)
        return r < 0 ? r : truncated(e);
    n = MIN(n, (uint64_t)(t->end - t->at));
    *ret_data = t->at;
    *ret_size = (size_t)n;
    t->at += n;
    t->stored -= n;
    t->region_done += n;
    t->offset += n;
    return 1;
}
