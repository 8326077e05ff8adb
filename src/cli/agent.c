/* dockless agent BACKEND: serve a backend until told to leave. */
#include "agent/agent.h"
#include "base/fdio.h"
#include "base/log.h"
#include "check/check.h"
#include "cli/cli.h"

#include <getopt.h>
#include <string.h>

static const char help[] =
    "Usage: dockless agent [OPTION...] BACKEND\n\n"
    "Connects to the INGInious backend at BACKEND (a ZeroMQ address such as tcp://host:2001) and\n"
    "runs its jobs in containers made from the store's images. Needs root.\n\n"
    "  --tasks DIR            the courses: DIR/COURSE/TASK\n"
    "  --friendly-name NAME   how the agent is shown to administrators (default: the host name)\n"
    "  --concurrency N        jobs at once (default: the number of CPUs)\n"
    "  --tmpdir DIR           the jobs' scratch files (default: /var/lib/dockless/agent)\n"
    "  --store DIR            the image store (default: /var/lib/dockless)\n"
    "  --user USER            the agent's own user (default: dockless, where the host has it)\n"
    "  --seccomp FILE         another system call profile than Docker's default\n"
    "  --share-store          do not mind other agents that use the same store\n"
    "  --protocol GENERATION  the backend's: main (default), 0.9, 0.8, 0.7, 0.6 or 0.5\n"
    "  --limit NAME=VALUE     one of the configuration file's limits; may be given often\n"
    "  --drain-time SECONDS   what running jobs get to end after a SIGTERM (default: 30)\n"
    "  --ssh                  offer the environments for jobs that let students log in, too\n"
    "  --debug-host HOST      where people log in (default: the address that leads outside)\n"
    "  --debug-ports A-B      ports of this host that lead into containers (default: 64120-64130)\n"
    "  --environment-type T   the environments' type (default: docker)\n"
    "  --ssh-environment-type T  the type of --ssh (default: docker-ssh)\n"
    "  --ipv4-pool RANGE      addresses of containers (default: 10.213.0.0/16)\n"
    "  --ipv6-pool RANGE      the same, or none (default: fd6f:cc1e:55d0::/48)\n"
    "  --allow RANGE          private addresses that containers may reach; may be given often\n"
    "  --resolver ADDRESS     their name server, up to three times (default: those of the host)\n"
    "  --check-config         read configuration and options, tell what is wrong, and exit\n"
    "  --config FILE          read FILE instead of /etc/dockless/agent.yaml\n"
    "  -v, --verbose          say more\n"
    "  -h, --help             show this\n\n"
    "Options given here win over the configuration file. See also dockless-agent(1).\n";

enum {
    OPT_SETTING = 256,
    OPT_CONCURRENCY,
    OPT_LIMIT,
    OPT_SHARE,
    OPT_CONFIG,
    OPT_CHECK,
    OPT_NETWORK,
    OPT_LIST
};

/* OPT_SETTING, OPT_NETWORK: the key of the configuration file has the same name. OPT_LIST: one
 * more for a list, which replaces the file's. */
static const struct option options[] = {
    {"tasks", required_argument, NULL, OPT_SETTING},
    {"friendly-name", required_argument, NULL, OPT_SETTING},
    {"concurrency", required_argument, NULL, OPT_CONCURRENCY},
    {"tmpdir", required_argument, NULL, OPT_SETTING},
    {"store", required_argument, NULL, OPT_SETTING},
    {"user", required_argument, NULL, OPT_SETTING},
    {"seccomp", required_argument, NULL, OPT_SETTING},
    {"share-store", no_argument, NULL, OPT_SHARE},
    {"protocol", required_argument, NULL, OPT_SETTING},
    {"drain-time", required_argument, NULL, OPT_SETTING},
    {"limit", required_argument, NULL, OPT_LIMIT},
    {"config", required_argument, NULL, OPT_CONFIG},
    {"check-config", no_argument, NULL, OPT_CHECK},
    {"ssh", no_argument, NULL, OPT_NETWORK},
    {"debug-host", required_argument, NULL, OPT_NETWORK},
    {"debug-ports", required_argument, NULL, OPT_NETWORK},
    {"environment-type", required_argument, NULL, OPT_NETWORK},
    {"ssh-environment-type", required_argument, NULL, OPT_NETWORK},
    {"ipv4-pool", required_argument, NULL, OPT_NETWORK},
    {"ipv6-pool", required_argument, NULL, OPT_NETWORK},
    {"allow", required_argument, NULL, OPT_LIST},
    {"resolver", required_argument, NULL, OPT_LIST},
    {"verbose", no_argument, NULL, 'v'},
    {"help", no_argument, NULL, 'h'},
    {NULL},
};

/* Reads the configuration file; a missing one is an error only where it was asked for. */
static int read_config(const char *path, struct agent_config *c, struct error *e)
{
    _cleanup_buffer_ struct buffer text = {0};
    const char *file = path ? path : AGENT_CONFIG_DEFAULT;
    int r = fd_read_file(AT_FDCWD, file, &text, AGENT_CONFIG_MAX);

    if (r == -ENOENT && !path)
        return 0;
    if (r < 0)
        return error_sys(e, r, "%s", file);
    return agent_config_parse(file, buffer_string(&text), text.size, c, e);
}

