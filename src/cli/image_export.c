/* dockless image export */
#include "cli/image_verb.h"

#include <getopt.h>

static const struct image_verb verb = {
    .verb = "image export",
    .help =
        "Usage: dockless image export [OPTION...] NAME TARGET\n\n"
        "Writes an image of the store. Files and configuration are the same; digests are new.\n"
        "TARGET is one of\n\n" IMAGE_VERB_TARGET_HELP "\n"
        "  --store DIR          the store (default: " IMAGE_STORE_DEFAULT
        ")\n" IMAGE_VERB_COMPRESSION_HELP "  --format text|json   how to print what was written\n"
        "  --help               this text\n",
    .takes_compression = true,
};

int cli_image_export(int argc, char **argv)
{
    _cleanup_image_options_ struct image_verb_options o = {0};
    _cleanup_(image_store_close_p) struct image_store *store = NULL;
    struct image_export_options options = {0};
    struct image_packed packed = {0};
    struct error e = ERROR_INIT;
    int r = image_verb_parse(&verb, argc, argv, &o);

    if (r != EXIT_SUCCESS)
        return r < 0 ? EXIT_SUCCESS : r;
    if (argc - optind != 2)
        return cli_usage(verb.verb, "expected an image name and a target such as oci:OUT:REF");
    options.compression = o.compression;
    options.stop = image_verb_stop();
    r = image_store_open(o.store, IMAGE_STORE_READ, &store, &e);
    if (r >= 0)
        r = image_export(store, argv[optind], argv[optind + 1], &options, &packed, &e);
    if (r < 0)
        return image_verb_stopped(&verb, &e);
    return image_verb_print_packed(&verb, &o, argv[optind + 1], &packed);
}
