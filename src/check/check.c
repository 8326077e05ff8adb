#include "check/check_internal.h"

#include "base/fdio.h"

#include <stdarg.h>
#include <string.h>
#include <sys/wait.h>

const char *check_state_name(enum check_state state)
{
    static const char *const names[] = {"ok", "warn", "fail"};

    return names[state];
}

struct check_result *check_add(struct check_report *report, const char *name,
                               enum check_state state, const char *why, const char *format, ...)
{
    /* The last place is written over: there are fewer probes than places. */
    size_t at = MIN(report->n, (size_t)CHECK_RESULTS_MAX - 1);
    struct check_result *result = &report->results[at];
    va_list arguments;

    report->n = at + 1;
    *result = (struct check_result){.name = name, .state = state, .why = why};
    va_start(arguments, format);
    vsnprintf(result->found, sizeof(result->found), format, arguments);
    va_end(arguments);
    return result;
}

void check_mend(struct check_result *result, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(result->mend, sizeof(result->mend), format, arguments);
    va_end(arguments);
}

int check_in_child(int (*probe)(void *argument), void *argument)
{
    int status = 0;
    pid_t pid;

    fflush(NULL);
    pid = fork();
    if (pid < 0)
        return -errno;
    if (pid == 0) {
        int r = probe(argument);
        _exit(r < 0 ? MIN(-r, 255) : 0);
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (!WIFEXITED(status))
        return -ECHILD;
    return -WEXITSTATUS(status);
}

bool check_read(const char *path, char *text, size_t size)
{
    _cleanup_buffer_ struct buffer b = {0};

    if (fd_read_file(AT_FDCWD, path, &b, 1 << 20) < 0 || !buffer_string(&b))
        return false;
    snprintf(text, size, "%.*s", (int)strcspn((char *)b.data, "\n"), (char *)b.data);
    return true;
}

void check_host(const struct check_options *options, struct check_report *ret)
{
    ret->n = 0;
    if (geteuid() != 0) {
        check_mend(check_add(ret, "root", CHECK_FAIL, "containers are made by root",
                             "this is user %u", geteuid()),
                   "sudo dockless check");
        return;
    }
    check_kernel(ret);
    check_namespaces(ret);
    check_ids(ret);
    check_cgroups(ret);
    check_swap(ret);
    check_files(ret, options);
    check_filter(ret);
    check_packet_filter(ret);
    check_limits(ret);
    check_core(ret);
}

enum check_state check_worst(const struct check_report *report)
{
    enum check_state worst = CHECK_OK;

    for (size_t i = 0; i < report->n; i++)
        worst = MAX(worst, report->results[i].state);
    return worst;
}

int check_require(const struct check_options *options, struct error *e)
{
    struct check_report report;

    check_host(options, &report);
    for (size_t i = 0; i < report.n; i++) {
        const struct check_result *result = &report.results[i];
        if (result->state == CHECK_FAIL)
            return error_set(e, -ENOTSUP,
                             "this host is not fit: %s: %s; mend it by: %s "
                             "('dockless check' says more)",
                             result->name, result->found, result->mend);
    }
    return 0;
}
