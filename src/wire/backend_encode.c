/* Encoding what the agent sends to the backend. */
#include "wire/backend.h"

#include "wire/codec.h"

#include <string.h>

static void pack_ports(struct wire_pack *p, const struct wire_environment *env)
{
    wire_pack_text(p, "ports");
    wire_pack_array(p, env->n_ports);
    for (size_t i = 0; i < env->n_ports; i++)
        wire_pack_int(p, env->ports[i]);
}

static void pack_created(struct wire_pack *p, const struct wire_codec *codec,
                         const struct wire_environment *env)
{
    wire_pack_text(p, "created");
    if (codec->created_is_float)
        wire_pack_float(p, env->created);
    else
        wire_pack_int(p, (int64_t)env->created);
}

static void pack_environment(struct wire_pack *p, const struct wire_codec *codec,
                             const struct wire_environment *env)
{
    static const uint8_t keys[] = {
        [ENVIRONMENT_CREATED] = 2,
        [ENVIRONMENT_PORTS] = 3,
        [ENVIRONMENT_TITLED] = 5,
        [ENVIRONMENT_ADVERTISED] = 6,
    };
    enum environment_form form = codec->environments;

    wire_pack_str(p, env->name, strlen(env->name));
    wire_pack_map(p, keys[form]);
    wire_pack_text(p, "id");
    wire_pack_str(p, env->id, strlen(env->id));
    if (form >= ENVIRONMENT_TITLED) {
        wire_pack_text(p, "title");
        wire_pack_text(p, env->name);
    }
    pack_created(p, codec, env);
    if (form >= ENVIRONMENT_PORTS)
        pack_ports(p, env);
    if (form >= ENVIRONMENT_TITLED) {
        wire_pack_text(p, "runtime");
        wire_pack_text(p, env->runtime ? env->runtime : WIRE_RUNTIME);
    }
    if (form >= ENVIRONMENT_ADVERTISED) {
        wire_pack_text(p, "advertised");
        wire_pack_bool(p, env->advertised);
    }
}

/* How many of the N environments have TYPE (NULL: any). */
static size_t count_type(const char *type, const struct wire_environment *environments, size_t n)
{
    size_t count = 0;

    for (size_t i = 0; i < n; i++)
        count += !type || strcmp(environments[i].type, type) == 0;
    return count;
}

/* {name: {...}} of all environments of TYPE (NULL: any). */
static void pack_environments(struct wire_pack *p, const struct wire_codec *codec, const char *type,
                              const struct wire_environment *environments, size_t n)
{
    wire_pack_map(p, count_type(type, environments, n));
    for (size_t i = 0; i < n; i++)
        if (!type || strcmp(environments[i].type, type) == 0)
            pack_environment(p, codec, &environments[i]);
}

int backend_encode_hello(enum wire_generation g, const char *friendly_name, uint32_t job_slots,
                         const char *const *types, size_t n_types,
                         const struct wire_environment *environments, size_t n, struct buffer *out)
{
    const struct wire_codec *codec = wire_codec_of(g);
    struct wire_frame f;
    size_t typed = 0;

    for (size_t i = 0; i < n_types; i++)
        typed += count_type(types[i], environments, n);
    if (typed != n)
        return -EINVAL;
    f = wire_frame_begin(codec, MESSAGE_HELLO, out);
    wire_frame_field(&f, FIELD_FRIENDLY_NAME);
    wire_pack_str(&f.pack, friendly_name, strlen(friendly_name));
    wire_frame_field(&f, FIELD_JOB_SLOTS);
    wire_pack_int(&f.pack, job_slots);
    if (codec->environments < ENVIRONMENT_TITLED) {
        wire_frame_field(&f, FIELD_CONTAINERS);
        pack_environments(&f.pack, codec, NULL, environments, n);
        return wire_frame_end(&f, codec, MESSAGE_HELLO);
    }
    wire_frame_field(&f, FIELD_ENVIRONMENTS);
    wire_pack_map(&f.pack, n_types);
    for (size_t i = 0; i < n_types; i++) {
        wire_pack_text(&f.pack, types[i]);
        pack_environments(&f.pack, codec, types[i], environments, n);
    }
    return wire_frame_end(&f, codec, MESSAGE_HELLO);
}

static void pack_job_id(struct wire_frame *f, const struct wire_job_id *id)
{
    wire_frame_field(f, FIELD_JOB_ID);
    wire_pack_raw(&f->pack, (struct wire_span){id->raw, id->raw_size});
}

int backend_encode_started(enum wire_generation g, const struct wire_job_id *job_id,
                           struct buffer *out)
{
    const struct wire_codec *codec = wire_codec_of(g);
    struct wire_frame f = wire_frame_begin(codec, MESSAGE_STARTED, out);

