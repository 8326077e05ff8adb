/* A profile of the administrator's own, as plain rules, and its compiler.
 *
 * Rules are tried in their order, the first that matches decides; what no rule names gets the
 * default. A foreign architecture is killed and a call newer than SECCOMP_NEWEST is ENOSYS whatever
 * the rules say. */
#pragma once

#include "seccomp.h"

#include <stddef.h>
#include <stdint.h>

#define SECCOMP_ARGUMENTS 6

enum seccomp_operator {
    SECCOMP_NE,
    SECCOMP_LT,
    SECCOMP_LE,
    SECCOMP_EQ,
    SECCOMP_GE,
    SECCOMP_GT,
    SECCOMP_MASKED_EQ, /* argument & mask == value */
};

struct seccomp_compare {
    unsigned argument; /* below SECCOMP_ARGUMENTS */
    enum seccomp_operator operator;
    uint64_t value;
    uint64_t mask; /* MASKED_EQ */
};

/** One call and what becomes of it where all comparisons hold. */
struct seccomp_rule {
    int number;      /* 0..SECCOMP_NEWEST */
    uint32_t action; /* as the kernel has it: SECCOMP_RET_... */
    size_t n_compares;
    struct seccomp_compare compares[SECCOMP_ARGUMENTS];
};

struct seccomp_policy {
    uint32_t default_action;
    struct seccomp_rule *rules; /* owned */
    size_t n_rules;
};

void seccomp_policy_clear(struct seccomp_policy *p);

/** Appends RULE; -ENOMEM. */
int seccomp_policy_add(struct seccomp_policy *p, const struct seccomp_rule *rule);

/** Compiles P. -E2BIG where the kernel would not take a filter so long. */
int seccomp_compile_policy(const struct seccomp_policy *p, struct seccomp_program *ret,
                           struct error *e);

/** Loads P in a process made for it, so that a filter which the kernel refuses is an error of the
 * start and not of every sandbox. */
int seccomp_try(const struct seccomp_program *p, struct error *e);
