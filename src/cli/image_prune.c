/* dockless image prune */
#include "cli/image_verb.h"

#include <getopt.h>
#include <inttypes.h>

static const struct image_verb verb = {
    .verb = "image prune",
    .help = "Usage: dockless image prune [OPTION...]\n\n"
            "Takes away the layers that no image of the store has and nobody runs from, and says\n"
            "what that freed.\n\n"
            "  --store DIR          the store (default: " IMAGE_STORE_DEFAULT ")\n"
            "  --format text|json   how to print what was freed\n"
            "  --help               this text\n",
};

struct gone {
    json_t *layers; /* NULL: lines */
};

static void tell(void *userdata, const char *diff_id, uint64_t bytes)
{
    struct gone *gone = userdata;
    char size[IMAGE_VERB_SIZE_TEXT];

    if (gone->layers)
        json_array_append_new(gone->layers,
                              json_pack("{s:s, s:I}", "layer", diff_id, "size", (json_int_t)bytes));
    else
        printf("%s  %s\n", diff_id, image_verb_size(bytes, size));
}

static int print_sum(const struct image_pruned *p)
{
    char size[IMAGE_VERB_SIZE_TEXT];

    printf("freed %s in %" PRIu64 " layers", image_verb_size(p->bytes, size), p->layers);
    if (p->held > 0)
        printf("; %" PRIu64 " more are in use", p->held);
    putchar('\n');
    return image_verb_flush(&verb);
}

int cli_image_prune(int argc, char **argv)
{
    struct image_verb_options o;
    _cleanup_(image_store_close_p) struct image_store *store = NULL;
    struct image_pruned pruned = {0};
    struct gone gone = {0};
    struct error e = ERROR_INIT;
    int r = image_verb_parse(&verb, argc, argv, &o);

    if (r != EXIT_SUCCESS)
        return r < 0 ? EXIT_SUCCESS : r;
    if (optind < argc)
        return cli_usage(verb.verb, "'%s' is not expected", argv[optind]);
    if (o.format == CLI_JSON)
        gone.layers = json_array();
    r = image_store_open(o.store, IMAGE_STORE_CHANGE, &store, &e);
    if (r >= 0)
        r = image_store_prune(store, tell, &gone, &pruned, &e);
    if (r < 0) {
        json_decref(gone.layers);
        return cli_fail(verb.verb, &e);
    }
    if (o.format == CLI_TEXT)
        return print_sum(&pruned);
    return image_verb_print(&verb,
                            json_pack("{s:o, s:I, s:I}", "layers", gone.layers, "freed",
                                      (json_int_t)pruned.bytes, "in_use", (json_int_t)pruned.held));
}
