/* dockless image inspect */
#include "cli/image_verb.h"

#include "base/text.h"

#include <getopt.h>
#include <string.h>

static const struct image_verb verb = {
    .verb = "image inspect",
    .help = "Usage: dockless image inspect [OPTION...] NAME\n\n"
            "Shows an image of the store. NAME is its name, or the beginning of its digest.\n\n"
            "  --store DIR          the store (default: " IMAGE_STORE_DEFAULT ")\n"
            "  --format text|json   how to print it\n"
            "  --help               this text\n",
};

/* Strings of an image are foreign: what could steer a terminal is shown as "?". */
static void print_line(const char *key, const char *text)
{
    if (!text)
        return;
    printf("%-12s  ", key);
    for (const char *p = text; *p; p++)
        putchar((unsigned char)*p < ' ' || *p == 127 ? '?' : *p);
    putchar('\n');
}

static void print_list(const char *key, char *const *list)
{
    for (; list && *list; list++, key = "")
        print_line(key, *list);
}

static int print_text(const struct image *image)
{
    char size[IMAGE_VERB_SIZE_TEXT];

    print_line("name", image->name);
    print_line("digest", image->digest);
    print_line("id", image->id);
    print_line("created", image->created);
    print_line("platform", image->architecture);
    print_line("size", image_verb_size(image->size, size));
    print_line("user", image->user);
    print_line("working dir", image->working_dir);
    print_line("stop signal", image->stop_signal);
    print_list("entrypoint", image->entrypoint);
    print_list("cmd", image->cmd);
    print_list("env", image->env);
    for (size_t i = 0; i < image->n_labels; i++) {
        _cleanup_free_ char *label =
            text_printf("%s=%s", image->labels[i].key, image->labels[i].value);
        print_line(i == 0 ? "labels" : "", label);
    }
    print_list("layers", image->layers);
    image_verb_print_dropped(image, 0, 12);
    return image_verb_flush(&verb);
}

int cli_image_inspect(int argc, char **argv)
{
    struct image_verb_options o;
    _cleanup_(image_store_close_p) struct image_store *store = NULL;
    _cleanup_(image_free_p) struct image *image = NULL;
    struct error e = ERROR_INIT;
    int r = image_verb_parse(&verb, argc, argv, &o);

    if (r != EXIT_SUCCESS)
        return r < 0 ? EXIT_SUCCESS : r;
    if (argc - optind != 1)
        return cli_usage(verb.verb, "expected one image name");
    r = image_store_open(o.store, IMAGE_STORE_READ, &store, &e);
    if (r >= 0)
        r = image_store_get(store, argv[optind], &image, &e);
    if (r < 0)
        return cli_fail(verb.verb, &e);
    if (o.format == CLI_JSON)
        return image_verb_print(&verb, image_to_json(image));
    return print_text(image);
}
