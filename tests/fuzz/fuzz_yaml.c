/* links: config */
/* agent.yaml and task.yaml: a refusal names a place, and changes nothing. */
#include "config/agent_config.h"
#include "config/task_file.h"
#include "require.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(agent_config_clear) struct agent_config config = {0};
    struct task_file task = {0};
    struct error e = ERROR_INIT;
    int r;

    if (size > TASK_FILE_MAX || agent_config_init(&config) < 0)
        return 0;
    r = agent_config_parse("file", (const char *)data, size, &config, &e);
    REQUIRE(r == 0 || strncmp(e.text, "file:", 5) == 0);
    REQUIRE(config.store && config.limits.frame >= LIMIT_FRAME_MIN);
    r = task_file_parse("file", (const char *)data, size, &task, &e);
    REQUIRE(r == 0 || strncmp(e.text, "file:", 5) == 0);
    REQUIRE(r < 0 || (task.environment && task.environment_type));
    for (size_t i = 0; i < task.n_problems; i++)
        REQUIRE(task.problems[i].id && task.problems[i].type);
    task_file_clear(&task);
    return 0;
}
