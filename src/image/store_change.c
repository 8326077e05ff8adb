/* tag, rm and prune. */
#include "base/fdio.h"
#include "base/text.h"
#include "image/fields.h"
#include "image/names.h"
#include "image/store.h"

#include <dirent.h>
#include <linux/limits.h>
#include <string.h>
#include <sys/file.h>

static int check_mode(const struct image_store *s, struct error *e)
{
    if (s->mode == IMAGE_STORE_CHANGE)
        return 0;
    return error_set(e, -EROFS, "image store %s: opened for reading only", s->directory);
}

int image_store_tag(struct image_store *s, const char *name, const char *new_name, struct error *e)
{
    _cleanup_(image_free_p) struct image *image = NULL;
    char file[NAME_MAX + 1];
    int r = check_mode(s, e);

    if (r >= 0)
        r = image_name_check(new_name, e);
    if (r >= 0)
        r = image_file_name(new_name, file, e);
    if (r >= 0)
        r = image_store_get(s, name, &image, e);
    if (r < 0 || strcmp(image->name, new_name) == 0)
        return r;
    free(image->name);
    image->name = strdup(new_name);
    if (!image->name)
        return error_sys(e, -ENOMEM, "image name");
    r = store_write_record(s, image, true, e);
    return r < 0 ? r : store_commit_record(s, image, e);
}

int image_store_remove(struct image_store *s, const char *name, bool *ret_held, struct error *e)
{
    _cleanup_(image_free_p) struct image *image = NULL;
    char file[NAME_MAX + 1];
    int r = check_mode(s, e);

    if (r >= 0)
        r = image_store_get(s, name, &image, e);
    if (r >= 0)
        r = image_file_name(image->name, file, e);
    if (r < 0)
        return r;
    image->lease_fd = safe_close(image->lease_fd); /* we are not the ones who use it */
    return store_retire_record(s, file, NULL, ret_held, e);
}

struct prune {
    struct image_store *store;
    struct buffer named, held; /* hex digests of what is needed, sorted; fixed size */
    image_pruned_fn tell;
    void *userdata;
    struct image_pruned *result;
    char **gone; /* diffIDs: not while the directory is being read */
};

#define HEX_SIZE 64

static int need(struct buffer *set, const struct image *image)
{
    int r = 0;

    for (char **layer = image->layers; r >= 0 && *layer; layer++)
        r = buffer_append(set, strchr(*layer, ':') + 1, HEX_SIZE);
    return r;
}

static int compare_hex(const void *a, const void *b)
{
    return memcmp(a, b, HEX_SIZE);
}

static bool is_in(const struct buffer *set, const struct digest *d)
{
    return set->size > 0 && bsearch(d->hex, set->data, set->size / HEX_SIZE, HEX_SIZE, compare_hex);
}

static int need_named(struct prune *p, struct error *e)
{
    struct image **list = NULL;
    size_t n = 0;
    int r = image_store_list(p->store, IMAGE_LOOK, &list, &n, e);

    if (r < 0)
        return r;
    for (size_t i = 0; i < n; i++) {
        if (r >= 0)
            r = need(&p->named, list[i]);
        image_free(list[i]);
    }
    free(list);
    return r < 0 ? error_sys(e, r, "prune") : 0;
}

/* A record of leaving/ goes when nobody has a lock on it any more. */
static int need_leaving(struct prune *p, const char *file, struct error *e)
{
    _cleanup_close_ int fd = openat(p->store->leaving_fd, file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    _cleanup_buffer_ struct buffer b = {0};
    _cleanup_json_ json_t *json = NULL;
    _cleanup_(image_free_p) struct image *image = NULL;
    int r;

    if (fd < 0)
        return store_error(p->store, -errno, e, "leaving");
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return unlinkat(p->store->leaving_fd, file, 0) < 0
                   ? store_error(p->store, -errno, e, "leaving")
                   : 0;
    r = fd_read_all(fd, &b, IMAGE_JSON_MAX);
    if (r >= 0)
        r = json_parse_object(b.data, b.size, &json, e);
    if (r >= 0)
        r = image_from_json(json, &image, e);
    if (r >= 0)
        r = need(&p->held, image);
    return r < 0 ? store_error(p->store, r, e, "leaving") : 0;
}

static int need_held(struct prune *p, struct error *e)
{
    int fd = openat(p->store->leaving_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;
    int r = 0;

    if (!dir) {
        safe_close(fd);
        return store_error(p->store, -errno, e, "leaving");
    }
    while (r >= 0 && (entry = readdir(dir)))
        if (entry->d_name[0] != '.')
            r = need_leaving(p, entry->d_name, e);
    closedir(dir);
    return r;
}

static int judge_layer(void *userdata, const struct digest *diff_id, struct error *e)
{
    struct prune *p = userdata;
    char text[DIGEST_TEXT_SIZE];
    int r;

    if (is_in(&p->named, diff_id) || is_in(&p->held, diff_id))
        return 0;
    r = strv_append(&p->gone, digest_text(diff_id, text));
    return r < 0 ? error_sys(e, r, "prune") : 0;
}

static int remove_layer(struct prune *p, const char *text, struct error *e)
{
    struct layer_notes notes = {0};
    struct digest diff_id;
    bool there = false;
    int fd = -EBADF, r = digest_parse(text, &diff_id);

    if (r >= 0)
        r = store_has_layer(p->store, &diff_id, &there, e);
    if (r < 0)
        return r;
    /* Notes that cannot be read any more keep nobody from removing the layer. */
    if (there && store_open_layer(p->store, &diff_id, &fd, &notes, NULL) >= 0)
        safe_close(fd);
    r = store_remove_layer(p->store, &diff_id, e);
    if (r >= 0 && there) {
        p->result->layers++;
        p->result->bytes += notes.bytes;
        if (p->tell)
            p->tell(p->userdata, text, notes.bytes);
    }
    layer_notes_clear(&notes);
    return r;
}

static void count_held(struct prune *p)
{
    const struct buffer *held = &p->held;

    for (size_t i = 0; i < held->size; i += HEX_SIZE) {
        struct digest d = {0};
        memcpy(d.hex, held->data + i, HEX_SIZE);
        if (!is_in(&p->named, &d) &&
            (i == 0 || compare_hex(held->data + i, held->data + i - HEX_SIZE) != 0))
            p->result->held++;
    }
}

static void sort_set(struct buffer *set)
{
    if (set->size > 0)
        qsort(set->data, set->size / HEX_SIZE, HEX_SIZE, compare_hex);
}

static int prune(struct prune *p, struct error *e)
{
    int r = need_held(p, e);

    if (r >= 0)
        r = need_named(p, e);
    if (r < 0)
        return r;
    sort_set(&p->named);
    sort_set(&p->held);
    count_held(p);
    r = store_each_layer(p->store, judge_layer, p, e);
    for (char **layer = p->gone; r >= 0 && layer && *layer; layer++)
        r = remove_layer(p, *layer, e);
    return r < 0 ? r : store_empty_tmp(p->store, e);
}

int image_store_prune(struct image_store *s, image_pruned_fn tell, void *userdata,
                      struct image_pruned *ret, struct error *e)
{
    struct image_pruned result = {0};
    struct prune p = {.store = s, .tell = tell, .userdata = userdata, .result = &result};
    int r = check_mode(s, e);

    if (r >= 0)
        r = prune(&p, e);
    buffer_clear(&p.named);
    buffer_clear(&p.held);
    strv_free(p.gone);
    if (r < 0)
        return r;
    *ret = result;
    return 0;
}
