/* dockless grade: one task, graded here through the same wire as a server's job. */
#include "cli/grade.h"

#include "agent/agent.h"
#include "agent/one_job.h"
#include "base/clock.h"
#include "base/fdio.h"
#include "base/log.h"

#include <getopt.h>
#include <string.h>

#define ADDRESS      "inproc://grade"
#define GRADE_TMPDIR "/var/lib/dockless/grade"
#define INPUTS_MAX   256

static const char help[] =
    "Usage: dockless grade --tasks DIR [OPTION...] COURSE/TASK\n\n"
    "Grades one submission of the task in DIR/COURSE/TASK and prints the verdict; no server is\n"
    "needed. Needs root.\n\n"
    "  --tasks DIR        the courses: DIR/COURSE/TASK\n"
    "  --input ID=VALUE   the answer to problem ID; may be given often, twice for one ID is a "
    "list\n"
    "  --input ID=@FILE   the same from a file\n"
    "  --env NAME         the environment (default: what the task's task.yaml says)\n"
    "  --debug            also show what the grader wrote to its standard output and error\n"
    "  --protocol NAME    the generation of INGInious whose images are used: main (default), 0.9,\n"
    "                     0.8, 0.7, 0.6 or 0.5\n"
    "  --store DIR        the image store (default: /var/lib/dockless)\n"
    "  --tmpdir DIR       the job's scratch files (default: /var/lib/dockless/grade)\n"
    "  --format FORMAT    text (default) or json\n"
    "  -v, --verbose      tell what the agent does\n"
    "  -h, --help         show this\n\n"
    "Exit status: 0 when the grader gave a verdict, 1 when it could not (crash, timeout, "
    "overflow),\n"
    "2 for a wrong command line. See also dockless-grade(1).\n";

enum {
    OPT_TASKS = 256,
    OPT_INPUT,
    OPT_ENV,
    OPT_DEBUG,
    OPT_STORE,
    OPT_TMPDIR,
    OPT_FORMAT,
    OPT_PROTOCOL
};

static const struct option options[] = {
    {"tasks", required_argument, NULL, OPT_TASKS},
    {"input", required_argument, NULL, OPT_INPUT},
    {"env", required_argument, NULL, OPT_ENV},
    {"debug", no_argument, NULL, OPT_DEBUG},
    {"store", required_argument, NULL, OPT_STORE},
    {"tmpdir", required_argument, NULL, OPT_TMPDIR},
    {"format", required_argument, NULL, OPT_FORMAT},
    {"protocol", required_argument, NULL, OPT_PROTOCOL},
    {"verbose", no_argument, NULL, 'v'},
    {"help", no_argument, NULL, 'h'},
    {NULL},
};

struct grade {
    struct agent_config config;
    struct grade_input inputs[INPUTS_MAX];
    size_t n_inputs;
    const char *env, *task; /* COURSE/TASK as given */
    char *course_id, *task_id;
    struct task_file file;
    bool debug;
    enum cli_format format;
    struct agent *agent;
    uint64_t started_usec;
    bool answered, verdict;
};

static void grade_clear(struct grade *g)
{
    for (size_t i = 0; i < g->n_inputs; i++)
        grade_input_clear(&g->inputs[i]);
    free(g->course_id);
    free(g->task_id);
    task_file_clear(&g->file);
    agent_config_clear(&g->config);
}

static int set(char **field, const char *value)
{
    free(*field);
    *field = strdup(value);
    return *field ? 0 : -ENOMEM;
}

/* One option; 0, or an exit status below 0. */
static int apply(struct grade *g, int option, const char *value)
{
    struct error e = ERROR_INIT;
    int r;

    switch (option) {
    case OPT_TASKS:
        return set(&g->config.tasks, value);
    case OPT_STORE:
        return set(&g->config.store, value);
    case OPT_TMPDIR:
        return set(&g->config.tmpdir, value);
    case OPT_ENV:
        g->env = value;
        return 0;
    case OPT_DEBUG:
        g->debug = true;
        return 0;
    case OPT_PROTOCOL:
        r = agent_config_set(&g->config, "protocol", value, &e);
        return r == -EINVAL ? -cli_usage("grade", "--protocol %s: %s", value, e.text) : r;
    case 'v':
        g->config.verbose = true;
        return 0;
    case OPT_FORMAT:
        if (cli_parse_format(value, &g->format) < 0)
            return -cli_usage("grade", "--format is text or json, not \"%s\"", value);
        return 0;
    case OPT_INPUT:
        if (g->n_inputs == INPUTS_MAX)
            return -cli_usage("grade", "more than %d --input", INPUTS_MAX);
        r = grade_input_parse(value, &g->inputs[g->n_inputs], &e);
        if (r < 0)
            return r == -EINVAL ? -cli_usage("grade", "%s", e.text) : -cli_fail("grade", &e);
        g->n_inputs++;
        return 0;
    default:
        return -cli_usage("grade", "the command line was not understood");
    }
}

/* The task is the last component, so that a course id may have a '/' as on the wire. */
static int split_task(struct grade *g, const char *argument)
{
    const char *slash = strrchr(argument, '/');

    if (!slash || slash == argument || !slash[1])
        return -cli_usage("grade", "\"%s\" is not of the form COURSE/TASK", argument);
    g->task = argument;
    g->course_id = strndup(argument, (size_t)(slash - argument));
    g->task_id = strdup(slash + 1);
    return g->course_id && g->task_id ? 0 : -EXIT_FAILURE;
}

