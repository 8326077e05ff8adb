/* Sets of CPUs, and how those of a host are divided among slots. */
#pragma once

#include "runtime/sandbox.h"

#include <stdbool.h>

#include "base/buffer.h"

/** A set as the kernel's list format has it, "0-3,8". */
struct cpus {
    uint64_t words[SANDBOX_CPU_WORDS];
};

bool cpus_has(const struct cpus *c, unsigned cpu);
void cpus_add(struct cpus *c, unsigned cpu);
bool cpus_empty(const struct cpus *c);
unsigned cpus_count(const struct cpus *c);

/** Appends the list format to B. -ENOMEM. */
int cpus_format(const struct cpus *c, struct buffer *b);
/** Parses the list format, a line end behind it allowed. -EINVAL; -ERANGE beyond SANDBOX_CPUS_MAX.
 */
int cpus_parse(const char *text, struct cpus *ret);

/** A core: the CPUs (threads) that share it, and the memory node it is nearest to. */
struct cpu_core {
    struct cpus cpus;
    unsigned node;
};

/** Divides N cores among SLOTS: each of RET[SLOTS] gets the same number of whole cores, as many as
 * possible, all of one node. -E2BIG where there are fewer cores than slots. */
int cpus_divide(const struct cpu_core *cores, size_t n, size_t slots, struct cpus *ret);

/** Finds the cores that this process may use, in the order of their first CPU. The caller frees
 * *RET. A core of which it may use only some threads counts with these. */
int cpus_find_cores(struct cpu_core **ret, size_t *ret_n, struct error *e);

/** The memory nodes of the CPUs in C, as a set; empty where the kernel knows no nodes. */
int cpus_nodes(const struct cpus *c, struct cpus *ret, struct error *e);
