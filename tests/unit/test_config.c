/* links: config */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/fdio.h"
#include "config/agent_config.h"
#include "config/yaml.h"
#include <runtime/launcher.h>

#include <string.h>

static int parse(const char *text, struct agent_config *c, struct error *e)
{
    return agent_config_parse("a.yaml", text, strlen(text), c, e);
}

static void assert_same_text(const char *a, const char *b)
{
    if (a && b)
        assert_string_equal(a, b);
    else
        assert_true(a == b);
}

static void assert_same_config(const struct agent_config *a, const struct agent_config *b)
{
    assert_same_text(a->backend, b->backend);
    assert_same_text(a->tasks, b->tasks);
    assert_same_text(a->friendly_name, b->friendly_name);
    assert_same_text(a->tmpdir, b->tmpdir);
    assert_same_text(a->store, b->store);
    assert_same_text(a->user, b->user);
    assert_same_text(a->seccomp, b->seccomp);
    assert_int_equal(a->concurrency, b->concurrency);
    assert_string_equal(a->protocol, b->protocol);
    assert_int_equal(a->jobs, b->jobs);
    assert_int_equal(a->students, b->students);
    assert_memory_equal(&a->limits, &b->limits, sizeof(a->limits));
    assert_int_equal(a->environments.n, b->environments.n);
    assert_int_equal(a->share_store, b->share_store);
    assert_int_equal(a->verbose, b->verbose);
    assert_int_equal(a->pin, b->pin);
    assert_string_equal(a->disk_by, b->disk_by);
    assert_int_equal(a->disk_projects, b->disk_projects);
    assert_int_equal(a->waived, b->waived);
    assert_int_equal(a->network.ssh, b->network.ssh);
    assert_same_text(a->network.debug_host, b->network.debug_host);
    assert_int_equal(a->network.first_port, b->network.first_port);
    assert_int_equal(a->network.last_port, b->network.last_port);
    assert_same_text(a->network.environment_type, b->network.environment_type);
    assert_same_text(a->network.ssh_environment_type, b->network.ssh_environment_type);
    assert_same_text(a->network.pool4, b->network.pool4);
    assert_same_text(a->network.pool6, b->network.pool6);
    assert_int_equal(strv_length(a->network.allowed), strv_length(b->network.allowed));
    assert_int_equal(strv_length(a->network.resolvers), strv_length(b->network.resolvers));
}

static void every_key_of_networks_is_read(void **state)
{
    _cleanup_(agent_config_clear) struct agent_config c = {0};
    struct error e = ERROR_INIT;

    (void)state;
    assert_int_equal(agent_config_init(&c), 0);
    if (parse("ssh: yes\ndebug-host: grader.example.org\ndebug-ports: 2300-2200\n"
              "environment-type: a\nssh-environment-type: b\n"
              "network:\n  ipv4-pool: 10.9.0.0/16\n  ipv6-pool: none\n"
              "  allow: [10.1.0.0/16, 192.168.7.1]\n  resolvers: [192.0.2.53]\n",
              &c, &e) < 0)
        fail_msg("%s", e.text);
    assert_true(c.network.ssh);
    assert_string_equal(c.network.debug_host, "grader.example.org");
    assert_int_equal(c.network.first_port, 2200);
    assert_int_equal(c.network.last_port, 2300);
    assert_string_equal(c.network.environment_type, "a");
    assert_string_equal(c.network.ssh_environment_type, "b");
    assert_string_equal(c.network.pool4, "10.9.0.0/16");
    assert_string_equal(c.network.pool6, "");
    assert_int_equal(strv_length(c.network.allowed), 2);
    assert_string_equal(c.network.allowed[1], "192.168.7.1");
    assert_int_equal(strv_length(c.network.resolvers), 1);
    assert_int_equal(parse("debug-ports: none\nnetwork: {allow: []}\n", &c, &e), 0);
    assert_int_equal(c.network.first_port, 0);
    assert_int_equal(c.network.last_port, 0);
    assert_int_equal(strv_length(c.network.allowed), 0);
    assert_int_equal(strv_length(c.network.resolvers), 1);
}

