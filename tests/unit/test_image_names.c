/* links: image */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "image/digest.h"
#include "image/entry.h"
#include "image/image.h"
#include "image/names.h"

#include <linux/limits.h>
#include <string.h>

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void digests_are_parsed_strictly(void **state)
{
    static const char *const bad[] = {
        "",
        "sha256",
        "sha256:",
        "sha256:" HEX "0",
        "sha256:" HEX " ",
        "SHA256:" HEX,
        " sha256:" HEX,
        "sha256:0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef",
        "sha256:../../../../../../../../../../../../../../../../../../../etc/passwd",
        "sha512:" HEX,
        "sha256:" HEX HEX,
        "sha384:" HEX,
        "md5:0123456789abcdef0123456789abcdef",
    };
    struct digest d;
    char text[DIGEST_TEXT_SIZE];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(digest_parse(bad[i], &d), -EINVAL);
    assert_int_equal(digest_parse("sha256:" HEX, &d), 0);
    assert_string_equal(digest_text(&d, text), "sha256:" HEX);
    assert_int_equal(digest_parse("sha512:" HEX HEX, &d), 0);
    assert_string_equal(digest_text(&d, text), "sha512:" HEX HEX);
}

static void digests_of_known_texts(void **state)
{
    struct digest d;

    (void)state;
    assert_int_equal(digest_of(DIGEST_SHA256, "abc", 3, &d), 0);
    assert_string_equal(d.hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_int_equal(digest_of(DIGEST_SHA512, "", 0, &d), 0);
    assert_string_equal(d.hex, "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce"
                               "47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e");
}

static void layer_paths_take_sha256_only(void **state)
{
    char path[IMAGE_LAYER_PATH_SIZE];

    (void)state;
    assert_int_equal(image_layer_path("sha256:" HEX, path, NULL), 0);
    assert_string_equal(path, "layers/" HEX);
    assert_int_equal(image_layer_path("sha512:" HEX HEX, path, NULL), -EINVAL);
    assert_int_equal(image_layer_path("../x", path, NULL), -EINVAL);
}

static void file_names_lead_back_to_names(void **state)
{
    static const struct {
        const char *name, *file;
    } cases[] = {
        {"default", "default.json"},
        {"ingi/default:1.2", "ingi%2Fdefault%3A1.2.json"},
        {"a@sha256:ab+c_d-e", "a%40sha256%3Aab%2Bc_d-e.json"},
    };
    static const char *const no_files[] = {
        "",        ".json",     "x",        "x.jso",  "%2Fx.json",  "a%2fb.json", "a%2.json",
        "a%.json", "a%41.json", "a:b.json", "..json", "a%00b.json", "a b.json",
    };
    char file[NAME_MAX + 1], name[IMAGE_NAME_MAX + 1];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_int_equal(image_file_name(cases[i].name, file, NULL), 0);
        assert_string_equal(file, cases[i].file);
        assert_int_equal(image_name_from_file(file, name), 0);
        assert_string_equal(name, cases[i].name);
    }
    for (size_t i = 0; i < ARRAY_SIZE(no_files); i++)
        assert_int_equal(image_name_from_file(no_files[i], name), -EINVAL);
}

static void file_names_fit_a_directory(void **state)
{
    char name[IMAGE_NAME_MAX + 1], file[NAME_MAX + 1];
    size_t longest = 0;

    (void)state;
    for (size_t length = 1; length <= IMAGE_NAME_MAX; length++) {
        memset(name, 'x', length);
        name[length] = 0;
        if (image_file_name(name, file, NULL) == 0)
            longest = strlen(file);
        memset(name + 1, ':', length - 1);
        if (image_file_name(name, file, NULL) == 0)
            assert_in_range(strlen(file), 1, NAME_MAX);
    }
    assert_in_range(longest, NAME_MAX - 5, NAME_MAX);
}

static void references_are_split_at_the_first_colon(void **state)
{
    static const struct {
        const char *text, *path, *reference, *name;
        enum image_transport transport;
        size_t index;
    } cases[] = {
        {"oci:dir", "dir", NULL, "dir", TRANSPORT_OCI, SIZE_MAX},
        {"oci:/a/b/", "/a/b/", NULL, "b", TRANSPORT_OCI, SIZE_MAX},
        {"oci:dir:ref", "dir", "ref", "ref", TRANSPORT_OCI, SIZE_MAX},
        {"oci:dir:host:5000/x:tag", "dir", "host:5000/x:tag", "host:5000/x:tag", TRANSPORT_OCI,
         SIZE_MAX},
        {"oci:dir:@12", "dir", NULL, "dir", TRANSPORT_OCI, 12},
        {"oci-archive:/x/y.tar", "/x/y.tar", NULL, "y", TRANSPORT_OCI_ARCHIVE, SIZE_MAX},
        {"docker-archive:y.tar:busybox:1.36", "y.tar", "busybox:1.36", "busybox:1.36",
         TRANSPORT_DOCKER_ARCHIVE, SIZE_MAX},
        {"docker-archive:y.tar:@0", "y.tar", NULL, "y", TRANSPORT_DOCKER_ARCHIVE, 0},
        {"dir:a:b", "a:b", NULL, "a:b", TRANSPORT_DIR, SIZE_MAX},
        {"rootfs:/srv/debian.tar", "/srv/debian.tar", NULL, "debian.tar", TRANSPORT_ROOTFS,
         SIZE_MAX},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_reference_ struct image_reference r = {0};
        _cleanup_free_ char *name = NULL;
        assert_int_equal(image_reference_parse(cases[i].text, &r, NULL), 0);
        assert_string_equal(r.path, cases[i].path);
        assert_int_equal(r.transport, cases[i].transport);
        assert_int_equal(r.index, cases[i].index);
        if (cases[i].reference)
            assert_string_equal(r.reference, cases[i].reference);
        else
            assert_null(r.reference);
        assert_int_equal(image_reference_name(&r, &name, NULL), 0);
        assert_string_equal(name, cases[i].name);
    }
}

