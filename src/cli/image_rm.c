/* dockless image rm */
#include "cli/image_verb.h"

#include <getopt.h>

static const struct image_verb verb = {
    .verb = "image rm",
    .help = "Usage: dockless image rm [OPTION...] NAME...\n\n"
            "Removes names of images; each is a name or the beginning of a digest. What runs from\n"
            "an image goes on. Layers stay until 'image prune'.\n\n"
            "  --store DIR          the store (default: " IMAGE_STORE_DEFAULT ")\n"
            "  --format text|json   how to print what was removed\n"
            "  --help               this text\n",
};

int cli_image_rm(int argc, char **argv)
{
    struct image_verb_options o;
    _cleanup_(image_store_close_p) struct image_store *store = NULL;
    struct error e = ERROR_INIT;
    json_t *array = json_array();
    int r = image_verb_parse(&verb, argc, argv, &o);

    if (r != EXIT_SUCCESS || optind == argc) {
        json_decref(array);
        if (r != EXIT_SUCCESS)
            return r < 0 ? EXIT_SUCCESS : r;
        return cli_usage(verb.verb, "expected names of images");
    }
    r = image_store_open(o.store, IMAGE_STORE_CHANGE, &store, &e);
    for (int i = optind; r >= 0 && i < argc; i++) {
        bool held = false;
        r = image_store_remove(store, argv[i], &held, &e);
        if (r < 0)
            break;
        json_array_append_new(array, json_pack("{s:s, s:b}", "name", argv[i], "in_use", held));
        if (o.format == CLI_TEXT)
            printf("%s%s\n", argv[i], held ? "  (in use: its layers stay as long as it is)" : "");
    }
    if (r >= 0 && o.format == CLI_JSON)
        return image_verb_print(&verb, array);
    json_decref(array);
    return r < 0 ? cli_fail(verb.verb, &e) : image_verb_flush(&verb);
}
