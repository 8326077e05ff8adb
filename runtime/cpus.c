#include "runtime/cpus.h"

#include "base/fdio.h"
#include "base/text.h"

#include <sched.h>
#include <string.h>

#define CPU_DIR  "/sys/devices/system/cpu"
#define NODE_DIR "/sys/devices/system/node"
/* A list of a thousand CPUs, each by itself. */
#define LIST_MAX ((size_t)8 << 10)
/* The kernel's MAX_NUMNODES. */
#define NODES_MAX 1024U

bool cpus_has(const struct cpus *c, unsigned cpu)
{
    return cpu < SANDBOX_CPUS_MAX && (c->words[cpu / 64] >> cpu % 64 & 1) != 0;
}

void cpus_add(struct cpus *c, unsigned cpu)
{
    if (cpu < SANDBOX_CPUS_MAX)
        c->words[cpu / 64] |= (uint64_t)1 << cpu % 64;
}

unsigned cpus_count(const struct cpus *c)
{
    unsigned n = 0;

    for (unsigned cpu = 0; cpu < SANDBOX_CPUS_MAX; cpu++)
        n += cpus_has(c, cpu);
    return n;
}

bool cpus_empty(const struct cpus *c)
{
    return cpus_count(c) == 0;
}

int cpus_format(const struct cpus *c, struct buffer *b)
{
    const char *comma = "";

    for (unsigned first = 0; first < SANDBOX_CPUS_MAX; first++) {
        unsigned last = first;
        int r;
        if (!cpus_has(c, first))
            continue;
        while (cpus_has(c, last + 1))
            last++;
        r = first == last ? buffer_printf(b, "%s%u", comma, first)
                          : buffer_printf(b, "%s%u-%u", comma, first, last);
        if (r < 0)
            return r;
        comma = ",";
        first = last;
    }
    return 0;
}

/* A number at *AT, which moves behind it. */
static int parse_cpu(const char **at, unsigned *ret)
{
    unsigned value = 0;

    if (**at < '0' || **at > '9')
        return -EINVAL;
    for (; **at >= '0' && **at <= '9'; ++*at) {
        value = value * 10 + (unsigned)(**at - '0');
        if (value >= SANDBOX_CPUS_MAX)
            return -ERANGE;
    }
    *ret = value;
    return 0;
}

int cpus_parse(const char *text, struct cpus *ret)
{
    struct cpus set = {0};

    for (;;) {
        unsigned first = 0, last;
        int r = parse_cpu(&text, &first);
        last = first;
        if (r == 0 && *text == '-') {
            text++;
            r = parse_cpu(&text, &last);
        }
        if (r < 0)
            return r;
        if (last < first)
            return -EINVAL;
        for (; first <= last; first++)
            cpus_add(&set, first);
        if (*text != ',')
            break;
        text++;
    }
    if (*text == '\n')
        text++;
    if (*text)
        return -EINVAL;
    *ret = set;
    return 0;
}

/* --- dividing -------------------------------------------------------------------------------- */

static size_t cores_of_node(const struct cpu_core *cores, size_t n, unsigned node)
{
    size_t found = 0;

    for (size_t i = 0; i < n; i++)
        found += cores[i].node == node;
    return found;
}

/* How many slots of EACH cores the host has room for. */
static size_t room_for(const struct cpu_core *cores, size_t n, size_t each)
{
    size_t room = 0;

    for (unsigned node = 0; node < NODES_MAX; node++)
        room += cores_of_node(cores, n, node) / each;
    return room;
}

/* Fills slots with EACH cores of NODE, from RET[*DONE] on. */
static void take_node(const struct cpu_core *cores, size_t n, unsigned node, size_t each,
                      size_t slots, struct cpus *ret, size_t *done)
{
    size_t left = cores_of_node(cores, n, node) / each * each, in_slot = 0;

    for (size_t i = 0; i < n && left > 0 && *done < slots; i++) {
        if (cores[i].node != node)
            continue;
        for (unsigned word = 0; word < SANDBOX_CPU_WORDS; word++)
            ret[*done].words[word] |= cores[i].cpus.words[word];
        left--;
        if (++in_slot == each) {
            in_slot = 0;
            ++*done;
        }
    }
}

int cpus_divide(const struct cpu_core *cores, size_t n, size_t slots, struct cpus *ret)
{
    size_t each = slots > 0 ? n / slots : 0, done = 0;

    while (each > 0 && room_for(cores, n, each) < slots)
        each--;
    if (each == 0)
        return -E2BIG;
    memset(ret, 0, slots * sizeof(*ret));
    for (unsigned node = 0; node < NODES_MAX && done < slots; node++)
        take_node(cores, n, node, each, slots, ret, &done);
    return 0;
}

