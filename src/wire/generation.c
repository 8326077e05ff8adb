#include "wire/generation.h"

#include "base/cleanup.h"

#include <string.h>

static const char *const names[] = {
    [WIRE_MAIN] = "main", [WIRE_0_9] = "0.9", [WIRE_0_8] = "0.8",
    [WIRE_0_7] = "0.7",   [WIRE_0_6] = "0.6", [WIRE_0_5] = "0.5",
};
_Static_assert(ARRAY_SIZE(names) == WIRE_GENERATIONS, "each generation has a name");

const char *wire_generation_name(enum wire_generation g)
{
    return names[g];
}

int wire_generation_parse(const char *name, enum wire_generation *ret)
{
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (strcmp(name, names[i]) == 0) {
            *ret = (enum wire_generation)i;
            return 0;
        }
    }
    return -EINVAL;
}

/* Byte for byte as the agent of each release says it. */
#define UNKNOWN_ERROR                                                                              \
    "An unknown error occurred in the agent. Please contact your course administrator."
#define UNKNOWN_ERROR_0_5                                                                          \
    "An unknown error occured in the agent. Please contact your course administrator."
#define NO_RESULT       "Grading container did not return any result."
#define NO_RESULT_0_5   "'NoneType' object has no attribute 'items'"
#define NO_SSH_PORT     "No ports are available right now. Please retry later."
#define NO_SSH_PORT_0_5 "No ports are available for SSH debug right now. Please retry later."

static const struct wire_rules rules[] = {
    [WIRE_MAIN] = {"4", UNKNOWN_ERROR, NO_RESULT, NO_SSH_PORT, .results_have_state = true,
                   .ids_have_dots = true, .plain_jobs = true},
    [WIRE_0_9] = {"3", UNKNOWN_ERROR, NO_RESULT_0_5, NO_SSH_PORT, .results_have_state = true,
                  .ids_have_dots = true},
    [WIRE_0_8] = {"3", UNKNOWN_ERROR, NO_RESULT_0_5, NO_SSH_PORT, .results_have_state = true,
                  .ids_have_dots = true},
    [WIRE_0_7] = {"3", UNKNOWN_ERROR, NO_RESULT_0_5, NO_SSH_PORT, .results_have_state = true,
                  .ids_have_dots = true},
    [WIRE_0_6] = {"2", UNKNOWN_ERROR, NO_RESULT_0_5, NO_SSH_PORT, .only_pings_count = true,
                  .results_have_state = true},
    [WIRE_0_5] = {NULL, UNKNOWN_ERROR_0_5, NO_RESULT_0_5, NO_SSH_PORT_0_5,
                  .only_pings_count = true},
};
_Static_assert(ARRAY_SIZE(rules) == WIRE_GENERATIONS, "each generation has rules");

const struct wire_rules *wire_rules_of(enum wire_generation g)
{
    return &rules[g];
}

static const struct wire_image_rules image_rules[] = {
    [WIRE_MAIN] = {.debugger = true, .student_scripts = true},
    [WIRE_0_9] = {.student_scripts = true, .student_runtimes = true},
    [WIRE_0_8] = {.student_scripts = true, .student_runtimes = true},
    [WIRE_0_7] = {false},
    [WIRE_0_6] = {false},
    [WIRE_0_5] = {false},
};
_Static_assert(ARRAY_SIZE(image_rules) == WIRE_GENERATIONS, "each generation has images");

const struct wire_image_rules *wire_image_rules_of(enum wire_generation g)
{
    return &image_rules[g];
}