    pack_job_id(&f, job_id);
    return wire_frame_end(&f, codec, MESSAGE_STARTED);
}

int backend_encode_pong(enum wire_generation g, struct buffer *out)
{
    const struct wire_codec *codec = wire_codec_of(g);
    struct wire_frame f = wire_frame_begin(codec, MESSAGE_PONG, out);

    return wire_frame_end(&f, codec, MESSAGE_PONG);
}

static void pack_sized(struct wire_pack *p, const char *text, size_t size)
{
    if (text)
        wire_pack_str(p, text, size > 0 ? size : strlen(text));
    else
        wire_pack_str(p, "", 0);
}

/* A field that is nil where there is no text. */
static void pack_output(struct wire_pack *p, const char *text, size_t size)
{
    if (text)
        pack_sized(p, text, size);
    else
        wire_pack_nil(p);
}

/* An encoded map, {} where there is none. */
static void pack_map_field(struct wire_pack *p, const struct buffer *map)
{
    if (map && map->size > 0)
        wire_pack_raw(p, (struct wire_span){map->data, map->size});
    else
        wire_pack_map(p, 0);
}

/* Whether it begins with a map; that nothing else is wrong with it is checked when the frame ends.
 */
static bool map_or_none(const struct buffer *map)
{
    struct wire_value v;

    return !map || map->size == 0 ||
           (wire_read((struct wire_span){map->data, map->size}, &v) && v.kind == WIRE_MAP);
}

static void pack_done_field(struct wire_pack *p, enum wire_field field, const struct job_done *done)
{
    switch (field) {
    case FIELD_JOB_ID:
        wire_pack_raw(p, (struct wire_span){done->job_id->raw, done->job_id->raw_size});
        break;
    case FIELD_RESULT:
        wire_pack_array(p, 2);
        pack_sized(p, done->result, done->result_size);
        pack_sized(p, done->text, done->text_size);
        break;
    case FIELD_GRADE:
        wire_pack_float(p, done->grade);
        break;
    case FIELD_PROBLEMS:
        pack_map_field(p, done->problems);
        break;
    case FIELD_TESTS:
        pack_map_field(p, done->tests);
        break;
    case FIELD_CUSTOM:
        pack_map_field(p, done->custom);
        break;
    case FIELD_STATE:
        pack_sized(p, done->state, done->state_size);
        break;
    case FIELD_ARCHIVE:
        if (done->archive)
            wire_pack_bin(p, done->archive->data, done->archive->size);
        else
            wire_pack_nil(p);
        break;
    case FIELD_STDOUT:
        pack_output(p, done->stdout_text, done->stdout_size);
        break;
    default:
        pack_output(p, done->stderr_text, done->stderr_size);
    }
}

int backend_encode_done(enum wire_generation g, const struct job_done *done, struct buffer *out)
{
    const struct wire_codec *codec = wire_codec_of(g);
    const struct wire_layout *layout = codec->messages[MESSAGE_DONE];
    struct wire_frame f;

    if (!map_or_none(done->problems) || !map_or_none(done->tests) || !map_or_none(done->custom))
        return -EINVAL;
    f = wire_frame_begin(codec, MESSAGE_DONE, out);
    for (size_t i = 0; i < WIRE_FIELDS_MAX && layout->fields[i]; i++) {
        wire_frame_field(&f, layout->fields[i]);
        pack_done_field(&f.pack, layout->fields[i], done);
    }
    return wire_frame_end(&f, codec, MESSAGE_DONE);
}

int backend_encode_ssh(enum wire_generation g, const struct wire_job_id *job_id, const char *host,
                       uint16_t port, const char *user, const char *password, struct buffer *out)
{
    const struct wire_codec *codec = wire_codec_of(g);
    const struct wire_layout *layout = codec->messages[MESSAGE_SSH];
    struct wire_frame f = wire_frame_begin(codec, MESSAGE_SSH, out);

    for (size_t i = 0; i < WIRE_FIELDS_MAX && layout->fields[i]; i++) {
        enum wire_field field = layout->fields[i];
        if (field == FIELD_JOB_ID) {
            pack_job_id(&f, job_id);
            continue;
        }
        wire_frame_field(&f, field);
        if (field == FIELD_PORT)
            wire_pack_int(&f.pack, port);
        else
            wire_pack_text(&f.pack, field == FIELD_HOST   ? host
                                    : field == FIELD_USER ? user
                                                          : password);
    }
    return wire_frame_end(&f, codec, MESSAGE_SSH);
}
