#include "bench/machine.h"

#include "base/clock.h"
#include "base/fdio.h"
#include "base/text.h"

#include <string.h>
#include <sys/resource.h>

#define CPU_DIR "/sys/devices/system/cpu"
/* A line of /proc/stat for each of a thousand CPUs, and one for its interrupts that names them all.
 */
#define STAT_MAX  ((size_t)1 << 20)
#define SMALL_MAX ((size_t)4 << 10)
/* Blanks from the end of the name to the CPU times in /proc/PID/stat. */
#define FIELDS_BEFORE_TIMES 12
/* Fields behind the name in a "cpuN" line. */
enum { USER, NICE, SYSTEM, IDLE, IOWAIT, IRQ, SOFTIRQ, STEAL, FIELDS };

/* What is worth a warning, as a share of the time. Below, no ratio that a bench can tell moves. */
#define STEAL_MAX     0.005
#define OTHERS_MAX    0.10
#define SIBLINGS_MAX  0.02
#define PRESSURE_MAX  0.02
#define FREQUENCY_MAX 0.05

/* The number at *AT, behind blanks on the same line; *AT moves behind it. */
static int next_number(const char **at, uint64_t *ret)
{
    const char *digits = *at + strspn(*at, " ");
    char *end;

    if (*digits < '0' || *digits > '9')
        return -EINVAL;
    *ret = strtoull(digits, &end, 10);
    *at = end;
    return 0;
}

/* LINE begins with "cpu" and a digit. */
static int parse_cpu_line(const char *line, uint64_t *ret_cpu, struct machine_cpu *ret)
{
    const char *at = line + strlen("cpu");
    uint64_t f[FIELDS];
    int r = next_number(&at, ret_cpu);

    for (size_t i = 0; r == 0 && i < FIELDS; i++)
        r = next_number(&at, &f[i]);
    if (r < 0)
        return r;
    *ret = (struct machine_cpu){
        .busy = f[USER] + f[NICE] + f[SYSTEM] + f[IRQ] + f[SOFTIRQ],
        .steal = f[STEAL],
    };
    return 0;
}

void machine_parse_stat(const char *text, struct machine_sample *s)
{
    for (; *text; text += strcspn(text, "\n"), text += *text == '\n') {
        struct machine_cpu cpu;
        uint64_t number;
        /* The line without a number is the sum. */
        if (strncmp(text, "cpu", 3) != 0 || text[3] < '0' || text[3] > '9' ||
            parse_cpu_line(text, &number, &cpu) < 0 || number >= SANDBOX_CPUS_MAX)
            continue;
        s->cpus[number] = cpu;
        cpus_add(&s->present, (unsigned)number);
    }
}

uint64_t machine_parse_pressure(const char *text)
{
    static const char word[] = " total=";
    const char *total = strncmp(text, "some ", 5) == 0 ? strstr(text, word) : NULL;
    uint64_t value;

    if (!total)
        return SANDBOX_ABSENT;
    total += strlen(word);
    return next_number(&total, &value) < 0 ? SANDBOX_ABSENT : value;
}

static int read_text(const char *path, struct buffer *b, size_t max)
{
    int r = fd_read_file(AT_FDCWD, path, b, max);

    return r < 0 ? r : buffer_string(b) ? 0 : -ENOMEM;
}

/* A file with one number in it. */
static uint64_t read_number(const char *format, unsigned cpu)
{
    _cleanup_buffer_ struct buffer b = {0};
    _cleanup_free_ char *path = NULL;
    uint64_t value;

    path = text_printf("%s/cpu%u/%s", CPU_DIR, cpu, format);
    if (!path || read_text(path, &b, SMALL_MAX) < 0)
        return SANDBOX_ABSENT;
    ((char *)b.data)[strcspn((const char *)b.data, "\n")] = 0;
    return text_parse_uint((const char *)b.data, UINT64_MAX, &value) < 0 ? SANDBOX_ABSENT : value;
}

static uint64_t ticks_to_usec(uint64_t ticks)
{
    return ticks * USEC_PER_SEC / (uint64_t)sysconf(_SC_CLK_TCK);
}

/* CPU time of another process of ours, from /proc/PID/stat. */
static uint64_t process_usec(pid_t pid)
{
    _cleanup_buffer_ struct buffer b = {0};
    _cleanup_free_ char *path = text_printf("/proc/%d/stat", (int)pid);
    uint64_t user, system;
    const char *at;

    if (!path || read_text(path, &b, SMALL_MAX) < 0)
        return 0;
    /* The name may have anything in it, so count from behind its last parenthesis. */
    at = strrchr((const char *)b.data, ')');
    for (int field = 0; at && field < FIELDS_BEFORE_TIMES; field++)
        at = strchr(at + 1, ' ');
    if (!at || next_number(&at, &user) < 0 || next_number(&at, &system) < 0)
        return 0;
    return ticks_to_usec(user + system);
}

