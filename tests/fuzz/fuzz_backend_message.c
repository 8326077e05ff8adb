/* links: wire agent */
/* A frame from the backend, in every generation. What can be answered must lead to answers that a
 * backend can decode, and what can be run to a `start` that a container can. */
#include "agent/parameters.h"
#include "require.h"
#include "wire/backend.h"
#include "wire/backend_side.h"
#include "wire/frame.h"
#include "wire/frame_runner.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_answers(enum wire_generation g, const struct backend_message *m)
{
    const struct job_done done = {.job_id = &m->job_id,
                                  .result = "crash",
                                  .text = m->course_id,
                                  .state = m->state,
                                  .state_size = m->state_size};
    _cleanup_buffer_ struct buffer out = {0};
    struct agent_message answer;

    REQUIRE(m->job_id.text && m->state);
    REQUIRE(backend_encode_started(g, &m->job_id, &out) == 0);
    REQUIRE(agent_message_decode(g, out.data, out.size, &answer, NULL) == 0);
    REQUIRE(answer.job_id.size == m->job_id.raw_size);
    out.size = 0;
    REQUIRE(backend_encode_done(g, &done, &out) == 0);
    REQUIRE(agent_message_decode(g, out.data, out.size, &answer, NULL) == 0);
}

static void check_start(const struct backend_message *m)
{
    static const char *const types[] = {"docker"};
    const struct frame_start start = {.input = m->inputdata,
                                      .debug = m->debug,
                                      .environment_types = types,
                                      .n_types = 1,
                                      .run_cmd = m->task_id};
    _cleanup_buffer_ struct buffer out = {0};
    _cleanup_runner_message_ struct runner_message seen = RUNNER_MESSAGE_INIT;

    REQUIRE(frame_encode_start(WIRE_MAIN, &start, &out) == 0);
    REQUIRE(runner_message_decode(out.data + 4, out.size - 4, &seen, NULL) == 0);
    REQUIRE(seen.input.size == m->inputdata.size);
}

static void check_new_job(const struct backend_message *m)
{
    struct job_parameters p = {0};

    REQUIRE(m->environment && m->environment_type && m->inputdata.size > 0);
    check_start(m);
    if (job_parameters_parse(m->parameters, &p) == 0)
        REQUIRE(p.memory >= JOB_MEMORY_MIN && p.time <= JOB_SECONDS_MAX);
    job_parameters_clear(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (int g = 0; g < WIRE_GENERATIONS; g++) {
        _cleanup_backend_message_ struct backend_message m = BACKEND_MESSAGE_INIT;
        struct agent_message other;
        int r = backend_message_decode((enum wire_generation)g, data, size, &m, NULL);
        if (m.job_id.raw)
            check_answers((enum wire_generation)g, &m);
        if (r == 0 && m.type == BACKEND_NEW_JOB)
            check_new_job(&m);
        agent_message_decode((enum wire_generation)g, data, size, &other, NULL);
    }
    return 0;
}
