#include "wire/backend_side.h"

#include "wire/codec.h"

static const enum agent_message_type types[MESSAGE_COUNT] = {
    [MESSAGE_HELLO] = AGENT_HELLO,   [MESSAGE_STARTED] = AGENT_JOB_STARTED,
    [MESSAGE_DONE] = AGENT_JOB_DONE, [MESSAGE_SSH] = AGENT_JOB_SSH_DEBUG,
    [MESSAGE_PONG] = AGENT_PONG,
};

/* `result` is a pair: the kind and the text. */
static int split_result(struct wire_span result, struct agent_message *m, struct error *e)
{
    struct wire_value pair, kind, text;
    struct wire_iterator it;

    if (wire_read(result, &pair) && pair.kind == WIRE_ARRAY && pair.count == 2) {
        it = wire_children(&pair);
        if (wire_next(&it, &kind) && wire_next(&it, &text) && kind.kind == WIRE_STR &&
            text.kind == WIRE_STR) {
            m->result = kind.raw;
            m->text = text.raw;
            return 0;
        }
    }
    return error_set(e, -EBADMSG, "result is no pair of strings");
}

int agent_message_decode(enum wire_generation g, const void *frame, size_t size,
                         struct agent_message *ret, struct error *e)
{
    struct wire_fields f;
    struct agent_message m = {0};
    int r = wire_fields_split(wire_codec_of(g), frame, size, &f, e);

    *ret = m;
    if (r < 0)
        return r;
    m.type = types[f.message];
    if (m.type == AGENT_UNKNOWN)
        return error_set(e, -EBADMSG, "the message is one that backends send");
    m.job_id = f.values[FIELD_JOB_ID];
    m.environments = f.values[FIELD_ENVIRONMENTS].size > 0 ? f.values[FIELD_ENVIRONMENTS]
                                                           : f.values[FIELD_CONTAINERS];
    m.friendly_name = f.values[FIELD_FRIENDLY_NAME];
    m.job_slots = f.values[FIELD_JOB_SLOTS];
    m.grade = f.values[FIELD_GRADE];
    m.problems = f.values[FIELD_PROBLEMS];
    m.tests = f.values[FIELD_TESTS];
    m.custom = f.values[FIELD_CUSTOM];
    m.state = f.values[FIELD_STATE];
    m.archive = f.values[FIELD_ARCHIVE];
    m.stdout_text = f.values[FIELD_STDOUT];
    m.stderr_text = f.values[FIELD_STDERR];
    m.host = f.values[FIELD_HOST];
    m.port = f.values[FIELD_PORT];
    m.user = f.values[FIELD_USER];
    m.password = f.values[FIELD_PASSWORD];
    if (m.type == AGENT_JOB_DONE)
        r = split_result(f.values[FIELD_RESULT], &m, e);
    *ret = m;
    return r;
}

/* A map, {} where there is none. */
static void pack_map_span(struct wire_pack *p, struct wire_span map)
{
    if (map.size > 0)
        wire_pack_raw(p, map);
    else
        wire_pack_map(p, 0);
}

/* What PARAMETERS say of KEY; an empty span where they do not. */
static struct wire_span parameter(struct wire_span parameters, const char *key)
{
    struct wire_value v;

    return wire_map_get(parameters, key, &v) ? v.raw : (struct wire_span){0};
}

/* The flat fields of 0.5 and 0.6, with the client's defaults. */
static void pack_flat(struct wire_pack *p, enum wire_field field, struct wire_span parameters)
{
    struct wire_span limits = parameter(parameters, "limits"), value = {0};

    if (field == FIELD_TIME_LIMIT)
        value = parameter(limits, "time");
    else if (field == FIELD_HARD_TIME_LIMIT)
        value = parameter(limits, "hard_time");
    else if (field == FIELD_MEM_LIMIT)
        value = parameter(limits, "memory");
    else if (field == FIELD_RUN_CMD)
        value = parameter(parameters, "run_cmd");
    else
        value = parameter(parameters, "network_grading");
    if (value.size > 0 || field == FIELD_HARD_TIME_LIMIT || field == FIELD_RUN_CMD)
        wire_pack_raw(p, value);
    else if (field == FIELD_ENABLE_NETWORK)
        wire_pack_bool(p, false);
    else
        wire_pack_int(p, field == FIELD_TIME_LIMIT ? 20 : 200);
}

static void pack_job_field(struct wire_pack *p, enum wire_field field,
                           const struct backend_new_job *job)
{
    switch (field) {
    case FIELD_JOB_ID:
        wire_pack_raw(p, (struct wire_span){job->job_id->raw, job->job_id->raw_size});
        break;
    case FIELD_COURSE_ID:
        wire_pack_text(p, job->course_id);
        break;
    case FIELD_TASK_ID:
        wire_pack_text(p, job->task_id);
        break;
    case FIELD_TASK_PROBLEMS:
        pack_map_span(p, job->task_problems);
        break;
    case FIELD_INPUTDATA:
        pack_map_span(p, job->inputdata);
        break;
    case FIELD_ENVIRONMENT_TYPE:
        wire_pack_text(p, job->environment_type);
        break;
    case FIELD_ENVIRONMENT:
        wire_pack_text(p, job->environment);
        break;
    case FIELD_ENVIRONMENT_PARAMETERS:
        pack_map_span(p, job->parameters);
        break;
    case FIELD_DEBUG:
        if (job->debug.size > 0)
            wire_pack_raw(p, job->debug);
        else
            wire_pack_bool(p, false);
        break;
    default:
        pack_flat(p, field, job->parameters);
    }
}

int backend_encode_new_job(enum wire_generation g, const struct backend_new_job *job,
                           struct buffer *out)
{
    const struct wire_codec *codec = wire_codec_of(g);
    const struct wire_layout *layout = codec->messages[MESSAGE_NEW_JOB];
    struct wire_frame f = wire_frame_begin(codec, MESSAGE_NEW_JOB, out);

    for (size_t i = 0; i < WIRE_FIELDS_MAX && layout->fields[i]; i++) {
        wire_frame_field(&f, layout->fields[i]);
        pack_job_field(&f.pack, layout->fields[i], job);
    }
    return wire_frame_end(&f, codec, MESSAGE_NEW_JOB);
}

int backend_encode_kill(enum wire_generation g, const struct wire_job_id *job_id, const char *state,
                        struct buffer *out)
{
    const struct wire_codec *codec = wire_codec_of(g);
    const struct wire_layout *layout = codec->messages[MESSAGE_KILL_JOB];
    struct wire_frame f = wire_frame_begin(codec, MESSAGE_KILL_JOB, out);

    wire_frame_field(&f, FIELD_JOB_ID);
    wire_pack_raw(&f.pack, (struct wire_span){job_id->raw, job_id->raw_size});
    if (layout->fields[1] == FIELD_STATE) {
        wire_frame_field(&f, FIELD_STATE);
        wire_pack_text(&f.pack, state);
    }
    return wire_frame_end(&f, codec, MESSAGE_KILL_JOB);
}

int backend_encode_ping(enum wire_generation g, struct buffer *out)
{
    const struct wire_codec *codec = wire_codec_of(g);
    struct wire_frame f = wire_frame_begin(codec, MESSAGE_PING, out);

    return wire_frame_end(&f, codec, MESSAGE_PING);
}