static void both_environment_types_need_their_own_name(void **state)
{
    _cleanup_(agent_config_clear) struct agent_config c = {0};

    (void)state;
    assert_int_equal(agent_config_init(&c), 0);
    assert_int_equal(network_config_check(&c.network, NULL), 0);
    assert_int_equal(network_config_set(&c.network, "environment-type", "docker-ssh", NULL), 0);
    assert_int_equal(network_config_check(&c.network, NULL), 0);
    c.network.ssh = true;
    assert_int_equal(network_config_check(&c.network, NULL), -EINVAL);
}

static void every_key_is_read(void **state)
{
    _cleanup_(agent_config_clear) struct agent_config c = {0};
    struct error e = ERROR_INIT;

    (void)state;
    assert_int_equal(agent_config_init(&c), 0);
    if (parse("backend: tcp://[::1]:2001\ntasks: /srv/tasks\nfriendly-name: \"gr\xc3\xa4"
              "der 1\"\n"
              "tmpdir: /t\nstore: /s\nuser: 1000\nconcurrency: 8\nseccomp: /p\nprotocol: "
              "0.6\nverbose: yes\nshare-store: on\n"
              "drain-time: 9\n"
              "limits: {pids: 100, open-files: 99, frame: 1m, archive: 2k, students: 3, time: 4, "
              "hard-time: 5,\n"
              "  memory: 6g, jobs: 7, all-students: 8, disk: 9M, inodes: 1000, output: 1k,\n"
              "  cpu: 150, io-weight: 50}\npin: yes\nwaive: [disk, io]\ndisk-by: image\n"
              "disk-projects: 5\n",
              &c, &e) < 0)
        fail_msg("%s", e.text);
    assert_string_equal(c.backend, "tcp://[::1]:2001");
    assert_string_equal(c.tasks, "/srv/tasks");
    assert_string_equal(c.friendly_name, "gr\xc3\xa4"
                                         "der 1");
    assert_string_equal(c.tmpdir, "/t");
    assert_string_equal(c.store, "/s");
    assert_string_equal(c.user, "1000");
    assert_string_equal(c.seccomp, "/p");
    assert_int_equal(c.concurrency, 8);
    assert_string_equal(c.protocol, "0.6");
    assert_int_equal(c.drain_seconds, 9);
    assert_int_equal(c.limits.pids, 100);
    assert_int_equal(c.limits.files, 99);
    assert_int_equal(c.limits.frame, 1 << 20);
    assert_int_equal(c.limits.archive, 2 << 10);
    assert_int_equal(c.limits.students, 3);
    assert_int_equal(c.limits.time, 4);
    assert_int_equal(c.limits.hard_time, 5);
    assert_int_equal(c.limits.memory, 6ULL << 30);
    assert_int_equal(c.limits.disk, 9 << 20);
    assert_int_equal(c.limits.inodes, 1000);
    assert_int_equal(c.limits.output, 1 << 10);
    assert_int_equal(c.limits.cpu, 150);
    assert_int_equal(c.limits.io_weight, 50);
    assert_true(c.pin);
    assert_int_equal(c.waived, LAUNCHER_LIMIT_DISK | LAUNCHER_LIMIT_IO_WEIGHT);
    assert_string_equal(c.disk_by, "image");
    assert_int_equal(c.disk_projects, 5);
    assert_int_equal(c.jobs, 7);
    assert_int_equal(c.students, 8);
    assert_true(c.verbose && c.share_store);
}

