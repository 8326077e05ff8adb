/* The environments an agent offers: images of the store that carry org.inginious.grading.* labels,
 * as the configuration wants them.
 *
 * An agent of each release of INGInious takes the images of one value of agent_version. What a
 * container's first process speaks, however, is the image's own affair, and agent_version 3 stands
 * for two generations that do not understand each other: 0.7, and 0.8 with 0.9. They are told apart
 * by a command that came with 0.8. Images with LABEL_RUNNER speak the latest generation to any
 * agent. */
#pragma once

#include "config/agent_config.h"
#include "image/image.h"
#include "wire/backend.h"

#include <runtime/sandbox.h>

#define LABEL_NAME      "org.inginious.grading.name"
#define LABEL_VERSION   "org.inginious.grading.agent_version"
#define LABEL_PORTS     "org.inginious.grading.ports"
#define LABEL_ADVERTISE "org.inginious.grading.advertise"
/** "1": what runs inside is dockless-runner (images/runner), not INGInious' Python. */
#define LABEL_RUNNER "org.dockless.runner"
/** Whatever its value: */
#define LABEL_NEED_ROOT "org.inginious.grading.need_root"
#define LABEL_NEED_GPU  "org.inginious.grading.need_gpu"

#define ENVIRONMENT_PORTS_MAX (SANDBOX_PORTS_MAX - 1) /* and one for ssh */

/** The types under which every environment is offered. */
struct environment_types {
    const char *names[2]; /* the second: its jobs may let students log in */
    size_t n;
};
bool environment_type_is_known(const struct environment_types *types, const char *type);

struct environment {
    const char *name; /* the label's value, owned by image */
    struct image *image;
    uint16_t ports[ENVIRONMENT_PORTS_MAX];
    size_t n_ports;
    bool advertised;
    bool native;                     /* LABEL_RUNNER */
    bool run_as_root;                /* graders do; the container's root is nobody on the host */
    enum wire_generation generation; /* of what runs inside */
    bool uncertain;                  /* 0.7, 0.8 or 0.9: GENERATION is a guess */
    struct job_limits limits;
};

struct environments {
    struct environment *list; /* sorted as the store lists images; owned */
    size_t n;
};
void environments_clear(struct environments *e);

/** Reads the store's images; those without the labels, of another agent_version than PROTOCOL's, in
 * need of a GPU or with malformed ports are skipped, and so are those that CONFIG excludes. Of two
 * images with one name the newest `created` wins, else the first listed. */
int environments_load(struct image_store *store, const struct agent_config *config,
                      enum wire_generation protocol, struct environments *ret, struct error *e);

/** The environment TYPE/NAME or NULL. */
const struct environment *environments_find(const struct environments *e,
                                            const struct environment_types *types, const char *type,
                                            const char *name);

/** AgentHello for these environments. */
int environments_encode_hello(const struct environments *e, const struct environment_types *types,
                              enum wire_generation protocol, const char *friendly_name,
                              uint32_t slots, struct buffer *out);