/* The key of the list that option NAME adds to. */
static const char *list_of(const char *name)
{
    return strcmp(name, "resolver") == 0 ? "resolvers" : name;
}

/* The option NAME of the command line over C: 0, a negative errno or an exit status below 0. */
static int apply(int option, const char *name, const char *value, struct agent_config *c)
{
    struct error e = ERROR_INIT;
    uint64_t number;
    int r = 0;

    switch (option) {
    case OPT_SETTING:
        r = agent_config_set(c, name, value, &e);
        break;
    case OPT_NETWORK:
        r = network_config_set(&c->network, name, value ? value : "true", &e);
        break;
    case OPT_LIST:
        r = network_config_set(&c->network, list_of(name), value, &e);
        break;
    case OPT_LIMIT:
        r = agent_config_set_limit(c, value, &e);
        break;
    case OPT_CONCURRENCY:
        r = text_parse_uint(value, AGENT_CONCURRENCY_MAX, &number);
        if (r < 0 || number == 0)
            return -cli_usage("agent", "--concurrency is a number from 1 to %d, not \"%s\"",
                              AGENT_CONCURRENCY_MAX, value);
        c->concurrency = number;
        break;
    case OPT_SHARE:
        c->share_store = true;
        break;
    case 'v':
        c->verbose = true;
        break;
    default:
        break;
    }
    return r == -EINVAL ? -cli_usage("agent", "--%s %s: %s", name, value, e.text) : r;
}

enum { CONFIGURED = 0, SAID_HELP, CHECKED };

/* The file first, then the command line over it: one of the above, or an exit status below 0. */
static int configure(int argc, char **argv, struct agent_config *c)
{
    const char *path = NULL;
    struct error e = ERROR_INIT;
    bool check = false, lists[2] = {false, false};
    int option, index = 0, r;

    optind = 1;
    while ((option = getopt_long(argc, argv, "vh", options, &index)) >= 0) {
        if (option == 'h')
            return fputs(help, stdout), SAID_HELP;
        if (option == '?')
            return -cli_usage("agent", "the command line was not understood");
        if (option == OPT_CONFIG)
            path = optarg;
        check |= option == OPT_CHECK;
        if (option == OPT_LIST)
            lists[strcmp(options[index].name, "resolver") == 0] = true;
    }
    if (agent_config_init(c) < 0)
        return -EXIT_FAILURE;
    if (read_config(path, c, &e) < 0)
        return -cli_fail("agent", &e);
    if (lists[0])
        c->network.allowed = strv_free(c->network.allowed);
    if (lists[1])
        c->network.resolvers = strv_free(c->network.resolvers);
    optind = 1;
    while ((option = getopt_long(argc, argv, "vh", options, &index)) >= 0)
        if ((r = apply(option, options[index].name, optarg, c)) < 0)
            return r == -ENOMEM ? -EXIT_FAILURE : r;
    if (optind < argc && agent_config_set(c, "backend", argv[optind++], &e) < 0)
        return -cli_usage("agent", "the address of the BACKEND: %s", e.text);
    if (optind < argc)
        return -cli_usage("agent", "one BACKEND is expected, \"%s\" is too much", argv[optind]);
    if (network_config_check(&c->network, &e) < 0)
        return -cli_fail("agent", &e);
    if (!c->backend)
        return -cli_usage("agent", "the address of the BACKEND is missing");
    if (!c->tasks)
        return -cli_usage("agent", "--tasks DIR is missing");
    return check ? CHECKED : CONFIGURED;
}

static void set_log(const struct agent_config *c)
{
    log_setup(c->verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO, "dockless agent");
}

/* What SIGHUP needs to read everything again. */
struct reload {
    int argc;
    char **argv;
    struct agent_config *config;
};

/* What belongs to the connection or to what root did at the start stays as it is. */
static void on_reload(void *userdata)
{
    const struct reload *reload = userdata;
    struct agent_config new = {0};
    char restart[256];

    if (configure(reload->argc, reload->argv, &new) >= 0) {
        agent_config_reload(reload->config, &new, restart, sizeof(restart));
        set_log(reload->config);
        if (*restart)
            log_warning("changes of %s need a restart", restart);
    } else {
        log_error("the configuration stays as it is");
    }
    agent_config_clear(&new);
}

int cli_agent(int argc, char **argv)
{
    struct agent_config config = {0};
    struct agent *agent = NULL;
    struct error e = ERROR_INIT;
    struct reload reload = {argc, argv, &config};
    int r = configure(argc, argv, &config);

    if (r == CHECKED)
        printf("The configuration is good.\n");
    if (r != CONFIGURED) {
        agent_config_clear(&config);
        return r > 0 ? EXIT_SUCCESS : -r;
    }
    set_log(&config);
    r = check_require(&(const struct check_options){config.store, config.tmpdir}, &e);
    if (r == 0)
        r = agent_open(&config, &agent, &e);
    if (r == 0) {
        agent_on_reload(agent, on_reload, &reload);
        agent_is_service(agent);
        r = agent_run(agent, &e);
        agent_close(agent);
    }
    agent_config_clear(&config);
    return r < 0 ? cli_fail("agent", &e) : EXIT_SUCCESS;
}