static void environments_are_read(void **state)
{
    _cleanup_(agent_config_clear) struct agent_config c = {0};
    const struct environment_config *gcc, *image;
    struct job_limits limits;
    struct error e = ERROR_INIT;

    (void)state;
    assert_int_equal(agent_config_init(&c), 0);
    if (parse("environments:\n"
              "  gcc: {offer: yes, advertise: no, runner: on, root: true, ports: '22,80',\n"
              "        protocol: 0.7, limits: {time: 5, memory: 512M}}\n"
              "  sha256:0123: {advertise: yes}\n"
              "  nothing:\n",
              &c, &e) < 0)
        fail_msg("%s", e.text);
    assert_int_equal(c.environments.n, 3);
    gcc = environment_configs_find(&c.environments, "gcc", "sha256:4567");
    assert_non_null(gcc);
    assert_int_equal(gcc->offer, 1);
    assert_int_equal(gcc->advertise, 0);
    assert_int_equal(gcc->runner, 1);
    assert_int_equal(gcc->root, 1);
    assert_string_equal(gcc->ports, "22,80");
    assert_string_equal(gcc->protocol, "0.7");
    limits = job_limits_over(&gcc->limits, &c.limits);
    assert_int_equal(limits.time, 5);
    assert_int_equal(limits.memory, 512 << 20);
    assert_int_equal(limits.pids, 4096);
    /* The id is more exact than the name. */
    image = environment_configs_find(&c.environments, "gcc", "sha256:0123");
    assert_non_null(image);
    assert_int_equal(image->advertise, 1);
    assert_int_equal(image->offer, AS_LABELLED);
    assert_null(image->protocol);
    assert_null(environment_configs_find(&c.environments, "java", "sha256:89"));
}

static void options_are_checked_like_the_file(void **state)
{
    static const struct {
        const char *key, *value, *error;
    } cases[] = {
        {"protocol", "1.0", "\"protocol\" must be one of main, 0.9, 0.8, 0.7, 0.6, 0.5"},
        {"tasks", "relative", "\"tasks\" must be an absolute path"},
        {"drain-time", "-1", "\"drain-time\" must be a whole number"},
        {"drain-time", "86401", "\"drain-time\" must be between 0 and 86400"},
        {"backend", "", "\"backend\" is empty"},
        {"user", "\xff", "\"user\" is not UTF-8"},
    };
    static const struct {
        const char *assignment, *error;
    } limits[] = {
        {"pids", "\"pids\" is not of the form NAME=VALUE"},
        {"pid=1", "there is no limit \"pid\""},
        {"pids=many", "\"pids\" must be a whole number"},
        {"jobs=0", "\"jobs\" must be between 1 and 1000"},
        {"=1", "there is no limit \"\""},
    };
    _cleanup_(agent_config_clear) struct agent_config c = {0}, before = {0};

    (void)state;
    assert_int_equal(agent_config_init(&c), 0);
    assert_int_equal(agent_config_init(&before), 0);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct error e = ERROR_INIT;
        assert_int_equal(agent_config_set(&c, cases[i].key, cases[i].value, &e), -EINVAL);
        assert_string_equal(e.text, cases[i].error);
    }
    for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
        struct error e = ERROR_INIT;
        assert_int_equal(agent_config_set_limit(&c, limits[i].assignment, &e), -EINVAL);
        assert_string_equal(e.text, limits[i].error);
    }
    assert_int_equal(agent_config_set(&c, "limits", "1", NULL), -ENOENT);
    assert_same_config(&c, &before);
    assert_int_equal(agent_config_set(&c, "protocol", "0.9", NULL), 0);
    assert_string_equal(c.protocol, "0.9");
    assert_int_equal(agent_config_set_limit(&c, "hard-time=9", NULL), 0);
    assert_int_equal(c.limits.hard_time, 9);
    assert_int_equal(agent_config_set_limit(&c, "all-students=9", NULL), 0);
    assert_int_equal(c.students, 9);
}