static uint64_t own_usec(void)
{
    struct rusage u;

    if (getrusage(RUSAGE_SELF, &u) < 0)
        return 0;
    return (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * USEC_PER_SEC +
           (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

void machine_sample(const struct cpus *watched, pid_t launcher, struct machine_sample *ret)
{
    static const char *const pressures[MACHINE_PRESSURES] = {
        "/proc/pressure/cpu", "/proc/pressure/memory", "/proc/pressure/io"};
    _cleanup_buffer_ struct buffer stat = {0};

    *ret = (struct machine_sample){.at_usec = clock_monotonic_usec(), .slowed = SANDBOX_ABSENT};
    if (read_text("/proc/stat", &stat, STAT_MAX) == 0)
        machine_parse_stat((const char *)stat.data, ret);
    for (size_t i = 0; i < MACHINE_PRESSURES; i++) {
        _cleanup_buffer_ struct buffer b = {0};
        ret->pressure_usec[i] = read_text(pressures[i], &b, SMALL_MAX) < 0
                                    ? SANDBOX_ABSENT
                                    : machine_parse_pressure((const char *)b.data);
    }
    ret->own_usec = own_usec() + process_usec(launcher);
    for (unsigned cpu = 0; cpu < SANDBOX_CPUS_MAX; cpu++) {
        uint64_t slowed = SANDBOX_ABSENT;
        if (cpus_has(watched, cpu))
            slowed = read_number("thermal_throttle/core_throttle_count", cpu);
        if (slowed != SANDBOX_ABSENT)
            ret->slowed = (ret->slowed == SANDBOX_ABSENT ? 0 : ret->slowed) + slowed;
    }
}

void machine_watch_frequency(const struct cpus *watched, struct machine_frequency *f)
{
    for (unsigned cpu = 0; cpu < SANDBOX_CPUS_MAX; cpu++) {
        uint64_t now;
        if (!cpus_has(watched, cpu))
            continue;
        now = read_number("cpufreq/scaling_cur_freq", cpu);
        if (now == SANDBOX_ABSENT || now == 0)
            continue;
        f->lowest = f->lowest ? MIN(f->lowest, now) : now;
        f->highest = MAX(f->highest, now);
    }
}

static uint64_t grown(uint64_t before, uint64_t after)
{
    return after > before ? after - before : 0;
}

/* Sum over SET of the growth of busy (or steal) time, in microseconds. */
static double cpu_growth(const struct machine_sample *before, const struct machine_sample *after,
                         const struct cpus *set, bool steal)
{
    uint64_t ticks = 0;

    for (unsigned cpu = 0; cpu < SANDBOX_CPUS_MAX; cpu++) {
        if (!cpus_has(set, cpu))
            continue;
        ticks += steal ? grown(before->cpus[cpu].steal, after->cpus[cpu].steal)
                       : grown(before->cpus[cpu].busy, after->cpus[cpu].busy);
    }
    return (double)ticks_to_usec(ticks);
}

void machine_compare(const struct machine_sample *before, const struct machine_sample *after,
                     const struct cpus *watched, const struct cpus *siblings,
                     uint64_t sandboxes_usec, struct machine_noise *ret)
{
    double elapsed = (double)MAX(after->at_usec - before->at_usec, 1U);
    double ours = (double)sandboxes_usec + (double)grown(before->own_usec, after->own_usec);
    unsigned n = MAX(cpus_count(watched), 1U);

    ret->steal = cpu_growth(before, after, watched, true) / elapsed / n;
    ret->others = MAX(cpu_growth(before, after, &after->present, false) - ours, 0.0) / elapsed;
    ret->siblings = cpu_growth(before, after, siblings, false) / elapsed;
    for (size_t i = 0; i < MACHINE_PRESSURES; i++) {
        bool told =
            before->pressure_usec[i] != SANDBOX_ABSENT && after->pressure_usec[i] != SANDBOX_ABSENT;
        ret->pressure[i] =
            told ? (double)grown(before->pressure_usec[i], after->pressure_usec[i]) / elapsed : -1;
    }
    ret->slowed = before->slowed == SANDBOX_ABSENT || after->slowed == SANDBOX_ABSENT
                      ? 0
                      : grown(before->slowed, after->slowed);
}

static int add(char ***list, char *line)
{
    _cleanup_free_ char *owned = line;

    return owned ? strv_append(list, owned) : -ENOMEM;
}

static int warn_of_frequency(const struct machine_noise *noise, char ***warnings)
{
    double low = (double)noise->frequency.lowest, high = (double)noise->frequency.highest;
    int r = 0;

    if (high > 0 && (high - low) / high > FREQUENCY_MAX)
        r = add(warnings, text_printf("the CPUs' frequency changed between %.0f and %.0f MHz",
                                      low / 1000, high / 1000));
    if (r == 0 && noise->slowed > 0)
        r = add(warnings, text_printf("the CPUs were slowed down by heat %llu times",
                                      (unsigned long long)noise->slowed));
    return r;
}

int machine_warn(const struct machine_noise *noise, char ***warnings)
{
    int r = 0;

    if (noise->steal > STEAL_MAX)
        r = add(warnings, text_printf("the hypervisor gave %.1f %% of the CPUs' time to others",
                                      100 * noise->steal));
    if (r == 0 && noise->others > OTHERS_MAX)
        r = add(warnings, text_printf("other programs kept %.2f CPUs busy", noise->others));
    if (r == 0 && noise->siblings > SIBLINGS_MAX)
        r = add(warnings, text_printf("the idle threads of the reserved cores were busy for "
                                      "%.1f %% of the time",
                                      100 * noise->siblings));
    if (r == 0 && noise->pressure[1] > PRESSURE_MAX)
        r = add(warnings, text_printf("something waited for memory for %.1f %% of the time",
                                      100 * noise->pressure[1]));
    if (r == 0 && noise->pressure[2] > PRESSURE_MAX)
        r = add(warnings, text_printf("something waited for a disk for %.1f %% of the time",
                                      100 * noise->pressure[2]));
    return r < 0 ? r : warn_of_frequency(noise, warnings);
}
