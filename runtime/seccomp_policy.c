#include "seccomp_policy.h"

#include "seccomp_bpf.h"

#include <linux/seccomp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* A jump to the next rule, whose place is not known yet. A rule is far shorter than that. */
#define JUMP_FAIL 255

void seccomp_policy_clear(struct seccomp_policy *p)
{
    free(p->rules);
    *p = (struct seccomp_policy){0};
}

int seccomp_policy_add(struct seccomp_policy *p, const struct seccomp_rule *rule)
{
    /* By powers of two: a profile has hundreds of them. */
    if ((p->n_rules & (p->n_rules + 1)) == 0) {
        size_t room = p->n_rules * 2 + 1;
        struct seccomp_rule *rules = realloc(p->rules, room * sizeof(*rules));
        if (!rules)
            return -ENOMEM;
        p->rules = rules;
    }
    p->rules[p->n_rules++] = *rule;
    return 0;
}

/* Arguments that the kernel takes as 32-bit numbers: a comparison of all 64 bits would let
 * socket(AF_VSOCK | 1 << 32) pass as something else than AF_VSOCK. */
static bool is_narrow(int number, unsigned argument)
{
    static const struct {
        int number;
        unsigned arguments; /* bits */
    } narrow[] = {
        {__NR_socket, 07}, {__NR_socketpair, 07}, {__NR_ioctl, 03},      {__NR_fcntl, 03},
        {__NR_clone, 01},  {__NR_unshare, 01},    {__NR_setns, 03},      {__NR_personality, 01},
        {__NR_prctl, 01},  {__NR_keyctl, 01},     {__NR_setsockopt, 07}, {__NR_getsockopt, 07},
    };

    for (size_t i = 0; i < ARRAY_SIZE(narrow); i++)
        if (narrow[i].number == number)
            return narrow[i].arguments & (1U << argument);
    return false;
}

static void jump(struct bpf_program *p, uint16_t test, uint32_t k, size_t jt, size_t jf)
{
    bpf_emit(p, BPF_JMP | test | BPF_K, k, jt, jf);
}

/* The test of the low half, the high halves being equal. */
static void compare_low(struct bpf_program *p, const struct seccomp_compare *c)
{
    uint32_t value = (uint32_t)c->value;

    bpf_load(p, bpf_argument_low(c->argument));
    switch (c->operator) {
    case SECCOMP_NE:
        jump(p, BPF_JEQ, value, JUMP_FAIL, 0);
        break;
    case SECCOMP_LT:
        jump(p, BPF_JGE, value, JUMP_FAIL, 0);
        break;
    case SECCOMP_LE:
        jump(p, BPF_JGT, value, JUMP_FAIL, 0);
        break;
    case SECCOMP_GE:
        jump(p, BPF_JGE, value, 0, JUMP_FAIL);
        break;
    case SECCOMP_GT:
        jump(p, BPF_JGT, value, 0, JUMP_FAIL);
        break;
    case SECCOMP_MASKED_EQ:
        bpf_emit(p, BPF_ALU | BPF_AND | BPF_K, (uint32_t)c->mask, 0, 0);
        jump(p, BPF_JEQ, value, 0, JUMP_FAIL);
        break;
    case SECCOMP_EQ:
        jump(p, BPF_JEQ, value, 0, JUMP_FAIL);
        break;
    }
}

/* The test of the high half: fails, or decides for the whole and jumps over compare_low(), or goes
 * on to it. */
