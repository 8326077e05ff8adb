/* links: base */
/* The event loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/loop.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>

#define SOURCES 3

struct fixture {
    struct loop *loop;
    struct loop_source *sources[SOURCES];
    int pipes[SOURCES][2];
    char order[64]; /* who had a turn: '0' and its number */
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    assert_int_equal(loop_new(&f->loop), 0);
    for (size_t i = 0; i < SOURCES; i++)
        assert_int_equal(pipe2(f->pipes[i], O_CLOEXEC | O_NONBLOCK), 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < SOURCES; i++) {
        loop_source_free(f->sources[i]);
        close(f->pipes[i][0]);
        close(f->pipes[i][1]);
    }
    loop_unref(f->loop);
    free(f);
    return 0;
}

static void note(struct fixture *f, const struct loop_source *source)
{
    size_t i = 0;

    while (i < SOURCES && f->sources[i] != source)
        i++;
    f->order[strlen(f->order)] = (char)('0' + i);
}

static int on_io(struct loop_source *source, int fd, uint32_t revents, void *userdata)
{
    (void)fd;
    assert_true(revents & EPOLLIN);
    note(userdata, source);
    return 0;
}

static int on_time(struct loop_source *source, uint64_t usec, void *userdata)
{
    assert_true(clock_monotonic_usec() >= usec);
    note(userdata, source);
    return 0;
}

static int on_plain(struct loop_source *source, void *userdata)
{
    note(userdata, source);
    return 0;
}

static void make_readable(struct fixture *f, size_t i, loop_io_fn fn)
{
    assert_int_equal(write(f->pipes[i][1], "x", 1), 1);
    assert_int_equal(loop_add_io(f->loop, &f->sources[i], f->pipes[i][0], EPOLLIN, fn, f), 0);
}

static void turns(struct fixture *f, int n)
{
    for (int i = 0; i < n; i++)
        assert_int_equal(loop_run(f->loop, 0), 1);
}

static void equals_take_turns(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < SOURCES; i++)
        make_readable(f, i, on_io);
    turns(f, 2 * SOURCES);
    assert_memory_equal(f->order, f->order + SOURCES, SOURCES);
    for (int i = 0; i < SOURCES; i++)
        assert_non_null(strchr(f->order, '0' + i));
}

static void the_more_important_goes_first_always(void **state)
{
    struct fixture *f = *state;

    make_readable(f, 0, on_io);
    make_readable(f, 1, on_io);
    assert_int_equal(loop_add_time(f->loop, &f->sources[2], 1, on_time, f), 0);
    loop_source_set_priority(f->sources[0], LOOP_IDLE);
    loop_source_set_priority(f->sources[2], LOOP_IMPORTANT);
    turns(f, 3);
    assert_string_equal(f->order, "211");
    loop_source_enable(f->sources[1], false);
    turns(f, 1);
    assert_string_equal(f->order, "2110");
}

static void a_time_comes_once_and_not_before(void **state)
{
    struct fixture *f = *state;
    uint64_t start;

    /* Far away, however slow the machine. */
    assert_int_equal(
        loop_add_time_relative(f->loop, &f->sources[0], 3600 * USEC_PER_SEC, on_time, f), 0);
    assert_int_equal(loop_run(f->loop, 0), 0);
    start = clock_monotonic_usec();
    loop_source_set_time(f->sources[0], start + 3000);
    assert_int_equal(loop_run(f->loop, UINT64_MAX), 1);
    assert_true(clock_monotonic_usec() - start >= 3000);
    assert_int_equal(loop_run(f->loop, 1000), 0);
    loop_source_set_time(f->sources[0], 1);
    assert_int_equal(loop_run(f->loop, 1000), 0); /* disabled since it came */
    assert_int_equal(loop_source_enable(f->sources[0], true), 0);
    turns(f, 1);
    assert_string_equal(f->order, "00");
}

static void a_post_follows_others_and_never_itself(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(loop_add_post(f->loop, &f->sources[1], on_plain, f), 0);
    assert_int_equal(loop_run(f->loop, 0), 0);
    assert_int_equal(loop_add_defer(f->loop, &f->sources[0], on_plain, f), 0);
    turns(f, 2);
    assert_int_equal(loop_run(f->loop, 0), 0);
    assert_string_equal(f->order, "01");
}

static int free_all(struct loop_source *source, int fd, uint32_t revents, void *userdata)
{
    struct fixture *f = userdata;

    (void)fd, (void)revents;
    note(f, source);
    for (size_t i = 0; i < SOURCES; i++)
        f->sources[i] = loop_source_free(f->sources[i]);
    return 0;
}

static void a_callback_may_free_its_own_source_and_others_that_wait(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < SOURCES; i++)
        make_readable(f, i, free_all);
    turns(f, 1);
    assert_int_equal(loop_run(f->loop, 0), 0);
    assert_int_equal(strlen(f->order), 1);
}

static int fail_io(struct loop_source *source, int fd, uint32_t revents, void *userdata)
{
    (void)fd, (void)revents;
    note(userdata, source);
    return -EIO;
}

static void who_fails_is_asked_no_more(void **state)
{
    struct fixture *f = *state;

    make_readable(f, 0, fail_io);
    turns(f, 1);
    assert_int_equal(loop_run(f->loop, 0), 0);
    assert_int_equal(loop_source_enable(f->sources[0], true), 0);
    turns(f, 1);
}

