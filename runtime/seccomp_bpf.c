#include "seccomp_bpf.h"

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <string.h>

/* A new architecture stops here: besides its audit number, the profile must be told which argument
 * of clone has the flags. */
#if defined(__x86_64__)
#define NATIVE_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE_ARCH AUDIT_ARCH_AARCH64
#endif

/* Both architectures are little-endian: the low half of an argument comes first. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the low half of an argument is first");

/* The longest jump of a conditional instruction. */
#define JUMP_MAX 255

struct range {
    uint32_t start;
    uint32_t outcome;
};

struct leaves {
    bpf_leaf_fn leaf;
    const void *data;
};

size_t bpf_emit(struct bpf_program *p, uint16_t code, uint32_t k, size_t jt, size_t jf)
{
    if (p->length >= BPF_MAXINSNS || jt > JUMP_MAX || jf > JUMP_MAX) {
        p->overflow = true;
        return 0;
    }
    p->code[p->length] = (struct sock_filter){code, (uint8_t)jt, (uint8_t)jf, k};
    return p->length++;
}

void bpf_return(struct bpf_program *p, uint32_t action)
{
    bpf_emit(p, BPF_RET | BPF_K, action, 0, 0);
}

void bpf_load(struct bpf_program *p, size_t offset)
{
    bpf_emit(p, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

size_t bpf_argument_low(unsigned argument)
{
    return offsetof(struct seccomp_data, args) + argument * sizeof(uint64_t);
}

size_t bpf_argument_high(unsigned argument)
{
    return bpf_argument_low(argument) + sizeof(uint32_t);
}

/* Makes the conditional jump at JUMP lead over LEFT instructions, which follow it. Where they are
 * too many for it, an unconditional one in between does; what is moved for that has only relative
 * jumps inside itself. */
static void jump_over(struct bpf_program *p, size_t jump, size_t left)
{
    if (left <= JUMP_MAX) {
        p->code[jump].jt = (uint8_t)left;
        return;
    }
    bpf_emit(p, BPF_JMP | BPF_JA, 0, 0, 0); /* room */
    if (p->overflow)
        return;
    memmove(&p->code[jump + 2], &p->code[jump + 1], left * sizeof(p->code[0]));
    p->code[jump + 1] = (struct sock_filter){BPF_JMP | BPF_JA, 0, 0, (uint32_t)left};
    p->code[jump].jf = 1;
}

/* Finds the range of the number in the accumulator among N >= 1 ranges. The recursion is as deep as
 * the tree is high: log2(SECCOMP_NUMBERS). */
/* NOLINTNEXTLINE(misc-no-recursion) */
static void emit_tree(struct bpf_program *p, const struct range *ranges, size_t n,
                      const struct leaves *leaves)
{
    size_t middle = n / 2, jump;

    if (n == 1) {
        leaves->leaf(p, ranges[0].outcome, leaves->data);
        return;
    }
    jump = bpf_emit(p, BPF_JMP | BPF_JGE | BPF_K, ranges[middle].start, 0, 0);
    emit_tree(p, ranges, middle, leaves);
    if (!p->overflow)
        jump_over(p, jump, p->length - jump - 1);
    emit_tree(p, ranges + middle, n - middle, leaves);
}

void bpf_dispatch(struct bpf_program *p, const uint32_t outcomes[SECCOMP_NUMBERS], bpf_leaf_fn leaf,
                  const void *data)
{
    const struct leaves leaves = {leaf, data};
    struct range ranges[SECCOMP_NUMBERS];
    size_t n = 1;

    ranges[0] = (struct range){0, outcomes[0]};
    for (uint32_t i = 1; i < SECCOMP_NUMBERS; i++)
        if (ranges[n - 1].outcome != outcomes[i])
            ranges[n++] = (struct range){i, outcomes[i]};
    bpf_load(p, offsetof(struct seccomp_data, arch));
    bpf_emit(p, BPF_JMP | BPF_JEQ | BPF_K, NATIVE_ARCH, 1, 0);
    bpf_return(p, SECCOMP_RET_KILL_PROCESS);
    bpf_load(p, offsetof(struct seccomp_data, nr));
    bpf_emit(p, BPF_JMP | BPF_JGT | BPF_K, SECCOMP_NEWEST, 0, 1);
    bpf_return(p, SECCOMP_RET_ERRNO | ENOSYS);
    emit_tree(p, ranges, n, &leaves);
}

int bpf_finish(const struct bpf_program *p, struct seccomp_program *ret, struct error *e)
{
    struct sock_filter *filter;

    if (p->overflow)
        return error_set(e, -E2BIG, "seccomp: the profile does not fit a filter");
    filter = malloc(p->length * sizeof(*filter));
    if (!filter)
        return error_sys(e, -ENOMEM, "seccomp");
    memcpy(filter, p->code, p->length * sizeof(*filter));
    *ret = (struct seccomp_program){filter, (unsigned short)p->length};
    return 0;
}
