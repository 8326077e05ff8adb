/* links: runtime */
/* Six kinds of programs that take all they can get, each with the limit that must end it, and all
 * six at once. DOCKLESS_HOG_ROUNDS says how often (3); a hundred rounds is what docs/limits.md
 * reports. */
#include "sandbox_harness.h"

#include "base/clock.h"
#include "base/text.h"

#include <stdlib.h>

#define MIB            ((uint64_t)1 << 20)
#define ROUNDS_DEFAULT 3
#define ROUNDS_MAX     10000

struct hog {
    const char *name;
    const char *script;
    struct sandbox_limits limits;
    enum sandbox_verdict verdict;
};

/* The last of two limits is far away and must not be the one that is hit. */
static const struct hog hogs[] = {
    {"memory",
     "a=xxxxxxxxxxxxxxxx; while :; do a=$a$a; done",
     {.memory_bytes = 24 * MIB, .wall_time_usec = 300 * USEC_PER_SEC},
     SANDBOX_OUT_OF_MEMORY},
    {"shared memory, by many",
     "for i in 1 2 3 4; do dd if=/dev/zero of=/dev/shm/$i bs=65536 count=900 2>/dev/null & done; "
     "wait; "
     "sleep 100",
     {.memory_bytes = 24 * MIB, .wall_time_usec = 300 * USEC_PER_SEC},
     SANDBOX_OUT_OF_MEMORY},
    {"processor, by short children",
     "while :; do (i=0; while [ $i -lt 500 ]; do i=$((i+1)); done) & "
     "(i=0; while [ $i -lt 500 ]; do i=$((i+1)); done); done",
     {.cpu_time_usec = 200 * USEC_PER_MSEC, .wall_time_usec = 300 * USEC_PER_SEC},
     SANDBOX_CPU_TIMEOUT},
    {"time, stopped",
     "(kill -STOP $$) & sleep 1000; sleep 1000",
     {.cpu_time_usec = 300 * USEC_PER_SEC, .wall_time_usec = 200 * USEC_PER_MSEC},
     SANDBOX_WALL_TIMEOUT},
    {"processes",
     "f() { f | f & }; f; while :; do sleep 1000; done",
     {.pids = 30, .memory_bytes = 256 * MIB, .wall_time_usec = 500 * USEC_PER_MSEC},
     SANDBOX_WALL_TIMEOUT},
    {"output",
     "yes",
     {.output_bytes = 100000, .wall_time_usec = 300 * USEC_PER_SEC},
     SANDBOX_OUTPUT_LIMIT},
};

static void check(const struct hog *h, const struct run *r, long round)
{
    if (r->report.verdict != h->verdict)
        fail_msg("round %ld, hog of %s: %s instead of %s (%s: %s)", round, h->name,
                 sandbox_verdict_name(r->report.verdict), sandbox_verdict_name(h->verdict),
                 r->report.failed_step, r->report.error);
}

static long rounds(void)
{
    const char *text = getenv("DOCKLESS_HOG_ROUNDS");
    uint64_t n;

    return text && text_parse_uint(text, ROUNDS_MAX, &n) == 0 ? (long)n : ROUNDS_DEFAULT;
}

static void prepare(struct run *r, const struct hog *h)
{
    run_init(r, h->script);
    r->spec.limits = h->limits;
}

static void each_hog_meets_its_own_limit(void **state)
{
    (void)state;
    for (long round = 0; round < rounds(); round++) {
        for (size_t i = 0; i < ARRAY_SIZE(hogs); i++) {
            struct run r;
            prepare(&r, &hogs[i]);
            run_start(&r);
            run_wait(&r);
            check(&hogs[i], &r, round);
            run_clear(&r);
        }
    }
}

static void hogs_side_by_side_meet_their_own_limits(void **state)
{
    (void)state;
    for (long round = 0; round < rounds(); round++) {
        struct run runs[ARRAY_SIZE(hogs)];
        for (size_t i = 0; i < ARRAY_SIZE(hogs); i++) {
            prepare(&runs[i], &hogs[i]);
            run_start(&runs[i]);
        }
        for (size_t i = 0; i < ARRAY_SIZE(hogs); i++) {
            run_wait(&runs[i]);
            check(&hogs[i], &runs[i], round);
        }
        for (size_t i = 0; i < ARRAY_SIZE(hogs); i++)
            run_clear(&runs[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_hog_meets_its_own_limit),
        cmocka_unit_test(hogs_side_by_side_meet_their_own_limits),
    };

    return harness_main("hogs", tests, ARRAY_SIZE(tests));
}
