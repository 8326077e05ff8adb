/* Compiles the profile into classic BPF (seccomp(2)).
 *
 * Theory of operation. The profile gives each number up to SECCOMP_NEWEST one outcome. Runs of
 * numbers with the same outcome become ranges, and a balanced tree of "number >= start" jumps finds
 * the range (seccomp_bpf.h).
 *
 * A foreign architecture is i386 on x86-64 and 32-bit arm on arm64: their numbers mean other calls.
 * SIGSYS says so at the first call. An errno would be no kinder: a program that cannot even exit
 * runs on into a crash or an endless loop.
 *
 * libseccomp is not used: it compares whole 64-bit arguments where the kernel looks at 32 bits, and
 * does not know calls newer than itself. Its binary tree for this profile has 411 instructions, 1.7
 * ms to make and 140 us for every sandbox to load; this one 157, 0.03 ms and 95 us (medians side by
 * side on a busy 2-core VM, Linux 6.18). */
#include "seccomp_bpf.h"

#include "capabilities.h"

#include <linux/seccomp.h>
#include <string.h>
#include <sys/syscall.h>

#define OUTCOME_ALLOW  SECCOMP_RET_ALLOW
#define OUTCOME_EPERM  (SECCOMP_RET_ERRNO | EPERM)
#define OUTCOME_ABSENT (SECCOMP_RET_ERRNO | ENOSYS)

/* The argument test: one jump a value, then both returns. */
static void emit_test(struct bpf_program *p, const struct seccomp_conditional *c)
{
    uint16_t jump =
        c->test == SECCOMP_NO_BITS ? BPF_JMP | BPF_JSET | BPF_K : BPF_JMP | BPF_JEQ | BPF_K;
    bool hit_allows = c->test == SECCOMP_ONE_OF;

    bpf_load(p, bpf_argument_low(c->argument));
    for (size_t i = 0; i < c->n_values; i++)
        bpf_emit(p, jump, c->values[i], c->n_values - i, 0);
    bpf_return(p, hit_allows ? OUTCOME_EPERM : OUTCOME_ALLOW);
    bpf_return(p, hit_allows ? OUTCOME_ALLOW : OUTCOME_EPERM);
}

static void emit_outcome(struct bpf_program *p, uint32_t outcome, const void *data)
{
    size_t index = outcome - OUTCOME_TEST;

    (void)data;
    if (index < seccomp_n_conditional)
        emit_test(p, &seccomp_conditional[index]);
    else
        bpf_return(p, outcome);
}

/* The outcome of every number for a process that may have CAPABILITIES. */
static void decide(uint64_t capabilities, uint32_t outcomes[SECCOMP_NUMBERS])
{
    for (size_t i = 0; i < SECCOMP_NUMBERS; i++)
        outcomes[i] = OUTCOME_EPERM;
    for (size_t i = 0; i < seccomp_n_allowed; i++)
        outcomes[seccomp_allowed[i]] = OUTCOME_ALLOW;
    for (size_t i = 0; i < seccomp_n_conditional; i++)
        outcomes[seccomp_conditional[i].number] = OUTCOME_TEST + (uint32_t)i;
    for (size_t i = 0; i < seccomp_n_absent; i++)
        outcomes[seccomp_absent[i]] = OUTCOME_ABSENT;
    for (size_t i = 0; i < seccomp_n_privileged; i++)
        if (capabilities & (1ULL << seccomp_privileged[i].capability))
            outcomes[seccomp_privileged[i].number] = OUTCOME_ALLOW;
}

int seccomp_compile_default(struct seccomp_program *ret, struct error *e)
{
    _cleanup_free_ struct bpf_program *p = calloc(1, sizeof(*p));
    uint32_t outcomes[SECCOMP_NUMBERS];

    if (!p)
        return error_sys(e, -ENOMEM, "seccomp");
    decide(capabilities_default(), outcomes);
    bpf_dispatch(p, outcomes, emit_outcome, NULL);
    return bpf_finish(p, ret, e);
}

int seccomp_program_copy(const struct seccomp_program *p, struct seccomp_program *ret)
{
    struct sock_filter *filter = malloc(p->length * sizeof(*filter));

    if (!filter)
        return -ENOMEM;
    memcpy(filter, p->filter, p->length * sizeof(*filter));
    *ret = (struct seccomp_program){filter, p->length};
    return 0;
}

void seccomp_program_clear(struct seccomp_program *p)
{
    free(p->filter);
    *p = (struct seccomp_program){0};
}

int seccomp_load(const struct seccomp_program *p)
{
    struct sock_fprog program = {p->length, p->filter};

    /* No SECCOMP_FILTER_FLAG_SPEC_ALLOW: whoever booted the host with the mitigation for filtered
     * processes wants it for exactly these. */
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
        return -errno;
    return 0;
}
