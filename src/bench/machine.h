/* What a machine did beside the benchmark: two samples of the kernel's counters, and what lies
 * between them. */
#pragma once

#include "runtime/cpus.h"

#include <sys/types.h>

#define MACHINE_PRESSURES 3 /* cpu, memory, io */

struct machine_cpu {
    uint64_t busy; /* clock ticks, interrupts included */
    uint64_t steal;
};

struct machine_sample {
    uint64_t at_usec;
    struct machine_cpu cpus[SANDBOX_CPUS_MAX];
    struct cpus present;
    uint64_t pressure_usec[MACHINE_PRESSURES]; /* some; SANDBOX_ABSENT: not told */
    uint64_t own_usec;                         /* CPU time of this process and of the launcher */
    uint64_t slowed; /* times the watched CPUs were slowed down by heat; SANDBOX_ABSENT: not told */
};

/** Frequencies of the watched CPUs over all samples, kHz; 0: not told. */
struct machine_frequency {
    uint64_t lowest, highest;
};

/** What lies between two samples, as shares of the time between them. */
struct machine_noise {
    double steal;    /* of the watched CPUs' time: the hypervisor gave it to others */
    double others;   /* CPUs that were busy with something else, 1 is one whole CPU */
    double siblings; /* the same of the CPUs that were to stay idle */
    double pressure[MACHINE_PRESSURES]; /* negative: not told */
    uint64_t slowed;
    struct machine_frequency frequency;
};

/** Parses /proc/stat into S->cpus and S->present. */
void machine_parse_stat(const char *text, struct machine_sample *s);
/** The total of the "some" line of a file of /proc/pressure; SANDBOX_ABSENT: there is none. */
uint64_t machine_parse_pressure(const char *text);

/** Takes a sample; WATCHED are the CPUs the runs use. What cannot be read is absent. */
void machine_sample(const struct cpus *watched, pid_t launcher, struct machine_sample *ret);
/** Looks at the frequencies of WATCHED now. */
void machine_watch_frequency(const struct cpus *watched, struct machine_frequency *f);

/** What lies between BEFORE and AFTER; SANDBOXES_USEC is the CPU time the runs themselves took. */
void machine_compare(const struct machine_sample *before, const struct machine_sample *after,
                     const struct cpus *watched, const struct cpus *siblings,
                     uint64_t sandboxes_usec, struct machine_noise *ret);

/** Appends a line to *WARNINGS for everything in NOISE that makes measurements doubtful. -ENOMEM.
 */
int machine_warn(const struct machine_noise *noise, char ***warnings);