static void compare_high(struct bpf_program *p, const struct seccomp_compare *c)
{
    const size_t over_low = c->operator== SECCOMP_MASKED_EQ ? 3 : 2;
    uint32_t value = (uint32_t)(c->value >> 32);

    bpf_load(p, bpf_argument_high(c->argument));
    switch (c->operator) {
    case SECCOMP_NE:
        jump(p, BPF_JEQ, value, 0, over_low);
        break;
    case SECCOMP_LT:
    case SECCOMP_LE:
        jump(p, BPF_JGT, value, JUMP_FAIL, 0);
        jump(p, BPF_JEQ, value, 0, over_low);
        break;
    case SECCOMP_GE:
    case SECCOMP_GT:
        jump(p, BPF_JGT, value, over_low + 1, 0);
        jump(p, BPF_JEQ, value, 0, JUMP_FAIL);
        break;
    case SECCOMP_MASKED_EQ:
        bpf_emit(p, BPF_ALU | BPF_AND | BPF_K, (uint32_t)(c->mask >> 32), 0, 0);
        jump(p, BPF_JEQ, value, 0, JUMP_FAIL);
        break;
    case SECCOMP_EQ:
        jump(p, BPF_JEQ, value, 0, JUMP_FAIL);
        break;
    }
}

static void emit_rule(struct bpf_program *p, const struct seccomp_rule *rule)
{
    size_t start = p->length;

    for (size_t i = 0; i < rule->n_compares; i++) {
        const struct seccomp_compare *c = &rule->compares[i];
        if (!is_narrow(rule->number, c->argument) || c->value >> 32)
            compare_high(p, c);
        compare_low(p, c);
    }
    bpf_return(p, rule->action);
    for (size_t i = start; i < p->length; i++) {
        uint8_t next = (uint8_t)(p->length - i - 1);
        if (BPF_CLASS(p->code[i].code) != BPF_JMP)
            continue;
        if (p->code[i].jt == JUMP_FAIL)
            p->code[i].jt = next;
        if (p->code[i].jf == JUMP_FAIL)
            p->code[i].jf = next;
    }
}

static void emit_outcome(struct bpf_program *p, uint32_t outcome, const void *data)
{
    const struct seccomp_policy *policy = data;
    int number = (int)(outcome - OUTCOME_TEST);

    if (outcome < OUTCOME_TEST || number >= SECCOMP_NUMBERS) {
        bpf_return(p, outcome);
        return;
    }
    for (size_t i = 0; i < policy->n_rules; i++) {
        if (policy->rules[i].number != number)
            continue;
        emit_rule(p, &policy->rules[i]);
        if (policy->rules[i].n_compares == 0)
            return; /* it always matches */
    }
    bpf_return(p, policy->default_action);
}

int seccomp_compile_policy(const struct seccomp_policy *policy, struct seccomp_program *ret,
                           struct error *e)
{
    _cleanup_free_ struct bpf_program *p = calloc(1, sizeof(*p));
    uint32_t outcomes[SECCOMP_NUMBERS];
    bool decided[SECCOMP_NUMBERS] = {false};

    if (!p)
        return error_sys(e, -ENOMEM, "seccomp");
    for (size_t i = 0; i < SECCOMP_NUMBERS; i++)
        outcomes[i] = policy->default_action;
    for (size_t i = 0; i < policy->n_rules; i++) {
        const struct seccomp_rule *rule = &policy->rules[i];
        if (decided[rule->number])
            continue;
        decided[rule->number] = true;
        outcomes[rule->number] =
            rule->n_compares > 0 ? OUTCOME_TEST + (uint32_t)rule->number : rule->action;
    }
    bpf_dispatch(p, outcomes, emit_outcome, policy);
    return bpf_finish(p, ret, e);
}

int seccomp_try(const struct seccomp_program *p, struct error *e)
{
    int status = 0;
    pid_t pid = fork();

    if (pid < 0)
        return error_sys(e, -errno, "try the system call filter");
    if (pid == 0) {
        int r = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : seccomp_load(p);
        /* Below the filter nothing may be allowed any more, so the end of the process says it: a
         * refusal comes before. */
        if (r < 0)
            _exit(-r);
        _exit(0);
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
        return error_sys(e, -WEXITSTATUS(status), "the kernel refuses the system call filter");
    return 0;
}
