/* dockless run: one command in a sandbox. */
#include "cli/cli.h"

#include "base/log.h"
#include "run/execute.h"
#include "run/report.h"

#include <string.h>

#define SANDBOX_NUMBER 1 /* the only one of its launcher */

static const char help[] =
    "Usage: dockless run [OPTION...] IMAGE [--] [COMMAND [ARGUMENT...]]\n\n"
    "Runs one command in a sandbox: IMAGE's files, namespaces, ids and limits of its own, no\n"
    "network, and nothing left when it ends. IMAGE is a name in the store, a reference\n"
    "that 'dockless image load' takes (loaded on first use), or rootfs:DIRECTORY. Needs root.\n\n"
    "  -e, --env NAME=VALUE      an environment variable; NAME alone takes the caller's value\n"
    "  --env-file FILE           a file of such lines\n"
    "  -w, --workdir DIR         the working directory\n"
    "  -u, --user USER[:GROUP]   names of the image or ids\n"
    "  --entrypoint PROGRAM      instead of the image's; \"\" for none\n"
    "  --hostname NAME           the host name\n"
    "  --name NAME               the run's name\n"
    "  -i, --interactive         hand on standard input (else it is empty)\n"
    "  -t, --tty                 give it a terminal\n\n"
    "  -v, --volume SRC:DST[:ro|:rw|:overlay]\n"
    "                            a directory or file of the host; overlay: changes are thrown "
    "away\n"
    "  --keep-changes DIR        keep what is changed in overlay volumes below DIR/0/upper, ...\n"
    "  --copy-in SRC:DST         copy a file or directory in before the start; it is the user's\n"
    "  --copy-out SRC:DST        copy a file or directory out after the end, whatever ended it\n"
    "  --read-only               the image's files cannot be changed\n"
    "  --tmpfs DST[:size=N,mode=M]\n"
    "                            an empty file system in memory\n"
    "  --network none|nat        none (default), or the outside by address translation\n"
    "  -p, --publish HOST:PORT   a TCP port of the host that leads to one of the sandbox\n"
    "  --cap-drop NAME|all       take a capability away\n"
    "  --security-opt seccomp=FILE\n"
    "                            a system call profile in OCI or Docker JSON\n"
    "  --security-opt no-new-privileges\n\n"
    "  -m, --memory SIZE         memory, page cache and tmpfs included\n"
    "  --pids-limit N            tasks (default: 2048; 0: no limit)\n"
    "  --cpus N                  CPUs, on average: 2, 0.5\n"
    "  --cpuset-cpus LIST        which CPUs: 0-3,7\n"
    "  --disk SIZE               what is written to the image's root and to overlays (1m at "
    "least)\n"
    "  --disk-by auto|quota|image\n"
    "                            project quotas of --tmpdir's file system, or a loop device\n"
    "                            (default: the first of the two that works)\n"
    "  --output-limit SIZE       of standard output and error together\n"
    "  --cpu-time TIME           CPU time of all its processes: 10, 1.5s, 200ms, 2m\n"
    "  --wall-time TIME          time from start to end\n"
    "  --ulimit NAME=SOFT[:HARD] one of setrlimit(2)'s: nofile, fsize, stack, ...\n"
    "  --shm-size SIZE           of /dev/shm (default: 64m)\n\n"
    "  --report FILE|-|fd:N      what became of it, as JSON\n"
    "  --bound NAME=N            what unpacking a layer may come to, where IMAGE has to be loaded\n"
    "  --config FILE             with such bounds (default: /etc/dockless/agent.yaml)\n"
    "  --store DIR               the image store (default: /var/lib/dockless)\n"
    "  --tmpdir DIR              scratch files (default: /var/lib/dockless/run)\n"
    "  --verbose                 tell what it used at the end\n"
    "  -h, --help                show this\n\n"
    "Exit status: the command's; 124 when a limit ended it, 125 for an error of dockless, 126 "
    "when\n"
    "the command cannot be invoked, 127 when it is not found, 128+N when signal N ended it.\n"
    "See also dockless-run(1).\n";

static int usage(const char *text)
{
    cli_usage("run", "%s", text);
    return RUN_EXIT_OWN_ERROR;
}

