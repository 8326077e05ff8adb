/* links: image */
/* What users of images get for what they typed: image_obtain(), on a real store. Needs root. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/fdio.h"
#include "base/text.h"
#include "image/image.h"

#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

struct place {
    char directory[32];
    char *store, *tree, *layout;
    struct image_packed packed;
};

static void make_file(int dir_fd, const char *name)
{
    _cleanup_close_ int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(fd_write_full(fd, "x", 1), 0);
}

static void pack(struct place *p, const char *name)
{
    char *dirs[] = {p->tree, NULL};
    const struct image_pack_options options = {.created = 0};
    _cleanup_free_ char *target = text_printf("oci:%s:%s", p->layout, name);
    struct error e = ERROR_INIT;

    assert_int_equal(image_pack(dirs, target, &options, &p->packed, &e), 0);
}

/* A layout with the image "one". */
static int make_place(void **state)
{
    static struct place place;
    _cleanup_close_ int fd = -EBADF;

    if (geteuid() != 0)
        return 0;
    strcpy(place.directory, "/tmp/dockless-obtain.XXXXXX");
    assert_non_null(mkdtemp(place.directory));
    place.store = text_printf("%s/store", place.directory);
    place.tree = text_printf("%s/tree", place.directory);
    place.layout = text_printf("%s/layout", place.directory);
    assert_int_equal(mkdir(place.tree, 0755), 0);
    fd = open(place.tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    make_file(fd, "file");
    pack(&place, "one");
    *state = &place;
    return 0;
}

static int remove_place(void **state)
{
    struct place *p = *state;

    if (!p)
        return 0;
    fd_remove_tree(AT_FDCWD, p->directory);
    free(p->store);
    free(p->tree);
    free(p->layout);
    return 0;
}

static struct place *need(void **state)
{
    if (!*state)
        skip();
    return *state;
}

static struct image *obtain(const struct place *p, const char *text, const char *name)
{
    const struct image_load_options options = {.name = name};
    struct image *image = NULL;
    struct error e = ERROR_INIT;

    if (image_obtain(p->store, text, &options, &image, &e) < 0)
        fail_msg("%s", e.text);
    return image;
}

static int refused(const struct place *p, const char *text, const char *part)
{
    struct image *image = NULL;
    struct error e = ERROR_INIT;
    int r = image_obtain(p->store, text, NULL, &image, &e);

    assert_true(r < 0);
    assert_null(image);
    if (!strstr(e.text, part))
        fail_msg("%s", e.text);
    return r;
}

static bool is_held(const struct place *p, const char *name)
{
    _cleanup_free_ char *path = text_printf("%s/images/%s.json", p->store, name);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    return flock(fd, LOCK_EX | LOCK_NB) < 0;
}

static void a_source_is_loaded_once_and_then_found(void **state)
{
    struct place *p = need(state);
    _cleanup_free_ char *reference = text_printf("oci:%s:one", p->layout);
    _cleanup_free_ char *layer = NULL;
    struct image *image;
    struct stat before, after;

    image = obtain(p, reference, NULL);
    assert_string_equal(image->name, "one");
    assert_string_equal(image->digest, p->packed.digest);
    assert_null(image->directory);
    layer = text_printf("%s/layers/%s", p->store, strchr(image->layers[0], ':') + 1);
    assert_int_equal(stat(layer, &before), 0);
    assert_true(is_held(p, "one"));
    image_free(image);
    assert_false(is_held(p, "one"));

    /* Now the store's, of the same layer; also by its name and digest. */
    image = obtain(p, reference, NULL);
    assert_true(is_held(p, "one"));
    image_free(image);
    image = obtain(p, "one", NULL);
    assert_string_equal(image->digest, p->packed.digest);
    image_free(image);
    image = obtain(p, p->packed.digest, NULL);
    assert_string_equal(image->name, "one");
    image_free(image);
    assert_int_equal(stat(layer, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
}

static void another_name_is_a_further_image(void **state)
{
    struct place *p = need(state);
    _cleanup_free_ char *reference = text_printf("oci:%s:one", p->layout);
    struct image *image = obtain(p, reference, "two");

    assert_string_equal(image->name, "two");
    image_free(image);
    image = obtain(p, "two", NULL);
    assert_string_equal(image->digest, p->packed.digest);
    image_free(image);
}

static void a_changed_source_is_loaded_anew(void **state)
{
    struct place *p = need(state);
    _cleanup_free_ char *reference = text_printf("oci:%s:one", p->layout);
    _cleanup_close_ int fd = open(p->tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct image *old = obtain(p, reference, "mine"), *image;

    assert_true(fd >= 0);
    make_file(fd, "more");
    pack(p, "one");
    image = obtain(p, reference, "mine");
    assert_string_not_equal(image->digest, old->digest);
    assert_string_equal(image->digest, p->packed.digest);
    image_free(image);
    image_free(old);
}

static void a_directory_is_run_as_it_is(void **state)
{
    struct place *p = need(state);
    _cleanup_free_ char *reference = text_printf("rootfs:%s/../tree/", p->tree);
    struct image *image = obtain(p, reference, NULL);

    assert_string_equal(image->directory, p->tree);
    assert_null(image->digest);
    assert_true(!image->layers || !image->layers[0]);
    image_free(image);
}

static void what_is_not_there_is_named(void **state)
{
    struct place *p = need(state);
    _cleanup_free_ char *missing = text_printf("oci:%s:none", p->layout);
    _cleanup_free_ char *file = text_printf("rootfs:%s/file", p->tree);
    struct place nowhere = {.store = (char *)(uintptr_t) "/nowhere/store"};

    assert_int_equal(refused(p, "nothere", "\"nothere\": not in the store"), -ENOENT);
    assert_int_equal(refused(p, missing, "there is no image \"none\""), -ENOENT);
    assert_int_equal(refused(p, "rootfs:/nowhere", "rootfs:/nowhere: No such file"), -ENOENT);
    assert_int_equal(refused(p, file, "not a directory"), -ENOTDIR);
    assert_int_equal(refused(p, "oci:", "names no path"), -EINVAL);
    assert_int_equal(refused(&nowhere, "one", "/nowhere/store: No such file"), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_source_is_loaded_once_and_then_found),
        cmocka_unit_test(another_name_is_a_further_image),
        cmocka_unit_test(a_changed_source_is_loaded_anew),
        cmocka_unit_test(a_directory_is_run_as_it_is),
        cmocka_unit_test(what_is_not_there_is_named),
    };

    return cmocka_run_group_tests(tests, make_place, remove_place);
}
