/* What the image verbs have in common. */
#pragma once

#include "cli/cli.h"
#include "image/image.h"

#include <signal.h>

struct image_verb {
    const char *verb; /* "image load" */
    const char *help;
    bool takes_name;        /* --name */
    bool takes_config;      /* --cmd, --entrypoint, --env, --label, --workdir, --user */
    bool takes_compression; /* --compression */
    bool takes_created;     /* --created, --overlay */
    bool takes_bounds;      /* --bound, --config */
};

struct image_verb_options {
    const char *store;
    const char *name;
    enum cli_format format;
    char **cmd, **entrypoint, **env, **labels; /* owned; image_verb_config() lends them */
    char **bounds;                             /* owned; "NAME=VALUE" */
    const char *config;                        /* file with bounds, or NULL */
    const char *working_dir, *user;
    enum image_compression compression;
    bool overlay;    /* --overlay */
    int64_t created; /* SOURCE_DATE_EPOCH, or negative */
};
void image_verb_options_clear(struct image_verb_options *o);
#define _cleanup_image_options_ _cleanup_(image_verb_options_clear)
struct image_config image_verb_config(const struct image_verb_options *o);
/** The lines of --help about them. */
#define IMAGE_VERB_CONFIG_HELP                                                                     \
    "  --cmd WORD           a word of the command (repeat for the next word)\n"                    \
    "  --entrypoint WORD    a word in front of the command (likewise)\n"                           \
    "  --env KEY=VALUE      an environment variable (repeatable)\n"                                \
    "  --label KEY=VALUE    a label (repeatable)\n"                                                \
    "  --workdir DIR        the working directory\n"                                               \
    "  --user USER          the user to run as\n"

/** Where images are written, likewise. */
#define IMAGE_VERB_TARGET_HELP                                                                     \
    "  oci:DIR[:REF]              an OCI image layout, beside the images that it has\n"            \
    "  oci-archive:FILE[:REF]     one in a new tar archive\n"                                      \
    "  docker-archive:FILE[:NAME] a new archive for 'docker load'\n"                               \
    "  dir:DIR                    a new directory, as skopeo writes it\n"
#define IMAGE_VERB_COMPRESSION_HELP                                                                \
    "  --compression HOW    of layers: zstd (default), gzip or none; docker-archive: none\n"

/** Parses the options; what is left of ARGV begins at optind. EXIT_SUCCESS to go on, -1 when the
 * help was printed and all is done, or the exit status of a usage error, which has been printed. */
int image_verb_parse(const struct image_verb *v, int argc, char **argv,
                     struct image_verb_options *ret);
/** Prints JSON (whose reference it takes) and a newline; EXIT_SUCCESS, or EXIT_FAILURE with a line
 * on stderr. */
int image_verb_print(const struct image_verb *v, json_t *json);
/** TEXT with control characters and what is not UTF-8 as '?', for terminals and JSON. The caller
 * frees; NULL when there is no memory. */
char *image_verb_printable(const char *text);

/** A line on a terminal that says how far something is; {0} begins. */
struct image_progress {
    uint64_t last;
    int shown; /* columns of the line */
};
/** Shows the line, unless the last one is younger than people can read. */
void image_progress_show(struct image_progress *p, const char *format, ...) _printf_(2, 3);
void image_progress_end(struct image_progress *p);

/** What becomes the number of the signal that asks the process to end: from now on, such signals
 * only say so. */
const volatile sig_atomic_t *image_verb_stop(void);
/** Fails like cli_fail(), or as the signal that image_verb_stop() has seen would have ended it. */
int image_verb_stopped(const struct image_verb *v, const struct error *e);
/** Prints what image_pack() or image_export() wrote; an exit status. */
int image_verb_print_packed(const struct image_verb *v, const struct image_verb_options *o,
                            const char *target, const struct image_packed *p);
/** EXIT_SUCCESS when everything printed has reached stdout. */
int image_verb_flush(const struct image_verb *v);
/** The "note" lines of what unpacking did not keep of IMAGE, their key padded to WIDTH and indented
 * by INDENT. */
void image_verb_print_dropped(const struct image *image, int indent, int width);
/** BYTES for people: "145.2 MiB", in BUF of IMAGE_VERB_SIZE_TEXT. */
#define IMAGE_VERB_SIZE_TEXT 32
const char *image_verb_size(uint64_t bytes, char *buf);
