#include "image/tar_write.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#define BLOCK 512

/* What the fields hold in octal digits. */
#define NUMBER_MAX_8   ((uint64_t)07777777)
#define NUMBER_MAX_12  ((uint64_t)077777777777)
#define NAME_MAX_FIELD 100

struct header {
    char name[NAME_MAX_FIELD];
    char mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8];
    char type;
    char link[NAME_MAX_FIELD];
    char magic[8];
    char user[32], group[32], major[8], minor[8], prefix[155], rest[12];
};
_Static_assert(sizeof(struct header) == BLOCK, "a header is one block");

static const char types[] = {
    [TAR_FILE] = '0',         [TAR_HARDLINK] = '1',
    [TAR_SYMLINK] = '2',      [TAR_CHARACTER_DEVICE] = '3',
    [TAR_BLOCK_DEVICE] = '4', [TAR_DIRECTORY] = '5',
    [TAR_FIFO] = '6',
};

static void put_number(char *field, size_t size, uint64_t value)
{
    field[size - 1] = 0;
    for (size_t i = size - 1; i-- > 0; value >>= 3)
        field[i] = (char)('0' + (value & 7));
}

static void put_text(char *field, size_t size, const char *text)
{
    memcpy(field, text, strnlen(text, size));
}

static void put_checksum(struct header *h)
{
    unsigned sum = 0;

    memset(h->checksum, ' ', sizeof(h->checksum));
    for (size_t i = 0; i < sizeof(*h); i++)
        sum += ((const uint8_t *)h)[i];
    put_number(h->checksum, sizeof(h->checksum) - 1, sum);
}

static void fill_header(struct header *h, const struct tar_entry *entry, const char *path)
{
    uint64_t mtime = entry->mtime.tv_sec < 0 ? 0 : (uint64_t)entry->mtime.tv_sec;

    memset(h, 0, sizeof(*h));
    put_text(h->name, sizeof(h->name), path);
    put_text(h->link, sizeof(h->link), entry->link ? entry->link : "");
    put_number(h->mode, sizeof(h->mode), entry->mode);
    put_number(h->uid, sizeof(h->uid), MIN(entry->uid, NUMBER_MAX_8));
    put_number(h->gid, sizeof(h->gid), MIN(entry->gid, NUMBER_MAX_8));
    put_number(h->size, sizeof(h->size), MIN(entry->size, NUMBER_MAX_12));
    put_number(h->mtime, sizeof(h->mtime), MIN(mtime, NUMBER_MAX_12));
    put_number(h->major, sizeof(h->major), 0);
    put_number(h->minor, sizeof(h->minor), 0);
    h->type = types[entry->type];
    memcpy(h->magic, "ustar\00000", sizeof(h->magic));
    put_checksum(h);
}

/* "LENGTH KEY=VALUE\n", where LENGTH counts itself. */
static int add_record(struct buffer *out, const char *prefix, const char *key, const void *value,
                      size_t size)
{
    size_t rest = strlen(prefix) + strlen(key) + size + 3, length = rest + 1;
    int r;

    while ((size_t)snprintf(NULL, 0, "%zu", length) + rest != length)
        length = (size_t)snprintf(NULL, 0, "%zu", length) + rest;
    r = buffer_printf(out, "%zu %s%s=", length, prefix, key);
    if (r >= 0)
        r = buffer_append(out, value, size);
    return r < 0 ? r : buffer_append(out, "\n", 1);
}

static int add_text(struct buffer *out, const char *key, const char *text)
{
    return add_record(out, "", key, text, strlen(text));
}

static int add_time(struct buffer *out, const struct timespec *mtime)
{
    int64_t seconds = mtime->tv_sec;
    long nanoseconds = mtime->tv_nsec;
    char text[64];

    if (seconds >= 0 && (uint64_t)seconds <= NUMBER_MAX_12 && nanoseconds == 0)
        return 0;
    /* Before the epoch the fraction counts from there, too: -1.5 is tv_sec -2 and half a second. */
    if (seconds < 0 && nanoseconds > 0) {
        seconds++;
        nanoseconds = 1000000000 - nanoseconds;
        snprintf(text, sizeof(text), "%s%" PRId64 ".%09ld", seconds == 0 ? "-" : "", seconds,
                 nanoseconds);
    } else {
        snprintf(text, sizeof(text), "%" PRId64 ".%09ld", seconds, nanoseconds);
    }
    return add_text(out, "mtime", text);
}

static int add_records(struct buffer *out, const struct tar_entry *entry, const char *path)
{
    char number[32];
    int r = 0;

    if (strlen(path) > NAME_MAX_FIELD)
        r = add_text(out, "path", path);
    if (r >= 0 && entry->link && strlen(entry->link) > NAME_MAX_FIELD)
        r = add_text(out, "linkpath", entry->link);
    if (r >= 0 && entry->size > NUMBER_MAX_12) {
        snprintf(number, sizeof(number), "%" PRIu64, entry->size);
        r = add_text(out, "size", number);
    }
    if (r >= 0)
        r = add_time(out, &entry->mtime);
    for (size_t i = 0; r >= 0 && i < entry->n_xattrs; i++)
        r = add_record(out, "SCHILY.xattr.", entry->xattrs[i].name, entry->xattrs[i].value,
                       entry->xattrs[i].size);
    return r;
}

int tar_write_header(struct buffer *out, const struct tar_entry *entry)
{
    _cleanup_buffer_ struct buffer records = {0};
    struct header h;
    int r = add_records(&records, entry, entry->path);

    if (r >= 0 && records.size > 0) {
        const struct tar_entry extended = {.type = TAR_FILE, .mode = 0644, .size = records.size};
        fill_header(&h, &extended, "pax");
        h.type = 'x';
        put_checksum(&h);
        r = buffer_append(out, &h, sizeof(h));
        if (r >= 0)
            r = buffer_append(out, records.data, records.size);
        if (r >= 0)
            r = tar_write_padding(out, records.size);
    }
    if (r < 0)
        return r;
    fill_header(&h, entry, entry->path);
    return buffer_append(out, &h, sizeof(h));
}

void tar_write_plain_header(uint8_t *block, const char *path, uint64_t size)
{
    const struct tar_entry entry = {.type = TAR_FILE, .mode = 0644, .size = size};
    struct header h;

    fill_header(&h, &entry, path);
    /* GNU's binary form, which everybody reads: there is no room for a pax header. */
    if (size > NUMBER_MAX_12) {
        for (size_t i = sizeof(h.size) - 1; i > 0; i--, size >>= 8)
            h.size[i] = (char)(size & 0xff);
        h.size[0] = (char)0x80;
        put_checksum(&h);
    }
    memcpy(block, &h, sizeof(h));
}

int tar_write_padding(struct buffer *out, uint64_t size)
{
    static const uint8_t zeros[BLOCK];

    return buffer_append(out, zeros, (size_t)((BLOCK - size % BLOCK) % BLOCK));
}

int tar_write_end(struct buffer *out)
{
    static const uint8_t zeros[2 * BLOCK];

    return buffer_append(out, zeros, sizeof(zeros));
}
