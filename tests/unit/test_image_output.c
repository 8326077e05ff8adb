/* links: image */
/* Writers of images beside each other: what one finishes while another is at work. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/fdio.h"
#include "base/text.h"
#include "image/layout_write.h"
#include "image/output.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static char directory[32];

static int make_place(void **state)
{
    (void)state;
    strcpy(directory, "/tmp/dockless-output.XXXXXX");
    return mkdtemp(directory) ? 0 : -1;
}

static int remove_place(void **state)
{
    (void)state;
    return fd_remove_tree(AT_FDCWD, directory);
}

static void start(const char *name, bool archive, struct image_output **ret)
{
    _cleanup_free_ char *path = text_printf("%s/%s", directory, name);
    struct error e = ERROR_INIT;

    assert_non_null(path);
    assert_int_equal(
        archive ? image_output_archive(path, ret, &e) : image_output_directory(path, ret, &e), 0);
    assert_int_equal(image_output_add(*ret, "file", "x", 1, &e), 0);
}

static void assert_content(const char *name, const char *expected)
{
    _cleanup_free_ char *path = text_printf("%s/%s", directory, name);
    _cleanup_buffer_ struct buffer b = {0};

    assert_int_equal(fd_read_file(AT_FDCWD, path, &b, 1 << 20), 0);
    assert_int_equal(buffer_append(&b, "", 1), 0);
    assert_non_null(strstr((const char *)b.data, expected));
}

static void an_archive_that_came_meanwhile_stays(void **state)
{
    _cleanup_(image_output_close_p) struct image_output *one = NULL, *other = NULL;
    struct error e = ERROR_INIT;

    (void)state;
    start("archive", true, &one);
    start("archive", true, &other);
    assert_int_equal(image_output_finish(other, &e), 0);
    assert_int_equal(image_output_finish(one, &e), -EEXIST);
}

static void a_directory_that_came_meanwhile_gets_the_files(void **state)
{
    _cleanup_(image_output_close_p) struct image_output *one = NULL, *other = NULL;
    struct error e = ERROR_INIT;

    (void)state;
    start("directory", false, &one);
    start("directory", false, &other);
    assert_int_equal(image_output_fd(one), -EBADF);
    assert_int_equal(image_output_add(one, "mine", "y", 1, &e), 0);
    assert_int_equal(image_output_finish(other, &e), 0);
    image_output_close(TAKE_PTR(other));
    assert_int_equal(image_output_finish(one, &e), -EAGAIN);
    assert_true(image_output_fd(one) >= 0);
    assert_int_equal(image_output_finish(one, &e), 0);
    assert_content("directory/mine", "y");
    assert_content("directory/file", "x");
}

static void what_is_not_finished_leaves_nothing(void **state)
{
    struct image_output *one = NULL;

    (void)state;
    start("unfinished", false, &one);
    image_output_close(one);
    start("unfinished", true, &one);
    image_output_close(one);
    assert_int_equal(rmdir(directory), 0);
    assert_int_equal(mkdir(directory, 0755), 0);
}

static void open_layout(const char *reference, struct layout_writer **ret)
{
    struct image_reference target = {TRANSPORT_OCI, text_printf("%s/layout", directory),
                                     (char *)(uintptr_t)reference, IMAGE_SOURCE_INDEX_NONE};
    struct error e = ERROR_INIT;

    assert_int_equal(layout_writer_open(&target, ret, &e), 0);
    free(target.path);
}

static void commit(struct layout_writer *w, const char *reference)
{
    _cleanup_(image_free_p) struct image *image = image_new();
    struct digest digest;
    struct error e = ERROR_INIT;

    image->created = strdup("1970-01-01T00:00:00Z");
    assert_int_equal(layout_writer_commit(w, image, reference, &digest, &e), 0);
}

static void two_writers_of_one_new_layout_are_both_in_its_index(void **state)
{
    _cleanup_(layout_writer_close_p) struct layout_writer *one = NULL, *other = NULL;

    (void)state;
    open_layout("one", &one);
    open_layout("other", &other);
    commit(other, "other");
    layout_writer_close(TAKE_PTR(other));
    commit(one, "one");
    assert_content("layout/index.json", "\"one\"");
    assert_content("layout/index.json", "\"other\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_finished_leaves_nothing),
        cmocka_unit_test(an_archive_that_came_meanwhile_stays),
        cmocka_unit_test(a_directory_that_came_meanwhile_gets_the_files),
        cmocka_unit_test(two_writers_of_one_new_layout_are_both_in_its_index),
    };
    return cmocka_run_group_tests(tests, make_place, remove_place);
}
