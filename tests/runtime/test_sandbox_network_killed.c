/* links: runtime */
/* A launcher whose sandboxes have a network is killed: the next start removes bridge and rules; two
 * launchers beside each other share nothing. */
#include "network_world.h"

#include "base/fdio.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define PORT 64210

/* A launcher of its own with a networked sandbox; tells FD that it is there. */
static _Noreturn void launcher(int fd, uint16_t port)
{
    struct run r;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (loop_new(&H.event) < 0 || harness_open_host() < 0)
        _exit(1);
    run_init(&r, "");
    r.spec.network = SANDBOX_NETWORK_NAT;
    run_set_argv(&r, (const char *const[]){"payload", "serve", "80", NULL});
    if (sandbox_spec_add_port(&r.spec, port, 80) < 0)
        _exit(1);
    run_start(&r);
    run_until(&r, "serving");
    if (write(fd, "", 1) != 1)
        _exit(1);
    loop_serve(H.event);
    _exit(1);
}

static pid_t start_launcher(uint16_t port)
{
    int pair[2];
    char byte;
    pid_t pid;

    assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        launcher(pair[1], port);
    safe_close(pair[1]);
    if (fd_read_full(pair[0], &byte, 1) != 1)
        fail_msg("the launcher did not start");
    safe_close(pair[0]);
    return pid;
}

static void kill_launcher(pid_t pid)
{
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* In a child, since the host takes its process's mount namespace. */
static void sweep(void)
{
    pid_t pid = fork();
    int status;

    assert_true(pid >= 0);
    if (pid == 0) {
        if (loop_new(&H.event) < 0 || harness_open_host() < 0)
            _exit(1);
        host_close(H.host);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void the_next_start_removes_what_a_killed_launcher_left(void **state)
{
    char text[64];

    (void)state;
    for (int round = 0; round < 3; round++) {
        pid_t pid = start_launcher(PORT);
        assert_int_equal(count_links("dl-"), 1);
        assert_int_equal(count_tables(), 1);
        assert_int_equal(fetch_from_host("127.0.0.1", PORT, text, sizeof(text)), 0);
        kill_launcher(pid);
    }
    sweep();
    expect_links("d", 0);
    assert_int_equal(count_tables(), 0);
}

static void launchers_beside_each_other_share_nothing(void **state)
{
    pid_t first = start_launcher(PORT), second = start_launcher(PORT + 1);
    char text[64];

    (void)state;
    assert_int_equal(count_links("dl-"), 2);
    assert_int_equal(count_tables(), 2);
    assert_int_equal(fetch_from_host("127.0.0.1", PORT, text, sizeof(text)), 0);
    assert_int_equal(fetch_from_world(HOST6, PORT + 1, text, sizeof(text)), 0);
    kill_launcher(first);
    sweep();
    assert_int_equal(count_tables(), 1);
    assert_int_equal(fetch_from_host("127.0.0.1", PORT, text, sizeof(text)), -ECONNREFUSED);
    assert_int_equal(fetch_from_host("127.0.0.1", PORT + 1, text, sizeof(text)), 0);
    kill_launcher(second);
    sweep();
    expect_links("d", 0);
    assert_int_equal(count_tables(), 0);
}

/* Routes of the host are looked at: the subnet that would be first is somebody else's. */
static void a_subnet_that_the_host_has_a_route_to_is_not_taken(void **state)
{
    char text[64];
    pid_t pid;

    (void)state;
    world_command(false, "ip route add 10.213.0.128/25 via 203.0.113.2");
    pid = start_launcher(PORT);
    /* The second subnet of the pool is used, its first address is that of the sandbox. */
    assert_int_equal(fetch_from_host("10.213.4.2", 80, text, sizeof(text)), 0);
    assert_string_equal(text, "box");
    kill_launcher(pid);
    world_command(false, "ip route del 10.213.0.128/25");
    sweep();
}

static int setup(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    if (harness_make_tree() < 0)
        exit(77);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    harness_remove_tree();
    return 0;
}

int main(void)
{
    static const struct launcher_network network = {.first_port = PORT, .last_port = PORT + 1};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_next_start_removes_what_a_killed_launcher_left),
        cmocka_unit_test(launchers_beside_each_other_share_nothing),
        cmocka_unit_test(a_subnet_that_the_host_has_a_route_to_is_not_taken),
    };

    world_make(false);
    H.network = &network;
    return cmocka_run_group_tests_name("network killed", tests, setup, teardown);
}
