#include "copier.h"

#include "base/fdio.h"
#include "host.h"
#include "network.h"
#include "quota.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/wait.h>

struct copier {
    pid_t pid;
    int result_fd; /* a struct outcome, then the end */
    struct loop_source *source;
    copier_done_fn done;
    void *userdata;
};

/* Less than PIPE_BUF: written and read at once. */
struct outcome {
    int result;
    char text[512];
};

/* What copier_start() has copied. */
struct mount_work {
    const struct mount_source *source;
    const struct sandbox_mount *mount;
    size_t index;
    bool force;
};

static int copy_mount(const void *what, struct error *e)
{
    const struct mount_work *w = what;

    return mount_copy(w->source, w->mount, w->index, w->force, e);
}

static _Noreturn void work(const struct host *h, copier_work_fn fn, const void *what, int fd)
{
    struct outcome outcome = {0};
    struct error e = ERROR_INIT;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, "dockless-copy");
    if (h->network)
        network_drop_ports(h->network);
    /* What it writes into a sandbox's scratch is the sandbox's. */
    quota_obey();
    outcome.result = fn(what, &e);
    snprintf(outcome.text, sizeof(outcome.text), "%.*s", (int)sizeof(outcome.text) - 1, e.text);
    _exit(fd_write_full(fd, &outcome, sizeof(outcome)) < 0);
}

static void reap(struct copier *c)
{
    while (c->pid > 0 && waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    c->pid = 0;
}

static int on_result(struct loop_source *source, int fd, uint32_t events, void *userdata)
{
    struct copier *c = userdata;
    struct outcome outcome;
    struct error e = ERROR_INIT;

    (void)source, (void)events;
    if (fd_read_full(fd, &outcome, sizeof(outcome)) != (ssize_t)sizeof(outcome)) {
        outcome.result = error_set(&e, -ECHILD, "the process that copies it was killed");
    } else if (outcome.result < 0) {
        outcome.text[sizeof(outcome.text) - 1] = 0;
        error_set(&e, outcome.result, "%s", outcome.text);
    }
    c->source = loop_source_free(c->source);
    reap(c);
    c->done(outcome.result, &e, c->userdata);
    return 0;
}

int copier_run(struct loop *event, const struct host *h, copier_work_fn fn, const void *what,
               copier_done_fn done, void *userdata, struct copier **ret, struct error *e)
{
    _cleanup_(copier_free_p) struct copier *c = calloc(1, sizeof(*c));
    int ends[2], r;

    if (!c)
        return error_sys(e, -ENOMEM, "copy");
    if (pipe2(ends, O_CLOEXEC) < 0) {
        c->result_fd = -EBADF;
        return error_sys(e, -errno, "copy: pipe");
    }
    *c = (struct copier){.result_fd = ends[0], .done = done, .userdata = userdata};
    c->pid = fork();
    if (c->pid == 0)
        work(h, fn, what, ends[1]);
    r = c->pid < 0 ? -errno : 0;
    safe_close(ends[1]);
    if (r == 0)
        r = loop_add_io(event, &c->source, c->result_fd, EPOLLIN, on_result, c);
    if (r < 0)
        return error_sys(e, r, "copy: fork");
    *ret = TAKE_PTR(c);
    return 0;
}

int copier_start(struct loop *event, const struct mount_source *s, const struct sandbox_mount *m,
                 size_t index, bool force, copier_done_fn done, void *userdata, struct copier **ret,
                 struct error *e)
{
    const struct mount_work w = {s, m, index, force};

    return copier_run(event, s->host, copy_mount, &w, done, userdata, ret, e);
}

void copier_free(struct copier *c)
{
    loop_source_free(c->source);
    if (c->pid > 0)
        kill(c->pid, SIGKILL);
    reap(c);
    safe_close(c->result_fd);
    free(c);
}