static void what_cannot_be_reloaded_is_named(void **state)
{
    _cleanup_(agent_config_clear) struct agent_config c = {0}, new = {0};
    char restart[256];

    (void)state;
    assert_int_equal(agent_config_init(&c), 0);
    assert_int_equal(agent_config_init(&new), 0);
    agent_config_reload(&c, &new, restart, sizeof(restart));
    assert_string_equal(restart, "");
    assert_int_equal(parse("backend: tcp://x:1\nprotocol: 0.9\ntasks: /x\ntmpdir: /x\nstore: /x\n"
                           "user: x\nseccomp: /x\nlimits: {jobs: 1, all-students: 1, pids: 5}\n"
                           "friendly-name: x\nconcurrency: 2\nverbose: yes\n"
                           "environments: {gcc: }\ndrain-time: 1\nnetwork: {allow: [10.0.0.0/8]}\n",
                           &new, NULL),
                     0);
    agent_config_reload(&c, &new, restart, sizeof(restart));
    assert_string_equal(restart,
                        "backend, protocol, tasks, tmpdir, store, user, seccomp, network and ssh, "
                        "limits.jobs, limits.all-students");
    assert_null(c.backend);
    assert_string_equal(c.protocol, "main");
    assert_int_equal(c.jobs, 200);
    assert_string_equal(c.friendly_name, "x");
    assert_int_equal(c.concurrency, 2);
    assert_int_equal(c.drain_seconds, 1);
    assert_int_equal(c.limits.pids, 5);
    assert_int_equal(c.environments.n, 1);
    assert_true(c.verbose);
}

static void empty_files_change_nothing(void **state)
{
    static const char *const texts[] = {"",   "\n", "# nothing\n", "---\n",
                                        "{}", "~",  "limits:\n",   "limits: {}\n"};
    _cleanup_(agent_config_clear) struct agent_config c = {0}, defaults = {0};

    (void)state;
    assert_int_equal(agent_config_init(&c), 0);
    assert_int_equal(agent_config_init(&defaults), 0);
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        if (parse(texts[i], &c, NULL) != 0)
            fail_msg("\"%s\" is refused", texts[i]);
        assert_same_config(&c, &defaults);
    }
}

static void defaults_are_those_of_the_manual(void **state)
{
    _cleanup_(agent_config_clear) struct agent_config c = {0};

    (void)state;
    assert_int_equal(agent_config_init(&c), 0);
    assert_string_equal(c.tmpdir, "/var/lib/dockless/agent");
    assert_string_equal(c.store, "/var/lib/dockless");
    assert_null(c.backend);
    assert_null(c.tasks);
    assert_null(c.user);
    assert_true(strlen(c.friendly_name) > 0);
    assert_int_equal(c.concurrency, 0);
    assert_string_equal(c.protocol, "main");
    assert_int_equal(c.jobs, 200);
    assert_int_equal(c.students, 512);
    assert_int_equal(c.limits.pids, 4096);
    assert_int_equal(c.limits.frame, 64 << 20);
    assert_int_equal(c.limits.archive, 64 << 20);
    assert_int_equal(c.limits.students, 32);
    assert_int_equal(c.limits.time + c.limits.hard_time + c.limits.memory, 0);
    assert_int_equal(c.environments.n, 0);
    assert_false(c.verbose);
}

