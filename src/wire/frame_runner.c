/* The container's side of Wire B. */
#include "wire/frame_runner.h"

#include "wire/frame_pack.h"

static int load_start(struct wire_span body, struct runner_message *m, struct error *e)
{
    struct wire_value input, debug, types, run_cmd;
    int r = frame_get(body, "input", &input, e);

    if (r == 0)
        r = frame_get(body, "debug", &debug, e);
    if (r == 0)
        r = frame_get(body, "envtypes", &types, e);
    if (r == 0)
        r = frame_get_bool(body, "run_as_root", &m->run_as_root, e);
    if (r == 0 && wire_map_get(body, "run_cmd", &run_cmd) && run_cmd.kind != WIRE_NIL)
        r = frame_get_str(body, "run_cmd", &m->run_cmd, e);
    if (r < 0)
        return r;
    m->input = input.raw;
    m->debug = debug.raw;
    m->environment_types = types.raw;
    return 0;
}

static int load_student(struct wire_span body, struct runner_message *m, struct error *e)
{
    struct wire_value v = {0};
    int r = frame_get_str(body, "socket_id", &m->socket_id, e);

    if (r == 0 && m->type == RUNNER_STUDENT_STARTED)
        return frame_get_str(body, "container_id", &m->container_id, e);
    if (r == 0)
        r = frame_get(body, "retval", &v, e);
    if (r < 0)
        return r;
    if (v.kind != WIRE_INT || v.integer < INT32_MIN || v.integer > INT32_MAX)
        return error_set(e, -EINVAL, "\"retval\" is no exit status");
    m->retval = (int)v.integer;
    return 0;
}

int runner_message_decode(const void *body, size_t size, struct runner_message *ret,
                          struct error *e)
{
    struct wire_span map = {body, size};
    struct wire_value type;
    bool is_map;
    int r;

    *ret = (struct runner_message)RUNNER_MESSAGE_INIT;
    /* Not frame_open(): input is the student's and may have keys of any kind. */
    r = wire_scan(body, size, WIRE_KEYS_ANY, e);
    if (r < 0)
        return r;
    wire_map_begin(map, &is_map);
    if (!is_map)
        return error_set(e, -EBADMSG, "the message is no map");
    r = frame_get(map, "type", &type, e);
    if (r < 0)
        return r;
    if (wire_is_text(&type, "start")) {
        ret->type = RUNNER_START;
        return load_start(map, ret, e);
    }
    if (wire_is_text(&type, "run_student_started"))
        ret->type = RUNNER_STUDENT_STARTED;
    else if (wire_is_text(&type, "run_student_retval"))
        ret->type = RUNNER_STUDENT_RETVAL;
    else
        return error_set(e, -EINVAL, "the message is of an unknown type");
    return load_student(map, ret, e);
}

void runner_message_clear(struct runner_message *m)
{
    free(m->run_cmd);
    free(m->socket_id);
    free(m->container_id);
    *m = (struct runner_message)RUNNER_MESSAGE_INIT;
}

int runner_encode_result(struct wire_span result, struct buffer *out)
{
    struct frame_pack f = frame_begin("result", 1, out);

    wire_pack_text(&f.pack, "result");
    wire_pack_raw(&f.pack, result);
    return frame_end(&f, FRAME_BIG_ENDIAN);
}

static void pack_limit(struct wire_pack *p, const char *key, int64_t value)
{
    wire_pack_text(p, key);
    wire_pack_int(p, value);
}

static void pack_flag(struct wire_pack *p, const char *key, bool value)
{
    wire_pack_text(p, key);
    wire_pack_bool(p, value);
}

static void pack_text(struct wire_pack *p, const char *key, const char *value)
{
    wire_pack_text(p, key);
    wire_pack_text(p, value);
}

int runner_encode_run_student(const struct runner_student *student, struct buffer *out)
{
    struct frame_pack f = frame_begin("run_student", 8, out);

    pack_text(&f.pack, "environment", student->environment);
    pack_limit(&f.pack, "time_limit", student->time_limit);
    pack_limit(&f.pack, "hard_time_limit", student->hard_time_limit);
    pack_limit(&f.pack, "memory_limit", student->memory_limit);
    pack_flag(&f.pack, "share_network", student->share_network);
    pack_text(&f.pack, "socket_id", student->socket_id);
    pack_flag(&f.pack, "ssh", student->ssh);
    pack_flag(&f.pack, "run_as_root", student->run_as_root);
    return frame_end(&f, FRAME_BIG_ENDIAN);
}

int runner_encode_ssh_debug(const char *user, const char *key, struct buffer *out)
{
    struct frame_pack f = frame_begin("ssh_debug", 2, out);

    pack_text(&f.pack, "ssh_user", user);
    pack_text(&f.pack, "ssh_key", key);
    return frame_end(&f, FRAME_BIG_ENDIAN);
}

int runner_encode_ssh_student(const char *user, const char *key, const char *container_id,
                              struct buffer *out)
{
    struct frame_pack f = frame_begin("ssh_student", 3, out);

    pack_text(&f.pack, "ssh_user", user);
    pack_text(&f.pack, "ssh_key", key);
    pack_text(&f.pack, "container_id", container_id);
    return frame_end(&f, FRAME_BIG_ENDIAN);
}
