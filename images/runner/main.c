/* dockless-runner: everything of ours that runs inside grading and student containers, in one
 * static program that is called by many names. */
#include "commands.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define OWN_NAME "dockless-runner"

static int usage(FILE *out, int status)
{
    fprintf(out,
            "usage: " OWN_NAME " COMMAND [ARGUMENT...]\n"
            "       " OWN_NAME " --list | --help | --version\n\n"
            "The commands of a grading container; each can also be called through a link of its "
            "name.\n");
    return status;
}

static int list(void)
{
    for (const struct command *c = commands; c->name; c++)
        puts(c->name);
    return 0;
}

static int run(const char *name, char **argv)
{
    const struct command *command = command_find(name);
    struct invocation c = {.name = name, .argv = argv};

    if (!command) {
        fprintf(stderr, OWN_NAME ": there is no command \"%s\"\n", name);
        return 127;
    }
    c.root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (c.root_fd < 0) {
        perror(OWN_NAME ": /");
        return 1;
    }
    return command->run(&c);
}

int main(int argc, char **argv)
{
    const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
    const char *name = slash ? slash + 1 : argc > 0 ? argv[0] : OWN_NAME;

    if (strcmp(name, OWN_NAME) != 0)
        return run(name, argv + 1);
    if (argc < 2)
        return usage(stderr, 2);
    if (strcmp(argv[1], "--list") == 0)
        return list();
    if (strcmp(argv[1], "--help") == 0)
        return usage(stdout, 0);
    if (strcmp(argv[1], "--version") == 0) {
        puts(OWN_NAME " " DOCKLESS_VERSION);
        return 0;
    }
    return run(argv[1], argv + 2);
}
