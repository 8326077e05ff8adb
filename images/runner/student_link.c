#include "student_link.h"

#include "base/fdio.h"
#include "wire/frame.h"
#include "wire/pack.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

int student_link_send(int fd, const struct student_command *c, const int fds[3])
{
    _cleanup_buffer_ struct buffer b = {.max = STUDENT_COMMAND_MAX};
    struct wire_pack p = {.out = &b};
    char hello;
    ssize_t n;

    wire_pack_map(&p, 7);
    wire_pack_text(&p, "type");
    wire_pack_text(&p, "run_student_command");
    wire_pack_text(&p, "student_container_id");
    wire_pack_text(&p, c->container_id);
    wire_pack_text(&p, "command");
    wire_pack_text(&p, c->command);
    wire_pack_text(&p, "teardown_script");
    wire_pack_text(&p, c->teardown);
    wire_pack_text(&p, "working_dir");
    wire_pack_text(&p, c->working_dir);
    wire_pack_text(&p, "ssh");
    wire_pack_bool(&p, c->ssh);
    wire_pack_text(&p, "user");
    wire_pack_text(&p, c->user);
    if (p.error)
        return p.error;
    n = fd_read_full(fd, &hello, 1);
    if (n != 1 || hello != 'H')
        return n < 0 ? (int)n : -EPROTO;
    n = fd_send(fd, "S", 1, fds, 3);
    if (n < 0)
        return (int)n;
    return fd_write_full(fd, b.data, b.size);
}

/* Adds the bytes up to the end of the first msgpack value on FD to B. What comes behind it is in B,
 * too; *ret_size is where it starts. */
static int read_value(int fd, struct buffer *b, size_t *ret_size)
{
    struct wire_value v;

    while (!wire_read((struct wire_span){b->data, b->size}, &v)) {
        ssize_t n;
        int k = buffer_reserve(b, 4096);
        if (k < 0)
            return k;
        n = recv(fd, b->data + b->size, b->capacity - b->size, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EPIPE;
        b->size += (size_t)n;
    }
    *ret_size = v.raw.size;
    return 0;
}

/* The text under KEY; nil and absence are "". */
static int get_text(struct wire_span map, const char *key, char **ret)
{
    struct wire_value v;

    if (!wire_map_get(map, key, &v) || v.kind == WIRE_NIL) {
        *ret = strdup("");
        return *ret ? 0 : -ENOMEM;
    }
    return wire_str_dup(&v, ret);
}

static int decode_order(struct wire_span map, struct student_order *o)
{
    struct wire_value v;
    int k = wire_scan(map.data, map.size, WIRE_KEYS_STRICT, NULL);

    if (k >= 0 && (!wire_map_get(map, "type", &v) || !wire_is_text(&v, "run_student_command")))
        k = -EBADMSG;
    if (k >= 0)
        k = get_text(map, "student_container_id", &o->container_id);
    if (k >= 0)
        k = get_text(map, "command", &o->command);
    if (k >= 0)
        k = get_text(map, "teardown_script", &o->teardown);
    if (k >= 0)
        k = get_text(map, "working_dir", &o->working_dir);
    if (k >= 0)
        k = get_text(map, "user", &o->user);
    o->ssh = k >= 0 && wire_map_get(map, "ssh", &v) && wire_truthy(&v);
    return k;
}

int student_link_receive(int fd, struct student_order *ret, struct error *e)
{
    _cleanup_buffer_ struct buffer b = {.max = STUDENT_COMMAND_MAX};
    struct student_order o = {.fds = {-EBADF, -EBADF, -EBADF},
                              .signals = {.max = STUDENT_SIGNALS_MAX}};
    size_t n_fds = 0, size = 0;
    char start;
    ssize_t n;
    int k = fd_write_full(fd, "H", 1);

    if (k < 0)
        return error_sys(e, k, "say hello");
    n = fd_receive(fd, &start, 1, o.fds, 3, &n_fds);
    if (n != 1 || start != 'S' || n_fds != 3)
        k = error_sys(e, n < 0 ? (int)n : -EPROTO, "receive the standard files");
    if (k >= 0) {
        k = read_value(fd, &b, &size);
        if (k >= 0)
            k = decode_order((struct wire_span){b.data, size}, &o);
        if (k >= 0)
            k = buffer_append(&o.signals, b.data + size, b.size - size);
        if (k < 0)
            error_sys(e, k, "receive the command");
    }
    if (k < 0) {
        student_order_clear(&o);
        return k;
    }
    *ret = o;
    return 0;
}

void student_order_clear(struct student_order *o)
{
    for (size_t i = 0; i < ARRAY_SIZE(o->fds); i++)
        o->fds[i] = safe_close(o->fds[i]);
    buffer_clear(&o->signals);
    free(o->container_id);
    free(o->command);
    free(o->teardown);
    free(o->working_dir);
    free(o->user);
    *o = (struct student_order){.fds = {-EBADF, -EBADF, -EBADF}};
}

int student_link_send_password(int fd, const char *user, const char *password)
{
    _cleanup_buffer_ struct buffer body = {.max = STUDENT_PASSWORD_MAX};
    _cleanup_buffer_ struct buffer frame = {.max = STUDENT_PASSWORD_MAX + 4};
    struct wire_pack p = {.out = &body};
    int k;

    wire_pack_map(&p, 3);
    wire_pack_text(&p, "type");
    wire_pack_text(&p, "ssh_student");
    wire_pack_text(&p, "ssh_user");
    wire_pack_text(&p, user);
    wire_pack_text(&p, "password");
    wire_pack_text(&p, password);
    if (p.error)
        return p.error;
    k = frame_write(FRAME_BIG_ENDIAN, body.data, body.size, &frame);
    return k < 0 ? k : fd_write_full(fd, frame.data, frame.size);
}

int student_link_receive_password(int fd, struct student_password *ret)
{
    uint8_t head[4], body[STUDENT_PASSWORD_MAX];
    struct student_password p = {.user = NULL};
    struct wire_value v;
    size_t size;
    int k = 0;

    if (fd_read_full(fd, head, sizeof(head)) != (ssize_t)sizeof(head))
        return -EPIPE;
    size = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
    if (size > sizeof(body))
        return -EMSGSIZE;
    if (fd_read_full(fd, body, size) != (ssize_t)size)
        return -EPIPE;
    k = wire_scan(body, size, WIRE_KEYS_STRICT, NULL);
    if (k >= 0 && (!wire_map_get((struct wire_span){body, size}, "type", &v) ||
                   !wire_is_text(&v, "ssh_student")))
        k = -EBADMSG;
    if (k >= 0)
        k = get_text((struct wire_span){body, size}, "ssh_user", &p.user);
    if (k >= 0)
        k = get_text((struct wire_span){body, size}, "password", &p.password);
    if (k < 0) {
        student_password_clear(&p);
        return k;
    }
    *ret = p;
    return 0;
}

void student_password_clear(struct student_password *p)
{
    free(p->user);
    free(p->password);
    *p = (struct student_password){.user = NULL};
}
