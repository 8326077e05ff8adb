#include "wire/codec.h"

#include <string.h>

static const struct wire_codec *const codecs[] = {
    [WIRE_MAIN] = &wire_codec_main, [WIRE_0_9] = &wire_codec_0_9, [WIRE_0_8] = &wire_codec_0_8,
    [WIRE_0_7] = &wire_codec_0_7,   [WIRE_0_6] = &wire_codec_0_6, [WIRE_0_5] = &wire_codec_0_5,
};
_Static_assert(ARRAY_SIZE(codecs) == WIRE_GENERATIONS, "each generation has a codec");

static const char *const field_names[FIELD_COUNT] = {
    [FIELD_JOB_ID] = "job_id",
    [FIELD_COURSE_ID] = "course_id",
    [FIELD_TASK_ID] = "task_id",
    [FIELD_TASK_PROBLEMS] = "task_problems",
    [FIELD_INPUTDATA] = "inputdata",
    [FIELD_ENVIRONMENT_TYPE] = "environment_type",
    [FIELD_ENVIRONMENT] = "environment",
    [FIELD_ENVIRONMENT_PARAMETERS] = "environment_parameters",
    [FIELD_DEBUG] = "debug",
    [FIELD_ENABLE_NETWORK] = "enable_network",
    [FIELD_TIME_LIMIT] = "time_limit",
    [FIELD_HARD_TIME_LIMIT] = "hard_time_limit",
    [FIELD_MEM_LIMIT] = "mem_limit",
    [FIELD_RUN_CMD] = "run_cmd",
    [FIELD_STATE] = "state",
    [FIELD_FRIENDLY_NAME] = "friendly_name",
    [FIELD_JOB_SLOTS] = "available_job_slots",
    [FIELD_ENVIRONMENTS] = "available_environments",
    [FIELD_CONTAINERS] = "available_containers",
    [FIELD_RESULT] = "result",
    [FIELD_GRADE] = "grade",
    [FIELD_PROBLEMS] = "problems",
    [FIELD_TESTS] = "tests",
    [FIELD_CUSTOM] = "custom",
    [FIELD_ARCHIVE] = "archive",
    [FIELD_STDOUT] = "stdout",
    [FIELD_STDERR] = "stderr",
    [FIELD_HOST] = "host",
    [FIELD_PORT] = "port",
    [FIELD_USER] = "user",
    [FIELD_PASSWORD] = "password",
};

const struct wire_codec *wire_codec_of(enum wire_generation g)
{
    return codecs[g];
}

const char *wire_field_name(enum wire_field field)
{
    return field_names[field];
}

static enum wire_field field_of(const struct wire_value *key)
{
    for (int i = FIELD_NONE + 1; i < FIELD_COUNT; i++)
        if (wire_is_text(key, field_names[i]))
            return (enum wire_field)i;
    return FIELD_NONE;
}

static enum wire_message message_of(const struct wire_codec *codec, const struct wire_value *type)
{
    for (int i = 0; i < MESSAGE_COUNT; i++)
        if (wire_is_text(type, codec->messages[i]->type))
            return (enum wire_message)i;
    return MESSAGE_COUNT;
}

/* What a walk over the map found, besides the fields. */
struct walk {
    bool is_map, has_type;
    bool surplus; /* a key that no message has */
};

/* Collects the entries of the map as far as it is whole. Nothing is checked here, so that a frame
 * with a fault inside still yields the job it is about. */
static struct walk walk_map(const struct wire_codec *codec, const void *frame, size_t size,
                            struct wire_fields *ret)
{
    struct wire_iterator it;
    struct wire_value key, value;
    struct walk found;

    it = wire_map_begin((struct wire_span){frame, size}, &found.is_map);
    found.has_type = found.surplus = false;
    while (wire_next(&it, &key) && wire_next(&it, &value)) {
        enum wire_field field = field_of(&key);
        if (wire_is_text(&key, codec->type_key)) {
            found.has_type = true;
            ret->message = message_of(codec, &value);
        } else if (field == FIELD_NONE) {
            found.surplus = true;
        } else {
            ret->present |= FIELD_BIT(field);
            ret->values[field] = value.raw;
        }
    }
    return found;
}

static uint32_t fields_of(const struct wire_layout *layout)
{
    uint32_t set = 0;

    for (size_t i = 0; i < WIRE_FIELDS_MAX && layout->fields[i]; i++)
        set |= FIELD_BIT(layout->fields[i]);
    return set;
}

static int check_fields(const struct wire_layout *layout, const struct wire_fields *fields,
                        bool surplus, struct error *e)
{
    uint32_t wanted = fields_of(layout);

    for (int i = FIELD_NONE + 1; i < FIELD_COUNT; i++) {
        bool is = fields->present & FIELD_BIT(i), ought = wanted & FIELD_BIT(i);
        if (i == FIELD_STATE && fields->message == MESSAGE_KILL_JOB)
            continue;
        if (is != ought)
            return error_set(e, -EBADMSG, "%s %s the field %s", layout->type,
                             is ? "has no room for" : "lacks", field_names[i]);
    }
    if (surplus)
        return error_set(e, -EBADMSG, "%s has an unknown field", layout->type);
    return 0;
}

int wire_fields_split(const struct wire_codec *codec, const void *frame, size_t size,
                      struct wire_fields *ret, struct error *e)
{
    struct walk found;
    int r;

    *ret = (struct wire_fields){.message = MESSAGE_COUNT};
    found = walk_map(codec, frame, size, ret);
    r = wire_scan(frame, size, WIRE_KEYS_ANY, e);
    if (r < 0)
        return r;
    if (!found.is_map)
        return error_set(e, -EBADMSG, "the message is no map");
    if (!found.has_type)
        return error_set(e, -EBADMSG, "the message has no \"%s\"", codec->type_key);
    if (ret->message == MESSAGE_COUNT)
        return error_set(e, -EBADMSG, "the message is of an unknown type");
    return check_fields(codec->messages[ret->message], ret, found.surplus, e);
}

struct wire_frame wire_frame_begin(const struct wire_codec *codec, enum wire_message message,
                                   struct buffer *out)
{
    struct wire_frame f = {.pack = {.out = out}, .before = out->size};
    size_t fields = (size_t)__builtin_popcount(fields_of(codec->messages[message]));

    wire_pack_map(&f.pack, fields + 1);
    return f;
}

void wire_frame_field(struct wire_frame *f, enum wire_field field)
{
    wire_pack_text(&f->pack, field_names[field]);
}

int wire_frame_end(struct wire_frame *f, const struct wire_codec *codec, enum wire_message message)
{
    struct buffer *out = f->pack.out;
    int r;

    wire_pack_text(&f->pack, codec->type_key);
    wire_pack_text(&f->pack, codec->messages[message]->type);
    r = f->pack.error;
    if (r == 0 && wire_scan(out->data + f->before, out->size - f->before, WIRE_KEYS_ANY, NULL) < 0)
        r = -EINVAL;
    if (r < 0)
        out->size = f->before;
    return r;
}