static int fail(const struct error *e)
{
    cli_fail("run", e);
    return RUN_EXIT_OWN_ERROR;
}

/* Options end at the image: what follows is the command's. Returns 0 with `optind` at the image, 1
 * when all is said, or an exit status below 0. */
static int parse(struct run_options *o, int argc, char **argv)
{
    struct option table[RUN_LONG_OPTIONS];
    size_t n = run_options_long(table);
    struct error e = ERROR_INIT;
    int option;

    table[n++] = (struct option){"help", no_argument, NULL, 'h'};
    table[n] = (struct option){NULL};
    optind = 1;
    while ((option = getopt_long(argc, argv, "+h" RUN_SHORT_OPTIONS, table, NULL)) >= 0) {
        if (option == 'h')
            return fputs(help, stdout), 1;
        if (option == '?')
            return -usage("the command line was not understood");
        if (run_options_apply(o, option, optarg, &e) < 0)
            return -usage(e.text);
    }
    return optind < argc ? 0 : -usage("IMAGE is missing");
}

static void tell_usage(const struct sandbox_report *r)
{
    fprintf(stderr, "dockless run: %s after %.3f s, %.3f s user, %.3f s system",
            sandbox_verdict_name(r->verdict), (double)r->wall_usec / 1e6,
            (double)r->user_usec / 1e6, (double)r->system_usec / 1e6);
    if (r->memory_peak != SANDBOX_ABSENT)
        fprintf(stderr, ", %.1f MiB at most", (double)r->memory_peak / (1024.0 * 1024.0));
    fputc('\n', stderr);
}

/* The one line on stderr that an end needs which the command did not choose itself. */
static void tell(const struct run_options *o, const struct sandbox_report *r)
{
    if (run_limit_name(r))
        fprintf(stderr, "dockless run: ended by its limit on %s\n", run_limit_name(r));
    else if (r->verdict == SANDBOX_START_FAILED)
        fprintf(stderr, "dockless run: %s\n", r->error[0] ? r->error : r->failed_step);
    if (r->copy_error[0])
        fprintf(stderr, "dockless run: %s\n", r->copy_error);
    if (o->verbose)
        tell_usage(r);
}

/* Runs P; 0 with *RET set. */
static int run(struct run_plan *p, struct sandbox_report *ret, struct error *e)
{
    _cleanup_(launcher_stop_p) struct launcher *launcher = NULL;
    _cleanup_close_ int signals = run_block_signals(e);
    int r = signals < 0 ? signals : run_plan_launch(p, 1, &launcher, e);

    return r < 0 ? r : run_execute(p, &p->spec, launcher, SANDBOX_NUMBER, signals, ret, e);
}

static int finish(const struct run_options *o, const struct run_plan *p, int r,
                  const struct sandbox_report *report, const struct error *e)
{
    struct error why = ERROR_INIT;
    int status = r < 0 ? fail(e) : run_exit_status(report);

    if (r == 0)
        tell(o, report);
    if (o->report && run_report_write(r < 0 ? run_report_error(p, e) : run_report(p, report),
                                      o->report, &why) < 0)
        return fail(&why);
    return status;
}

int cli_run(int argc, char **argv)
{
    _cleanup_(run_plan_free_p) struct run_plan *plan = NULL;
    struct sandbox_report report = {0};
    struct error e = ERROR_INIT;
    const struct image_load_options load = {0};
    struct run_options o;
    char **command;
    int r = run_options_init(&o), status;

    if (r == 0)
        r = parse(&o, argc, argv);
    if (r != 0) {
        run_options_clear(&o);
        return r > 0 ? EXIT_SUCCESS : -r;
    }
    log_setup(o.verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARNING, "dockless run");
    command = argv + optind + 1;
    if (command[0] && strcmp(command[0], "--") == 0)
        command++;
    r = run_plan_make(&o, argv[optind], &load, command, &plan, &e);
    if (r == 0)
        r = run(plan, &report, &e);
    status = finish(&o, plan, r, &report, &e);
    run_plan_free_p(&plan);
    run_options_clear(&o);
    return status;
}
