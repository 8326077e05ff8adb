/* An event loop: descriptors, times, signals, one after the other in one thread.
 *
 * One epoll descriptor, no library to load. A callback is called for one source at a time: of those
 * that have something, the one of the highest priority, and among equals the one whose last turn is
 * the longest ago. Sources may be freed, disabled and added in any callback, their own as well. A
 * callback that returns a negative errno is not called again until its source is enabled anew. */
#pragma once

#include "base/cleanup.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>

struct loop;
struct loop_source;

enum loop_priority { LOOP_IMPORTANT, LOOP_NORMAL, LOOP_IDLE };

typedef int (*loop_io_fn)(struct loop_source *s, int fd, uint32_t revents, void *userdata);
typedef int (*loop_time_fn)(struct loop_source *s, uint64_t usec, void *userdata);
typedef int (*loop_signal_fn)(struct loop_source *s, const struct signalfd_siginfo *info,
                              void *userdata);
typedef int (*loop_fn)(struct loop_source *s, void *userdata);

int loop_new(struct loop **ret);
struct loop *loop_ref(struct loop *l);
/** Returns NULL. Sources keep the loop. */
struct loop *loop_unref(struct loop *l);
DEFINE_CLEANUP(struct loop, loop_unref)

/** Waits for something to do, at most USEC (UINT64_MAX: for ever), and does one thing. 1: it did;
 * 0: there was nothing; -ESTALE after loop_exit(). */
int loop_run(struct loop *l, uint64_t usec);
/** Runs until loop_exit() is called; its code, or a negative errno. */
int loop_serve(struct loop *l);
void loop_exit(struct loop *l, int code);

/* All of these set *RET to a source of normal priority, which is the caller's: loop_source_free().
 */

/** EVENTS of epoll(7), level-triggered; a hang-up is told always. FD stays the caller's, who closes
 * it after the source was freed or disabled, never before: a copy of it, in another process for
 * one, would keep it watched. */
int loop_add_io(struct loop *l, struct loop_source **ret, int fd, uint32_t events, loop_io_fn fn,
                void *userdata);
/** Once, at USEC of clock_monotonic_usec(). */
int loop_add_time(struct loop *l, struct loop_source **ret, uint64_t usec, loop_time_fn fn,
                  void *userdata);
/** Once, in USEC from now. */
int loop_add_time_relative(struct loop *l, struct loop_source **ret, uint64_t usec, loop_time_fn fn,
                           void *userdata);
/** Signal NUMBER, which must be blocked. */
int loop_add_signal(struct loop *l, struct loop_source **ret, int number, loop_signal_fn fn,
                    void *userdata);
/** Once, as soon as what runs now has returned. */
int loop_add_defer(struct loop *l, struct loop_source **ret, loop_fn fn, void *userdata);
/** After anything else was done. */
int loop_add_post(struct loop *l, struct loop_source **ret, loop_fn fn, void *userdata);

/** Returns NULL; S may be NULL. */
struct loop_source *loop_source_free(struct loop_source *s);
/** What happens once (times, defers) is disabled when it happens. */
int loop_source_enable(struct loop_source *s, bool enabled);
int loop_source_set_io_events(struct loop_source *s, uint32_t events);
/** Another time; a source that is disabled stays so. */
void loop_source_set_time(struct loop_source *s, uint64_t usec);
void loop_source_set_priority(struct loop_source *s, enum loop_priority priority);
