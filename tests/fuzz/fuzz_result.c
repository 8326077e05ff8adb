/* links: agent wire */
/* A grader's result, from bytes to the AgentJobDone: whatever it holds, a backend must be able to
 * decode what is sent. */
#include "agent/result.h"
#include "require.h"
#include "wire/backend_side.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wire_job_id id = {.raw = (uint8_t *)(uintptr_t) "\xa1j", .raw_size = 2};
    struct grading_result r;
    struct agent_message m;
    _cleanup_buffer_ struct buffer out = {0};
    int refused;

    if (wire_scan(data, size, WIRE_KEYS_STRICT, NULL) < 0)
        return 0;
    refused = grading_result_check(wire_rules_of(WIRE_MAIN), WIRE_FRAME_MAX,
                                   (struct wire_span){data, size}, &r);
    REQUIRE(refused == 0 || refused == 1);
    REQUIRE(!refused || strcmp(r.result, "crash") == 0);
    REQUIRE(backend_encode_done(WIRE_MAIN,
                                &(struct job_done){
                                    .job_id = &id,
                                    .result = r.result,
                                    .result_size = r.result_size,
                                    .text = r.text,
                                    .text_size = r.text_size,
                                    .grade = r.grade,
                                    .problems = &r.problems,
                                    .tests = &r.tests,
                                    .custom = &r.custom,
                                    .state = r.state,
                                    .state_size = r.state_size,
                                    .archive = r.has_archive ? &r.archive : NULL,
                                    .stdout_text = r.stdout_text,
                                    .stdout_size = r.stdout_size,
                                    .stderr_text = r.stderr_text,
                                    .stderr_size = r.stderr_size,
                                },
                                &out) == 0);
    REQUIRE(agent_message_decode(WIRE_MAIN, out.data, out.size, &m, NULL) == 0);
    grading_result_clear(&r);
    return 0;
}
