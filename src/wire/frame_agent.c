/* The agent's side of Wire B. */
#include "wire/frame_pack.h"

#include <string.h>

/* What a `start` of generation G carries beside input and debug. */
static bool has_run_cmd(enum wire_generation g)
{
    return g != WIRE_0_5;
}

static bool has_environment_types(enum wire_generation g)
{
    return g != WIRE_0_5 && g != WIRE_0_6;
}

static bool has_shared_kernel(enum wire_generation g)
{
    return g == WIRE_0_7 || g == WIRE_0_8 || g == WIRE_0_9;
}

/* ssh and run_as_root of run_student, container_id of run_student_started, ssh_debug. */
static bool has_student_ssh(enum wire_generation g)
{
    return frame_order_of(g) == FRAME_BIG_ENDIAN;
}

static void pack_environment_types(struct wire_pack *p, const struct frame_start *start)
{
    wire_pack_text(p, "envtypes");
    wire_pack_map(p, start->n_types);
    for (size_t i = 0; i < start->n_types; i++) {
        wire_pack_text(p, start->environment_types[i]);
        wire_pack_bool(p, true);
    }
}

int frame_encode_start(enum wire_generation g, const struct frame_start *start, struct buffer *out)
{
    bool run_cmd = start->run_cmd && has_run_cmd(g);
    size_t keys = 2U + 2U * has_environment_types(g) + run_cmd + has_shared_kernel(g);
    struct frame_pack f = frame_begin("start", keys, out);

    wire_pack_text(&f.pack, "input");
    wire_pack_raw(&f.pack, start->input);
    wire_pack_text(&f.pack, "debug");
    wire_pack_raw(&f.pack, start->debug);
    if (has_environment_types(g))
        pack_environment_types(&f.pack, start);
    if (run_cmd) {
        wire_pack_text(&f.pack, "run_cmd");
        wire_pack_text(&f.pack, start->run_cmd);
    }
    if (has_environment_types(g)) {
        wire_pack_text(&f.pack, "run_as_root");
        wire_pack_bool(&f.pack, start->run_as_root);
    }
    if (has_shared_kernel(g)) { /* false was for virtual machines (kata) */
        wire_pack_text(&f.pack, "shared_kernel");
        wire_pack_bool(&f.pack, true);
    }
    return frame_end(&f, frame_order_of(g));
}

int frame_encode_student_started(enum wire_generation g, const char *socket_id,
                                 const char *container_id, struct buffer *out)
{
    struct frame_pack f = frame_begin("run_student_started", 1U + has_student_ssh(g), out);

    wire_pack_text(&f.pack, "socket_id");
    wire_pack_text(&f.pack, socket_id);
    if (has_student_ssh(g)) {
        wire_pack_text(&f.pack, "container_id");
        wire_pack_text(&f.pack, container_id);
    }
    return frame_end(&f, frame_order_of(g));
}

int frame_encode_student_retval(enum wire_generation g, int retval, const char *socket_id,
                                struct buffer *out)
{
    struct frame_pack f = frame_begin("run_student_retval", 2, out);

    wire_pack_text(&f.pack, "retval");
    wire_pack_int(&f.pack, retval);
    wire_pack_text(&f.pack, "socket_id");
    wire_pack_text(&f.pack, socket_id);
    return frame_end(&f, frame_order_of(g));
}

/* A plain file name: upstream only refuses "/". */
static int load_socket_id(struct wire_span body, struct container_message *m, struct error *e)
{
    _cleanup_free_ char *id = NULL;
    int r = frame_get_str(body, "socket_id", &id, e);

    if (r < 0)
        return r;
    if (!*id || strlen(id) > CONTAINER_SOCKET_ID_MAX || strchr(id, '/') || strcmp(id, ".") == 0 ||
        strcmp(id, "..") == 0)
        return error_set(e, -EINVAL, "\"socket_id\" is no file name");
    m->socket_id = TAKE_PTR(id);
    return 0;
}

static int load_run_student(enum wire_generation g, struct wire_span body,
                            struct container_message *m, struct error *e)
{
    int r = load_socket_id(body, m, e); /* first: whatever else is wrong can then be answered */

    if (r == 0)
        r = frame_get_optional_str(body, "environment", &m->environment, e);
    if (r == 0)
        r = frame_get_int(body, "time_limit", &m->time_limit, e);
    if (r == 0)
        r = frame_get_int(body, "hard_time_limit", &m->hard_time_limit, e);
    if (r == 0)
        r = frame_get_int(body, "memory_limit", &m->memory_limit, e);
    if (r == 0)
        r = frame_get_bool(body, "share_network", &m->share_network, e);
    if (r == 0 && has_student_ssh(g))
        r = frame_get_bool(body, "ssh", &m->ssh, e);
    if (r == 0 && has_student_ssh(g))
        r = frame_get_bool(body, "run_as_root", &m->run_as_root, e);
    return r;
}

static int load_ssh(enum wire_generation g, struct wire_span body, struct container_message *m,
                    struct error *e)
{
    int r = 0;

    if (g != WIRE_0_5 && g != WIRE_0_6)
        r = frame_get_str(body, "ssh_user", &m->ssh_user, e);
    if (r == 0)
        r = frame_get_str(body, "ssh_key", &m->ssh_key, e);
    if (r == 0 && m->type == CONTAINER_SSH_STUDENT)
        r = frame_get_str(body, "container_id", &m->container_id, e);
    return r;
}

static enum container_message_type type_of(enum wire_generation g, const struct wire_value *type)
{
    if (wire_is_text(type, "run_student"))
        return CONTAINER_RUN_STUDENT;
    if (wire_is_text(type, "result"))
        return CONTAINER_RESULT;
    if (wire_is_text(type, has_student_ssh(g) ? "ssh_debug" : "ssh_key"))
        return CONTAINER_SSH_DEBUG;
    if (has_student_ssh(g) && wire_is_text(type, "ssh_student"))
        return CONTAINER_SSH_STUDENT;
    return CONTAINER_UNKNOWN;
}

int container_message_decode(enum wire_generation g, const void *body, size_t size,
                             struct container_message *ret, struct error *e)
{
    struct wire_span map = {body, size};
    struct wire_value v;
    int r;

    *ret = (struct container_message)CONTAINER_MESSAGE_INIT;
    r = frame_open(body, size, &v, e);
    if (r < 0)
        return r;
    ret->type = type_of(g, &v);
    switch (ret->type) {
    case CONTAINER_RUN_STUDENT:
        return load_run_student(g, map, ret, e);
    case CONTAINER_SSH_DEBUG:
    case CONTAINER_SSH_STUDENT:
        return load_ssh(g, map, ret, e);
    case CONTAINER_RESULT:
        r = frame_get(map, "result", &v, e);
        if (r == 0)
            ret->result = v.raw;
        return r;
    case CONTAINER_UNKNOWN:
        break;
    }
    return error_set(e, -EINVAL, "the message is of an unknown type");
}

void container_message_clear(struct container_message *m)
{
    free(m->environment);
    free(m->socket_id);
    free(m->ssh_user);
    free(m->ssh_key);
    free(m->container_id);
    *m = (struct container_message)CONTAINER_MESSAGE_INIT;
}
