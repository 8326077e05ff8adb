#include "bench/bench.h"

/* Nodes are numbered below the number of CPUs. */
#define NODES_MAX SANDBOX_CPUS_MAX

static void add_all(struct cpus *set, const struct cpus *more)
{
    for (size_t i = 0; i < SANDBOX_CPU_WORDS; i++)
        set->words[i] |= more->words[i];
}

static unsigned first_of(const struct cpus *set)
{
    unsigned cpu = 0;

    while (!cpus_has(set, cpu))
        cpu++;
    return cpu;
}

static size_t count_of_node(const struct cpu_core *cores, size_t n, unsigned node)
{
    size_t found = 0;

    for (size_t i = 0; i < n; i++)
        found += cores[i].node == node;
    return found;
}

/* The last node with WANTED cores, so that the first, where most of the rest lives, stays free;
 * NODES_MAX: none has. */
static unsigned choose_node(const struct cpu_core *cores, size_t n, unsigned wanted)
{
    for (unsigned node = NODES_MAX; node-- > 0;)
        if (count_of_node(cores, n, node) >= wanted)
            return node;
    return NODES_MAX;
}

static void reserve(const struct cpu_core *core, struct bench_cores *c)
{
    unsigned first = first_of(&core->cpus);
    struct cpus rest = core->cpus;

    rest.words[first / 64] &= ~((uint64_t)1 << first % 64);
    cpus_add(&c->cpus, first);
    add_all(&c->siblings, &rest);
}

int bench_cores_choose(const struct cpu_core *cores, size_t n, unsigned wanted,
                       struct bench_cores *ret)
{
    unsigned node = choose_node(cores, n, wanted);

    if (node == NODES_MAX)
        return -E2BIG;
    *ret = (struct bench_cores){0};
    while (n-- > 0) {
        if (wanted > 0 && cores[n].node == node) {
            reserve(&cores[n], ret);
            wanted--;
        } else {
            add_all(&ret->others, &cores[n].cpus);
        }
    }
    return 0;
}
