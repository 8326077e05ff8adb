/* links: agent */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/conversation.h"
#include "base/fdio.h"

#include <signal.h>

#include <string.h>

struct fixture {
    struct loop *event;
    struct conversation *c;
    int in, out; /* the container's ends */
    unsigned bodies;
    size_t last_size;
    int answer; /* what the callback returns */
};

static int on_body(void *userdata, const uint8_t *body, size_t size)
{
    struct fixture *f = userdata;

    (void)body;
    f->bodies++;
    f->last_size = size;
    return f->answer;
}

static int setup(void **state)
{
    static const struct conversation_callbacks callbacks = {on_body};
    struct fixture *f = calloc(1, sizeof(*f));
    int fds[2];

    assert_true(loop_new(&f->event) >= 0);
    assert_int_equal(
        conversation_open(f->event, FRAME_BIG_ENDIAN, 1000, &callbacks, f, fds, &f->c, NULL), 0);
    f->in = fds[0];
    f->out = fds[1];
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    conversation_close(f->c);
    safe_close(f->in);
    safe_close(f->out);
    loop_unref(f->event);
    free(f);
    return 0;
}

static void run(struct fixture *f)
{
    while (loop_run(f->event, 0) > 0)
        ;
}

static void frames_cut_anywhere_arrive_whole(void **state)
{
    static const char stream[] = "\0\0\0\3abc\0\0\0\0\0\0\0\1x";
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(stream) - 1; i++) {
        assert_int_equal(write(f->out, stream + i, 1), 1);
        run(f);
    }
    assert_int_equal(f->bodies, 2);
    assert_int_equal(f->last_size, 1);
    assert_null(conversation_fault(f->c));
}

static void a_huge_length_ends_the_reading_but_not_the_draining(void **state)
{
    static const uint8_t huge[] = {0xff, 0xff, 0xff, 0xff}, frame[] = {0, 0, 0, 1, 'x'};
    static uint8_t flood[1 << 20];
    struct fixture *f = *state;

    assert_int_equal(write(f->out, huge, sizeof(huge)), sizeof(huge));
    run(f);
    assert_non_null(conversation_fault(f->c));
    assert_int_equal(write(f->out, frame, sizeof(frame)), sizeof(frame));
    assert_int_equal(fd_set_nonblock(f->out, true), 0);
    for (size_t sent = 0; sent < sizeof(flood);) {
        ssize_t n = write(f->out, flood + sent, sizeof(flood) - sent);
        if (n > 0)
            sent += (size_t)n;
        run(f);
    }
    assert_int_equal(f->bodies, 0);
}

static void a_body_that_is_refused_ends_the_reading(void **state)
{
    static const uint8_t frames[] = {0, 0, 0, 1, 'x', 0, 0, 0, 1, 'y'};
    struct fixture *f = *state;

    f->answer = -EBADMSG;
    assert_int_equal(write(f->out, frames, sizeof(frames)), sizeof(frames));
    run(f);
    assert_int_equal(f->bodies, 1);
    assert_non_null(conversation_fault(f->c));
}

static void what_is_in_the_pipe_at_the_end_is_drained(void **state)
{
    static const uint8_t frame[] = {0, 0, 0, 1, 'x'};
    struct fixture *f = *state;

    assert_int_equal(write(f->out, frame, sizeof(frame)), sizeof(frame));
    f->out = safe_close(f->out);
    conversation_drain(f->c);
    assert_int_equal(f->bodies, 1);
}

static void a_closed_stdout_is_looked_at_once(void **state)
{
    struct fixture *f = *state;
    unsigned rounds = 0;

    f->out = safe_close(f->out);
    while (rounds < 100 && loop_run(f->event, 0) > 0)
        rounds++;
    assert_true(rounds < 10);
    assert_null(conversation_fault(f->c));
}

static void a_queue_longer_than_the_pipe_is_written_as_it_is_read(void **state)
{
    struct fixture *f = *state;
    _cleanup_buffer_ struct buffer large = {0}, got = {0};
    static uint8_t chunk[65536];

    assert_int_equal(buffer_reserve(&large, 1 << 20), 0);
    memset(large.data, 'z', 1 << 20);
    large.size = 1 << 20;
    assert_int_equal(conversation_send(f->c, &large), 0);
    assert_int_equal(fd_set_nonblock(f->in, true), 0);
    while (got.size < large.size) {
        ssize_t n = read(f->in, chunk, sizeof(chunk));
        if (n > 0)
            assert_int_equal(buffer_append(&got, chunk, (size_t)n), 0);
        run(f);
    }
    assert_memory_equal(got.data, large.data, large.size);
}

static void a_grader_that_closes_its_stdin_is_no_fault(void **state)
{
    struct fixture *f = *state;
    struct buffer bytes = {.data = (uint8_t *)(uintptr_t) "x", .size = 1};

    f->in = safe_close(f->in);
    assert_int_equal(conversation_send(f->c, &bytes), 0);
    run(f);
    assert_null(conversation_fault(f->c));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(frames_cut_anywhere_arrive_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(a_huge_length_ends_the_reading_but_not_the_draining, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_body_that_is_refused_ends_the_reading, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_in_the_pipe_at_the_end_is_drained, setup, teardown),
        cmocka_unit_test_setup_teardown(a_closed_stdout_is_looked_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_queue_longer_than_the_pipe_is_written_as_it_is_read,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_grader_that_closes_its_stdin_is_no_fault, setup,
                                        teardown),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
