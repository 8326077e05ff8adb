/* Decoding what the backend sends. */
#include "wire/backend.h"

#include "wire/codec.h"

#include <string.h>

void wire_job_id_clear(struct wire_job_id *id)
{
    free(id->raw);
    free(id->text);
    *id = (struct wire_job_id){0};
}

int wire_job_id_copy(const struct wire_job_id *id, struct wire_job_id *ret)
{
    _cleanup_(wire_job_id_clear) struct wire_job_id copy = {0};

    copy.raw = malloc(id->raw_size);
    copy.text = strdup(id->text);
    if (!copy.raw || !copy.text)
        return -ENOMEM;
    memcpy(copy.raw, id->raw, id->raw_size);
    copy.raw_size = id->raw_size;
    *ret = copy;
    copy = (struct wire_job_id){0};
    return 0;
}

bool wire_job_id_equals(const struct wire_job_id *a, const struct wire_job_id *b)
{
    return a->raw_size == b->raw_size && memcmp(a->raw, b->raw, a->raw_size) == 0;
}

int wire_job_id_from_text(const char *text, struct wire_job_id *ret)
{
    _cleanup_buffer_ struct buffer raw = {.max = WIRE_JOB_ID_MAX};
    _cleanup_(wire_job_id_clear) struct wire_job_id id = {.text = strdup(text)};
    struct wire_pack pack = {.out = &raw};

    wire_pack_text(&pack, text);
    if (pack.error || !id.text)
        return pack.error ? pack.error : -ENOMEM;
    id.raw = TAKE_PTR(raw.data);
    id.raw_size = raw.size;
    *ret = id;
    id = (struct wire_job_id){0};
    return 0;
}

/* The readable part of an id: itself, or the last string of an array; bytes where there is none. */
static char *job_id_text(const struct wire_value *id)
{
    struct wire_iterator it = wire_children(id);
    struct wire_value part = *id, v;
    _cleanup_buffer_ struct buffer hex = {0};

    while (id->kind == WIRE_ARRAY && wire_next(&it, &v))
        if (v.kind == WIRE_STR)
            part = v;
    if (part.kind == WIRE_STR)
        return strndup(part.text, part.size);
    for (size_t i = 0; i < id->raw.size; i++)
        if (buffer_printf(&hex, "%02x", id->raw.data[i]) < 0)
            return NULL;
    return buffer_string(&hex) ? (char *)TAKE_PTR(hex.data) : NULL;
}

static int job_id_load(struct wire_span raw, struct wire_job_id *ret, struct error *e)
{
    _cleanup_(wire_job_id_clear) struct wire_job_id id = {0};
    struct wire_value v;

    if (raw.size == 0 || raw.size > WIRE_JOB_ID_MAX ||
        wire_scan(raw.data, raw.size, WIRE_KEYS_ANY, NULL) < 0 || !wire_read(raw, &v) ||
        v.kind == WIRE_NIL || v.kind == WIRE_MAP)
        return error_set(e, -EBADMSG, "no usable job_id");
    id.raw = malloc(raw.size);
    id.text = job_id_text(&v);
    if (!id.raw || !id.text)
        return -ENOMEM;
    memcpy(id.raw, raw.data, raw.size);
    id.raw_size = raw.size;
    *ret = id;
    id = (struct wire_job_id){0};
    return 0;
}

/* Keeps the state that an answer would carry: "" unless V is a str. */
static int keep_state(const struct wire_value *v, struct backend_message *m)
{
    bool usable =
        v && v->kind == WIRE_STR && wire_scan(v->raw.data, v->raw.size, WIRE_KEYS_ANY, NULL) == 0;
    size_t size = usable ? v->size : 0;
    char *state = malloc(size + 1);

    if (!state)
        return -ENOMEM;
    if (size > 0)
        memcpy(state, v->text, size);
    state[size] = 0;
    m->state = state;
    m->state_size = size;
    return 0;
}

static enum backend_message_type type_of(const struct wire_fields *f)
{
    uint32_t job_only = FIELD_BIT(FIELD_INPUTDATA) | FIELD_BIT(FIELD_TASK_ID);

    switch (f->message) {
    case MESSAGE_NEW_JOB:
        return BACKEND_NEW_JOB;
    case MESSAGE_KILL_JOB:
        return BACKEND_KILL_JOB;
    case MESSAGE_PING:
        return BACKEND_PING;
    default: /* the type comes last: a broken frame may have lost it */
        return f->message == MESSAGE_COUNT && f->present & job_only ? BACKEND_NEW_JOB
                                                                    : BACKEND_UNKNOWN;
    }
}

/* The fields that can be had even from a frame with a fault in it. */
static int load_answerable(const struct wire_codec *codec, const struct wire_fields *f,
                           struct backend_message *m, struct error *e)
{
    struct wire_value state;
    bool has_state = false;
    int r;