static void faults_name_their_place(void **state)
{
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"bakend: x", "a.yaml:1:1: unknown key \"bakend\""},
        {"store: /s\nlimits:\n  pid: 1\n", "a.yaml:3:3: unknown key \"pid\""},
        {"limits:\n  concurrency: 1\n", "a.yaml:2:3: unknown key \"concurrency\""},
        {"limits: {limits: {}}", "a.yaml:1:10: unknown key \"limits\""},
        {"verbose: 1", "a.yaml:1:10: \"verbose\" must be yes or no"},
        {"protocol: 0.10",
         "a.yaml:1:11: \"protocol\" must be one of main, 0.9, 0.8, 0.7, 0.6, 0.5"},
        {"environments: [gcc]", "a.yaml:1:15: here must be keys with values"},
        {"environments: {gcc: 1}", "a.yaml:1:21: here must be keys with values"},
        {"environments:\n  gcc: {}\n  gcc: {}\n", "a.yaml:3:3: \"gcc\" is there twice"},
        {"environments: {gcc: {memory: 1}}", "a.yaml:1:22: unknown key \"memory\""},
        {"environments: {gcc: {limits: {jobs: 1}}}", "a.yaml:1:31: unknown key \"jobs\""},
        {"environments: {gcc: {protocol: 3}}",
         "a.yaml:1:32: \"protocol\" must be one of main, 0.9, 0.8, 0.7, 0.6, 0.5"},
        {"environments: {gcc: {offer: perhaps}}", "a.yaml:1:29: \"offer\" must be yes or no"},
        {"environments: {'': {}}", "a.yaml:1:16: here must be the name of an environment"},
        {"store: /a\nuser: x\nstore: /b\n", "a.yaml:3:1: \"store\" is there twice"},
        {"limits: {pids: 1}\nlimits: {pids: 2}\n", "a.yaml:2:1: \"limits\" is there twice"},
        {"store:\n", "a.yaml:1:7: \"store\" is empty"},
        {"user: ~\n", "a.yaml:1:7: \"user\" is empty"},
        {"user: ''\n", "a.yaml:1:7: \"user\" is empty"},
        {"store: relative\n", "a.yaml:1:8: \"store\" must be an absolute path"},
        {"store: [/a]\n", "a.yaml:1:8: \"store\" must be plain text"},
        {"store: \"/a\\0b\"\n", "a.yaml:1:8: \"store\" must be plain text"},
        {"concurrency: many\n", "a.yaml:1:14: \"concurrency\" must be a whole number"},
        {"concurrency: -1\n", "a.yaml:1:14: \"concurrency\" must be a whole number"},
        {"concurrency: 1.5\n", "a.yaml:1:14: \"concurrency\" must be a whole number"},
        {"concurrency:\n", "a.yaml:1:13: \"concurrency\" must be a whole number"},
        {"concurrency: \"1\\0\"\n", "a.yaml:1:14: \"concurrency\" must be a whole number"},
        {"concurrency: 10001\n", "a.yaml:1:14: \"concurrency\" must be between 0 and 10000"},
        {"concurrency: 99999999999999999999\n",
         "a.yaml:1:14: \"concurrency\" must be between 0 and 10000"},
        {"limits: {frame: 64MB}\n", "a.yaml:1:17: \"frame\" must be a size such as 64M"},
        {"limits: {frame: 1k}\n", "a.yaml:1:17: \"frame\" must be between 65536 and 268435456"},
        {"limits: {frame: 1g}\n", "a.yaml:1:17: \"frame\" must be between 65536 and 268435456"},
        {"ssh: maybe\n", "a.yaml:1:6: \"ssh\" must be true or false"},
        {"debug-host: a b\n", "a.yaml:1:13: \"debug-host\" must be one word"},
        {"debug-ports: 80\n",
         "a.yaml:1:14: \"debug-ports\" must be \"FIRST-LAST\" such as 64120-64130, or \"none\""},
        {"debug-ports: 0-5\n",
         "a.yaml:1:14: \"debug-ports\" must be \"FIRST-LAST\" such as 64120-64130, or \"none\""},
        {"debug-ports: 1-65536\n",
         "a.yaml:1:14: \"debug-ports\" must be \"FIRST-LAST\" such as 64120-64130, or \"none\""},
        {"environment-type: ''\n", "a.yaml:1:19: \"environment-type\" must be one word"},
        {"network: {pool: 1}\n", "a.yaml:1:11: unknown key \"pool\""},
        {"network: {allow: [], allow: []}\n", "a.yaml:1:22: \"allow\" is there twice"},
        {"network: {allow: 10.0.0.0/8}\n", "a.yaml:1:18: \"allow\" must be a list"},
        {"network: {allow: [10.0.0.0/8, 10.0.0.1/8]}\n",
         "a.yaml:1:31: network: \"10.0.0.1/8\" is no range of addresses"},
        {"network: {resolvers: [localhost]}\n",
         "a.yaml:1:23: network: \"localhost\" is no address"},
        {"network: {resolvers: [1.1.1.1, 1.1.1.2, 1.1.1.3, 1.1.1.4]}\n",
         "a.yaml:1:50: network: more than 64 allowed ranges or 3 resolvers"},
        {"network: {ipv4-pool: 10.0.0.0/24}\n",
         "a.yaml:1:22: network: \"10.0.0.0/24\" is no IPv4 range with a prefix of 8 to 22"},
        {"network: {ipv6-pool: 10.0.0.0/16}\n",
         "a.yaml:1:22: network: \"10.0.0.0/16\" is no IPv6 range with a prefix of 16 to 64"},
        {"network: {ipv6-pool: ''}\n",
         "a.yaml:1:22: \"ipv6-pool\" is empty: \"none\" means no IPv6"},
        {"limits: 5\n", "a.yaml:1:9: here must be keys with values"},
        {"- a\n", "a.yaml:1:1: here must be keys with values"},
        {"text\n", "a.yaml:1:1: here must be keys with values"},
        {"? [a]\n: b\n", "a.yaml:1:3: a key must be plain text"},
        {"<<: {store: /a}\n", "a.yaml:1:1: unknown key \"<<\""},
        {"store: /a\n---\nstore: /b\n", "a.yaml:2:1: a second document"},
        {"store: *nobody\n", "a.yaml:1:8: an alias to an anchor that does not exist"},
        {"store: [/a\n", "a.yaml:2:1: did not find expected ',' or ']'"},
        {"store: \"/a\n", "a.yaml:2:1: found unexpected end of stream"},
        {"a:\n\tb: 1\n", "a.yaml:2:1: found character that cannot start any token"},
        {"user: x\nstore: /\xff\n", "a.yaml:2:9: invalid leading UTF-8 octet"},
        {"store: /a\x01\n", "a.yaml:1:10: control characters are not allowed"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_(agent_config_clear) struct agent_config c = {0}, before = {0};
        struct error e = ERROR_INIT;
        assert_int_equal(agent_config_init(&c), 0);
        assert_int_equal(agent_config_init(&before), 0);
        assert_int_equal(parse(cases[i].text, &c, &e), -EINVAL);
        assert_string_equal(e.text, cases[i].error);
        assert_same_config(&c, &before);
    }
}

