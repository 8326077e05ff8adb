/* INGInious main (agent_version 4): environments say whether they are advertised. */
#include "wire/codec.h"

const struct wire_codec wire_codec_main = {
    .type_key = "@type",
    .messages =
        {
            [MESSAGE_NEW_JOB] = &layout_new_job_0_7,
            [MESSAGE_KILL_JOB] = &layout_kill_job_0_8,
            [MESSAGE_PING] = &layout_ping_0_7,
            [MESSAGE_HELLO] = &layout_hello_0_7,
            [MESSAGE_STARTED] = &layout_started_0_7,
            [MESSAGE_DONE] = &layout_done_0_7,
            [MESSAGE_SSH] = &layout_ssh_0_7,
            [MESSAGE_PONG] = &layout_pong_0_7,
        },
    .environments = ENVIRONMENT_ADVERTISED,
    .keeps_state = true,
};
