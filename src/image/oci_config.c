/* The image configuration (image-spec, config.md): JSON to plain data. */
#include "image/fields.h"
#include "image/oci.h"

#include <string.h>
#include <sys/utsname.h>
#include <time.h>

const char *oci_architecture(void)
{
#if defined(__x86_64__)
    return "amd64";
#elif defined(__aarch64__)
    return "arm64";
#else
#error "dockless runs on x86-64 and arm64"
#endif
}

/* "HH:MM" in minutes, or -EINVAL. */
static int64_t parse_offset(const char *text)
{
    static const char form[] = "00:00";

    for (size_t i = 0; i < sizeof(form); i++)
        if (form[i] == '0' ? !strchr("0123456789", text[i]) || !text[i] : text[i] != form[i])
            return -EINVAL;
    return 60 * (10 * (text[0] - '0') + text[1] - '0') + 10 * (text[3] - '0') + text[4] - '0';
}

int64_t oci_parse_time(const char *text)
{
    struct tm tm = {0};
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    int64_t seconds;

    if (!rest)
        return 0;
    if (*rest == '.')
        rest += 1 + strspn(rest + 1, "0123456789");
    seconds = timegm(&tm);
    if (*rest == '+' || *rest == '-') {
        int64_t minutes = parse_offset(rest + 1);
        if (minutes < 0)
            return 0;
        seconds -= (*rest == '+' ? 60 : -60) * minutes;
    } else if (strcmp(rest, "Z") != 0) {
        return 0;
    }
    return seconds > 0 ? seconds : 0;
}

static int parse_run_config(const json_t *json, struct image *image, struct error *e)
{
    const json_t *config = NULL;
    int r = field_object(json, "", "config", OPTIONAL, &config, e);

    if (r < 0 || !config)
        return r;
    r = field_strings(config, "config.", "Env", OPTIONAL, &image->env, e);
    if (r >= 0)
        r = field_strings(config, "config.", "Entrypoint", OPTIONAL, &image->entrypoint, e);
    if (r >= 0)
        r = field_strings(config, "config.", "Cmd", OPTIONAL, &image->cmd, e);
    if (r >= 0)
        r = field_copy(config, "config.", "WorkingDir", OPTIONAL, &image->working_dir, e);
    if (r >= 0)
        r = field_copy(config, "config.", "User", OPTIONAL, &image->user, e);
    if (r >= 0)
        r = field_copy(config, "config.", "StopSignal", OPTIONAL, &image->stop_signal, e);
    if (r >= 0)
        r = image_labels_from_json(config, "config.", "Labels", image, e);
    return r;
}

static int parse_platform(const json_t *json, struct image *image, struct error *e)
{
    char shown[FIELD_SHOWN_MAX];
    int r = field_copy(json, "", "os", REQUIRED, &image->os, e);

    if (r >= 0)
        r = field_copy(json, "", "architecture", REQUIRED, &image->architecture, e);
    if (r < 0)
        return r;
    if (strcmp(image->os, "linux") != 0)
        return error_set(e, -ENOTSUP, "os: \"%s\", not linux", show_foreign(image->os, shown));
    if (strcmp(image->architecture, oci_architecture()) != 0)
        return error_set(e, -ENOTSUP, "architecture: \"%s\", and this machine is %s",
                         show_foreign(image->architecture, shown), oci_architecture());
    return 0;
}

static int parse_diff_ids(const json_t *json, struct digest **ret, size_t *ret_n, struct error *e)
{
    _cleanup_free_ struct digest *ids = NULL;
    const json_t *rootfs = NULL, *array = NULL;
    const char *type = NULL;
    size_t n;
    int r = field_object(json, "", "rootfs", REQUIRED, &rootfs, e);

    if (r >= 0)
        r = field_string(rootfs, "rootfs.", "type", REQUIRED, &type, e);
    if (r >= 0 && strcmp(type, "layers") != 0)
        return error_set(e, -EBADMSG, "rootfs.type: expected \"layers\"");
    if (r >= 0)
        r = field_array(rootfs, "rootfs.", "diff_ids", REQUIRED, IMAGE_LAYERS_MAX, &array, e);
    if (r < 0)
        return r;
    n = json_array_size(array);
    ids = calloc(n + 1, sizeof(*ids));
    if (!ids)
        return error_sys(e, -ENOMEM, "rootfs.diff_ids");
    for (size_t i = 0; i < n; i++) {
        const char *text = json_string_value(json_array_get(array, i));
        if (!text || digest_parse(text, &ids[i]) < 0 || ids[i].algorithm != DIGEST_SHA256)
            return error_set(e, -EBADMSG, "rootfs.diff_ids[%zu]: expected sha256:HEX", i);
    }
    *ret = TAKE_PTR(ids);
    *ret_n = n;
    return 0;
}

/* Overlayfs refuses a directory that stands twice in its stack. Only the topmost one counts anyway:
 * all that the lower one brings, the upper one brings again. */
static int set_layers(const struct digest *ids, size_t n, struct image *image, struct error *e)
{
    for (size_t i = 0; i < n; i++) {
        char text[DIGEST_TEXT_SIZE];
        bool again = false;
        for (size_t j = i + 1; j < n; j++)
            again |= digest_equal(&ids[i], &ids[j]);
        if (!again && strv_append(&image->layers, digest_text(&ids[i], text)) < 0)
            return error_sys(e, -ENOMEM, "rootfs.diff_ids");
    }
    return 0;
}

int oci_config_parse(const json_t *json, struct image *image, struct digest **ret_diff_ids,
                     size_t *ret_n, struct error *e)
{
    _cleanup_free_ struct digest *ids = NULL;
    size_t n = 0;
    int r = parse_platform(json, image, e);

    if (r >= 0)
        r = parse_run_config(json, image, e);
    if (r >= 0)
        r = field_copy(json, "", "created", OPTIONAL, &image->created, e);
    if (r >= 0)
        r = parse_diff_ids(json, &ids, &n, e);
    if (r >= 0)
        r = set_layers(ids, n, image, e);
    if (r < 0)
        return r;
    image->created_unix = image->created ? oci_parse_time(image->created) : 0;
    *ret_diff_ids = TAKE_PTR(ids);
    *ret_n = n;
    return 0;
}
