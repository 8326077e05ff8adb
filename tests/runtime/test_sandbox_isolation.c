/* links: runtime */
#include "sandbox_harness.h"

#include "base/fdio.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char fourteen[] = "00000000a80425fb";

static void every_namespace_is_its_own(void **state)
{
    static const char *const kinds[] = {"user", "mnt", "pid", "ipc", "uts", "net", "cgroup"};
    struct run r;
    const char *out;

    (void)state;
    run_init(&r, "for n in user mnt pid ipc uts net cgroup; do readlink /proc/self/ns/$n; done");
    out = run_output(&r, 0);
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        char path[32], text[64];
        ssize_t n;
        snprintf(path, sizeof(path), "self/ns/%s", kinds[i]);
        n = readlinkat(H.host_proc_fd, path, text, sizeof(text) - 1);
        assert_true(n > 0);
        text[n] = 0;
        assert_non_null(strstr(out, kinds[i]));
        if (strcmp(kinds[i], "mnt") != 0) /* the harness has left the host's already */
            assert_null(strstr(out, text));
    }
    run_clear(&r);
}

static void container_root_is_nobody_on_the_host(void **state)
{
    _cleanup_buffer_ struct buffer b = {0};
    struct run r;
    char path[64], line[64];
    const char *status, *map;

    (void)state;
    run_init(&r, "echo up; read x");
    run_start(&r);
    run_until(&r, "up");
    snprintf(path, sizeof(path), "%d/status", (int)run_host_pid(&r));
    status = get_file(H.host_proc_fd, path, &b);
    assert_non_null(status);
    snprintf(line, sizeof(line), "\nUid:\t%u\t%u\t%u\t%u\n", H.first_id, H.first_id, H.first_id,
             H.first_id);
    assert_non_null(strstr(status, line));
    snprintf(path, sizeof(path), "%d/uid_map", (int)run_host_pid(&r));
    map = get_file(H.host_proc_fd, path, &b);
    assert_non_null(map);
    snprintf(line, sizeof(line), "%10u %10u %10u\n", 0U, H.first_id, SANDBOX_ID_RANGE);
    assert_string_equal(map, line);
    sandbox_kill(r.sandbox);
    run_wait(&r);
    run_clear(&r);
}

static void two_sandboxes_share_no_id(void **state)
{
    struct run a, b;

    (void)state;
    run_init(&a, "cat /proc/self/uid_map; read x");
    run_init(&b, "cat /proc/self/uid_map; read x");
    run_start(&a);
    run_start(&b);
    run_until(&a, "65536");
    run_until(&b, "65536");
    assert_string_not_equal(buffer_string(&a.out), buffer_string(&b.out));
    run_clear(&a); /* kills them */
    run_clear(&b);
}

static void has_dockers_fourteen_capabilities(void **state)
{
    struct run r;
    char expected[256];

    (void)state;
    snprintf(expected, sizeof(expected),
             "CapInh:\t0000000000000000\nCapPrm:\t%s\nCapEff:\t%s\nCapBnd:\t%s\n"
             "CapAmb:\t0000000000000000",
             fourteen, fourteen, fourteen);
    run_init(&r, "grep Cap /proc/1/status");
    assert_string_equal(run_output(&r, 0), expected);
    run_clear(&r);

    run_init(&r, "grep Cap /proc/1/status");
    r.spec.user = strdup("worker");
    snprintf(expected, sizeof(expected),
             "CapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n"
             "CapBnd:\t%s\nCapAmb:\t0000000000000000",
             fourteen);
    assert_string_equal(run_output(&r, 0), expected);
    run_clear(&r);
}

static void the_filter_is_loaded_and_privileges_may_grow_only_where_allowed(void **state)
{
    struct run r;

    (void)state;
    check_script("grep -E '^(Seccomp|NoNewPrivs):' /proc/1/status", 0,
                 "NoNewPrivs:\t0\nSeccomp:\t2");
    run_init(&r, "grep NoNewPrivs /proc/1/status");
    r.spec.no_new_privs = true;
    assert_string_equal(run_output(&r, 0), "NoNewPrivs:\t1");
    run_clear(&r);
}

static void what_docker_forbids_is_forbidden(void **state)
{
    (void)state;
    check_script("payload forbidden", 0,
                 "mount: Operation not permitted\n"
                 "umount: Operation not permitted\n"
                 "unshare user: Operation not permitted\n"
                 "unshare mount: Operation not permitted\n"
                 "setns: Operation not permitted\n"
                 "keyctl: Operation not permitted\n"
                 "bpf: Operation not permitted\n"
                 "sethostname: Operation not permitted\n"
                 "pivot_root: Operation not permitted\n"
                 "open_by_handle_at: Operation not permitted\n"
                 "init_module: Operation not permitted\n"
                 "fsopen: Operation not permitted");
}

