/* libsystemd, loaded when it is first needed.
 *
 * With what it needs itself (cryptography, three compressors) it takes as long to load and link as
 * everything else of the program, and its mappings make every fork(2) slower. Only a launcher that
 * has to ask systemd for a cgroup needs it (cgroup_scope.c). So the program is not linked against
 * it: the functions it uses are defined here and hand over to those of the library. Those that come
 * first, without which there is nothing to call the others with, load it. */
#include "base/cleanup.h"
#include "base/library.h"

#include <stdarg.h>
#include <systemd/sd-bus.h>

/* The name of the interface that our headers describe. */
#define LIBRARY "libsystemd.so.0"

static struct {
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
    __typeof__(&sd_bus_open_system) bus_open_system;
} lib;

#define SYMBOL(name)                                                                               \
    {                                                                                              \
        "sd_" #name, &lib.name                                                                     \
    }

static int load(void)
{
    static const struct library_symbol symbols[] = {
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
        SYMBOL(bus_open_system), /* the last: it says that all are there */
    };

    return lib.bus_open_system ? 0 : library_load(LIBRARY, symbols, ARRAY_SIZE(symbols));
}

/* The library names its parameters differently from release to release. */
/* NOLINTBEGIN(readability-inconsistent-declaration-parameter-name) */
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
    if (lib.bus_open_system)
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
