#include "image/archive.h"

#include "base/text.h"
#include "image/bounds.h"
#include "image/fields.h"
#include "image/files.h"
#include "image/tar.h"

#include <string.h>
#include <sys/stat.h>

/* Headers stand between blobs: a small run is enough, blobs are jumped over. */
#define RUN_SIZE ((size_t)16 << 10)

struct archive_file {
    char *name; /* owned; absolute in its shortest spelling */
    char *link; /* owned, likewise; NULL for a file */
    uint64_t offset, size;
};

struct archive {
    struct archive_file *files; /* sorted by name */
    size_t n, capacity;
};

struct source {
    int fd;
    uint64_t at, end; /* in the file */
    uint8_t run[RUN_SIZE];
};

void archive_free(struct archive *a)
{
    if (!a)
        return;
    for (size_t i = 0; i < a->n; i++) {
        free(a->files[i].name);
        free(a->files[i].link);
    }
    free(a->files);
    free(a);
}

static ssize_t fill(void *userdata, const uint8_t **ret, struct error *e)
{
    struct source *s = userdata;
    const struct image_file file = {s->fd, 0, s->end};
    ssize_t n = image_file_read(&file, s->at, s->run, sizeof(s->run));

    if (n < 0)
        return error_sys(e, (int)n, "read");
    s->at += (uint64_t)n;
    *ret = s->run;
    return n;
}

static uint64_t jump(void *userdata, uint64_t size)
{
    struct source *s = userdata;

    size = MIN(size, s->end - s->at);
    s->at += size;
    return size;
}

/* Where a link leads: links of an archive are relative to their own directory. */
static char *link_target(const char *name, const char *link)
{
    _cleanup_free_ char *joined = NULL;
    const char *slash = strrchr(name, '/');

    if (link[0] == '/')
        return text_clean_path(link);
    joined = text_printf("%.*s/%s", (int)(slash - name), name, link);
    return joined ? text_clean_path(joined) : NULL;
}

static int add(struct archive *a, const struct tar_entry *entry, uint64_t offset, struct error *e)
{
    struct archive_file file = {.offset = offset, .size = entry->size};

    if (entry->type != TAR_FILE && entry->type != TAR_SYMLINK && entry->type != TAR_HARDLINK)
        return 0;
    if (a->n == ARCHIVE_FILES_MAX)
        return error_set(e, -EFBIG, "more than %d files in the archive", ARCHIVE_FILES_MAX);
    if (a->n == a->capacity) {
        size_t capacity = a->capacity ? 2 * a->capacity : 64;
        struct archive_file *grown = reallocarray(a->files, capacity, sizeof(*grown));
        if (!grown)
            return error_sys(e, -ENOMEM, "archive");
        a->files = grown;
        a->capacity = capacity;
    }
    file.name = text_clean_path(entry->path);
    if (file.name && entry->type == TAR_SYMLINK)
        file.link = link_target(file.name, entry->link);
    else if (entry->type == TAR_HARDLINK)
        file.link = text_clean_path(entry->link);
    a->files[a->n++] = file;
    if (!file.name || (entry->type != TAR_FILE && !file.link))
        return error_sys(e, -ENOMEM, "archive");
    return 0;
}

static int read_headers(struct archive *a, struct tar_reader *reader, struct error *e)
{
    const struct tar_entry *entry = NULL;
    int r;

    while ((r = tar_next(reader, &entry, e)) >= 0 && entry) {
        if (tar_is_sparse(reader))
            r = error_set(e, -ENOTSUP, "a sparse file");
        else
            r = add(a, entry, tar_position(reader), e);
        if (r < 0) {
            char shown[FIELD_SHOWN_MAX];
            return error_prefix(e, r, "\"%s\"", show_foreign(entry->path, shown));
        }
    }
    return r;
}

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct archive_file *)a)->name, ((const struct archive_file *)b)->name);
}

/* Of two files with one name each reader would take another one. */
static int sort(struct archive *a, struct error *e)
{
    if (a->n > 0)
        qsort(a->files, a->n, sizeof(*a->files), compare);
    for (size_t i = 1; i < a->n; i++) {
        char shown[FIELD_SHOWN_MAX];
        if (strcmp(a->files[i].name, a->files[i - 1].name) == 0)
            return error_set(e, -EBADMSG, "\"%s\" stands in the archive twice",
                             show_foreign(a->files[i].name + 1, shown));
    }
    return 0;
}

static int check_kind(struct source *s, struct error *e)
{
    static const struct {
        const char *magic, *name;
        size_t size;
    } known[] = {{"\x1f\x8b", "gzip", 2},
                 {"\x28\xb5\x2f\xfd", "zstd", 4},
                 {"\xfd"
                  "7zXZ",
                  "xz", 5}};
    const struct image_file file = {s->fd, 0, s->end};
    uint8_t head[8] = {0};
    ssize_t n = image_file_read(&file, 0, head, sizeof(head));

    if (n < 0)
        return error_sys(e, (int)n, "read");
    for (size_t i = 0; i < ARRAY_SIZE(known); i++)
        if (memcmp(head, known[i].magic, known[i].size) == 0)
            return error_set(e, -ENOTSUP,
                             "the archive as a whole is compressed; decompress it first (%s -d)",
                             known[i].name);
    return n > 0 ? 0 : error_set(e, -EBADMSG, "the archive is empty");
}

int archive_index(int fd, struct archive **ret, struct error *e)
{
    _cleanup_(archive_free_p) struct archive *a = calloc(1, sizeof(*a));
    _cleanup_(tar_reader_free_p) struct tar_reader *reader = NULL;
    _cleanup_free_ struct source *s = calloc(1, sizeof(*s));
    struct stat st;
    int r;

    if (!a || !s || tar_reader_new(fill, s, &reader) < 0)
        return error_sys(e, -ENOMEM, "archive");
    if (fstat(fd, &st) < 0)
        return error_sys(e, -errno, "stat");
    s->fd = fd;
    s->end = (uint64_t)st.st_size;
    tar_reader_jumps(reader, jump);
    r = check_kind(s, e);
    if (r >= 0)
        r = read_headers(a, reader, e);
    if (r >= 0)
        r = sort(a, e);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(a);
    return 0;
}

static const struct archive_file *look_up(const struct archive *a, const char *name)
{
    const struct archive_file key = {.name = (char *)(uintptr_t)name};

    return a->n > 0 ? bsearch(&key, a->files, a->n, sizeof(*a->files), compare) : NULL;
}

int archive_find(const struct archive *a, const char *name, uint64_t *ret_offset,
                 uint64_t *ret_size, struct error *e)
{
    _cleanup_free_ char *clean = text_clean_path(name);
    const struct archive_file *file = clean ? look_up(a, clean) : NULL;
    char shown[FIELD_SHOWN_MAX];

    if (!clean)
        return error_sys(e, -ENOMEM, "archive");
    for (int links = 0; file && file->link; links++) {
        if (links == ARCHIVE_LINKS_MAX)
            return error_set(e, -ELOOP, "%s: too many links", show_foreign(name, shown));
        file = look_up(a, file->link);
    }
    if (!file)
        return error_sys(e, -ENOENT, "%s", show_foreign(name, shown));
    *ret_offset = file->offset;
    *ret_size = file->size;
    return 0;
}
