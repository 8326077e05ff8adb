/* Opening, serving, leaving. */
#include "agent/agent_internal.h"

#include "agent/privileges.h"
#include "agent/ssh.h"
#include "agent/student.h"
#include "base/fdio.h"
#include "base/log.h"
#include "profile/profile.h"

#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <zmq.h>

/* How long the last answers may take to leave. */
#define LINGER_MSEC 2000
/* First processes kept waiting by the launcher: one for a grader, one for its student. */
#define SPARES 2

/* Makes DIR and its parents where they are missing. */
static int make_directories(const char *dir, struct error *e)
{
    _cleanup_free_ char *path = strdup(dir);

    if (!path)
        return error_sys(e, -ENOMEM, "%s", dir);
    for (char *p = path + 1;; p++) {
        char c = *p;
        if (c && c != '/')
            continue;
        *p = 0;
        if (mkdir(path, 0711) < 0 && errno != EEXIST)
            return error_sys(e, -errno, "cannot make directory %s", path);
        *p = c;
        if (!c)
            return 0;
    }
}

/* One agent a store, unless it is meant to be shared: two would announce the same images and each
 * count on the whole host. The file that makes the directory a store is locked, which others only
 * read. */
static int lock_store(struct agent *a, struct error *e)
{
    _cleanup_close_ int dir = open(a->config->store, O_PATH | O_DIRECTORY | O_CLOEXEC);

    if (a->config->share_store)
        return 0;
    if (dir < 0)
        return error_sys(e, -errno, "image store %s", a->config->store);
    a->store_lock_fd = openat(dir, "format", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (a->store_lock_fd < 0)
        return error_sys(e, -errno, "image store %s", a->config->store);
    if (flock(a->store_lock_fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK ? error_set(e, -EBUSY,
                                                "image store %s is in use by another agent "
                                                "(--share-store allows that)",
                                                a->config->store)
                                    : error_sys(e, -errno, "image store %s", a->config->store);
    return 0;
}

/* One agent a temporary directory: two would sweep each other's files. */
static int lock_tmpdir(struct agent *a, struct error *e)
{
    _cleanup_close_ int dir = -EBADF;
    int r = make_directories(a->config->tmpdir, e);

    if (r < 0)
        return r;
    dir = open(a->config->tmpdir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return error_sys(e, -errno, "temporary directory %s", a->config->tmpdir);
    a->lock_fd = openat(dir, "agent.lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (a->lock_fd < 0)
        return error_sys(e, -errno, "%s/agent.lock", a->config->tmpdir);
    if (flock(a->lock_fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK ? error_set(e, -EBUSY,
                                                "temporary directory %s is in use by another agent "
                                                "(--tmpdir chooses another)",
                                                a->config->tmpdir)
                                    : error_sys(e, -errno, "%s/agent.lock", a->config->tmpdir);
    return 0;
}

/* What the configuration limits, anywhere. */
static unsigned needed_limits(const struct agent_config *c)
{
    unsigned needed = job_limits_needed(&c->limits) | (c->pin ? LAUNCHER_LIMIT_CPUS : 0U);

    for (size_t i = 0; i < c->environments.n; i++)
        needed |= job_limits_needed(&c->environments.list[i].limits);
    return needed;
}

static int start_launcher(struct agent *a, struct error *e)
{
    _cleanup_(seccomp_program_clear) struct seccomp_program filter = {0};
    const struct launcher_root roots[ROOTS_] = {
        [ROOT_STORE] = {.name = "store", .path = a->config->store, .read_only = true},
        [ROOT_TASKS] = {.name = "tasks", .path = a->config->tasks, .read_only = true},
    };
    const struct network_config *n = &a->config->network;
    const struct launcher_network network = {
        .pool4 = n->pool4,
        .pool6 = n->pool6,
        .allowed = (const char *const *)n->allowed,
        .n_allowed = strv_length(n->allowed),
        .resolvers = (const char *const *)n->resolvers,
        .n_resolvers = strv_length(n->resolvers),
        .first_port = n->first_port,
        .last_port = n->last_port,
    };
    struct launcher_config config = {
        .roots = roots,
        .n_roots = ROOTS_,
        .scratch = a->config->tmpdir,
        .spares = SPARES,
        .max_sandboxes = (uint32_t)(2 * a->config->jobs + a->config->students),
        .filter = a->config->seccomp ? &filter : NULL,
        .network = &network,
        .needed = needed_limits(a->config),
        .waived = a->config->waived,
        .first_project = (uint32_t)a->config->disk_projects,
    };
    struct stat st;
    int r;

    if (stat(a->config->tasks, &st) < 0)
        return error_sys(e, -errno, "tasks directory %s", a->config->tasks);
    if (!S_ISDIR(st.st_mode))
        return error_sys(e, -ENOTDIR, "tasks directory %s", a->config->tasks);
    (void)launcher_disk_by_name(a->config->disk_by, &config.disk); /* it was checked */
    r = a->config->seccomp ? profile_load(a->config->seccomp, &filter, e) : 0;
    return r < 0 ? r : launcher_start(&config, &a->launcher, e);
}

/* No process can be given more open files than the launcher itself may have. */
static int check_files(uint64_t files, uint64_t most, struct error *e)
{
    if (files != LIMIT_UNSET && files > most)
        return error_set(e, -ERANGE,
                         "limits.open-files is %llu, and this process may have %llu itself (ulimit "
                         "-Hn, LimitNOFILE=)",
                         (unsigned long long)files, (unsigned long long)most);
    return 0;
}

/* What each of the slots may have of the machine. */
int agent_divide_host(struct agent *a, struct error *e)
{
    struct rlimit nofile;
    struct sysinfo info;
    int r;

    if (getrlimit(RLIMIT_NOFILE, &nofile) < 0 || sysinfo(&info) < 0)
        return error_sys(e, -errno, "asking for the host's limits");
    a->slots = a->config->concurrency ? a->config->concurrency : (uint64_t)MAX(get_nprocs(), 1);
    a->slots = MIN(a->slots, a->config->jobs);
    a->memory_per_slot = (uint64_t)info.totalram * info.mem_unit / a->slots >> 20;
    a->nofile_per_slot = MAX(nofile.rlim_max / a->slots, 64);
    r = check_files(a->config->limits.files, nofile.rlim_max, e);
    for (size_t i = 0; r == 0 && i < a->config->environments.n; i++)
        r = check_files(a->config->environments.list[i].limits.files, nofile.rlim_max, e);
    return r;
}

/* Gives each slot whole cores of its own. */
static int pin_slots(struct agent *a, struct error *e)
{
    _cleanup_free_ struct cpu_core *cores = NULL;
    size_t n = 0;
    int r;

    if (!a->config->pin)
        return 0;
    r = cpus_find_cores(&cores, &n, e);
    if (r < 0)
        return r;
    a->slot_cpus = calloc((size_t)a->slots, sizeof(*a->slot_cpus));
    if (!a->slot_cpus)
        return error_sys(e, -ENOMEM, "pin");
    r = cpus_divide(cores, n, (size_t)a->slots, a->slot_cpus);
    if (r < 0)
        return error_set(e, r,
                         "pin: %llu jobs at once cannot have cores of their own, there are %zu",
                         (unsigned long long)a->slots, n);
    a->n_slot_cpus = (size_t)a->slots;
    return 0;
}

static struct job *find(struct agent *a, uint64_t id)
{
    for (struct job *j = a->jobs; j; j = j->next)
        if (j->id == id)
            return j;
    return NULL;
}

void agent_handle_event(struct agent *a, struct launcher_event *event)
{
    struct job *j = find(a, event->id);
    struct student *s = j ? NULL : student_find(a, event->id);

    if (event->type == LAUNCHER_EXITED && event->report.error_code == -EADDRINUSE)
        ports_avoid(&a->ports, event->id);
    else if (event->type == LAUNCHER_EXITED)
        ports_return(&a->ports, event->id);
    /* Neither: of a job that was abandoned. */
    if (j && event->type == LAUNCHER_PROBED && j->state == JOB_PREPARING)
        job_probed(j, event->result);
    else if (j && event->type == LAUNCHER_EXITED && j->state == JOB_RUNNING)
        job_exited(j, &event->report);
    else if (s && event->type == LAUNCHER_EXITED)
        student_exited(s, &event->report);
    else if (s && event->type == LAUNCHER_CONNECTED)
        student_connected(s, event->result, TAKE_FD(event->fd));
}

static int on_launcher(struct loop_source *source, int fd, uint32_t revents, void *userdata)
{
    struct agent *a = userdata;
    struct error e = ERROR_INIT;
    struct launcher_event event;
    int r;

    (void)fd, (void)revents;
    while ((r = launcher_dispatch(a->launcher, &event, &e)) > 0) {
        agent_handle_event(a, &event);
        safe_close(event.fd);
    }
    if (r < 0) {
        log_error("the launcher is gone: %s", e.text[0] ? e.text : strerror(-r));
        loop_source_enable(source, false);
        agent_leave(a, r);
    }
    return 0;
}

static int on_hello(void *userdata, struct buffer *out)
{
    struct agent *a = userdata;

    int r = environments_encode_hello(&a->environments, &a->types, a->protocol,
                                      a->config->friendly_name, (uint32_t)a->slots, out);

    buffer_clear(&a->announced);
    return r < 0 ? r : buffer_append(&a->announced, out->data, out->size);
}

static bool on_message(void *userdata, const void *frame, size_t size)
{
    struct agent *a = userdata;
    struct backend_message message = BACKEND_MESSAGE_INIT;
    _cleanup_buffer_ struct buffer pong = {0};
    struct error e = ERROR_INIT;
    int r = backend_message_decode(a->protocol, frame, size, &message, &e);

    if (message.type == BACKEND_NEW_JOB) {
        job_receive(a, frame, size);
    } else if (r < 0) {
        log_warning("message from the backend: %s", e.text);
    } else if (message.type == BACKEND_KILL_JOB) {
        job_kill(a, &message);
    } else if (message.type == BACKEND_PING) {
        if (backend_encode_pong(a->protocol, &pong) == 0)
            link_send(a->link, &pong);
    }
    r = message.type == BACKEND_PING || !a->rules->only_pings_count;
    backend_message_clear(&message);
    return r;
}

static void on_lost(void *userdata)
{
    struct agent *a = userdata;

    while (a->jobs)
        job_abandon(a->jobs);
}

static int prepare_loop(struct agent *a, struct error *e)
{
    int r = loop_new(&a->event);

    if (r >= 0)
        r = loop_add_io(a->event, &a->launcher_source, launcher_fd(a->launcher), EPOLLIN,
                        on_launcher, a);
    if (r < 0)
        return error_sys(e, r, "event loop");
    r = agent_watch_signals(a, e);
    if (r == 0)
        r = reload_watch(a, e);
    if (r < 0)
        return r;
    /* The threads of ZeroMQ start with the first socket: after the launcher was forked, without any
     * privilege. */
    a->context = zmq_ctx_new();
    return a->context ? 0 : error_sys(e, -errno, "zmq_ctx_new");
}

/* The generations before 0.7 have no types, those before 0.8 none for ssh. */
static void choose_types(struct agent *a)
{
    const struct network_config *n = &a->config->network;
    bool typed = a->protocol <= WIRE_0_7;

    a->types.names[a->types.n++] = typed ? n->environment_type : ENVIRONMENT_TYPE_DEFAULT;
    if (n->ssh && a->protocol <= WIRE_0_8)
        a->types.names[a->types.n++] = n->ssh_environment_type;
}

int agent_open(const struct agent_config *config, struct agent **ret, struct error *e)
{
    _cleanup_(agent_close_p) struct agent *a = calloc(1, sizeof(*a));
    uid_t uid;
    gid_t gid;
    int r;

    if (!a)
        return error_sys(e, -ENOMEM, "agent");
    a->config = config;
    a->lock_fd = a->store_lock_fd = a->images_fd = -EBADF;
    r = wire_generation_parse(config->protocol, &a->protocol);
    if (r < 0)
        return error_set(e, r, "there is no protocol \"%s\"", config->protocol);
    a->rules = wire_rules_of(a->protocol);
    choose_types(a);
    if (geteuid() != 0)
        return error_set(e, -EPERM, "root is needed to make containers");
    r = agent_user_lookup(config->user, &uid, &gid, e);
    if (r == 0)
        r = image_store_open(config->store, IMAGE_STORE_READ, &a->store, e);
    if (r == 0)
        r = environments_load(a->store, config, a->protocol, &a->environments, e);
    if (r == 0)
        r = agent_divide_host(a, e);
    if (r == 0)
        r = pin_slots(a, e);
    if (r == 0)
        r = lock_tmpdir(a, e);
    if (r == 0)
        r = lock_store(a, e);
    if (r == 0) {
        r = ports_open(&a->ports, config->network.first_port, config->network.last_port);
        if (r < 0)
            error_sys(e, r, "ports");
    }
    if (r == 0)
        r = start_launcher(a, e);
    if (r == 0)
        environments_inspect(a, &a->environments);
    if (r == 0)
        r = agent_drop_privileges(uid, gid, e);
    if (r == 0)
        r = prepare_loop(a, e);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(a);
    return 0;
}

void agent_close(struct agent *a)
{
    while (a->jobs)
        job_abandon(a->jobs);
    if (a->link)
        link_close(a->link, LINGER_MSEC);
    loop_source_free(a->launcher_source);
    loop_source_free(a->sigterm_source);
    loop_source_free(a->sigint_source);
    loop_source_free(a->drain_timer);
    reload_end(a);
    if (a->launcher)
        launcher_stop(a->launcher);
    ports_close(&a->ports);
    if (a->context)
        zmq_ctx_term(a->context);
    loop_source_free(a->watchdog_timer);
    loop_unref(a->event);
    environments_clear(&a->environments);
    buffer_clear(&a->announced);
    if (a->store)
        image_store_close(a->store);
    safe_close(a->lock_fd);
    safe_close(a->store_lock_fd);
    free(a->slot_cpus);
    free(a);
}

struct loop *agent_event(struct agent *a)
{
    return a->event;
}

void *agent_context(struct agent *a)
{
    return a->context;
}

int agent_run(struct agent *a, struct error *e)
{
    static const struct link_callbacks callbacks = {on_hello, on_message, on_lost};
    int r;

    for (size_t i = 0; i < a->environments.n; i++)
        log_info("environment %s: %s", a->environments.list[i].name,
                 a->environments.list[i].image->id);
    if (a->environments.n == 0)
        log_warning("no image of store %s is a grading environment: see dockless-image(1)",
                    a->config->store);
    ssh_log_host(a);
    r = link_open(a->event, a->context, a->config->backend, &callbacks, a, &a->link, e);
    if (r < 0)
        return r;
    service_ready(a);
    r = loop_serve(a->event);
    if (r < 0)
        return error_sys(e, r, "event loop");
    return a->status < 0 ? error_set(e, a->status, "the launcher ended unexpectedly") : 0;
}

void agent_on_reload(struct agent *a, void (*reload)(void *userdata), void *userdata)
{
    a->on_reload = reload;
    a->on_reload_data = userdata;
}

void agent_stop(struct agent *a)
{
    agent_leave(a, 0);
}
