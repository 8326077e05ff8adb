#include "config/job_limits.h"

#include <runtime/launcher.h>

#define FIELD(name) offsetof(struct job_limits, name)

static const struct setting keys[] = {
    {"pids", SETTING_NUMBER, FIELD(pids), 0, LIMIT_PIDS_MAX},
    {"open-files", SETTING_NUMBER, FIELD(files), 0, SANDBOX_NOFILE_MAX},
    {"frame", SETTING_SIZE, FIELD(frame), LIMIT_FRAME_MIN, LIMIT_FRAME_MAX},
    {"archive", SETTING_SIZE, FIELD(archive), 0, LIMIT_FRAME_MAX},
    {"students", SETTING_NUMBER, FIELD(students), 0, LIMIT_STUDENTS_MAX},
    {"time", SETTING_NUMBER, FIELD(time), 0, LIMIT_TIME_MAX},
    {"hard-time", SETTING_NUMBER, FIELD(hard_time), 0, LIMIT_TIME_MAX},
    {"memory", SETTING_SIZE, FIELD(memory), 0, LIMIT_MEMORY_MAX},
    {"disk", SETTING_SIZE, FIELD(disk), 0, SANDBOX_DISK_MAX},
    {"inodes", SETTING_NUMBER, FIELD(inodes), 0, SANDBOX_INODES_MAX},
    {"output", SETTING_SIZE, FIELD(output), 0, SANDBOX_BYTES_MAX},
    {"cpu", SETTING_NUMBER, FIELD(cpu), 0, SANDBOX_CPU_SHARE_MAX / LIMIT_CPU_UNIT},
    {"io-weight", SETTING_NUMBER, FIELD(io_weight), 0, SANDBOX_IO_WEIGHT_MAX},
};

struct settings job_limits_settings(void)
{
    return (struct settings){keys, ARRAY_SIZE(keys)};
}

void job_limits_init(struct job_limits *l)
{
    *l = (struct job_limits){
        .pids = LIMIT_PIDS_DEFAULT,
        .frame = LIMIT_FRAME_DEFAULT,
        .archive = LIMIT_ARCHIVE_DEFAULT,
        .students = LIMIT_STUDENTS_DEFAULT,
    };
}

/* All fields are uint64_t, and each has a key. */
static uint64_t *field(struct job_limits *l, size_t i)
{
    return (uint64_t *)((char *)l + keys[i].offset);
}
_Static_assert(sizeof(struct job_limits) == ARRAY_SIZE(keys) * sizeof(uint64_t),
               "each limit has a key");

void job_limits_unset(struct job_limits *l)
{
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        *field(l, i) = LIMIT_UNSET;
}

struct job_limits job_limits_over(const struct job_limits *l, const struct job_limits *others)
{
    struct job_limits both = *l, rest = *others;

    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        if (*field(&both, i) == LIMIT_UNSET)
            *field(&both, i) = *field(&rest, i);
    return both;
}

static bool is_set(uint64_t limit)
{
    return limit != 0 && limit != LIMIT_UNSET;
}

unsigned job_limits_needed(const struct job_limits *l)
{
    return (is_set(l->disk) || is_set(l->inodes) ? LAUNCHER_LIMIT_DISK : 0U) |
           (is_set(l->cpu) ? LAUNCHER_LIMIT_CPU_SHARE : 0U) |
           (is_set(l->io_weight) ? LAUNCHER_LIMIT_IO_WEIGHT : 0U);
}
