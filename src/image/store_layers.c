/* Layers of a store: made in tmp/, moved to layers/, taken away by way of tmp/ again. */
#include "base/fdio.h"
#include "image/bounds.h"
#include "image/fields.h"
#include "image/store.h"

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>

/* A layer's notes are mostly names: LAYER_NAMES_MAX percent-encoded and in quotes. */
#define NOTES_FILE_MAX ((size_t)1 << 30)
#define NOTES_SUFFIX   ".json"
#define SUMS_SUFFIX    ".sums"
#define LAYER_FILE_MAX (DIGEST_HEX_MAX + sizeof(NOTES_SUFFIX))

/* Which life of the machine tmp/ is from. Layers that were complete when their load was killed can
 * be used by the next one; after a power cut nobody knows what of them reached the disk. */
#define BOOT_FILE "boot"
#define BOOT_ID   "/proc/sys/kernel/random/boot_id"

static int remove_all(struct image_store *s, bool (*keep)(struct image_store *s, const char *name),
                      struct error *e)
{
    int fd = openat(s->tmp_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;
    int first = 0;

    if (!dir) {
        safe_close(fd);
        return store_error(s, -errno, e, "tmp");
    }
    while ((entry = readdir(dir))) {
        int r;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            (keep && keep(s, entry->d_name)))
            continue;
        r = fd_remove_tree(s->tmp_fd, entry->d_name);
        if (r < 0 && first == 0)
            first = r;
    }
    closedir(dir);
    return first < 0 ? store_error(s, first, e, "empty tmp") : 0;
}

int store_empty_tmp(struct image_store *s, struct error *e)
{
    return remove_all(s, NULL, e);
}

static int read_boot(int dir_fd, const char *path, char *id, size_t size)
{
    _cleanup_buffer_ struct buffer b = {0};
    int r = fd_read_file(dir_fd, path, &b, size - 1);

    if (r < 0)
        return r;
    memcpy(id, b.data, b.size);
    id[b.size] = 0;
    return 0;
}

/* Whether NAME belongs to a layer that is complete: it has its notes. */
static bool is_complete(struct image_store *s, const char *name)
{
    struct digest digest;
    char text[DIGEST_TEXT_SIZE], notes[LAYER_FILE_MAX];

    if (strcmp(name, BOOT_FILE) == 0)
        return true;
    snprintf(text, sizeof(text), "sha256:%.64s", name);
    if (digest_parse(text, &digest) < 0)
        return false;
    snprintf(notes, sizeof(notes), "%.64s" NOTES_SUFFIX, name);
    return (!name[64] || strcmp(name + 64, NOTES_SUFFIX) == 0 ||
            strcmp(name + 64, SUMS_SUFFIX) == 0) &&
           faccessat(s->tmp_fd, notes, F_OK, 0) == 0 &&
           faccessat(s->tmp_fd, digest.hex, F_OK, 0) == 0;
}

int store_tidy_tmp(struct image_store *s, struct error *e)
{
    char now[64], then[64];

    if (read_boot(AT_FDCWD, BOOT_ID, now, sizeof(now)) < 0 ||
        read_boot(s->tmp_fd, BOOT_FILE, then, sizeof(then)) < 0 || strcmp(now, then) != 0)
        return remove_all(s, NULL, e);
    return remove_all(s, is_complete, e);
}

bool store_has_unfinished(struct image_store *s, const struct digest *diff_id)
{
    return is_complete(s, diff_id->hex);
}

static int mark_boot(struct image_store *s, struct error *e)
{
    char now[64];
    int r = read_boot(AT_FDCWD, BOOT_ID, now, sizeof(now));

    if (r >= 0 && faccessat(s->tmp_fd, BOOT_FILE, F_OK, 0) < 0)
        r = store_write_file(s->tmp_fd, BOOT_FILE, 0600, now, strlen(now), false);
    return r < 0 ? store_error(s, r, e, BOOT_FILE) : 0;
}