static int on_signal(struct loop_source *source, const struct signalfd_siginfo *info,
                     void *userdata)
{
    assert_int_equal(info->ssi_signo, SIGUSR1);
    note(userdata, source);
    loop_exit(((struct fixture *)userdata)->loop, 7);
    return 0;
}

static void signals_come_in_and_the_end_has_a_code(void **state)
{
    struct fixture *f = *state;
    sigset_t set, before;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, &before);
    assert_int_equal(loop_add_signal(f->loop, &f->sources[0], SIGUSR1, on_signal, f), 0);
    raise(SIGUSR1);
    assert_int_equal(loop_serve(f->loop), 7);
    assert_int_equal(loop_run(f->loop, 0), -ESTALE);
    assert_string_equal(f->order, "0");
    sigprocmask(SIG_SETMASK, &before, NULL);
}

static void what_cannot_be_watched_is_refused(void **state)
{
    struct fixture *f = *state;
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

    assert_int_equal(loop_add_io(f->loop, &f->sources[0], file, EPOLLIN, on_io, f), -EPERM);
    assert_null(f->sources[0]);
    close(file);
    assert_int_equal(loop_add_io(f->loop, &f->sources[0], file, EPOLLIN, on_io, f), -EBADF);
}

static int on_hangup(struct loop_source *source, int fd, uint32_t revents, void *userdata)
{
    (void)fd;
    assert_true(revents & EPOLLHUP);
    note(userdata, source);
    return loop_source_enable(source, false);
}

static void a_hangup_is_told_whatever_is_watched_for_but_not_to_who_is_disabled(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(loop_add_io(f->loop, &f->sources[0], f->pipes[0][0], 0, on_hangup, f), 0);
    assert_int_equal(loop_run(f->loop, 0), 0);
    close(f->pipes[0][1]);
    f->pipes[0][1] = -1;
    turns(f, 1);
    assert_int_equal(loop_run(f->loop, 0), 0);
    assert_int_equal(loop_source_enable(f->sources[0], true), 0);
    turns(f, 1);
    assert_int_equal(loop_run(f->loop, 0), 0);
}

/* Its number and what it leads to may be somebody else's at once. */
static void a_freed_source_lets_go_of_its_descriptor(void **state)
{
    struct fixture *f = *state;
    int copy = fcntl(f->pipes[0][0], F_DUPFD_CLOEXEC, 0);

    make_readable(f, 0, on_io);
    f->sources[0] = loop_source_free(f->sources[0]);
    assert_int_equal(loop_run(f->loop, 0), 0);
    close(f->pipes[0][0]);
    assert_int_equal(loop_run(f->loop, 0), 0); /* the copy keeps the pipe, and nobody is told */
    f->pipes[0][0] = fcntl(f->pipes[1][0], F_DUPFD_CLOEXEC, f->pipes[0][0]);
    assert_int_equal(write(f->pipes[1][1], "x", 1), 1);
    assert_int_equal(loop_add_io(f->loop, &f->sources[1], f->pipes[0][0], EPOLLIN, on_io, f), 0);
    turns(f, 2);
    assert_string_equal(f->order, "11");
    close(copy);
}

/* Sets itself anew twice, then fails. */
static int again(struct loop_source *source, uint64_t usec, void *userdata)
{
    struct fixture *f = userdata;

    note(f, source);
    loop_source_set_time(source, usec + 1);
    assert_int_equal(loop_source_enable(source, true), 0);
    return strlen(f->order) < 3 ? 0 : -EIO;
}

static void a_time_may_be_set_anew_by_its_own_callback(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(loop_add_time(f->loop, &f->sources[0], 1, again, f), 0);
    turns(f, 3);
    assert_int_equal(loop_run(f->loop, 0), 0);
}

/* Frees all, its own source among them, and takes its place with a new one. */
static int replace(struct loop_source *source, uint64_t usec, void *userdata)
{
    struct fixture *f = userdata;

    (void)usec;
    note(f, source);
    for (size_t i = 0; i < SOURCES; i++)
        f->sources[i] = loop_source_free(f->sources[i]);
    assert_int_equal(loop_add_defer(f->loop, &f->sources[1], on_plain, f), 0);
    return -EIO; /* concerns nobody any more */
}

static void a_time_may_free_all_times_and_start_something_new(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < SOURCES; i++)
        assert_int_equal(loop_add_time(f->loop, &f->sources[i], 1, replace, f), 0);
    turns(f, 2);
    assert_int_equal(loop_run(f->loop, 0), 0);
    assert_int_equal(strlen(f->order), 2);
    assert_int_equal(f->order[1], '1');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(equals_take_turns, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_more_important_goes_first_always, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_time_comes_once_and_not_before, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_post_follows_others_and_never_itself, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_callback_may_free_its_own_source_and_others_that_wait,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_fails_is_asked_no_more, set_up, tear_down),
        cmocka_unit_test_setup_teardown(signals_come_in_and_the_end_has_a_code, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            a_hangup_is_told_whatever_is_watched_for_but_not_to_who_is_disabled, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_freed_source_lets_go_of_its_descriptor, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_time_may_be_set_anew_by_its_own_callback, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_time_may_free_all_times_and_start_something_new, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_be_watched_is_refused, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
