/* dockless image load */
#include "cli/image_verb.h"

#include "base/text.h"
#include "config/bounds_config.h"

#include <getopt.h>
#include <inttypes.h>

static const struct image_verb verb = {
    .verb = "image load",
    .help =
        "Usage: dockless image load [OPTION...] REFERENCE\n\n"
        "Loads a local image into the store. REFERENCE is one of\n\n"
        "  oci:DIR[:REF]              an OCI image layout (skopeo, umoci, podman, buildah)\n"
        "  oci-archive:FILE[:REF]     one in a tar archive\n"
        "  docker-archive:FILE[:REF]  what 'docker save' writes\n"
        "  dir:DIR                    what 'skopeo copy ... dir:DIR' writes\n"
        "  rootfs:DIR                 a plain root file system\n\n"
        "REF may be @N for the image at place N. Digests and sizes are verified; layers that\n"
        "the store has are not unpacked again.\n\n"
        "  --store DIR          the store (default: " IMAGE_STORE_DEFAULT
        "), made where it is missing\n"
        "  --name NAME          name in the store (default: that of the reference)\n"
        "  --bound NAME=N       what unpacking a layer may come to, over \"image-bounds\" of the\n"
        "                       configuration file: stream, files, entries, names, path, name,\n"
        "                       depth, xattrs, xattr-bytes, header, regions; see the manual\n"
        "  --config FILE        that file (default: /etc/dockless/agent.yaml)\n"
        "  --format text|json   how to print what was loaded\n"
        "\nFor rootfs: only:\n" IMAGE_VERB_CONFIG_HELP "\n"
        "  --help               this text\n",
    .takes_name = true,
    .takes_config = true,
    .takes_bounds = true,
};

static void show_progress(void *userdata, const char *what, uint64_t done, uint64_t total)
{
    image_progress_show(userdata, "%s: %" PRIu64 " of %" PRIu64 " KiB", what, done >> 10,
                        total >> 10);
}

static int print_text(const struct image *image)
{
    char size[IMAGE_VERB_SIZE_TEXT];

    printf("%s\n", image->name);
    printf("  digest  %s\n", image->digest);
    printf("  size    %s in %zu layers\n", image_verb_size(image->size, size),
           strv_length(image->layers));
    image_verb_print_dropped(image, 2, 6);
    return image_verb_flush(&verb);
}

int cli_image_load(int argc, char **argv)
{
    _cleanup_image_options_ struct image_verb_options o = {0};
    struct image_progress progress = {0};
    struct image_load_options load = {0};
    struct image_bounds bounds;
    _cleanup_(image_store_close_p) struct image_store *store = NULL;
    _cleanup_(image_free_p) struct image *image = NULL;
    struct error e = ERROR_INIT;
    int r = image_verb_parse(&verb, argc, argv, &o);

    if (r != EXIT_SUCCESS)
        return r < 0 ? EXIT_SUCCESS : r;
    if (argc - optind != 1)
        return cli_usage(verb.verb, "expected one image reference");
    load.name = o.name;
    load.config = image_verb_config(&o);
    if (isatty(STDERR_FILENO)) {
        load.progress = show_progress;
        load.userdata = &progress;
    }
    load.bounds = &bounds;
    r = bounds_config_read(o.config, o.bounds, &bounds, &e);
    if (r >= 0)
        r = image_store_open(o.store, IMAGE_STORE_CHANGE, &store, &e);
    if (r >= 0)
        r = image_load(store, argv[optind], &load, &image, &e);
    image_progress_end(&progress);
    if (r < 0)
        return cli_fail(verb.verb, &e);
    if (o.format == CLI_JSON)
        return image_verb_print(&verb, image_to_json(image));
    return print_text(image);
}