static void aliases_are_followed(void **state)
{
    _cleanup_(agent_config_clear) struct agent_config c = {0};

    (void)state;
    assert_int_equal(agent_config_init(&c), 0);
    assert_int_equal(parse("store: &dir /x\ntmpdir: *dir\n", &c, NULL), 0);
    assert_string_equal(c.tmpdir, "/x");
}

static void bounds_hold(void **state)
{
    char *text = malloc(1 << 20);
    size_t n = 0;
    struct yaml_file f = {0};
    struct error e = ERROR_INIT;

    (void)state;
    assert_non_null(text);
    for (int i = 0; i < YAML_DEPTH_MAX + 1; i++)
        text[n++] = '[';
    assert_int_equal(yaml_load("f", text, n, &f, &e), -EINVAL);
    assert_non_null(strstr(e.text, "nested too deep"));
    n = (size_t)sprintf(text, "[");
    for (int i = 0; i < YAML_NODES_MAX; i++)
        n += (size_t)sprintf(text + n, "a,");
    text[n++] = ']';
    assert_int_equal(yaml_load("f", text, n, &f, &e), -EINVAL);
    assert_non_null(strstr(e.text, "too many nodes"));
    n = (size_t)sprintf(text, "[");
    for (int i = 0; i < YAML_ANCHORS_MAX + 1; i++)
        n += (size_t)sprintf(text + n, "&a%d a,", i);
    text[n++] = ']';
    assert_int_equal(yaml_load("f", text, n, &f, &e), -EINVAL);
    assert_non_null(strstr(e.text, "too many anchors"));
    n = (size_t)sprintf(text, "[&a a");
    for (int i = 0; i < YAML_NODES_MAX; i++)
        n += (size_t)sprintf(text + n, ",*a");
    text[n++] = ']';
    assert_int_equal(yaml_load("f", text, n, &f, &e), -EINVAL);
    assert_non_null(strstr(e.text, "too many nodes"));
    free(text);
}