    if (m->type != BACKEND_NEW_JOB && m->type != BACKEND_KILL_JOB)
        return keep_state(NULL, m);
    if (m->type == BACKEND_KILL_JOB)
        has_state = wire_read(f->values[FIELD_STATE], &state);
    else if (codec->keeps_state)
        has_state = wire_map_get(f->values[FIELD_INPUTDATA], "@state", &state);
    r = keep_state(has_state ? &state : NULL, m);
    return r < 0 ? r : job_id_load(f->values[FIELD_JOB_ID], &m->job_id, e);
}

/* A name: a str without NULs; nil where NIL_ALLOWED. */
static int load_name(const struct wire_fields *f, enum wire_field field, bool nil_allowed,
                     char **ret, struct error *e)
{
    struct wire_value v;
    int r;

    if (!wire_read(f->values[field], &v))
        return -EINVAL;
    if (v.kind == WIRE_NIL && nil_allowed)
        return 0;
    r = wire_str_dup(&v, ret);
    return r == -EINVAL ? error_set(e, -EBADMSG, "%s is no plain text", wire_field_name(field)) : r;
}

/* Before 0.7 the client had taken the parameters apart; here they are put together again. */
static int make_parameters(const struct wire_fields *f, struct backend_message *m)
{
    struct wire_pack p = {.out = &m->made};

    wire_pack_map(&p, 3);
    wire_pack_text(&p, "limits");
    wire_pack_map(&p, 3);
    wire_pack_text(&p, "time");
    wire_pack_raw(&p, f->values[FIELD_TIME_LIMIT]);
    wire_pack_text(&p, "hard_time");
    wire_pack_raw(&p, f->values[FIELD_HARD_TIME_LIMIT]);
    wire_pack_text(&p, "memory");
    wire_pack_raw(&p, f->values[FIELD_MEM_LIMIT]);
    wire_pack_text(&p, "run_cmd");
    wire_pack_raw(&p, f->values[FIELD_RUN_CMD]);
    wire_pack_text(&p, "network_grading");
    wire_pack_raw(&p, f->values[FIELD_ENABLE_NETWORK]);
    m->parameters = (struct wire_span){m->made.data, m->made.size};
    return p.error;
}

static int load_new_job(const struct wire_fields *f, struct backend_message *m, struct error *e)
{
    bool typed = f->present & FIELD_BIT(FIELD_ENVIRONMENT_TYPE);
    struct wire_value v;
    int r;

    m->task_problems = f->values[FIELD_TASK_PROBLEMS];
    m->inputdata = f->values[FIELD_INPUTDATA];
    m->debug = f->values[FIELD_DEBUG];
    m->parameters = f->values[FIELD_ENVIRONMENT_PARAMETERS];
    m->inputdata_is_map = wire_read(m->inputdata, &v) && v.kind == WIRE_MAP;
    m->debug_ssh = wire_read(m->debug, &v) && wire_is_text(&v, "ssh");
    if (!typed) {
        r = make_parameters(f, m);
        if (r < 0)
            return r;
    }
    r = load_name(f, FIELD_COURSE_ID, true, &m->course_id, e);
    if (r == 0)
        r = load_name(f, FIELD_TASK_ID, true, &m->task_id, e);
    if (r == 0)
        r = load_name(f, FIELD_ENVIRONMENT, false, &m->environment, e);
    if (r == 0 && typed)
        return load_name(f, FIELD_ENVIRONMENT_TYPE, false, &m->environment_type, e);
    if (r == 0 && !(m->environment_type = strdup("docker")))
        return -ENOMEM;
    return r;
}

int backend_message_decode(enum wire_generation g, const void *frame, size_t size,
                           struct backend_message *ret, struct error *e)
{
    const struct wire_codec *codec = wire_codec_of(g);
    struct wire_fields fields;
    int r, answerable;

    *ret = (struct backend_message)BACKEND_MESSAGE_INIT;
    r = wire_fields_split(codec, frame, size, &fields, e);
    ret->type = type_of(&fields);
    if (r == 0 && ret->type == BACKEND_UNKNOWN)
        r = error_set(e, -EBADMSG, "the message is one that agents send");
    answerable = load_answerable(codec, &fields, ret, r == 0 ? e : NULL);
    if (r < 0 || answerable < 0)
        return r < 0 ? r : answerable;
    return ret->type == BACKEND_NEW_JOB ? load_new_job(&fields, ret, e) : 0;
}

void backend_message_clear(struct backend_message *m)
{
    wire_job_id_clear(&m->job_id);
    free(m->course_id);
    free(m->task_id);
    free(m->environment_type);
    free(m->environment);
    free(m->state);
    buffer_clear(&m->made);
    *m = (struct backend_message)BACKEND_MESSAGE_INIT;
}
