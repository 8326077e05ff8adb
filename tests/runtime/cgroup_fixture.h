/* One cgroup "s1" of a host's directories for each test, and a look at what is left at its end. */
#pragma once

#include "cgroup_child.h"
#include "cgroup_internal.h"

#include "base/fdio.h"
#include "base/text.h"

#include <poll.h>
#include <stdio.h>

struct fixture {
    struct cgroup_host *host;
    struct cgroup *cg;
    char instance[32];
};

static inline int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct error e = ERROR_INIT;

    snprintf(f->instance, sizeof(f->instance), "t-%d", (int)getpid());
    if (cgroup_host_open(f->instance, 0, &f->host, &e) < 0) {
        print_error("%s\n", e.text);
        free(f);
        return -1;
    }
    *state = f;
    return 0;
}

static inline int tear_down(void **state)
{
    struct fixture *f = *state;
    _cleanup_strv_ char **paths = NULL;
    int left = 0;

    cgroup_host_paths(f->host, &paths);
    if (f->cg)
        cgroup_destroy(f->cg);
    cgroup_host_close(f->host);
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
    for (char **p = paths; p && *p; p++)
        left += access(*p, F_OK) == 0;
    free(f);
    return left ? -1 : 0;
}

static inline struct cgroup *make(struct fixture *f, uint64_t memory, uint64_t pids)
{
    struct sandbox_limits limits = {.memory_bytes = memory, .pids = pids};
    struct error e = ERROR_INIT;

    if (cgroup_create(f->host, "s1", &limits, &f->cg, &e) < 0)
        fail_msg("%s", e.text);
    return f->cg;
}

/* The value of control file NAME of sandbox s1, looked for in every hierarchy; "-" where there is
 * none. */
static inline const char *value(struct fixture *f, const char *name)
{
    static char text[256];
    _cleanup_strv_ char **paths = NULL;

    snprintf(text, sizeof(text), "-");
    cgroup_host_paths(f->host, &paths);
    for (char **p = paths; *p; p++) {
        _cleanup_buffer_ struct buffer b = {0};
        _cleanup_free_ char *path = text_printf("%s/s1/%s", *p, name);
        if (fd_read_file(AT_FDCWD, path, &b, sizeof(text) - 1) == 0)
            snprintf(text, sizeof(text), "%.*s", (int)strcspn(buffer_string(&b), "\n"), b.data);
    }
    return text;
}

static inline void wait_until_empty(struct cgroup *cg)
{
    uint64_t end = clock_monotonic_usec() + 5 * USEC_PER_SEC * time_scale();

    while (cgroup_is_empty(cg) != 1) {
        struct pollfd p = {cgroup_events_fd(cg), POLLPRI, 0};
        assert_true(clock_monotonic_usec() < end);
        poll(&p, 1, 100);
    }
}

/* Runs FN in CG to its end and returns its status. */
static inline int run(struct cgroup *cg, child_fn fn, uint64_t arg)
{
    pid_t pid = spawn_in(cg, fn, arg);

    assert_true(pid > 0);
    return wait_status(pid);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