static void masked_paths_show_nothing(void **state)
{
    (void)state;
    check_script(
        "for f in kcore keys latency_stats timer_list timer_stats sched_debug; do\n"
        "  f=/proc/$f; [ ! -e $f ] || [ -c $f ] || echo $f is there; cat $f; done 2>/dev/null\n"
        "for d in /proc/asound /proc/acpi /proc/scsi /sys/firmware; do\n"
        "  [ ! -d $d ] || ls -A $d; done",
        0, "");
}

static void read_only_paths_refuse_writers(void **state)
{
    (void)state;
    check_script(
        "for d in bus fs irq sys sysrq-trigger; do\n"
        "  [ ! -e /proc/$d ] || grep -q \" /proc/$d ro,\" /proc/self/mountinfo || echo $d; done\n"
        "for f in /proc/sys/kernel/domainname /proc/sys/net/ipv4/ip_forward"
        " /proc/sys/kernel/core_pattern; do\n"
        "  (echo x >$f) 2>/dev/null && echo wrote $f; done\n"
        "mkdir /sys/fs/cgroup/x 2>/dev/null && echo made a cgroup\n"
        "grep -q ' /sys ro,' /proc/self/mountinfo || echo /sys is writable; true",
        0, "");
}

static void dev_holds_the_usual_and_nothing_else(void **state)
{
    (void)state;
    check_script(
        "cd /dev; ls -A1 | tr '\\n' ' '; echo\n"
        "stat -c '%n %F %t:%T %a %u' null zero full random urandom tty\n"
        "for l in fd ptmx stdin stdout stderr; do readlink $l; done\n"
        "echo gone >null; head -c 3 zero | wc -c; head -c 5 urandom | wc -c\n"
        "echo x 2>/dev/null >full || echo is full\n"
        "stat -c %a pts/ptmx; mknod sda b 8 0 2>&1; touch here && echo writable",
        0,
        "core fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero \n"
        "null character special file 1:3 666 0\n"
        "zero character special file 1:5 666 0\n"
        "full character special file 1:7 666 0\n"
        "random character special file 1:8 666 0\n"
        "urandom character special file 1:9 666 0\n"
        "tty character special file 5:0 666 0\n"
        "/proc/self/fd\npts/ptmx\n/proc/self/fd/0\n/proc/self/fd/1\n/proc/self/fd/2\n"
        "3\n5\nis full\n666\nmknod: sda: Operation not permitted\nwritable");
}

static void what_one_does_in_dev_no_other_sees(void **state)
{
    (void)state;
    check_script("rm /dev/null; echo x >/dev/null; chmod 000 /dev/zero; touch /dev/shm/mine", 0,
                 "");
    check_script("stat -c '%F %a' /dev/null /dev/zero; ls /dev/shm", 0,
                 "character special file 666\ncharacter special file 666");
}

static void etc_files_are_regular_and_writable(void **state)
{
    (void)state;
    check_script("cd /etc; stat -c '%n %F %u %a' hosts hostname resolv.conf; cat hostname\n"
                 "for f in hosts hostname resolv.conf; do\n"
                 "  echo added >>$f && chown 0:4242 $f && chmod 664 $f && tail -n1 $f; done\n"
                 "grep -c own hosts; hostname; ping -c1 -W1 box >/dev/null && echo resolves",
                 0,
                 "hosts regular file 0 644\nhostname regular file 0 644\n"
                 "resolv.conf regular file 0 644\nbox\nadded\nadded\nadded\n0\nbox\nresolves");
}

static void loopback_is_the_only_network(void **state)
{
    bool ipv6 = faccessat(H.host->proc_fd, "sys/net/ipv6", F_OK, 0) == 0;

    (void)state;
    check_script("ip -o link | cut -d' ' -f2; ip -o addr | sed 's/ *\\\\.*//' | cut -d' ' -f7\n"
                 "ping -c1 -W1 127.0.0.1 >/dev/null && echo pong\n"
                 "ip route; cat /proc/sys/net/ipv4/ip_unprivileged_port_start",
                 0, ipv6 ? "lo:\n127.0.0.1/8\n::1/128\npong\n0" : "lo:\n127.0.0.1/8\npong\n0");
}

static void processes_of_the_host_are_invisible(void **state)
{
    (void)state;
    check_script("echo $$; ls -d /proc/[0-9]*; true", 0, "1\n/proc/1");
}

