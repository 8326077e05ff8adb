/* dockless image pack */
#include "cli/image_verb.h"

#include <getopt.h>

static const struct image_verb verb = {
    .verb = "image pack",
    .help = "Usage: dockless image pack [OPTION...] DIR... TARGET\n\n"
            "Packs each DIR as one layer, lowest first, of an image. The same trees give the same\n"
            "digest. TARGET is one of\n\n" IMAGE_VERB_TARGET_HELP "\n" IMAGE_VERB_CONFIG_HELP
            "  --created SECONDS    time of creation; later times of files become it (default:\n"
            "                       $SOURCE_DATE_EPOCH, else the newest file's, and times stay)\n"
            "  --overlay            the trees are as overlayfs has them: 0/0 devices are "
            "whiteouts\n" IMAGE_VERB_COMPRESSION_HELP
            "  --format text|json   how to print what was packed\n"
            "  --help               this text\n",
    .takes_config = true,
    .takes_compression = true,
    .takes_created = true,
};

int cli_image_pack(int argc, char **argv)
{
    _cleanup_image_options_ struct image_verb_options o = {0};
    struct image_pack_options options = {0};
    struct image_packed packed = {0};
    struct error e = ERROR_INIT;
    const char *target;
    int r = image_verb_parse(&verb, argc, argv, &o);

    if (r != EXIT_SUCCESS)
        return r < 0 ? EXIT_SUCCESS : r;
    if (argc - optind < 2)
        return cli_usage(verb.verb, "expected directories and a target such as oci:OUT:REF");
    target = argv[argc - 1];
    argv[argc - 1] = NULL;
    options.config = image_verb_config(&o);
    options.compression = o.compression;
    options.created = o.created;
    options.overlay = o.overlay;
    options.stop = image_verb_stop();
    r = image_pack(argv + optind, target, &options, &packed, &e);
    if (r < 0)
        return image_verb_stopped(&verb, &e);
    return image_verb_print_packed(&verb, &o, target, &packed);
}
