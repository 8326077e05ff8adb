/* dockless image verify */
#include "cli/image_verb.h"

#include <getopt.h>
#include <inttypes.h>

static const struct image_verb verb = {
    .verb = "image verify",
    .help =
        "Usage: dockless image verify [OPTION...] [NAME]\n\n"
        "Reads all files of an image, or of all images in the store, and compares them with\n"
        "what was taken down when they were unpacked. Says of each difference its image, layer,\n"
        "path and property. Ends with 1 where something differs.\n\n"
        "  --store DIR          the store (default: " IMAGE_STORE_DEFAULT ")\n"
        "  --format text|json   how to print what was found\n"
        "  --help               this text\n",
};

struct found {
    json_t *faults; /* NULL: lines */
    struct image_progress progress;
};

static void fault(void *userdata, const struct image_fault *f)
{
    struct found *found = userdata;
    _cleanup_free_ char *path = image_verb_printable(f->path);

    if (!path)
        return;
    if (found->faults)
        json_array_append_new(found->faults,
                              json_pack("{s:s, s:s, s:s, s:s}", "image", f->image, "layer",
                                        f->layer, "path", path, "fault", f->what));
    else
        printf("%s: %s%s%s: %s\n", f->image, f->layer, path[0] ? ": /" : "", path, f->what);
}

static void progress(void *userdata, const char *what, uint64_t done, uint64_t total)
{
    struct found *found = userdata;

    (void)done, (void)total;
    image_progress_show(&found->progress, "%s", what);
}

static int print(const struct found *found, const struct image_verified *v)
{
    int r;

    if (found->faults) {
        r = image_verb_print(&verb,
                             json_pack("{s:I, s:I, s:o}", "layers", (json_int_t)v->layers, "files",
                                       (json_int_t)v->files, "faults", found->faults));
    } else {
        printf("%" PRIu64 " files in %" PRIu64 " layers: %" PRIu64 " faults\n", v->files, v->layers,
               v->faults);
        r = image_verb_flush(&verb);
    }
    return r == EXIT_SUCCESS && v->faults > 0 ? EXIT_FAILURE : r;
}

int cli_image_verify(int argc, char **argv)
{
    struct image_verb_options o;
    struct found found = {0};
    struct image_verify_options options = {.fault = fault, .userdata = &found};
    _cleanup_(image_store_close_p) struct image_store *store = NULL;
    struct image_verified verified = {0};
    struct error e = ERROR_INIT;
    int r = image_verb_parse(&verb, argc, argv, &o);

    if (r != EXIT_SUCCESS)
        return r < 0 ? EXIT_SUCCESS : r;
    if (argc - optind > 1)
        return cli_usage(verb.verb, "expected one image name at most");
    if (o.format == CLI_JSON)
        found.faults = json_array();
    if (isatty(STDERR_FILENO))
        options.progress = progress;
    r = image_store_open(o.store, IMAGE_STORE_READ, &store, &e);
    if (r >= 0)
        r = image_store_verify(store, argv[optind], &options, &verified, &e);
    image_progress_end(&found.progress);
    if (r < 0) {
        json_decref(found.faults);
        return cli_fail(verb.verb, &e);
    }
    return print(&found, &verified);
}
