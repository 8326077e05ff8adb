#include "run/report.h"

#include "base/fdio.h"
#include "base/text.h"
#include "run/execute.h"

#include <string.h>

static json_t *counter(uint64_t value)
{
    return value == SANDBOX_ABSENT ? json_null() : json_integer((json_int_t)value);
}

json_t *run_text_json(const char *value)
{
    /* What is not UTF-8 is not JSON: such bytes come from the command line. */
    return value && text_is_utf8(value, strlen(value)) ? json_string(value) : json_null();
}

json_t *run_list_json(char *const *words)
{
    json_t *array = json_array();

    for (; array && words && *words; words++)
        json_array_append_new(array, run_text_json(*words));
    return array;
}

static json_t *describe(const struct run_plan *p)
{
    if (!p)
        return json_pack("{s:i}", "version", RUN_REPORT_VERSION);
    return json_pack("{s:i, s:s, s:o, s:o, s:o, s:o}", "version", RUN_REPORT_VERSION, "id", p->id,
                     "name", run_text_json(p->name), "image", run_text_json(p->image->name),
                     "digest", run_text_json(p->image->digest), "command",
                     run_list_json(p->spec.argv));
}

static json_t *failure(const struct sandbox_report *r)
{
    if (r->verdict != SANDBOX_START_FAILED)
        return json_null();
    return json_pack("{s:o, s:o, s:i}", "step", run_text_json(r->failed_step), "text",
                     run_text_json(r->error), "errno", -r->error_code);
}

static json_t *pressure(const struct sandbox_pressure *p)
{
    return json_pack("{s:o, s:o}", "some_usec", counter(p->some_usec), "full_usec",
                     counter(p->full_usec));
}

json_t *run_usage_json(const struct sandbox_report *r)
{
    const struct {
        const char *key;
        uint64_t value;
    } counters[] = {
        {"wall_usec", r->wall_usec},
        {"user_usec", r->user_usec},
        {"system_usec", r->system_usec},
        {"memory_peak_bytes", r->memory_peak},
        {"tasks_peak", r->pids_peak},
        {"read_bytes", r->read_bytes},
        {"write_bytes", r->write_bytes},
        {"voluntary_switches", r->voluntary_switches},
        {"involuntary_switches", r->involuntary_switches},
        {"oom_kills", r->oom_kills},
        {"throttled_periods", r->throttled_periods},
        {"throttled_usec", r->throttled_usec},
        {"output_bytes", r->output_bytes},
    };
    json_t *usage = json_object();

    for (size_t i = 0; usage && i < ARRAY_SIZE(counters); i++)
        json_object_set_new(usage, counters[i].key, counter(counters[i].value));
    json_object_set_new(usage, "cpu_pressure", pressure(&r->cpu_pressure));
    json_object_set_new(usage, "memory_pressure", pressure(&r->memory_pressure));
    json_object_set_new(usage, "io_pressure", pressure(&r->io_pressure));
    return usage;
}

json_t *run_report(const struct run_plan *p, const struct sandbox_report *r)
{
    json_t *report = describe(p);
    json_t *outcome =
        json_pack("{s:s, s:i, s:o, s:o, s:o, s:o, s:o}", "verdict",
                  sandbox_verdict_name(r->verdict), "exit_status", run_exit_status(r), "exit_code",
                  r->verdict == SANDBOX_EXITED ? json_integer(r->exit_code) : json_null(), "signal",
                  r->verdict == SANDBOX_SIGNALLED ? json_integer(r->signal) : json_null(), "limit",
                  run_text_json(run_limit_name(r)), "error", failure(r), "copy_error",
                  r->copy_error[0] ? run_text_json(r->copy_error) : json_null());
    json_t *usage = run_usage_json(r);

    if (!report || !outcome || !usage || json_object_update(report, outcome) < 0 ||
        json_object_set(report, "usage", usage) < 0) {
        json_decref(report);
        report = NULL;
    }
    json_decref(outcome);
    json_decref(usage);
    return report;
}

json_t *run_report_error(const struct run_plan *p, const struct error *e)
{
    json_t *report = describe(p);
    json_t *outcome =
        json_pack("{s:s, s:i, s:n, s:n, s:n, s:{s:n, s:o, s:i}, s:n}", "verdict", "not-started",
                  "exit_status", RUN_EXIT_OWN_ERROR, "exit_code", "signal", "limit", "error",
                  "step", "text", run_text_json(e->text), "errno", -e->code, "copy_error");

    if (!report || !outcome || json_object_update(report, outcome) < 0) {
        json_decref(report);
        report = NULL;
    }
    json_decref(outcome);
    return report;
}

static int open_target(const char *target, struct error *e)
{
    uint64_t number;
    int fd;

    if (strcmp(target, "-") == 0)
        fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    else if (strncmp(target, "fd:", 3) == 0 && text_parse_uint(target + 3, INT32_MAX, &number) == 0)
        fd = fcntl((int)number, F_DUPFD_CLOEXEC, 3);
    else
        fd = open(target, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0644);
    return fd < 0 ? error_sys(e, -errno, "--report %s", target) : fd;
}

int run_report_write(json_t *report, const char *target, struct error *e)
{
    _cleanup_free_ char *line =
        report ? json_dumps(report, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
    _cleanup_close_ int fd = -EBADF;
    int r;

    json_decref(report);
    if (!line)
        return error_sys(e, -ENOMEM, "report");
    fd = open_target(target, e);
    if (fd < 0)
        return fd;
    r = fd_write_full(fd, line, strlen(line));
    if (r == 0)
        r = fd_write_full(fd, "\n", 1);
    return r < 0 ? error_sys(e, r, "--report %s", target) : 0;
}
