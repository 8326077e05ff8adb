/* links: agent */
/* Ports of the host that are lent to sandboxes. They are those of this machine, so the tests use
 * what is free at the moment. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/ports.h"
#include "base/cleanup.h"

#include <netinet/in.h>
#include <sys/socket.h>

#define N 3

static const uint16_t wanted[] = {22, 80, 443};

/* A socket that has PORT (0: any), and its port. */
static int take(uint16_t port, uint16_t *ret)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    socklen_t size = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
        close(fd);
        return -1;
    }
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &size), 0);
    *ret = ntohs(a.sin_port);
    return fd;
}

/* The first of N ports in a row that nobody has. */
static uint16_t find_row(void)
{
    for (uint16_t first = 23000; first < 32000; first += N) {
        unsigned free = 0;
        for (uint16_t i = 0; i < N; i++) {
            uint16_t port;
            int fd = take((uint16_t)(first + i), &port);
            free += fd >= 0;
            if (fd >= 0)
                close(fd);
        }
        if (free == N)
            return first;
    }
    print_message("there are no three free ports in a row\n");
    skip();
    return 0;
}

static void each_port_is_lent_once_and_again_when_it_is_back(void **state)
{
    struct ports p;
    uint16_t first = find_row();

    (void)state;
    assert_int_equal(ports_open(&p, first, (uint16_t)(first + N - 1)), 0);
    assert_int_equal(ports_lend(&p, 1, wanted, 2), 0);
    assert_int_equal(ports_lend(&p, 2, wanted, 1), 0);
    assert_int_equal(ports_of(&p, 1)->n, 2);
    assert_int_equal(ports_lookup(&p, 1, 80), ports_of(&p, 1)->list[1].host);
    assert_int_equal(ports_lookup(&p, 2, 80), 0);
    assert_true(ports_lookup(&p, 1, 22) != ports_lookup(&p, 2, 22));
    assert_int_equal(ports_lend(&p, 3, wanted, 1), -EBUSY);
    ports_return(&p, 3);
    ports_return(&p, 1);
    ports_return(&p, 1);
    assert_null(ports_of(&p, 1));
    assert_int_equal(ports_lend(&p, 3, wanted, 2), 0);
    assert_int_equal(ports_lend(&p, 4, wanted, 1), -EBUSY);
    ports_close(&p);
}

static void a_request_that_cannot_be_met_takes_nothing(void **state)
{
    struct ports p;
    uint16_t first = find_row();

    (void)state;
    assert_int_equal(ports_open(&p, first, (uint16_t)(first + 1)), 0);
    assert_int_equal(ports_lend(&p, 1, wanted, 3), -EBUSY);
    assert_null(ports_of(&p, 1));
    assert_int_equal(ports_lend(&p, 2, wanted, 2), 0);
    ports_close(&p);
}

static void ports_of_other_programs_are_passed_over(void **state)
{
    struct ports p;
    uint16_t first = find_row(), port;
    int fd = take(first, &port);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(ports_open(&p, first, (uint16_t)(first + 1)), 0);
    assert_int_equal(ports_lend(&p, 1, wanted, 1), 0);
    assert_int_equal(ports_lookup(&p, 1, 22), first + 1);
    assert_int_equal(ports_lend(&p, 2, wanted, 1), -EBUSY);
    close(fd);
    /* It is not asked about again so soon. */
    assert_int_equal(ports_lend(&p, 2, wanted, 1), -EBUSY);
    ports_close(&p);
}

static void ports_to_be_avoided_are_not_lent_for_a_while(void **state)
{
    struct ports p;
    uint16_t first = find_row();

    (void)state;
    assert_int_equal(ports_open(&p, first, first), 0);
    assert_int_equal(ports_lend(&p, 1, wanted, 1), 0);
    ports_avoid(&p, 1);
    assert_int_equal(ports_lend(&p, 2, wanted, 1), -EBUSY);
    ports_close(&p);
}

static void without_ports_only_requests_for_none_are_met(void **state)
{
    struct ports p;

    (void)state;
    assert_int_equal(ports_open(&p, 0, 0), 0);
    assert_int_equal(ports_lend(&p, 1, wanted, 0), 0);
    assert_null(ports_of(&p, 1));
    assert_int_equal(ports_lend(&p, 1, wanted, 1), -EBUSY);
    ports_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_port_is_lent_once_and_again_when_it_is_back),
        cmocka_unit_test(a_request_that_cannot_be_met_takes_nothing),
        cmocka_unit_test(ports_of_other_programs_are_passed_over),
        cmocka_unit_test(ports_to_be_avoided_are_not_lent_for_a_while),
        cmocka_unit_test(without_ports_only_requests_for_none_are_met),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
