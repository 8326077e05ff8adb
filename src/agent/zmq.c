/* libzmq, loaded when it is first needed.
 *
 * With all that it needs itself (C++, cryptography, multicast, Kerberos) it takes longer to load
 * and link than a sandbox takes to start, and its many mappings make every fork(2) slower. Only an
 * agent needs it, after its launcher was forked. So the program is not linked against it: the
 * functions it uses are defined here and hand over to those of the library. zmq_ctx_new(3), without
 * which there is nothing to call the others with, loads it. */
#include "base/cleanup.h"
#include "base/library.h"

#include <zmq.h>

/* The name of the interface that our headers describe. */
#define LIBRARY "libzmq.so.5"

static struct {
    __typeof__(&zmq_bind) bind;
    __typeof__(&zmq_close) close;
    __typeof__(&zmq_connect) connect;
    __typeof__(&zmq_ctx_new) ctx_new;
    __typeof__(&zmq_ctx_term) ctx_term;
    __typeof__(&zmq_getsockopt) getsockopt;
    __typeof__(&zmq_msg_close) msg_close;
    __typeof__(&zmq_msg_data) msg_data;
    __typeof__(&zmq_msg_init) msg_init;
    __typeof__(&zmq_msg_more) msg_more;
    __typeof__(&zmq_msg_recv) msg_recv;
    __typeof__(&zmq_msg_size) msg_size;
    __typeof__(&zmq_recv) recv;
    __typeof__(&zmq_send) send;
    __typeof__(&zmq_setsockopt) setsockopt;
    __typeof__(&zmq_socket) socket;
    __typeof__(&zmq_socket_monitor) socket_monitor;
    __typeof__(&zmq_strerror) strerror;
} lib;

static int load(void)
{
    const struct library_symbol symbols[] = {
        {"zmq_bind", &lib.bind},
        {"zmq_close", &lib.close},
        {"zmq_connect", &lib.connect},
        {"zmq_ctx_term", &lib.ctx_term},
        {"zmq_getsockopt", &lib.getsockopt},
        {"zmq_msg_close", &lib.msg_close},
        {"zmq_msg_data", &lib.msg_data},
        {"zmq_msg_init", &lib.msg_init},
        {"zmq_msg_more", &lib.msg_more},
        {"zmq_msg_recv", &lib.msg_recv},
        {"zmq_msg_size", &lib.msg_size},
        {"zmq_recv", &lib.recv},
        {"zmq_send", &lib.send},
        {"zmq_setsockopt", &lib.setsockopt},
        {"zmq_socket", &lib.socket},
        {"zmq_socket_monitor", &lib.socket_monitor},
        {"zmq_strerror", &lib.strerror},
        {"zmq_ctx_new", &lib.ctx_new}, /* the last: it says that all are there */
    };

    return lib.ctx_new ? 0 : library_load(LIBRARY, symbols, ARRAY_SIZE(symbols));
}

void *zmq_ctx_new(void)
{
    int r = load();

    if (r < 0) {
        errno = -r;
        return NULL;
    }
    return lib.ctx_new();
}

int zmq_bind(void *s, const char *address)
{
    return lib.bind(s, address);
}

int zmq_close(void *s)
{
    return lib.close(s);
}

int zmq_connect(void *s, const char *address)
{
    return lib.connect(s, address);
}

int zmq_ctx_term(void *context)
{
    return lib.ctx_term(context);
}

int zmq_getsockopt(void *s, int option, void *value, size_t *length)
{
    return lib.getsockopt(s, option, value, length);
}

int zmq_msg_close(zmq_msg_t *message)
{
    return lib.msg_close(message);
}

void *zmq_msg_data(zmq_msg_t *message)
{
    return lib.msg_data(message);
}

int zmq_msg_init(zmq_msg_t *message)
{
    return lib.msg_init(message);
}

int zmq_msg_more(const zmq_msg_t *message)
{
    return lib.msg_more(message);
}

int zmq_msg_recv(zmq_msg_t *message, void *s, int flags)
{
    return lib.msg_recv(message, s, flags);
}

size_t zmq_msg_size(const zmq_msg_t *message)
{
    return lib.msg_size(message);
}

int zmq_recv(void *s, void *data, size_t size, int flags)
{
    return lib.recv(s, data, size, flags);
}

int zmq_send(void *s, const void *data, size_t size, int flags)
{
    return lib.send(s, data, size, flags);
}

int zmq_setsockopt(void *s, int option, const void *value, size_t length)
{
    return lib.setsockopt(s, option, value, length);
}

void *zmq_socket(void *context, int type)
{
    return lib.socket(context, type);
}

int zmq_socket_monitor(void *s, const char *address, int events)
{
    return lib.socket_monitor(s, address, events);
}

const char *zmq_strerror(int number)
{
    return lib.strerror(number);
}
