/* INGInious 0.7: dataclasses: "@type", plain job ids, environment types and parameters. */
#include "wire/codec.h"

const struct wire_layout layout_new_job_0_7 = {
    "BackendNewJob",
    {FIELD_JOB_ID, FIELD_COURSE_ID, FIELD_TASK_ID, FIELD_TASK_PROBLEMS, FIELD_INPUTDATA,
     FIELD_ENVIRONMENT_TYPE, FIELD_ENVIRONMENT, FIELD_ENVIRONMENT_PARAMETERS, FIELD_DEBUG}};

static const struct wire_layout kill_job = {"BackendKillJob", {FIELD_JOB_ID}};

const struct wire_layout layout_ping_0_7 = {"Ping", {FIELD_NONE}};
const struct wire_layout layout_hello_0_7 = {
    "AgentHello", {FIELD_FRIENDLY_NAME, FIELD_JOB_SLOTS, FIELD_ENVIRONMENTS}};
const struct wire_layout layout_started_0_7 = {"AgentJobStarted", {FIELD_JOB_ID}};
const struct wire_layout layout_done_0_7 = {"AgentJobDone",
                                            {FIELD_JOB_ID, FIELD_RESULT, FIELD_GRADE,
                                             FIELD_PROBLEMS, FIELD_TESTS, FIELD_CUSTOM, FIELD_STATE,
                                             FIELD_ARCHIVE, FIELD_STDOUT, FIELD_STDERR}};
const struct wire_layout layout_ssh_0_7 = {
    "AgentJobSSHDebug", {FIELD_JOB_ID, FIELD_HOST, FIELD_PORT, FIELD_USER, FIELD_PASSWORD}};
const struct wire_layout layout_pong_0_7 = {"Pong", {FIELD_NONE}};

const struct wire_codec wire_codec_0_7 = {
    .type_key = "@type",
    .messages =
        {
            [MESSAGE_NEW_JOB] = &layout_new_job_0_7,
            [MESSAGE_KILL_JOB] = &kill_job,
            [MESSAGE_PING] = &layout_ping_0_7,
            [MESSAGE_HELLO] = &layout_hello_0_7,
            [MESSAGE_STARTED] = &layout_started_0_7,
            [MESSAGE_DONE] = &layout_done_0_7,
            [MESSAGE_SSH] = &layout_ssh_0_7,
            [MESSAGE_PONG] = &layout_pong_0_7,
        },
    .environments = ENVIRONMENT_TITLED,
    .created_is_float = true,
};
