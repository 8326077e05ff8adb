/* links: agent */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/link.h"
#include "base/clock.h"
#include "base/log.h"

#include <string.h>
#include <zmq.h>

/* A backend's ROUTER and a link to it, in one process and one loop. */
struct fixture {
    struct loop *event;
    void *context, *router;
    char address[64];
    struct link *link;
    unsigned hellos, lost, messages;
    size_t last_size;
};

static int on_hello(void *userdata, struct buffer *out)
{
    struct fixture *f = userdata;

    f->hellos++;
    return buffer_append(out, "hello", 5);
}

static bool on_message(void *userdata, const void *frame, size_t size)
{
    struct fixture *f = userdata;

    (void)frame;
    f->messages++;
    f->last_size = size;
    return true;
}

static void on_lost(void *userdata)
{
    struct fixture *f = userdata;

    f->lost++;
}

static void *bind_router(struct fixture *f, const char *address)
{
    void *router = zmq_socket(f->context, ZMQ_ROUTER);
    size_t size = sizeof(f->address);
    int linger = 0;

    assert_non_null(router);
    zmq_setsockopt(router, ZMQ_LINGER, &linger, sizeof(linger));
    for (int i = 0; zmq_bind(router, address) < 0; i++) {
        assert_true(i < 100); /* the socket before it is closed in the background */
        usleep(10000);
    }
    assert_int_equal(zmq_getsockopt(router, ZMQ_LAST_ENDPOINT, f->address, &size), 0);
    return router;
}

