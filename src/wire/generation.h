/* The generations of the protocol: one a release of INGInious. */
#pragma once

#include <stdbool.h>

enum wire_generation { WIRE_MAIN, WIRE_0_9, WIRE_0_8, WIRE_0_7, WIRE_0_6, WIRE_0_5 };
#define WIRE_GENERATIONS 6

/** "main", "0.9" ... "0.5". */
const char *wire_generation_name(enum wire_generation g);
/** -EINVAL for a name that is none. */
int wire_generation_parse(const char *name, enum wire_generation *ret);

/** How an agent of a generation behaves, beyond what its messages look like. */
struct wire_rules {
    const char *image_version; /* label agent_version of its images; NULL: any, or none */
    const char *unknown_error; /* the text for whatever has no text of its own */
    const char *no_result;     /* why a grader that gave no result is unreadable */
    const char *no_ssh_port;   /* the text where an ssh session cannot have a port */
    bool only_pings_count;     /* no other message is a sign of life of the backend */
    bool results_have_state;   /* a grader may return "state" */
    bool ids_have_dots;        /* ids of problems and tests may */
    bool plain_jobs;           /* jobs without course and task are run */
};
const struct wire_rules *wire_rules_of(enum wire_generation g);

/** What runs in an image of a generation wants around it. */
struct wire_image_rules {
    bool debugger;         /* an environment variable DEBUGGER */
    bool student_scripts;  /* /task/student/scripts in student containers */
    bool student_runtimes; /* its student program is told runtime and type of the grader */
};
const struct wire_image_rules *wire_image_rules_of(enum wire_generation g);