/* 0, 1 when all is said, or an exit status below 0. */
static int parse(struct grade *g, int argc, char **argv)
{
    int option, r;

    if (agent_config_init(&g->config) < 0 || set(&g->config.tmpdir, GRADE_TMPDIR) < 0)
        return -EXIT_FAILURE;
    optind = 1;
    while ((option = getopt_long(argc, argv, "vh", options, NULL)) >= 0) {
        if (option == 'h')
            return fputs(help, stdout), 1;
        r = apply(g, option, optarg);
        if (r < 0)
            return r;
    }
    if (optind + 1 != argc)
        return -cli_usage("grade", optind == argc ? "COURSE/TASK is missing"
                                                  : "one COURSE/TASK is expected");
    if (!g->config.tasks)
        return -cli_usage("grade", "--tasks DIR is missing");
    g->config.share_store = true;
    g->config.concurrency = 1;
    return split_task(g, argv[optind]);
}

/* The task's own file, looked for as frontends do. A missing one is a task with defaults. */
static int read_task_file(struct grade *g, struct error *e)
{
    static const char *const names[] = {"task.yaml", "task.json"};
    _cleanup_close_ int tasks = open(g->config.tasks, O_PATH | O_DIRECTORY | O_CLOEXEC);
    _cleanup_close_ int dir = -EBADF, fd = -EBADF;
    _cleanup_buffer_ struct buffer text = {0};
    _cleanup_free_ char *path = NULL;
    int r;

    if (tasks < 0)
        return error_sys(e, -errno, "tasks directory %s", g->config.tasks);
    dir = fd_openat2(tasks, g->task, O_PATH | O_DIRECTORY, 0, RESOLVE_UNTRUSTED);
    if (dir < 0)
        return error_sys(e, dir, "task %s in %s", g->task, g->config.tasks);
    for (size_t i = 0; i < ARRAY_SIZE(names) && fd < 0; i++) {
        free(path);
        path = text_printf("%s/%s/%s", g->config.tasks, g->task, names[i]);
        fd = fd_openat2(dir, names[i], O_RDONLY | O_NOCTTY | O_NONBLOCK, 0, RESOLVE_UNTRUSTED);
        if (fd < 0 && fd != -ENOENT)
            return error_sys(e, fd, "%s", path);
    }
    if (fd < 0)
        return task_file_parse(path, "", 0, &g->file, e);
    r = fd_read_all(fd, &text, TASK_FILE_MAX);
    if (r < 0)
        return error_sys(e, r, "%s", path);
    return task_file_parse(path, buffer_string(&text), text.size, &g->file, e);
}

static void on_done(void *userdata, int r, const struct agent_message *m, const struct error *e)
{
    struct grade *g = userdata;

    g->answered = true;
    if (r < 0)
        cli_fail("grade", e);
    else
        g->verdict =
            grade_print(m, g->task, g->format,
                        (double)(clock_monotonic_usec() - g->started_usec) / (double)USEC_PER_SEC);
    agent_stop(g->agent);
}

static struct wire_span span_of(const struct buffer *b)
{
    return (struct wire_span){b->data, b->size};
}

static int run(struct grade *g, const struct buffer *inputs, const struct buffer *parameters,
               struct error *e)
{
    static const uint8_t yes = 0xc3; /* msgpack: true */
    enum wire_generation protocol = WIRE_MAIN;
    int r = wire_generation_parse(g->config.protocol, &protocol);
    const struct one_job job = {
        .protocol = protocol,
        .message =
            {
                .course_id = g->course_id,
                .task_id = g->task_id,
                .inputdata = span_of(inputs),
                .parameters = span_of(parameters),
                .debug = g->debug ? (struct wire_span){&yes, 1} : (struct wire_span){NULL, 0},
                .environment_type = g->file.environment_type,
                .environment = g->env ? g->env : g->file.environment,
            },
        .done = on_done,
        .userdata = g,
    };
    struct one_job_backend *backend = NULL;

    if (r == 0)
        r = agent_open(&g->config, &g->agent, e);
    if (r < 0)
        return r;
    g->started_usec = clock_monotonic_usec();
    r = one_job_open(agent_event(g->agent), agent_context(g->agent), ADDRESS, &job, &backend, e);
    if (r == 0)
        r = agent_run(g->agent, e);
    /* The context ends with the agent, and only when every socket of it is closed. */
    if (backend)
        one_job_close(backend);
    agent_close(g->agent);
    return r;
}

int cli_grade(int argc, char **argv)
{
    struct grade g = {0};
    _cleanup_buffer_ struct buffer inputs = {0}, parameters = {0};
    struct error e = ERROR_INIT;
    int r = parse(&g, argc, argv);

    if (r != 0) {
        grade_clear(&g);
        return r > 0 ? EXIT_SUCCESS : -r;
    }
    log_setup(g.config.verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARNING, "dockless grade");
    r = set(&g.config.backend, ADDRESS);
    if (r == 0)
        r = read_task_file(&g, &e);
    if (r == 0)
        r = grade_encode_inputs(g.inputs, g.n_inputs, &g.file, &inputs, &e);
    if (r == 0)
        r = grade_encode_parameters(&g.file, &parameters);
    if (r == 0)
        r = run(&g, &inputs, &parameters, &e);
    if (r == 0 && !g.answered)
        r = error_set(&e, -EIO, "no answer: the agent ended first");
    grade_clear(&g);
    if (r < 0)
        return cli_fail("grade", &e);
    return g.verdict ? EXIT_SUCCESS : EXIT_FAILURE;
}