static void example_shows_the_defaults(void **state)
{
    _cleanup_(agent_config_clear) struct agent_config c = {0}, defaults = {0};
    _cleanup_buffer_ struct buffer text = {0};
    struct error e = ERROR_INIT;

    (void)state;
    assert_int_equal(fd_read_file(AT_FDCWD, TEST_VECTORS "/../../docs/agent.yaml.example", &text,
                                  AGENT_CONFIG_MAX),
                     0);
    assert_int_equal(agent_config_init(&c), 0);
    assert_int_equal(agent_config_init(&defaults), 0);
    /* Where the example says nothing, other values must survive it; what it says must change. */
    memset(&c.limits, 1, sizeof(c.limits));
    c.jobs = c.students = 1;
    c.protocol = "0.5";
    c.verbose = c.share_store = c.pin = true;
    c.waived = ~0U;
    c.disk_by = "quota";
    c.disk_projects = 1;
    c.concurrency = 7;
    free(c.store);
    c.store = strdup("/elsewhere");
    if (agent_config_parse("example", buffer_string(&text), text.size, &c, &e) < 0)
        fail_msg("%s", e.text);
    assert_same_config(&c, &defaults);
}

static void example_is_right_in_its_commented_lines_too(void **state)
{
    _cleanup_(agent_config_clear) struct agent_config c = {0};
    _cleanup_buffer_ struct buffer text = {0};
    struct error e = ERROR_INIT;

    (void)state;
    assert_int_equal(fd_read_file(AT_FDCWD, TEST_VECTORS "/../../docs/agent.yaml.example", &text,
                                  AGENT_CONFIG_MAX),
                     0);
    /* "#key" and "#    key" are settings, "# Word" is prose. */
    for (char *p = strstr(buffer_string(&text), "\n#"); p; p = strstr(p + 1, "\n#"))
        if (p[2] != ' ' || p[3] == ' ')
            memmove(p + 1, p + 2, strlen(p + 1));
    assert_int_equal(agent_config_init(&c), 0);
    if (agent_config_parse("example", (char *)text.data, strlen((char *)text.data), &c, &e) < 0)
        fail_msg("%s", e.text);
    assert_string_equal(c.backend, "tcp://backend.example.org:2001");
    assert_string_equal(c.tasks, "/srv/inginious/tasks");
    assert_string_equal(c.friendly_name, "grader-1");
    assert_string_equal(c.user, "dockless");
    assert_int_equal(c.environments.n, 2);
    assert_int_equal(environment_configs_find(&c.environments, "gcc", "")->limits.students, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_is_read),
        cmocka_unit_test(environments_are_read),
        cmocka_unit_test(options_are_checked_like_the_file),
        cmocka_unit_test(what_cannot_be_reloaded_is_named),
        cmocka_unit_test(every_key_of_networks_is_read),
        cmocka_unit_test(both_environment_types_need_their_own_name),
        cmocka_unit_test(empty_files_change_nothing),
        cmocka_unit_test(defaults_are_those_of_the_manual),
        cmocka_unit_test(faults_name_their_place),
        cmocka_unit_test(aliases_are_followed),
        cmocka_unit_test(bounds_hold),
        cmocka_unit_test(example_shows_the_defaults),
        cmocka_unit_test(example_is_right_in_its_commented_lines_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
