#include "config/job_limits.h"

#define FIELD(name) offsetof(struct job_limits, name)

static const struct setting keys[] = {
    {"pids", SETTING_NUMBER, FIELD(pids), 0, LIMIT_PIDS_MAX},
    {"frame", SETTING_SIZE, FIELD(frame), LIMIT_FRAME_MIN, LIMIT_FRAME_MAX},
    {"archive", SETTING_SIZE, FIELD(archive), 0, LIMIT_FRAME_MAX},
    {"students", SETTING_NUMBER, FIELD(students), 0, LIMIT_STUDENTS_MAX},
    {"time", SETTING_NUMBER, FIELD(time), 0, LIMIT_TIME_MAX},
    {"hard-time", SETTING_NUMBER, FIELD(hard_time), 0, LIMIT_TIME_MAX},
    {"memory", SETTING_SIZE, FIELD(memory), 0, LIMIT_MEMORY_MAX},
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
