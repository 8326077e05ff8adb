/* Records of version 3: one for each name of a layer, which tell what of it has changed. */
#include "image/sums.h"

#include <string.h>

_Static_assert(sizeof(struct sum_record) == 80, "records are kept as they are in memory");

#define NSEC_PER_SEC 1000000000ULL

static struct sum_record record_of(const char *path)
{
    struct sum_record record = {.path = checksum_path(path)};
    const char *slash = strrchr(path, '/');
    const char *base = slash ? slash + 1 : path;
    char parent[ENTRY_PATH_MAX + 1];

    snprintf(parent, sizeof(parent), "%.*s", slash ? (int)(slash - path) : 0, path);
    record.parent = checksum_path(parent);
    memcpy(record.name, base, MIN(strlen(base), sizeof(record.name)));
    return record;
}

struct sum_record sum_of_subject(const struct checksum *content, const struct sum_subject *subject)
{
    struct sum_record record = record_of(subject->path);

    record.content = checksum_file(content, 0, 0, 0);
    record.attributes = subject->attributes;
    record.mtime =
        (uint64_t)subject->mtime.tv_sec * NSEC_PER_SEC + (uint64_t)subject->mtime.tv_nsec;
    record.uid = subject->uid;
    record.gid = subject->gid;
    record.mode = subject->mode;
    return record;
}

struct sum_record sum_of_link(const char *path, uint64_t first)
{
    struct sum_record record = record_of(path);

    record.mode = SUM_FURTHER_NAME;
    record.content = first;
    return record;
}

struct sum_record sum_of_whiteout(const char *path)
{
    struct sum_record record = record_of(path);

    record.mode = S_IFCHR;
    return record;
}

int sums_add_record(struct buffer *sums, const struct sum_record *record)
{
    return buffer_append(sums, record, sizeof(*record));
}

void sums_sort_records(struct buffer *sums)
{
    if (sums->size > 0)
        qsort(sums->data, sums->size / sizeof(struct sum_record), sizeof(struct sum_record),
              sums_order);
}

const struct sum_record *sums_find(const struct buffer *sums, uint64_t path)
{
    return sums->size > 0 ? bsearch(&path, sums->data, sums->size / sizeof(struct sum_record),
                                    sizeof(struct sum_record), sums_order)
                          : NULL;
}

unsigned sum_differences(const struct sum_record *expected, const struct sum_record *found)
{
    unsigned differences = 0;

    if (expected->mode == SUM_FURTHER_NAME || found->mode == SUM_FURTHER_NAME)
        return expected->mode != found->mode || expected->content != found->content ? SUM_HARD_LINK
                                                                                    : 0;
    if ((expected->mode ^ found->mode) & S_IFMT)
        return SUM_TYPE;
    if (expected->content != found->content)
        differences |= S_ISLNK(found->mode) ? SUM_TARGET : SUM_CONTENT;
    if (expected->mode != found->mode)
        differences |= SUM_MODE;
    if (expected->uid != found->uid || expected->gid != found->gid)
        differences |= SUM_OWNER;
    if (expected->mtime != found->mtime)
        differences |= SUM_MTIME;
    if (expected->attributes != found->attributes)
        differences |= SUM_XATTRS;
    return differences;
}
