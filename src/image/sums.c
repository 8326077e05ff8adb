#include "image/sums.h"

#include "base/fdio.h"
#include "image/bounds.h"

#include <dirent.h>
#include <string.h>

#define STRIPE     ((size_t)32)
#define READ_SIZE  ((size_t)256 << 10)
#define LANE_PRIME 0x9E3779B185EBCA87ULL
#define MIX_PRIME  0xC2B2AE3D27D4EB4FULL

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

int sums_add(struct buffer *sums, uint64_t sum)
{
    return buffer_append(sums, &sum, sizeof(sum));
}

static int compare_sums(const void *a, const void *b)
{
    uint64_t one, other;

    memcpy(&one, a, sizeof(one));
    memcpy(&other, b, sizeof(other));
    return one < other ? -1 : one > other;
}

void sums_sort(struct buffer *sums)
{
    if (sums->size > 0)
        qsort(sums->data, sums->size / sizeof(uint64_t), sizeof(uint64_t), compare_sums);
}

bool sums_have(const struct buffer *sums, uint64_t sum)
{
    return sums->size > 0 &&
           bsearch(&sum, sums->data, sums->size / sizeof(sum), sizeof(sum), compare_sums) != NULL;
}

size_t sums_missing(const struct buffer *expected, const struct buffer *found)
{
    size_t missing = 0, at = 0;

    for (size_t i = 0; i < expected->size; i += sizeof(uint64_t)) {
        int order = 1;
        while (at < found->size && (order = compare_sums(found->data + at, expected->data + i)) < 0)
            at += sizeof(uint64_t);
        if (at < found->size && order == 0)
            at += sizeof(uint64_t);
        else
            missing++;
    }
    return missing;
}

struct walk {
    struct buffer *sums;
    uint64_t *seen; /* owned; inodes with several names: a hash table, 0 where it is free */
    size_t n_seen, seen_size;
    sums_visit_fn visit;
    void *userdata;
    uint8_t *data; /* of READ_SIZE */
    char path[ENTRY_PATH_MAX + 1];
    size_t length;
};

static int sum_content(struct walk *w, int dir_fd, const char *name, struct checksum *c)
{
    _cleanup_close_ int fd =
        openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    ssize_t n;

    if (fd < 0)
        return -errno;
    while ((n = fd_read_full(fd, w->data, READ_SIZE)) > 0)
        checksum_update(c, w->data, (size_t)n);
    return (int)n;
}

static int sum_target(int dir_fd, const char *name, struct checksum *c)
{
    char target[ENTRY_PATH_MAX + 1];
    ssize_t n = readlinkat(dir_fd, name, target, sizeof(target));

    if (n < 0)
        return -errno;
    checksum_update(c, target, (size_t)n);
    return 0;
}

/* The place of an inode in the table, or the free one where it belongs. */
static uint64_t *seen_place(uint64_t *table, size_t size, uint64_t inode)
{
    size_t at = (inode * LANE_PRIME >> 20) % size;

    while (table[at] && table[at] != inode)
        at = (at + 1) % size;
    return &table[at];
}

static int grow_seen(struct walk *w)
{
    size_t size = w->seen_size ? 2 * w->seen_size : 1024;
    uint64_t *table = calloc(size, sizeof(*table));

    if (!table)
        return -ENOMEM;
    for (size_t i = 0; i < w->seen_size; i++)
        if (w->seen[i])
            *seen_place(table, size, w->seen[i]) = w->seen[i];
    free(w->seen);
    w->seen = table;
    w->seen_size = size;
    return 0;
}

/* Whether another name of the file was met before. */
static int was_seen(struct walk *w, const struct stat *st, bool *ret)
{
    uint64_t *place;
    int r = 0;

    *ret = false;
    if (st->st_nlink < 2)
        return 0;
    if (2 * w->n_seen >= w->seen_size)
        r = grow_seen(w);
    if (r < 0)
        return r;
    place = seen_place(w->seen, w->seen_size, st->st_ino);
    *ret = *place != 0;
    w->n_seen += !*ret;
    *place = st->st_ino;
    return 0;
}

static int visit_file(struct walk *w, int dir_fd, const char *name, const struct stat *st)
{
    struct checksum c = {0};
    uint64_t sum = 0;
    bool seen;
    int r = was_seen(w, st, &seen);

    if (r < 0 || seen || S_ISCHR(st->st_mode)) /* a whiteout */
        return r;
    if (S_ISREG(st->st_mode))
        r = sum_content(w, dir_fd, name, &c);
    else if (S_ISLNK(st->st_mode))
        r = sum_target(dir_fd, name, &c);
    if (r >= 0) {
        sum = checksum_file(&c, st->st_mode, st->st_uid, st->st_gid);
        r = sums_add(w->sums, sum);
    }
    if (!w->visit)
        return r;
    w->visit(w->userdata, w->path, sum, r);
    return r == -ENOMEM ? r : 0;
}

/* DIR_FD is taken over. Not deeper than the layer's entries: ENTRY_DEPTH_MAX. */
static int walk_directory(struct walk *w, int dir_fd, int depth) // NOLINT(misc-no-recursion)
{
    DIR *dir = fdopendir(dir_fd);
    struct dirent *entry;
    size_t length = w->length;
    int r = 0;

    if (!dir) {
        r = -errno;
        close(dir_fd);
        return r;
    }
    while (r >= 0 && (errno = 0, entry = readdir(dir))) {
        const char *name = entry->d_name;
        struct stat st;
        int fd;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
            continue;
        w->length = length;
        if (depth > ENTRY_DEPTH_MAX || length + strlen(name) + 2 > sizeof(w->path)) {
            r = -ENAMETOOLONG;
            break;
        }
        w->length += (size_t)snprintf(w->path + length, sizeof(w->path) - length, "%s%s",
                                      length > 0 ? "/" : "", name);
        if (fstatat(dirfd(dir), name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
            r = -errno;
        } else if (S_ISDIR(st.st_mode)) {
            fd = openat(dirfd(dir), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
            r = fd < 0 ? -errno : walk_directory(w, fd, depth + 1);
        } else {
            r = visit_file(w, dirfd(dir), name, &st);
        }
    }
    if (r >= 0 && errno)
        r = -errno;
    closedir(dir);
    return r;
}

int sums_walk(int root_fd, struct buffer *sums, sums_visit_fn visit, void *userdata,
              struct error *e)
{
    _cleanup_free_ uint8_t *data = malloc(READ_SIZE);
    _cleanup_free_ struct walk *w = calloc(1, sizeof(*w));
    int fd = data && w ? openat(root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    int r;

    if (fd < 0)
        return error_sys(e, data && w ? -errno : -ENOMEM, "walk");
    w->sums = sums;
    w->visit = visit;
    w->userdata = userdata;
    w->data = data;
    r = walk_directory(w, fd, 0);
    free(w->seen);
    if (r < 0)
        return error_sys(e, r, "%s", w->path);
    sums_sort(sums);
    return 0;
}