/* --- the host -------------------------------------------------------------------------------- */

/* A list of sysfs; -ENOENT where this kernel has no such file. */
static int read_list(const char *path, struct cpus *ret)
{
    _cleanup_buffer_ struct buffer b = {0};
    int r = fd_read_file(AT_FDCWD, path, &b, LIST_MAX);

    if (r < 0)
        return r;
    return buffer_string(&b) ? cpus_parse(buffer_string(&b), ret) : -ENOMEM;
}

static int usable(struct cpus *ret)
{
    cpu_set_t *set = CPU_ALLOC(SANDBOX_CPUS_MAX);
    size_t size = CPU_ALLOC_SIZE(SANDBOX_CPUS_MAX);
    int r = 0;

    if (!set)
        return -ENOMEM;
    *ret = (struct cpus){0};
    if (sched_getaffinity(0, size, set) < 0)
        r = -errno;
    for (unsigned cpu = 0; r == 0 && cpu < SANDBOX_CPUS_MAX; cpu++)
        if (CPU_ISSET_S(cpu, size, set))
            cpus_add(ret, cpu);
    CPU_FREE(set);
    return r;
}

/* The node of CPU; 0 where the kernel knows none. */
static int node_of(unsigned cpu, unsigned *ret, struct error *e)
{
    struct cpus one = {0}, nodes = {0};
    int r;

    cpus_add(&one, cpu);
    r = cpus_nodes(&one, &nodes, e);
    if (r < 0)
        return r;
    for (*ret = 0; *ret < NODES_MAX - 1 && !cpus_has(&nodes, *ret); ++*ret)
        ;
    if (!cpus_has(&nodes, *ret))
        *ret = 0;
    return 0;
}

/* The core of CPU with those of its threads that are in ALLOWED. */
static int find_core(unsigned cpu, const struct cpus *allowed, struct cpu_core *ret,
                     struct error *e)
{
    char path[96];
    int r;

    *ret = (struct cpu_core){0};
    snprintf(path, sizeof(path), CPU_DIR "/cpu%u/topology/thread_siblings_list", cpu);
    r = read_list(path, &ret->cpus);
    if (r < 0 && r != -ENOENT)
        return error_sys(e, r, "%s", path);
    cpus_add(&ret->cpus, cpu);
    for (unsigned word = 0; word < SANDBOX_CPU_WORDS; word++)
        ret->cpus.words[word] &= allowed->words[word];
    return node_of(cpu, &ret->node, e);
}

int cpus_find_cores(struct cpu_core **ret, size_t *ret_n, struct error *e)
{
    struct cpus allowed, seen = {0};
    _cleanup_free_ struct cpu_core *cores = NULL;
    size_t n = 0;
    int r = usable(&allowed);

    if (r < 0)
        return error_sys(e, r, "CPU affinity");
    cores = calloc(MAX(cpus_count(&allowed), 1U), sizeof(*cores));
    if (!cores)
        return error_sys(e, -ENOMEM, "CPUs");
    for (unsigned cpu = 0; cpu < SANDBOX_CPUS_MAX; cpu++) {
        if (!cpus_has(&allowed, cpu) || cpus_has(&seen, cpu))
            continue;
        r = find_core(cpu, &allowed, &cores[n], e);
        if (r < 0)
            return r;
        for (unsigned word = 0; word < SANDBOX_CPU_WORDS; word++)
            seen.words[word] |= cores[n].cpus.words[word];
        n++;
    }
    *ret = TAKE_PTR(cores);
    *ret_n = n;
    return 0;
}

int cpus_nodes(const struct cpus *c, struct cpus *ret, struct error *e)
{
    struct cpus online, nodes = {0};
    int r = read_list(NODE_DIR "/online", &online);

    if (r == -ENOENT) {
        *ret = nodes;
        return 0;
    }
    if (r < 0)
        return error_sys(e, r, NODE_DIR "/online");
    for (unsigned node = 0; node < NODES_MAX; node++) {
        struct cpus of_node;
        char path[64];
        if (!cpus_has(&online, node))
            continue;
        snprintf(path, sizeof(path), NODE_DIR "/node%u/cpulist", node);
        /* Memory without CPUs has an empty list. */
        if (read_list(path, &of_node) < 0)
            continue;
        for (unsigned word = 0; word < SANDBOX_CPU_WORDS; word++)
            if (of_node.words[word] & c->words[word])
                cpus_add(&nodes, node);
    }
    *ret = nodes;
    return 0;
}
