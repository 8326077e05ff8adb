/* libsystemd, loaded when it is first needed.
 *
 * With what it needs itself (cryptography, three compressors) it takes as long to load and link as
 * everything else of the program, which is executed twice before a sandbox starts (self.h), and its
 * mappings make every fork(2) slower. Only a launcher and an agent have an event loop. So the
 * program is not linked against it: the functions it uses are defined here and hand over to those
 * of the library. Those that come first, without which there is nothing to call the others with,
 * load it. */
#include "base/cleanup.h"
#include "base/library.h"

#include <stdarg.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

/* The name of the interface that our headers describe. */
#define LIBRARY "libsystemd.so.0"

static struct {
    __typeof__(&sd_booted) booted;
    __typeof__(&sd_event_ref) event_ref;
    __typeof__(&sd_event_unref) event_unref;
    __typeof__(&sd_event_loop) event_loop;
    __typeof__(&sd_event_run) event_run;
    __typeof__(&sd_event_add_child) event_add_child;
    __typeof__(&sd_event_exit) event_exit;
    __typeof__(&sd_event_add_io) event_add_io;
    __typeof__(&sd_event_add_time) event_add_time;
    __typeof__(&sd_event_add_time_relative) event_add_time_relative;
    __typeof__(&sd_event_add_signal) event_add_signal;
    __typeof__(&sd_event_add_defer) event_add_defer;
    __typeof__(&sd_event_add_post) event_add_post;
    __typeof__(&sd_event_add_inotify_fd) event_add_inotify_fd;
    __typeof__(&sd_event_set_watchdog) event_set_watchdog;
    __typeof__(&sd_notify) notify;
    __typeof__(&sd_event_source_disable_unref) event_source_disable_unref;
    __typeof__(&sd_event_source_set_enabled) event_source_set_enabled;
    __typeof__(&sd_event_source_set_io_events) event_source_set_io_events;
    __typeof__(&sd_event_source_set_priority) event_source_set_priority;
    __typeof__(&sd_event_source_set_time) event_source_set_time;
    __typeof__(&sd_bus_open_system) bus_open_system;
    __typeof__(&sd_bus_new) bus_new;
    __typeof__(&sd_bus_set_address) bus_set_address;
    __typeof__(&sd_bus_start) bus_start;
    __typeof__(&sd_bus_unref) bus_unref;
    __typeof__(&sd_bus_flush_close_unref) bus_flush_close_unref;
    __typeof__(&sd_bus_process) bus_process;
    __typeof__(&sd_bus_wait) bus_wait;
    __typeof__(&sd_bus_call) bus_call;
    __typeof__(&sd_bus_match_signal) bus_match_signal;
    __typeof__(&sd_bus_message_new_method_call) bus_message_new_method_call;
    __typeof__(&sd_bus_message_unref) bus_message_unref;
    __typeof__(&sd_bus_error_free) bus_error_free;
    __typeof__(&sd_bus_message_appendv) bus_message_appendv;
    __typeof__(&sd_bus_message_readv) bus_message_readv;
    __typeof__(&sd_event_new) event_new;
} lib;

#define SYMBOL(name)                                                                               \
    {                                                                                              \
        "sd_" #name, &lib.name                                                                     \
    }

static int load(void)
{
    static const struct library_symbol symbols[] = {
        SYMBOL(booted),
        SYMBOL(event_ref),
        SYMBOL(event_unref),
        SYMBOL(event_loop),
        SYMBOL(event_run),
        SYMBOL(event_add_child),
        SYMBOL(event_exit),
        SYMBOL(event_add_io),
        SYMBOL(event_add_time),
        SYMBOL(event_add_time_relative),
        SYMBOL(event_add_signal),
        SYMBOL(event_add_defer),
        SYMBOL(event_add_post),
        SYMBOL(event_add_inotify_fd),
        SYMBOL(event_set_watchdog),
        SYMBOL(notify),
        SYMBOL(event_source_disable_unref),
        SYMBOL(event_source_set_enabled),
        SYMBOL(event_source_set_io_events),
        SYMBOL(event_source_set_priority),
        SYMBOL(event_source_set_time),
        SYMBOL(bus_open_system),
        SYMBOL(bus_new),
        SYMBOL(bus_set_address),
        SYMBOL(bus_start),
        SYMBOL(bus_unref),
        SYMBOL(bus_flush_close_unref),
        SYMBOL(bus_process),
        SYMBOL(bus_wait),
        SYMBOL(bus_call),
        SYMBOL(bus_match_signal),
        SYMBOL(bus_message_new_method_call),
        SYMBOL(bus_message_unref),
        SYMBOL(bus_error_free),
        SYMBOL(bus_message_appendv),
        SYMBOL(bus_message_readv),
        SYMBOL(event_new), /* the last: it says that all are there */
    };

    return lib.event_new ? 0 : library_load(LIBRARY, symbols, ARRAY_SIZE(symbols));
}

/* The library names its parameters differently from release to release. */
/* NOLINTBEGIN(readability-inconsistent-declaration-parameter-name) */
int sd_booted(void)
{
    int r = load();

    return r < 0 ? r : lib.booted();
}

int sd_event_new(sd_event **ret)
{
    int r = load();

    return r < 0 ? r : lib.event_new(ret);
}

sd_event *sd_event_ref(sd_event *event)
{
    return event ? lib.event_ref(event) : NULL;
}

sd_event *sd_event_unref(sd_event *event)
{
    return event ? lib.event_unref(event) : NULL;
}

int sd_event_loop(sd_event *event)
{
    return lib.event_loop(event);
}