static const char *beside(const struct digest *diff_id, const char *suffix, char *buf)
{
    snprintf(buf, LAYER_FILE_MAX, "%s%s", diff_id->hex, suffix);
    return buf;
}

int store_has_layer(struct image_store *s, const struct digest *diff_id, bool *ret, struct error *e)
{
    struct stat st;

    if (fstatat(s->layers_fd, diff_id->hex, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        *ret = S_ISDIR(st.st_mode);
        return 0;
    }
    if (errno != ENOENT)
        return store_error(s, -errno, e, diff_id->hex);
    *ret = false;
    return 0;
}

static int read_notes(struct image_store *s, int dir_fd, const struct digest *diff_id,
                      struct layer_notes *ret, struct error *e)
{
    _cleanup_buffer_ struct buffer b = {.max = NOTES_FILE_MAX};
    _cleanup_json_ json_t *json = NULL;
    char name[LAYER_FILE_MAX];
    int r = fd_read_file(dir_fd, beside(diff_id, NOTES_SUFFIX, name), &b, NOTES_FILE_MAX);

    if (r < 0)
        return store_error(s, r, e, name);
    r = json_parse_object(b.data, b.size, &json, e);
    if (r >= 0)
        r = layer_notes_from_json(json, ret, e);
    return r < 0 ? error_prefix(e, r, "image store %s: %s", s->directory, name) : 0;
}

int store_open_layer(struct image_store *s, const struct digest *diff_id, int *ret_fd,
                     struct layer_notes *ret_notes, struct error *e)
{
    const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    int dir_fd = s->layers_fd, r;
    _cleanup_close_ int fd = openat(dir_fd, diff_id->hex, flags);

    if (fd < 0 && errno == ENOENT && s->tmp_fd >= 0) {
        dir_fd = s->tmp_fd;
        fd = openat(dir_fd, diff_id->hex, flags);
    }
    if (fd < 0)
        return store_error(s, -errno, e, diff_id->hex);
    r = read_notes(s, dir_fd, diff_id, ret_notes, e);
    if (r < 0)
        return r;
    *ret_fd = TAKE_FD(fd);
    return 0;
}

int store_begin_layer(struct image_store *s, const struct digest *diff_id, int *ret_fd,
                      struct error *e)
{
    int fd, r = mark_boot(s, e);

    if (r < 0)
        return r;
    if (mkdirat(s->tmp_fd, diff_id->hex, 0755) < 0)
        return store_error(s, -errno, e, "make a directory in tmp");
    fd = openat(s->tmp_fd, diff_id->hex, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return store_error(s, -errno, e, "open a directory in tmp");
    if (fchmod(fd, 0755) < 0) {
        safe_close(fd);
        return store_error(s, -errno, e, "chmod");
    }
    *ret_fd = fd;
    return 0;
}

/* Reaches the disk with the layer, by store_sync(). */
static int write_beside(struct image_store *s, const char *name, const void *data, size_t size)
{
    return store_write_file(s->tmp_fd, name, 0600, data, size, false);
}

int store_note_layer(struct image_store *s, const struct digest *diff_id,
                     const struct layer_notes *notes, struct error *e)
{
    _cleanup_json_ json_t *json = layer_notes_to_json(notes);
    _cleanup_free_ char *text = json ? json_dumps(json, JSON_INDENT(1)) : NULL;
    char name[LAYER_FILE_MAX], part[LAYER_FILE_MAX];
    int r;

    if (!text)
        return store_error(s, -ENOMEM, e, "notes");
    r = write_beside(s, beside(diff_id, SUMS_SUFFIX, name), notes->sums.data, notes->sums.size);
    /* Complete when it has its name: that says that the layer is complete, too. */
    if (r >= 0)
        r = write_beside(s, beside(diff_id, ".part", part), text, strlen(text));
    if (r >= 0 && renameat(s->tmp_fd, part, s->tmp_fd, beside(diff_id, NOTES_SUFFIX, name)) < 0)
        r = -errno;
    return r < 0 ? store_error(s, r, e, "notes") : 0;
}

int store_sync(struct image_store *s, struct error *e)
{
    return syncfs(s->fd) < 0 ? store_error(s, -errno, e, "syncfs") : 0;
}

int store_commit_layer(struct image_store *s, const struct digest *diff_id, struct error *e)
{
    char sums[LAYER_FILE_MAX], notes[LAYER_FILE_MAX];

    beside(diff_id, SUMS_SUFFIX, sums);
    beside(diff_id, NOTES_SUFFIX, notes);
    /* Notes first: a layer that is there has its notes. */
    if (renameat(s->tmp_fd, sums, s->layers_fd, sums) < 0 ||
        renameat(s->tmp_fd, notes, s->layers_fd, notes) < 0 ||
        renameat(s->tmp_fd, diff_id->hex, s->layers_fd, diff_id->hex) < 0)
        return store_error(s, -errno, e, "move a layer to layers");
    return 0;
}

int store_read_sums(struct image_store *s, const struct digest *diff_id, enum sums_version version,
                    struct buffer *ret, struct error *e)
{
    char name[LAYER_FILE_MAX];
    const size_t size =
        version == SUMS_OF_PROPERTIES ? sizeof(struct sum_record) : sizeof(uint64_t);
    int r;

    ret->max = SUMS_SIZE_MAX;
    r = fd_read_file(s->layers_fd, beside(diff_id, SUMS_SUFFIX, name), ret, SUMS_SIZE_MAX);
    if (r >= 0 && ret->size % size != 0)
        r = -EBADMSG;
    return r < 0 ? store_error(s, r, e, name) : 0;
}

static int remove_beside(struct image_store *s, const struct digest *diff_id, const char *suffix)
{
    char name[LAYER_FILE_MAX];

    return unlinkat(s->layers_fd, beside(diff_id, suffix, name), 0) < 0 && errno != ENOENT ? -errno
                                                                                           : 0;
}

int store_remove_layer(struct image_store *s, const struct digest *diff_id, struct error *e)
{
    char gone[LAYER_FILE_MAX];
    int r;

    /* Out of layers/ in one step: what is half removed is no layer. */
    beside(diff_id, ".gone", gone);
    if (renameat(s->layers_fd, diff_id->hex, s->tmp_fd, gone) < 0 && errno != ENOENT)
        return store_error(s, -errno, e, diff_id->hex);
    r = remove_beside(s, diff_id, NOTES_SUFFIX);
    if (r >= 0)
        r = remove_beside(s, diff_id, SUMS_SUFFIX);
    if (r >= 0)
        r = fd_remove_tree(s->tmp_fd, gone);
    return r < 0 ? store_error(s, r, e, diff_id->hex) : 0;
}

/* "HEX", "HEX.json" and "HEX.sums" all mean the layer. */
static int layer_of_file(const char *name, struct digest *ret)
{
    char text[DIGEST_TEXT_SIZE];

    if (strlen(name) > 64 && strcmp(name + 64, NOTES_SUFFIX) != 0 &&
        strcmp(name + 64, SUMS_SUFFIX) != 0)
        return -EINVAL;
    snprintf(text, sizeof(text), "sha256:%.64s", name);
    return digest_parse(text, ret);
}

int store_each_layer(struct image_store *s,
                     int (*each)(void *userdata, const struct digest *diff_id, struct error *e),
                     void *userdata, struct error *e)
{
    int fd = openat(s->layers_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;
    int r = 0;

    if (!dir) {
        safe_close(fd);
        return store_error(s, -errno, e, "layers");
    }
    while (r >= 0 && (errno = 0, entry = readdir(dir))) {
        struct digest diff_id;
        if (layer_of_file(entry->d_name, &diff_id) >= 0)
            r = each(userdata, &diff_id, e);
    }
    if (r >= 0 && errno)
        r = store_error(s, -errno, e, "layers");
    closedir(dir);
    return r;
}
