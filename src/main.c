/* dockless: finds the verb and hands over. */
#include "cli/cli.h"
#include "runtime/launcher.h"

#include <string.h>

#define VERB_WORDS_MAX 2

static const struct cli_verb verbs[] = {
    {"agent", "connect to an INGInious backend and run its jobs", cli_agent},
    {"bench", "measure commands against each other in sandboxes", cli_bench},
    {"check", "tell whether this host is fit", cli_check},
    {"grade", "grade one task here, without a server", cli_grade},
    {"image export", "write an image of the store into a layout", cli_image_export},
    {"image inspect", "show an image of the store", cli_image_inspect},
    {"image list", "list the images of the store", cli_image_list},
    {"image load", "load a local image into the store", cli_image_load},
    {"image pack", "make an image of directories", cli_image_pack},
    {"image prune", "take away layers that no image needs", cli_image_prune},
    {"image rm", "remove images from the store", cli_image_rm},
    {"image tag", "give an image of the store a further name", cli_image_tag},
    {"image verify", "compare the store with what was unpacked", cli_image_verify},
    {"ps", "list the sandboxes that run on this host", cli_ps},
    {"run", "run one command in a sandbox", cli_run},
    {"version", "print the version", cli_version},
};

static void print_help(FILE *out)
{
    fprintf(out,
            "Usage: dockless VERB [OPTION...] [ARGUMENT...]\n\n"
            "Runs grading containers and sandboxes straight from local OCI images.\n\nVerbs:\n");
    for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
        fprintf(out, "  %-15s %s\n", verbs[i].name, verbs[i].summary);
    fprintf(out, "\n'dockless VERB --help' explains a verb; see also dockless(1).\n");
}

/* How many of the words in ARGV the verb's name takes, 0 where it is another verb. */
static int match(const struct cli_verb *verb, int argc, char **argv)
{
    const char *name = verb->name;

    for (int words = 1; words <= VERB_WORDS_MAX && words <= argc; words++) {
        size_t length = strcspn(name, " ");
        if (strlen(argv[words - 1]) != length || strncmp(argv[words - 1], name, length) != 0)
            return 0;
        if (!name[length])
            return words;
        name += length + 1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    launcher_begin(argv);
    if (argc < 2) {
        print_help(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        print_help(stdout);
        return EXIT_SUCCESS;
    }
    if (strcmp(argv[1], "--version") == 0) {
        return cli_version(argc, argv);
    }
    for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
        int words = match(&verbs[i], argc - 1, argv + 1);
        if (words > 0)
            return verbs[i].run(argc - words, argv + words);
    }
    fprintf(stderr, "dockless: there is no verb '%s'; try 'dockless --help'\n", argv[1]);
    return EXIT_USAGE;
}
