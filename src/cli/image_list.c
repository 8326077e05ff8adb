/* dockless image list */
#include "cli/image_verb.h"

#include "base/text.h"

#include <getopt.h>
#include <string.h>
#include <time.h>

/* As much of a digest as people compare. */
#define DIGEST_SHOWN 12

static const struct image_verb verb = {
    .verb = "image list",
    .help = "Usage: dockless image list [OPTION...]\n\n"
            "Lists the images in the store.\n\n"
            "  --store DIR          the store (default: " IMAGE_STORE_DEFAULT ")\n"
            "  --format text|json   a table, or an array of what 'image inspect' prints\n"
            "  --help               this text\n",
};

/* The configuration's own text is foreign; the time is not. */
static const char *show_time(int64_t seconds, char *buf, size_t size)
{
    time_t t = (time_t)seconds;
    struct tm tm;

    if (seconds == 0 || !gmtime_r(&t, &tm) || strftime(buf, size, "%Y-%m-%d %H:%M", &tm) == 0)
        return "-";
    return buf;
}

static int print_table(struct image **images, size_t n)
{
    size_t width = strlen("NAME");

    for (size_t i = 0; i < n; i++)
        width = MAX(width, strlen(images[i]->name));
    printf("%-*s  %-*s  %10s  %6s  %s\n", (int)width, "NAME", DIGEST_SHOWN, "DIGEST", "SIZE",
           "LAYERS", "CREATED");
    for (size_t i = 0; i < n; i++) {
        const struct image *image = images[i];
        char size[IMAGE_VERB_SIZE_TEXT], created[32];
        printf("%-*s  %.*s  %10s  %6zu  %s\n", (int)width, image->name, DIGEST_SHOWN,
               strchr(image->digest, ':') + 1, image_verb_size(image->size, size),
               strv_length(image->layers),
               show_time(image->created_unix, created, sizeof(created)));
    }
    return image_verb_flush(&verb);
}

static int print_json(struct image **images, size_t n)
{
    json_t *array = json_array();

    for (size_t i = 0; i < n; i++)
        json_array_append_new(array, image_to_json(images[i]));
    return image_verb_print(&verb, array);
}

int cli_image_list(int argc, char **argv)
{
    struct image_verb_options o;
    _cleanup_(image_store_close_p) struct image_store *store = NULL;
    struct error e = ERROR_INIT;
    struct image **images = NULL;
    size_t n = 0;
    int r = image_verb_parse(&verb, argc, argv, &o);

    if (r != EXIT_SUCCESS)
        return r < 0 ? EXIT_SUCCESS : r;
    if (optind < argc)
        return cli_usage(verb.verb, "'%s' is not expected", argv[optind]);
    r = image_store_open(o.store, IMAGE_STORE_READ, &store, &e);
    if (r >= 0)
        r = image_store_list(store, IMAGE_LOOK, &images, &n, &e);
    if (r < 0)
        return cli_fail(verb.verb, &e);
    r = o.format == CLI_JSON ? print_json(images, n) : print_table(images, n);
    for (size_t i = 0; i < n; i++)
        image_free(images[i]);
    free(images);
    return r;
}
