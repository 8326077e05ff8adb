/* INGInious 0.5: flat limits, containers without types, job ids as arrays. */
#include "wire/codec.h"

static const struct wire_layout new_job = {
    "backend_new_job",
    {FIELD_JOB_ID, FIELD_COURSE_ID, FIELD_TASK_ID, FIELD_INPUTDATA, FIELD_DEBUG, FIELD_ENVIRONMENT,
     FIELD_ENABLE_NETWORK, FIELD_TIME_LIMIT, FIELD_HARD_TIME_LIMIT, FIELD_MEM_LIMIT}};

const struct wire_layout layout_kill_job_0_5 = {"backend_kill_job", {FIELD_JOB_ID}};
const struct wire_layout layout_ping_0_5 = {"ping", {FIELD_NONE}};
const struct wire_layout layout_hello_0_5 = {
    "agent_hello", {FIELD_FRIENDLY_NAME, FIELD_JOB_SLOTS, FIELD_CONTAINERS}};
const struct wire_layout layout_started_0_5 = {"agent_job_started", {FIELD_JOB_ID}};

static const struct wire_layout done = {"agent_job_done",
                                        {FIELD_JOB_ID, FIELD_RESULT, FIELD_GRADE, FIELD_PROBLEMS,
                                         FIELD_TESTS, FIELD_CUSTOM, FIELD_ARCHIVE, FIELD_STDOUT,
                                         FIELD_STDERR}};

const struct wire_layout layout_ssh_0_5 = {"agent_job_ssh_debug",
                                           {FIELD_JOB_ID, FIELD_HOST, FIELD_PORT, FIELD_PASSWORD}};
const struct wire_layout layout_pong_0_5 = {"pong", {FIELD_NONE}};

const struct wire_codec wire_codec_0_5 = {
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
    .environments = ENVIRONMENT_CREATED,
    .created_is_float = true,
};