static void references_without_a_usable_name_ask_for_one(void **state)
{
    static const char *const texts[] = {"oci:/", "oci:.", "oci:dir:-x", "oci:dir: "};
    struct error e = ERROR_INIT;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        _cleanup_reference_ struct image_reference r = {0};
        _cleanup_free_ char *name = NULL;
        assert_int_equal(image_reference_parse(texts[i], &r, NULL), 0);
        assert_int_equal(image_reference_name(&r, &name, &e), -EINVAL);
        assert_non_null(strstr(e.text, "--name"));
    }
}

static void entry_names_become_canonical(void **state)
{
    static const struct {
        const char *raw, *path, *parent, *base;
        enum entry_kind kind;
    } cases[] = {
        {"a", "a", "", "a", ENTRY_NODE},
        {"/a//b/./c/", "a/b/c", "a/b", "c", ENTRY_NODE},
        {"./a/.../b", "a/.../b", "a/...", "b", ENTRY_NODE},
        {"a/..b/c..", "a/..b/c..", "a/..b", "c..", ENTRY_NODE},
        {"a/.wh", "a/.wh", "a", ".wh", ENTRY_NODE},
        {".wh.a", "a", "", "a", ENTRY_WHITEOUT},
        {"d/.wh.a", "d/a", "d", "a", ENTRY_WHITEOUT},
        {"d/.wh..hidden", "d/.hidden", "d", ".hidden", ENTRY_WHITEOUT},
        {"d/.wh....", "d/...", "d", "...", ENTRY_WHITEOUT},
    };
    struct entry_name n;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_int_equal(entry_name_parse(cases[i].raw, &n, NULL), 0);
        assert_int_equal(n.kind, cases[i].kind);
        assert_string_equal(n.path, cases[i].path);
        assert_string_equal(n.parent, cases[i].parent);
        assert_string_equal(n.base, cases[i].base);
    }
}

static void roots_and_opaque_marks_are_told_apart(void **state)
{
    static const char *const roots[] = {".", "/", "./", "//", "/./."};
    struct entry_name n;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(roots); i++) {
        assert_int_equal(entry_name_parse(roots[i], &n, NULL), 0);
        assert_int_equal(n.kind, ENTRY_ROOT);
    }
    assert_int_equal(entry_name_parse("a/b/.wh..wh..opq", &n, NULL), 0);
    assert_int_equal(n.kind, ENTRY_OPAQUE);
    assert_string_equal(n.path, "a/b");
    assert_int_equal(entry_name_parse(".wh..wh..opq", &n, NULL), 0);
    assert_int_equal(n.kind, ENTRY_OPAQUE);
    assert_string_equal(n.path, "");
}

static void hostile_entry_names_are_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "..",
        "../a",
        "a/..",
        "a/../b",
        "/..",
        "./..",
        ".wh.",
        ".wh..",
        ".wh...",
        "a/.wh.",
        ".wh./a",
        ".wh.a/b",
        "a/.wh.b/c",
        ".wh..wh.",
        ".wh..wh.a",
        ".wh..wh..opq/a",
        ".wh..wh..opqx",
        "a/.wh..wh.plnk",
    };
    struct entry_name n;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        if (entry_name_parse(bad[i], &n, NULL) != -EBADMSG)
            fail_msg("\"%s\" passed", bad[i]);
}

/* The name a/a/a... of DEPTH components. */
static char *deep(size_t depth)
{
    char *name = malloc(2 * depth + 1);

    for (size_t i = 0; i < depth; i++)
        memcpy(name + 2 * i, "a/", 2);
    name[2 * depth] = 0;
    return name;
}

static void entry_names_are_bounded(void **state)
{
    char component[ENTRY_NAME_MAX + 8];
    struct entry_name n;
    char *name;

    (void)state;
    memset(component, 'x', sizeof(component));
    component[ENTRY_NAME_MAX] = 0;
    assert_int_equal(entry_name_parse(component, &n, NULL), 0);
    component[ENTRY_NAME_MAX] = 'x';
    component[ENTRY_NAME_MAX + 1] = 0;
    assert_int_equal(entry_name_parse(component, &n, NULL), -EBADMSG);
    memcpy(component, ".wh.", 4);
    component[ENTRY_NAME_MAX + 4] = 0;
    assert_int_equal(entry_name_parse(component, &n, NULL), 0);
    assert_int_equal(strlen(n.base), ENTRY_NAME_MAX - 3);
    name = deep(ENTRY_DEPTH_MAX);
    assert_int_equal(entry_name_parse(name, &n, NULL), 0);
    free(name);
    name = deep(ENTRY_DEPTH_MAX + 1);
    assert_int_equal(entry_name_parse(name, &n, NULL), -EBADMSG);
    free(name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digests_are_parsed_strictly),
        cmocka_unit_test(digests_of_known_texts),
        cmocka_unit_test(layer_paths_take_sha256_only),
        cmocka_unit_test(file_names_lead_back_to_names),
        cmocka_unit_test(file_names_fit_a_directory),
        cmocka_unit_test(references_are_split_at_the_first_colon),
        cmocka_unit_test(references_without_a_usable_name_ask_for_one),
        cmocka_unit_test(entry_names_become_canonical),
        cmocka_unit_test(roots_and_opaque_marks_are_told_apart),
        cmocka_unit_test(hostile_entry_names_are_refused),
        cmocka_unit_test(entry_names_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
