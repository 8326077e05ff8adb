/* The shape that all our system call filters have, as classic BPF:
 *
 *     architecture is not ours      -> kill the process
 *     number > SECCOMP_NEWEST       -> ENOSYS (this covers x32, whose numbers have bit 30, and -1)
 *     tree over ranges              -> an action, or an argument test
 *
 * What the argument tests are is the business of who fills it: seccomp.c for the default profile,
 * seccomp_policy.c for one of the administrator's. */
#pragma once

#include "seccomp.h"
#include "seccomp_profile.h"

#include <stdbool.h>
#include <stddef.h>

#define SECCOMP_NUMBERS (SECCOMP_NEWEST + 1)
/** An outcome from here up to SECCOMP_NUMBERS more is an argument test: no action of the kernel has
 * such a value. */
#define OUTCOME_TEST 0x00000001U

struct bpf_program {
    struct sock_filter code[BPF_MAXINSNS];
    size_t length;
    bool overflow; /* did not fit, or a jump was too long */
};

/** Appends one instruction; returns its index. */
size_t bpf_emit(struct bpf_program *p, uint16_t code, uint32_t k, size_t jt, size_t jf);
void bpf_return(struct bpf_program *p, uint32_t action);
/** Loads the word at OFFSET of struct seccomp_data. */
void bpf_load(struct bpf_program *p, size_t offset);
/** Offsets of the halves of an argument. */
size_t bpf_argument_low(unsigned argument);
size_t bpf_argument_high(unsigned argument);

/** Emits the code for OUTCOME, which must end with a return on every path. */
typedef void (*bpf_leaf_fn)(struct bpf_program *p, uint32_t outcome, const void *data);

/** The whole filter into the empty program P: every number gets the leaf of its outcome. */
void bpf_dispatch(struct bpf_program *p, const uint32_t outcomes[SECCOMP_NUMBERS], bpf_leaf_fn leaf,
                  const void *data);

/** Copies what was emitted into *RET. -E2BIG where it did not fit. */
int bpf_finish(const struct bpf_program *p, struct seccomp_program *ret, struct error *e);
