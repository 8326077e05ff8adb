/* What the configuration says of one environment, over the labels of its image. */
#pragma once

#include "config/job_limits.h"

/** More than any agent offers. */
#define ENVIRONMENT_CONFIGS_MAX 1000

/** Three-valued settings: no, yes, or what the labels say. */
#define AS_LABELLED (-1)

struct environment_config {
    char *name;           /* of the environment, or the id of its image */
    int offer;            /* no: never; yes: also where its labels speak against it */
    int advertise;        /* whether frontends propose it */
    int runner;           /* whether what runs inside is dockless-runner */
    int root;             /* whether graders run as the container's root */
    char *ports;          /* as in the label; NULL: as labelled */
    const char *protocol; /* what runs inside speaks; NULL: found out */
    struct job_limits limits;
};

/** A growing list of them. */
struct environment_configs {
    struct environment_config *list; /* owned */
    size_t n;
};

void environment_configs_clear(struct environment_configs *c);
/** A deep copy. On failure RET holds a part of it, to be cleared. -ENOMEM. */
int environment_configs_copy(const struct environment_configs *c, struct environment_configs *ret);
/** Reads a mapping of names; -EINVAL with "PATH:LINE:COLUMN: what", -ENOMEM. */
int environment_configs_read(const struct yaml_file *f, const struct yaml_node *map,
                             struct environment_configs *c, struct error *e);
/** What is said of the image ID, else of the environment NAME; NULL: nothing. */
const struct environment_config *environment_configs_find(const struct environment_configs *c,
                                                          const char *name, const char *id);