static int setup(void **state)
{
    static const struct link_callbacks callbacks = {on_hello, on_message, on_lost};
    struct fixture *f = calloc(1, sizeof(*f));

    log_setup(LOG_LEVEL_ERROR, "test");
    assert_true(loop_new(&f->event) >= 0);
    f->context = zmq_ctx_new();
    f->router = bind_router(f, "tcp://127.0.0.1:*");
    assert_int_equal(link_open(f->event, f->context, f->address, &callbacks, f, &f->link, NULL), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    link_close(f->link, 0);
    if (f->router)
        zmq_close(f->router);
    zmq_ctx_term(f->context);
    loop_unref(f->event);
    free(f);
    return 0;
}

/* Receives at the backend, running the loop beside; returns the body's size. */
static int receive(struct fixture *f, char *peer, size_t *peer_size, char *body, size_t size)
{
    uint64_t deadline = clock_monotonic_usec() + 10 * USEC_PER_SEC;

    while (clock_monotonic_usec() < deadline) {
        int n = zmq_recv(f->router, peer, 16, ZMQ_DONTWAIT);
        if (n >= 0) {
            *peer_size = (size_t)n;
            return zmq_recv(f->router, body, size, 0);
        }
        loop_run(f->event, 10000);
    }
    return -1;
}

static void run_for(struct fixture *f, uint64_t usec)
{
    uint64_t deadline = clock_monotonic_usec() + usec;

    while (clock_monotonic_usec() < deadline)
        loop_run(f->event, 10000);
}

static void run_until(struct fixture *f, const unsigned *counter, unsigned value, uint64_t usec)
{
    uint64_t deadline = clock_monotonic_usec() + usec;

    while (*counter < value && clock_monotonic_usec() < deadline)
        loop_run(f->event, 10000);
    assert_int_equal(*counter, value);
}

static void it_says_hello_and_hears_the_first_frame_at_once(void **state)
{
    struct fixture *f = *state;
    char peer[16], body[16];
    size_t peer_size;

    assert_int_equal(receive(f, peer, &peer_size, body, sizeof(body)), 5);
    assert_int_equal(zmq_send(f->router, peer, peer_size, ZMQ_SNDMORE), peer_size);
    assert_int_equal(zmq_send(f->router, "frame", 5, 0), 5);
    run_until(f, &f->messages, 1, USEC_PER_SEC / 2); /* before the heartbeat's timer */
    assert_int_equal(f->last_size, 5);
}

static void frames_behind_the_first_of_a_message_are_dropped(void **state)
{
    struct fixture *f = *state;
    char peer[16], body[16];
    size_t peer_size;

    assert_int_equal(receive(f, peer, &peer_size, body, sizeof(body)), 5);
    zmq_send(f->router, peer, peer_size, ZMQ_SNDMORE);
    zmq_send(f->router, "one", 3, ZMQ_SNDMORE);
    zmq_send(f->router, "more", 4, 0);
    zmq_send(f->router, peer, peer_size, ZMQ_SNDMORE);
    zmq_send(f->router, "second", 6, 0);
    run_until(f, &f->messages, 2, 5 * USEC_PER_SEC);
    assert_int_equal(f->last_size, 6);
}

static void a_flood_is_read_to_its_end(void **state)
{
    struct fixture *f = *state;
    char peer[16], body[16];
    size_t peer_size;

    assert_int_equal(receive(f, peer, &peer_size, body, sizeof(body)), 5);
    for (int i = 0; i < 1000; i++) {
        zmq_send(f->router, peer, peer_size, ZMQ_SNDMORE);
        zmq_send(f->router, "x", 1, 0);
    }
    run_until(f, &f->messages, 1000, 10 * USEC_PER_SEC);
}

static void a_broken_connection_is_a_loss_and_hello_is_said_again(void **state)
{
    struct fixture *f = *state;
    char peer[16], body[16], address[64];
    size_t peer_size;

    assert_int_equal(receive(f, peer, &peer_size, body, sizeof(body)), 5);
    memcpy(address, f->address, sizeof(address));
    zmq_close(f->router);
    f->router = NULL;
    run_until(f, &f->lost, 1, 5 * USEC_PER_SEC);
    f->router = bind_router(f, address);
    assert_int_equal(receive(f, peer, &peer_size, body, sizeof(body)), 5);
    assert_int_equal(f->hellos, 2);
    assert_int_equal(f->lost, 1);
}

static void time_in_which_the_machine_stood_still_is_not_silence(void **state)
{
    struct fixture *f = *state;

    run_for(f, USEC_PER_SEC / 10);
    usleep(LINK_SILENCE_USEC + USEC_PER_SEC);
    run_for(f, 2 * USEC_PER_SEC);
    assert_int_equal(f->lost, 0);
    assert_int_equal(f->hellos, 1);
}

static void nothing_of_a_broken_connection_is_sent_on_the_next(void **state)
{
    struct fixture *f = *state;
    _cleanup_buffer_ struct buffer stale = {0};
    char peer[16], body[16], address[64];
    size_t peer_size;

    assert_int_equal(buffer_append(&stale, "stale", 5), 0);
    assert_int_equal(receive(f, peer, &peer_size, body, sizeof(body)), 5);
    memcpy(address, f->address, sizeof(address));
    zmq_close(f->router);
    f->router = bind_router(f, address);
    usleep(100000);
    assert_int_equal(link_send(f->link, &stale), 0); /* before the loop has told of the break */
    usleep(300000);
    assert_int_equal(receive(f, peer, &peer_size, body, sizeof(body)), 5);
    assert_memory_equal(body, "hello", 5);
    assert_int_equal(f->hellos, 2);
}

/* Closes the backend, opens it again and waits for hello; returns how long that took. */
static uint64_t come_back(struct fixture *f, char *peer, size_t *peer_size)
{
    uint64_t start = clock_monotonic_usec();
    char body[16], address[64];
    unsigned lost = f->lost;

    memcpy(address, f->address, sizeof(address));
    zmq_close(f->router);
    f->router = NULL;
    run_until(f, &f->lost, lost + 1, 5 * USEC_PER_SEC);
    f->router = bind_router(f, address);
    assert_int_equal(receive(f, peer, peer_size, body, sizeof(body)), 5);
    return clock_monotonic_usec() - start;
}

static void pauses_grow_while_nothing_is_heard(void **state)
{
    struct fixture *f = *state;
    char peer[16], body[16];
    size_t peer_size;

    assert_int_equal(receive(f, peer, &peer_size, body, sizeof(body)), 5);
    for (uint64_t pause = 2 * LINK_BACKOFF_FIRST_USEC; pause < 16 * LINK_BACKOFF_FIRST_USEC;
         pause *= 2)
        assert_true(come_back(f, peer, &peer_size) >= pause);
    /* One word makes the next pause the first again. */
    zmq_send(f->router, peer, peer_size, ZMQ_SNDMORE);
    zmq_send(f->router, "x", 1, 0);
    run_until(f, &f->messages, 1, 5 * USEC_PER_SEC);
    assert_true(come_back(f, peer, &peer_size) < 16 * LINK_BACKOFF_FIRST_USEC);
}

static void a_malformed_address_is_an_error_that_names_it(void **state)
{
    static const struct link_callbacks callbacks = {on_hello, on_message, on_lost};
    struct fixture *f = *state;
    struct error e = ERROR_INIT;
    struct link *link;

    assert_true(link_open(f->event, f->context, "nonsense", &callbacks, f, &link, &e) < 0);
    assert_non_null(strstr(e.text, "cannot connect to backend \"nonsense\""));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(it_says_hello_and_hears_the_first_frame_at_once),
        TEST(frames_behind_the_first_of_a_message_are_dropped),
        TEST(a_flood_is_read_to_its_end),
        TEST(a_broken_connection_is_a_loss_and_hello_is_said_again),
        TEST(time_in_which_the_machine_stood_still_is_not_silence),
        TEST(nothing_of_a_broken_connection_is_sent_on_the_next),
        TEST(pauses_grow_while_nothing_is_heard),
        TEST(a_malformed_address_is_an_error_that_names_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
