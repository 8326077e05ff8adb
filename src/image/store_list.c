/* Reading the records of a store. */
#include "base/fdio.h"
#include "image/fields.h"
#include "image/names.h"
#include "image/store.h"

#include <dirent.h>
#include <linux/limits.h>
#include <string.h>

/* The least that is taken as the beginning of a digest: fewer digits are more likely a typing
 * error. */
#define DIGEST_PREFIX_MIN 4

/* Held before it is read: what it names stays from then on. */
static int open_record(struct image_store *s, const char *file, enum image_hold hold, int *ret)
{
    _cleanup_close_ int fd = openat(s->images_fd, file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    int r;

    if (fd < 0)
        return -errno;
    r = hold == IMAGE_HOLD ? store_hold_record(fd) : 0;
    if (r < 0)
        return r;
    *ret = TAKE_FD(fd);
    return 0;
}

static int read_record(struct image_store *s, const char *file, const char *name,
                       enum image_hold hold, struct image **ret, struct error *e)
{
    _cleanup_close_ int fd = -EBADF;
    _cleanup_buffer_ struct buffer b = {0};
    _cleanup_(image_free_p) struct image *image = NULL;
    _cleanup_json_ json_t *json = NULL;
    int r = open_record(s, file, hold, &fd);

    if (r >= 0)
        r = fd_read_all(fd, &b, IMAGE_JSON_MAX);
    if (r < 0)
        return error_sys(e, r, "image store %s: images/%s", s->directory, file);
    r = json_parse_object(b.data, b.size, &json, e);
    if (r >= 0)
        r = image_from_json(json, &image, e);
    if (r >= 0 && strcmp(image->name, name) != 0)
        r = error_set(e, -EBADMSG, "name: \"%s\" does not fit the file's name", image->name);
    if (r < 0)
        return error_prefix(e, r, "image store %s: images/%s", s->directory, file);
    if (hold == IMAGE_HOLD)
        image->lease_fd = TAKE_FD(fd);
    *ret = TAKE_PTR(image);
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(struct image *const *)a)->name, (*(struct image *const *)b)->name);
}

static int append(struct image ***list, size_t *n, struct image *image)
{
    struct image **grown = reallocarray(*list, *n + 1, sizeof(struct image *));

    if (!grown)
        return -ENOMEM;
    *list = grown;
    grown[(*n)++] = image;
    return 0;
}

static int read_all(struct image_store *s, DIR *dir, enum image_hold hold, struct image ***list,
                    size_t *n, struct error *e)
{
    struct dirent *entry;

    while ((errno = 0, entry = readdir(dir))) {
        _cleanup_(image_free_p) struct image *image = NULL;
        char name[IMAGE_NAME_MAX + 1];
        int r;
        if (image_name_from_file(entry->d_name, name) < 0)
            continue;
        r = read_record(s, entry->d_name, name, hold, &image, e);
        if (r == -ENOENT)
            continue; /* taken away meanwhile */
        if (r < 0)
            return r;
        if (append(list, n, image) < 0)
            return error_sys(e, -ENOMEM, "image store %s", s->directory);
        image = NULL;
    }
    if (errno)
        return error_sys(e, -errno, "image store %s: images", s->directory);
    return 0;
}

static void free_list(struct image **list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        image_free(list[i]);
    free(list);
}

int image_store_list(struct image_store *s, enum image_hold hold, struct image ***ret,
                     size_t *ret_n, struct error *e)
{
    struct image **list = NULL;
    size_t n = 0;
    int fd = openat(s->images_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    int r;

    if (!dir) {
        safe_close(fd);
        return error_sys(e, -errno, "image store %s: images", s->directory);
    }
    r = read_all(s, dir, hold, &list, &n, e);
    closedir(dir);
    if (r < 0) {
        free_list(list, n);
        return r;
    }
    if (n > 0)
        qsort(list, n, sizeof(struct image *), by_name);
    *ret = list;
    *ret_n = n;
    return 0;
}

static bool has_digest_prefix(const char *digest, const char *prefix)
{
    const char *hex = strchr(digest, ':');

    return strncmp(digest, prefix, strlen(prefix)) == 0 ||
           (hex && strncmp(hex + 1, prefix, strlen(prefix)) == 0);
}

/* The images of one digest may bear several names: the first of them stands for it. */
static int get_by_digest(struct image_store *s, const char *prefix, struct image **ret,
                         struct error *e)
{
    const char *digits = strncmp(prefix, "sha256:", 7) == 0 ? prefix + 7 : prefix;
    struct image **list = NULL, *found = NULL;
    size_t n = 0;
    int r;

    if (strlen(digits) < DIGEST_PREFIX_MIN || digits[strspn(digits, "0123456789abcdef")])
        return -ENOENT;
    r = image_store_list(s, IMAGE_HOLD, &list, &n, e);
    if (r < 0)
        return r;
    r = -ENOENT;
    for (size_t i = 0; i < n; i++) {
        if (!has_digest_prefix(list[i]->digest, prefix) && !has_digest_prefix(list[i]->id, prefix))
            continue;
        if (found && strcmp(found->digest, list[i]->digest) != 0) {
            r = error_set(e, -ENOTUNIQ, "image %s: several images begin with this digest", prefix);
            found = NULL;
            break;
        }
        if (!found) {
            found = list[i];
            r = 0;
        }
    }
    for (size_t i = 0; i < n; i++)
        if (list[i] != found)
            image_free(list[i]);
    free(list);
    if (found)
        *ret = found;
    return r;
}

int image_store_get(struct image_store *s, const char *name, struct image **ret, struct error *e)
{
    char file[NAME_MAX + 1], shown[FIELD_SHOWN_MAX];
    int r = -ENOENT;

    if (image_name_check(name, NULL) == 0 && image_file_name(name, file, NULL) == 0)
        while (faccessat(s->images_fd, file, F_OK, 0) == 0) {
            r = read_record(s, file, name, IMAGE_HOLD, ret, e);
            if (r != -ENOENT) /* else it was replaced meanwhile */
                return r;
        }
    r = get_by_digest(s, name, ret, e);
    if (r == -ENOENT)
        return error_set(e, r, "image \"%s\": not in the store %s", show_foreign(name, shown),
                         s->directory);
    return r;
}

int store_hold_image(struct image_store *s, struct image *image, struct error *e)
{
    char file[NAME_MAX + 1];
    int r = image_file_name(image->name, file, e);

    if (r < 0)
        return r;
    r = open_record(s, file, IMAGE_HOLD, &image->lease_fd);
    return r < 0 ? error_sys(e, r, "image store %s: images/%s", s->directory, file) : 0;
}
