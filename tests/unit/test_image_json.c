/* links: image */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "image/fields.h"
#include "image/image.h"
#include "image/notes.h"
#include "image/oci.h"

#include <string.h>

#define A     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B     "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define LAYER "application/vnd.oci.image.layer.v1.tar"

static json_t *parse(const char *text)
{
    json_t *json = NULL;
    struct error e = ERROR_INIT;

    if (json_parse_object(text, strlen(text), &json, &e) < 0)
        fail_msg("%s", e.text);
    return json;
}

static void a_manifest_names_its_layers(void **state)
{
    _cleanup_json_ json_t *json = parse(
        "{\"schemaVersion\": 2, \"config\": {\"mediaType\":"
        "\"application/vnd.oci.image.config.v1+json\", \"digest\": \"sha256:" A "\", \"size\": 7},"
        "\"layers\": [{\"mediaType\": \"" LAYER "\", \"digest\": \"sha256:" A "\", \"size\": 1},"
        "{\"mediaType\": \"" LAYER "+gzip\", \"digest\": \"sha256:" B "\", \"size\": 2},"
        "{\"mediaType\": \"" LAYER "+zstd\", \"digest\": \"sha256:" B "\", \"size\": 3}]}");
    _cleanup_(oci_manifest_free_p) struct oci_manifest *m = NULL;

    (void)state;
    assert_int_equal(oci_manifest_parse(json, &m, NULL), 0);
    assert_int_equal(m->config.size, 7);
    assert_int_equal(m->n_layers, 3);
    assert_int_equal(m->layers[0].compression, LAYER_PLAIN);
    assert_int_equal(m->layers[1].compression, LAYER_GZIP);
    assert_int_equal(m->layers[2].compression, LAYER_ZSTD);
    assert_string_equal(m->layers[1].digest.hex, B);
    assert_int_equal(m->layers[2].size, 3);
}

static void errors_name_the_field(void **state)
{
    _cleanup_json_ json_t *json = parse(
        "{\"schemaVersion\": 2, \"config\": {\"mediaType\":"
        "\"application/vnd.oci.image.config.v1+json\", \"digest\": \"sha256:" A "\", \"size\": 7},"
        "\"layers\": [{\"mediaType\": \"" LAYER "\", \"digest\": \"sha256:" A "\", \"size\": 1},"
        "{\"mediaType\": \"" LAYER "\", \"digest\": \"sha256:" B "\", \"size\": -2}]}");
    _cleanup_(oci_manifest_free_p) struct oci_manifest *m = NULL;
    struct error e = ERROR_INIT;

    (void)state;
    assert_int_equal(oci_manifest_parse(json, &m, &e), -EBADMSG);
    assert_string_equal(e.text, "layers[1].size: expected a non-negative integer");
    assert_null(m);
}

static void an_index_tells_images_from_indexes_and_artifacts(void **state)
{
    _cleanup_json_ json_t *json = parse(
        "{\"schemaVersion\": 2, \"manifests\": ["
        "{\"mediaType\": \"application/vnd.oci.image.manifest.v1+json\", \"size\": 1,"
        " \"digest\": \"sha256:" A "\", \"annotations\": {\"org.opencontainers.image.ref.name\":"
        " \"x\"}},"
        "{\"mediaType\": \"application/vnd.docker.distribution.manifest.list.v2+json\","
        " \"size\": 2, \"digest\": \"sha256:" B "\","
        " \"platform\": {\"os\": \"linux\", \"architecture\": \"arm64\"}},"
        "{\"mediaType\": \"application/x\", \"digest\": \"sha256:" B "\", \"size\": 3}]}");
    _cleanup_free_ struct oci_index_entry *entries = NULL;
    size_t n = 0;

    (void)state;
    assert_int_equal(oci_index_parse(json, &entries, &n, NULL), 0);
    assert_int_equal(n, 3);
    assert_true(entries[0].is_image && !entries[0].is_index);
    assert_true(entries[1].is_index && !entries[1].is_image);
    assert_false(entries[2].is_index || entries[2].is_image);
    assert_string_equal(entries[0].name, "x");
    assert_null(entries[0].os);
    assert_null(entries[1].name);
    assert_string_equal(entries[1].architecture, "arm64");
}

