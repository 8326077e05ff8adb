/* links: profile */
/* A system call profile: what is taken compiles, or is too long, into a filter whose every jump
 * leads to an instruction behind it. */
#include "profile/profile.h"

#include <linux/filter.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_filter(const struct seccomp_program *p)
{
    for (size_t i = 0; i < p->length; i++) {
        const struct sock_filter *f = &p->filter[i];
        size_t left = (size_t)p->length - i - 1;
        if (BPF_CLASS(f->code) == BPF_RET)
            continue;
        if (BPF_CLASS(f->code) != BPF_JMP ? left == 0
            : BPF_OP(f->code) == BPF_JA   ? f->k >= left
                                          : f->jt >= left || f->jf >= left)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct seccomp_policy policy;
    struct seccomp_program program;
    struct error e = ERROR_INIT;

    if (profile_parse(data, size, &policy, &e) < 0) {
        if (!e.text[0])
            abort();
        return 0;
    }
    if (seccomp_compile_policy(&policy, &program, &e) == 0) {
        check_filter(&program);
        seccomp_program_clear(&program);
    }
    seccomp_policy_clear(&policy);
    return 0;
}
