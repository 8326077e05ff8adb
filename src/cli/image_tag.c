/* dockless image tag */
#include "cli/image_verb.h"

#include <getopt.h>

static const struct image_verb verb = {
    .verb = "image tag",
    .help = "Usage: dockless image tag [OPTION...] NAME NEW-NAME\n\n"
            "Gives an image of the store a further name. If another image had it, that one loses\n"
            "it. NAME may be the beginning of a digest.\n\n"
            "  --store DIR          the store (default: " IMAGE_STORE_DEFAULT ")\n"
            "  --format text|json   how to print the image under its new name\n"
            "  --help               this text\n",
};

int cli_image_tag(int argc, char **argv)
{
    struct image_verb_options o;
    _cleanup_(image_store_close_p) struct image_store *store = NULL;
    _cleanup_(image_free_p) struct image *image = NULL;
    struct error e = ERROR_INIT;
    int r = image_verb_parse(&verb, argc, argv, &o);

    if (r != EXIT_SUCCESS)
        return r < 0 ? EXIT_SUCCESS : r;
    if (argc - optind != 2)
        return cli_usage(verb.verb, "expected a name and a new name");
    r = image_store_open(o.store, IMAGE_STORE_CHANGE, &store, &e);
    if (r >= 0)
        r = image_store_tag(store, argv[optind], argv[optind + 1], &e);
    if (r >= 0)
        r = image_store_get(store, argv[optind + 1], &image, &e);
    if (r < 0)
        return cli_fail(verb.verb, &e);
    if (o.format == CLI_JSON)
        return image_verb_print(&verb, image_to_json(image));
    printf("%s  %s\n", image->name, image->digest);
    return image_verb_flush(&verb);
}