static void times_become_seconds(void **state)
{
    static const struct {
        const char *text;
        int64_t seconds;
    } cases[] = {
        {"2024-01-02T03:04:05Z", 1704164645},
        {"2024-01-02T03:04:05.123456789Z", 1704164645},
        {"2024-01-02T05:04:05+02:00", 1704164645},
        {"2024-01-01T21:34:05.5-05:30", 1704164645},
        {"1970-01-01T00:00:00Z", 0},
        {"0001-01-01T00:00:00Z", 0},
        {"", 0},
        {"yesterday", 0},
        {"2024-01-02", 0},
        {"2024-01-02T03:04:05", 0},
        {"2024-01-02T03:04:05Zx", 0},
        {"2024-01-02T03:04:05+0200", 0},
        {"2024-01-02T03:04:05+02:00x", 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_int_equal(oci_parse_time(cases[i].text), cases[i].seconds);
}

static const char record[] =
    "{\"name\": \"a/b\", \"digest\": \"sha256:" A "\", \"id\": \"sha256:" B "\","
    " \"created\": \"2024-01-02T03:04:05Z\", \"created_unix\": 1704164645,"
    " \"architecture\": \"amd64\", \"os\": \"linux\", \"layers\": [\"sha256:" A "\"],"
    " \"env\": [\"A=b\"], \"entrypoint\": [], \"cmd\": [\"/x\", \"y\"], \"working_dir\": null,"
    " \"user\": \"1:2\", \"stop_signal\": null, \"labels\": {\"k\": \"v\", \"l\": \"\"},"
    " \"size\": 5, \"dropped_devices\": 1, \"dropped_xattrs\": 2}";

static void records_come_back_as_they_were(void **state)
{
    _cleanup_json_ json_t *json = parse(record), *again = NULL;
    _cleanup_(image_free_p) struct image *image = NULL;

    (void)state;
    assert_int_equal(image_from_json(json, &image, NULL), 0);
    assert_string_equal(image_label(image, "k"), "v");
    assert_string_equal(image_label(image, "l"), "");
    assert_null(image_label(image, "m"));
    assert_int_equal(image->created_unix, 1704164645);
    assert_string_equal(image->cmd[1], "y");
    assert_null(image->working_dir);
    again = image_to_json(image);
    assert_true(json_equal(json, again));
}

static void records_are_checked(void **state)
{
    static const struct {
        const char *key, *value, *part;
    } cases[] = {
        {"name", "\"../x\"", "image name"},
        {"name", "null", "name: missing"},
        {"digest", "\"sha256:x\"", "digest: "},
        {"id", "5", "id: expected a string"},
        {"layers", "[]", "layers: "},
        {"layers", "[\"sha256:../x\"]", "layer "},
        {"layers", "null", "layers: missing"},
        {"env", "[1]", "env[0]: "},
        {"size", "-1", "size: "},
        {"labels", "{\"a\": 1}", "labels[\"a\"]: "},
        {"created_unix", "\"x\"", "created_unix: "},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_json_ json_t *json = parse(record);
        struct image *image = NULL;
        struct error e = ERROR_INIT;
        json_object_set_new(json, cases[i].key, json_loads(cases[i].value, JSON_DECODE_ANY, NULL));
        assert_int_equal(image_from_json(json, &image, &e), -EBADMSG);
        if (strncmp(e.text, cases[i].part, strlen(cases[i].part)) != 0)
            fail_msg("%s: %s", cases[i].key, e.text);
    }
}

static void notes_keep_names_that_are_not_text(void **state)
{
    _cleanup_notes_ struct layer_notes n = {.bytes = 1, .entries = 2, .dropped_devices = 3};
    _cleanup_notes_ struct layer_notes back = {0};
    _cleanup_json_ json_t *json = NULL;

    (void)state;
    assert_int_equal(path_list_add(&n.lists[LAYER_OPAQUE], "caf\xe9/%41\n\x7f"), 0);
    assert_int_equal(path_list_add(&n.lists[LAYER_OPAQUE], ""), 0);
    assert_int_equal(path_list_add(&n.lists[LAYER_WHITEOUTS], "x"), 0);
    json = layer_notes_to_json(&n);
    assert_int_equal(layer_notes_from_json(json, &back, NULL), 0);
    assert_int_equal(back.entries, 2);
    for (int i = 0; i < LAYER_LISTS; i++) {
        assert_int_equal(back.lists[i].size, n.lists[i].size);
        assert_int_equal(back.lists[i].count, n.lists[i].count);
        if (n.lists[i].size > 0)
            assert_memory_equal(back.lists[i].text, n.lists[i].text, n.lists[i].size);
    }
}

static void foreign_text_is_shown_harmlessly(void **state)
{
    char buf[FIELD_SHOWN_MAX], large[4096];

    (void)state;
    assert_string_equal(show_foreign("plain \xc3\xa9", buf), "plain \xc3\xa9");
    assert_string_equal(show_foreign("a\x1b[2J\n\"\x7f", buf), "a\\x1b[2J\\x0a\\x22\\x7f");
    assert_string_equal(show_foreign("caf\xe9", buf), "caf\\xe9");
    assert_string_equal(show_foreign("c1 \xc2\x9b", buf), "c1 \\xc2\\x9b");
    memset(large, '\n', sizeof(large) - 1);
    large[sizeof(large) - 1] = 0;
    assert_in_range(strlen(show_foreign(large, buf)), FIELD_SHOWN_MAX - 10, FIELD_SHOWN_MAX - 1);
    assert_string_equal(buf + strlen(buf) - 3, "...");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_manifest_names_its_layers),
        cmocka_unit_test(errors_name_the_field),
        cmocka_unit_test(an_index_tells_images_from_indexes_and_artifacts),
        cmocka_unit_test(times_become_seconds),
        cmocka_unit_test(records_come_back_as_they_were),
        cmocka_unit_test(records_are_checked),
        cmocka_unit_test(notes_keep_names_that_are_not_text),
        cmocka_unit_test(foreign_text_is_shown_harmlessly),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
