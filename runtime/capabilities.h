/* Capability sets of a container: Docker's fourteen, nothing inheritable, nothing ambient. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/** Bit mask of the default capabilities (capabilities(7)). */
uint64_t capabilities_default(void);

/** Cuts the bounding set down to MASK (needs CAP_SETPCAP). Async-signal-safe; 0 or a negative
 * errno. */
int capabilities_bound(uint64_t mask);

/** Sets effective and permitted to MASK and clears inheritable and ambient, of the calling thread.
 * Async-signal-safe; 0 or a negative errno. */
int capabilities_set(uint64_t mask);