/* The keyring of the launcher's session would be everybody's. */
static void the_session_keyring_is_new(void **state)
{
    _cleanup_buffer_ struct buffer b = {0};
    const char *users;
    char line[32];
    struct run r;

    (void)state;
    /* Keys of others cannot be listed, but their number is told for each id (proc_key_users(5)). */
    if (!get_file(H.host_proc_fd, "key-users", &b))
        skip();
    run_init(&r, "echo up; read x");
    run_start(&r);
    run_until(&r, "up");
    users = get_file(H.host_proc_fd, "key-users", &b);
    assert_non_null(users);
    snprintf(line, sizeof(line), "%u: ", H.first_id);
    assert_non_null(strstr(users, line));
    run_clear(&r);
}

static void limits_of_resources_are_set(void **state)
{
    struct run r;

    (void)state;
    run_init(&r, "ulimit -n; ulimit -Hn; ulimit -c; ulimit -Hc; umask");
    r.spec.limits.nofile = 321;
    assert_string_equal(run_output(&r, 0), "321\n321\n0\n0\n0022");
    run_clear(&r);
}

static void shared_memory_is_bounded(void **state)
{
    struct run r;

    (void)state;
    check_script("df -k /dev/shm | tail -n1 | awk '{print $2}'; stat -c %a /dev/shm", 0,
                 "65536\n1777");
    run_init(&r, "dd if=/dev/zero of=/dev/shm/x bs=64k count=100 2>&1 | grep -o 'No space'; "
                 "stat -c %s /dev/shm/x");
    r.spec.limits.shm_bytes = 1 << 20;
    assert_string_equal(run_output(&r, 0), "No space\n1048576");
    run_clear(&r);
}

static void the_cgroup_is_its_own_root(void **state)
{
    (void)state;
    check_script("grep -v ':/$' /proc/self/cgroup | grep -v name=; true", 0, "");
    if (H.host->unified)
        check_script(
            "cat /sys/fs/cgroup/memory.oom.group; cat /sys/fs/cgroup/cgroup.procs | head -n1", 0,
            "1\n1");
    else
        check_script("ls -A /sys/fs/cgroup", 0, "");
}

/* By builtins of the first process, before it does anything else. */
static void the_first_process_finds_its_limits_in_force(void **state)
{
    struct run r;

    (void)state;
    run_init(
        &r,
        "cd /sys/fs/cgroup && [ -e memory.max ] && read -r a <memory.max && read -r b <pids.max && "
        "read -r c <memory.oom.group && read -r d <cgroup.procs; echo \"$$ $a $b $c $d\"");
    r.spec.limits.memory_bytes = 48 << 20;
    r.spec.limits.pids = 21;
    assert_string_equal(run_output(&r, 0), H.host->unified ? "1 50331648 21 1 1" : "1    ");
    run_clear(&r);
}

static void it_leads_a_session_without_a_terminal(void **state)
{
    (void)state;
    check_script("cut -d' ' -f5-7 /proc/1/stat; cat /dev/tty 2>&1", 1,
                 "1 1 0\ncat: can't open '/dev/tty': No such device or address");
}

static void signals_start_with_their_defaults(void **state)
{
    struct run r;

    (void)state;
    /* No shell: it ignores some itself. The test's process ignores SIGPIPE. */
    run_init(&r, "");
    run_set_argv(&r,
                 (const char *const[]){"grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status", NULL});
    assert_string_equal(run_output(&r, 0), "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000");
    run_clear(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_namespace_is_its_own),
        cmocka_unit_test(container_root_is_nobody_on_the_host),
        cmocka_unit_test(two_sandboxes_share_no_id),
        cmocka_unit_test(has_dockers_fourteen_capabilities),
        cmocka_unit_test(the_filter_is_loaded_and_privileges_may_grow_only_where_allowed),
        cmocka_unit_test(what_docker_forbids_is_forbidden),
        cmocka_unit_test(masked_paths_show_nothing),
        cmocka_unit_test(read_only_paths_refuse_writers),
        cmocka_unit_test(dev_holds_the_usual_and_nothing_else),
        cmocka_unit_test(what_one_does_in_dev_no_other_sees),
        cmocka_unit_test(etc_files_are_regular_and_writable),
        cmocka_unit_test(loopback_is_the_only_network),
        cmocka_unit_test(processes_of_the_host_are_invisible),
        cmocka_unit_test(the_session_keyring_is_new),
        cmocka_unit_test(limits_of_resources_are_set),
        cmocka_unit_test(shared_memory_is_bounded),
        cmocka_unit_test(the_cgroup_is_its_own_root),
        cmocka_unit_test(the_first_process_finds_its_limits_in_force),
        cmocka_unit_test(it_leads_a_session_without_a_terminal),
        cmocka_unit_test(signals_start_with_their_defaults),
    };

    return harness_main("isolation", tests, ARRAY_SIZE(tests));
}
