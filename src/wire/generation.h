/* The generations of the protocol: one a release of INGInious. */
#pragma once

enum wire_generation { WIRE_MAIN, WIRE_0_9, WIRE_0_8, WIRE_0_7, WIRE_0_6, WIRE_0_5 };
#define WIRE_GENERATIONS 6

/** "main", "0.9" ... "0.5". */
const char *wire_generation_name(enum wire_generation g);
/** -EINVAL for a name that is none. */
int wire_generation_parse(const char *name, enum wire_generation *ret);
