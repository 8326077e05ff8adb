/* The counters of a cgroup. What is the same in both drivers is read here, the rest by them. */
#include "cgroup_internal.h"

#include "base/fdio.h"

#include <string.h>

/* A line of io.stat or its v1 counterpart for each disk. */
#define LOOP_MAJOR "7:"

uint64_t cgroup_value_of(int dir_fd, const char *name)
{
    _cleanup_buffer_ struct buffer b = {0};
    uint64_t value;

    if (dir_fd < 0 || cgroup_read(dir_fd, name, &b) < 0 ||
        cgroup_parse_value((const char *)b.data, &value) < 0)
        return SANDBOX_ABSENT;
    return value;
}

uint64_t cgroup_key_of(int dir_fd, const char *name, const char *key)
{
    _cleanup_buffer_ struct buffer b = {0};
    uint64_t value;

    if (dir_fd < 0 || cgroup_read(dir_fd, name, &b) < 0 ||
        cgroup_parse_key((const char *)b.data, key, &value) < 0)
        return SANDBOX_ABSENT;
    return value;
}

/* The number behind WORD in LINE; 0 where it is not there. */
static uint64_t number_after(const char *line, size_t length, const char *word)
{
    const char *at = memmem(line, length, word, strlen(word));
    char text[24];
    uint64_t value;

    if (!at)
        return 0;
    at += strlen(word);
    snprintf(text, sizeof(text), "%.*s", (int)strcspn(at, " \n"), at);
    return cgroup_parse_value(text, &value) < 0 ? 0 : value;
}

uint64_t cgroup_sum_of_disks(const char *text, const char *word)
{
    uint64_t sum = 0;

    for (; *text; text += strcspn(text, "\n"), text += *text == '\n')
        if (strncmp(text, LOOP_MAJOR, strlen(LOOP_MAJOR)) != 0)
            sum += number_after(text, strcspn(text, "\n"), word);
    return sum;
}

void cgroup_disks_of(int dir_fd, const char *name, const char *read, const char *written,
                     struct cgroup_usage *u)
{
    _cleanup_buffer_ struct buffer b = {0};

    if (dir_fd < 0 || cgroup_read(dir_fd, name, &b) < 0)
        return;
    u->read_bytes = cgroup_sum_of_disks((const char *)b.data, read);
    u->write_bytes = cgroup_sum_of_disks((const char *)b.data, written);
}

int cgroup_parse_pressure(const char *text, struct sandbox_pressure *ret)
{
    static const char *const words[] = {"some ", "full "};
    uint64_t *const totals[] = {&ret->some_usec, &ret->full_usec};
    int found = 0;

    for (; *text; text += strcspn(text, "\n"), text += *text == '\n') {
        size_t length = strcspn(text, "\n");
        for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
            if (strncmp(text, words[i], strlen(words[i])) == 0 &&
                memmem(text, length, " total=", 7)) {
                *totals[i] = number_after(text, length, " total=");
                found++;
            }
        }
    }
    return found > 0 ? 0 : -ENOENT;
}

/* A kernel without pressure information, or one with it switched off, refuses to open or read. */
static void read_pressure(int dir_fd, const char *name, struct sandbox_pressure *ret)
{
    _cleanup_buffer_ struct buffer b = {0};

    *ret = (struct sandbox_pressure){SANDBOX_ABSENT, SANDBOX_ABSENT};
    if (cgroup_read(dir_fd, name, &b) == 0)
        (void)cgroup_parse_pressure((const char *)b.data, ret);
}

/* cpu.stat has at most two dozen lines of up to 40 characters, the ones we want first. */
static int read_cpu(struct cgroup *cg, uint64_t *ret_usage, uint64_t *ret_user,
                    uint64_t *ret_system)
{
    char text[1024];
    int r = cgroup_read_again(cg->cpu_fd, text, sizeof(text));

    if (r == 0)
        r = cgroup_parse_key(text, "usage_usec", ret_usage);
    if (r == 0 && ret_user)
        r = cgroup_parse_key(text, "user_usec", ret_user);
    if (r == 0 && ret_system)
        r = cgroup_parse_key(text, "system_usec", ret_system);
    return r;
}

int cgroup_cpu_usage(struct cgroup *cg, uint64_t *ret_usec)
{
    uint64_t usage;
    int r = read_cpu(cg, &usage, NULL, NULL);

    if (r == 0)
        *ret_usec = usage;
    return r;
}

int cgroup_usage(struct cgroup *cg, struct cgroup_usage *ret, struct error *e)
{
    struct cgroup_usage u = {
        .memory_peak = SANDBOX_ABSENT,
        .pids_peak = SANDBOX_ABSENT,
        .read_bytes = SANDBOX_ABSENT,
        .write_bytes = SANDBOX_ABSENT,
        .oom_kills = SANDBOX_ABSENT,
        .throttled_periods = SANDBOX_ABSENT,
        .throttled_usec = SANDBOX_ABSENT,
    };
    int r = read_cpu(cg, &u.usage_usec, &u.user_usec, &u.system_usec);

    if (r < 0)
        return error_sys(e, r, "cgroup %s: cpu.stat", cg->name);
    cg->host->driver->usage(cg, &u);
    read_pressure(cg->dirs[CGROUP_V2], "cpu.pressure", &u.cpu_pressure);
    read_pressure(cg->dirs[CGROUP_V2], "memory.pressure", &u.memory_pressure);
    read_pressure(cg->dirs[CGROUP_V2], "io.pressure", &u.io_pressure);
    *ret = u;
    return 0;
}
