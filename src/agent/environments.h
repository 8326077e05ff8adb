/* The environments an agent offers: images of the store that carry org.inginious.grading.* labels.
 */
#pragma once

#include "image/image.h"
#include "wire/backend.h"

#define LABEL_NAME      "org.inginious.grading.name"
#define LABEL_VERSION   "org.inginious.grading.agent_version"
#define LABEL_PORTS     "org.inginious.grading.ports"
#define LABEL_ADVERTISE "org.inginious.grading.advertise"
/** "1": what runs inside is dockless-runner (images/runner), not INGInious' Python. */
#define LABEL_RUNNER "org.dockless.runner"

#define ENVIRONMENT_TYPE      "docker"
#define ENVIRONMENT_VERSION   "4" /* agent_version of the main generation */
#define ENVIRONMENT_PORTS_MAX 64

struct environment {
    const char *name; /* the label's value, owned by image */
    struct image *image;
    uint16_t ports[ENVIRONMENT_PORTS_MAX];
    size_t n_ports;
    bool advertised;
    bool native; /* LABEL_RUNNER */
};

struct environments {
    struct environment *list; /* sorted as the store lists images; owned */
    size_t n;
};
void environments_clear(struct environments *e);

/** Reads the store's images; those without the labels, of another agent_version or with malformed
 * ports are skipped. Of two images with one name the newest `created` wins, else the first listed.
 */
int environments_load(struct image_store *store, struct environments *ret, struct error *e);

/** The environment TYPE/NAME or NULL. */
const struct environment *environments_find(const struct environments *e, const char *type,
                                            const char *name);

/** AgentHello for these environments. */
int environments_encode_hello(const struct environments *e, const char *friendly_name,
                              uint32_t slots, struct buffer *out);
