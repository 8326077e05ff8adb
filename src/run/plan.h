/* From options to everything a launcher must be told: which image, which directories of the host,
 * what to run in them. */
#pragma once

#include "image/image.h"
#include "run/options.h"
#include "runtime/launcher.h"

/** Hex digits of a sandbox's id, which is its host name and its name where none is given. */
#define RUN_ID_LENGTH 12
/** An environment file is read up to this size. */
#define RUN_ENV_FILE_MAX ((size_t)1 << 20)

struct run_plan {
    const struct run_options *options; /* the caller's, must outlive the plan */
    char id[RUN_ID_LENGTH + 1];
    char *name; /* that of the options, else id */
    struct image_store
        *store;          /* open while the plan lives, so that its layers stay; NULL: rootfs */
    struct image *image; /* NULL: rootfs:DIR */
    struct launcher_root roots[LAUNCHER_ROOTS_MAX];
    char *paths[LAUNCHER_ROOTS_MAX]; /* of the roots */
    size_t n_roots;
    size_t kept; /* overlay volumes whose changes stay */
    struct launcher_network network;
    struct sandbox_spec spec; /* complete; the caller may copy and change it */
};

/** Makes the plan for the image that REFERENCE means (see image_obtain(), which may have to load
 * it, with LOAD's progress) and COMMAND (NULL-terminated; empty: the image's). Looks at the
 * volumes' sources, reads the environment files. Errors are lines for the user. */
int run_plan_make(const struct run_options *o, const char *reference,
                  const struct image_load_options *load, char *const *command,
                  struct run_plan **ret, struct error *e);
void run_plan_free(struct run_plan *p);
DEFINE_CLEANUP(struct run_plan, run_plan_free)

/** Replaces SPEC's program by COMMAND as run_plan_make() would have taken it. */
int run_plan_set_command(const struct run_plan *p, char *const *command, struct sandbox_spec *spec,
                         struct error *e);

/** Starts a launcher for up to MAX_SANDBOXES sandboxes of this plan at once. Root only, before any
 * other thread. */
int run_plan_launch(const struct run_plan *p, uint32_t max_sandboxes, struct launcher **ret,
                    struct error *e);
