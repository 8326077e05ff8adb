/* INGInious 0.6: run_cmd, the state of a job, ports of containers. */
#include "wire/codec.h"

static const struct wire_layout new_job = {"backend_new_job",
                                           {FIELD_JOB_ID, FIELD_COURSE_ID, FIELD_TASK_ID,
                                            FIELD_INPUTDATA, FIELD_DEBUG, FIELD_ENVIRONMENT,
                                            FIELD_ENABLE_NETWORK, FIELD_TIME_LIMIT,
                                            FIELD_HARD_TIME_LIMIT, FIELD_MEM_LIMIT, FIELD_RUN_CMD}};
static const struct wire_layout done = {"agent_job_done",
                                        {FIELD_JOB_ID, FIELD_RESULT, FIELD_GRADE, FIELD_PROBLEMS,
                                         FIELD_TESTS, FIELD_CUSTOM, FIELD_STATE, FIELD_ARCHIVE,
                                         FIELD_STDOUT, FIELD_STDERR}};

const struct wire_codec wire_codec_0_6 = {
    .type_key = "type",
    .messages =
        {
            [MESSAGE_NEW_JOB] = &new_job,
            [MESSAGE_KILL_JOB] = &layout_kill_job_0_5,
            [MESSAGE_PING] = &layout_ping_0_5,
            [MESSAGE_HELLO] = &layout_hello_0_5,
            [MESSAGE_STARTED] = &layout_started_0_5,
            [MESSAGE_DONE] = &done,
            [MESSAGE_SSH] = &layout_ssh_0_5,
            [MESSAGE_PONG] = &layout_pong_0_5,
        },
    .environments = ENVIRONMENT_PORTS,
    .created_is_float = true,
};