int sd_event_run(sd_event *event, uint64_t usec)
{
    return lib.event_run(event, usec);
}

int sd_event_add_child(sd_event *event, sd_event_source **ret, pid_t pid, int options,
                       sd_event_child_handler_t fn, void *userdata)
{
    return lib.event_add_child(event, ret, pid, options, fn, userdata);
}

int sd_event_exit(sd_event *event, int code)
{
    return lib.event_exit(event, code);
}

int sd_event_add_io(sd_event *event, sd_event_source **ret, int fd, uint32_t events,
                    sd_event_io_handler_t fn, void *userdata)
{
    return lib.event_add_io(event, ret, fd, events, fn, userdata);
}

int sd_event_add_time(sd_event *event, sd_event_source **ret, clockid_t clock, uint64_t usec,
                      uint64_t accuracy, sd_event_time_handler_t fn, void *userdata)
{
    return lib.event_add_time(event, ret, clock, usec, accuracy, fn, userdata);
}

int sd_event_add_time_relative(sd_event *event, sd_event_source **ret, clockid_t clock,
                               uint64_t usec, uint64_t accuracy, sd_event_time_handler_t fn,
                               void *userdata)
{
    return lib.event_add_time_relative(event, ret, clock, usec, accuracy, fn, userdata);
}

int sd_event_add_signal(sd_event *event, sd_event_source **ret, int number,
                        sd_event_signal_handler_t fn, void *userdata)
{
    return lib.event_add_signal(event, ret, number, fn, userdata);
}

int sd_event_add_defer(sd_event *event, sd_event_source **ret, sd_event_handler_t fn,
                       void *userdata)
{
    return lib.event_add_defer(event, ret, fn, userdata);
}

int sd_event_add_post(sd_event *event, sd_event_source **ret, sd_event_handler_t fn, void *userdata)
{
    return lib.event_add_post(event, ret, fn, userdata);
}

int sd_event_add_inotify_fd(sd_event *event, sd_event_source **ret, int fd, uint32_t mask,
                            sd_event_inotify_handler_t fn, void *userdata)
{
    return lib.event_add_inotify_fd(event, ret, fd, mask, fn, userdata);
}

int sd_event_set_watchdog(sd_event *event, int b)
{
    return lib.event_set_watchdog(event, b);
}

int sd_notify(int unset_environment, const char *state)
{
    int r = load();

    return r < 0 ? r : lib.notify(unset_environment, state);
}

sd_event_source *sd_event_source_disable_unref(sd_event_source *source)
{
    return source ? lib.event_source_disable_unref(source) : NULL;
}

int sd_event_source_set_enabled(sd_event_source *source, int enabled)
{
    return lib.event_source_set_enabled(source, enabled);
}

int sd_event_source_set_io_events(sd_event_source *source, uint32_t events)
{
    return lib.event_source_set_io_events(source, events);
}

int sd_event_source_set_priority(sd_event_source *source, int64_t priority)
{
    return lib.event_source_set_priority(source, priority);
}

int sd_event_source_set_time(sd_event_source *source, uint64_t usec)
{
    return lib.event_source_set_time(source, usec);
}

int sd_bus_open_system(sd_bus **ret)
{
    int r = load();

    return r < 0 ? r : lib.bus_open_system(ret);
}

int sd_bus_new(sd_bus **ret)
{
    int r = load();

    return r < 0 ? r : lib.bus_new(ret);
}

int sd_bus_set_address(sd_bus *bus, const char *address)
{
    return lib.bus_set_address(bus, address);
}

int sd_bus_start(sd_bus *bus)
{
    return lib.bus_start(bus);
}

sd_bus *sd_bus_unref(sd_bus *bus)
{
    return bus ? lib.bus_unref(bus) : NULL;
}

sd_bus *sd_bus_flush_close_unref(sd_bus *bus)
{
    return bus ? lib.bus_flush_close_unref(bus) : NULL;
}

int sd_bus_process(sd_bus *bus, sd_bus_message **ret)
{
    return lib.bus_process(bus, ret);
}

int sd_bus_wait(sd_bus *bus, uint64_t usec)
{
    return lib.bus_wait(bus, usec);
}

int sd_bus_call(sd_bus *bus, sd_bus_message *m, uint64_t usec, sd_bus_error *error,
                sd_bus_message **ret)
{
    return lib.bus_call(bus, m, usec, error, ret);
}

int sd_bus_match_signal(sd_bus *bus, sd_bus_slot **ret, const char *sender, const char *path,
                        const char *interface, const char *member, sd_bus_message_handler_t fn,
                        void *userdata)
{
    return lib.bus_match_signal(bus, ret, sender, path, interface, member, fn, userdata);
}

int sd_bus_message_new_method_call(sd_bus *bus, sd_bus_message **ret, const char *destination,
                                   const char *path, const char *interface, const char *member)
{
    return lib.bus_message_new_method_call(bus, ret, destination, path, interface, member);
}

sd_bus_message *sd_bus_message_unref(sd_bus_message *m)
{
    return m ? lib.bus_message_unref(m) : NULL;
}

void sd_bus_error_free(sd_bus_error *error)
{
    if (lib.event_new)
        lib.bus_error_free(error);
}

int sd_bus_message_append(sd_bus_message *m, const char *types, ...)
{
    va_list ap;
    int r;

    va_start(ap, types);
    r = lib.bus_message_appendv(m, types, ap);
    va_end(ap);
    return r;
}

int sd_bus_message_read(sd_bus_message *m, const char *types, ...)
{
    va_list ap;
    int r;

    va_start(ap, types);
    r = lib.bus_message_readv(m, types, ap);
    va_end(ap);
    return r;
}
/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */
