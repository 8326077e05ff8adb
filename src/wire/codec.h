/* Private to src/wire: what differs between the generations, as tables. A generation is one file
 * codec_*.c; reading and writing by table is in codec.c. */
#pragma once

#include "wire/backend.h"
#include "wire/pack.h"

/** Every field any message of Wire A has in any generation. */
enum wire_field {
    FIELD_NONE,
    FIELD_JOB_ID,
    FIELD_COURSE_ID,
    FIELD_TASK_ID,
    FIELD_TASK_PROBLEMS,
    FIELD_INPUTDATA,
    FIELD_ENVIRONMENT_TYPE,
    FIELD_ENVIRONMENT,
    FIELD_ENVIRONMENT_PARAMETERS,
    FIELD_DEBUG,
    FIELD_ENABLE_NETWORK,
    FIELD_TIME_LIMIT,
    FIELD_HARD_TIME_LIMIT,
    FIELD_MEM_LIMIT,
    FIELD_RUN_CMD,
    FIELD_STATE,
    FIELD_FRIENDLY_NAME,
    FIELD_JOB_SLOTS,
    FIELD_ENVIRONMENTS, /* {type: {name: {...}}} */
    FIELD_CONTAINERS,   /* {name: {...}} */
    FIELD_RESULT,
    FIELD_GRADE,
    FIELD_PROBLEMS,
    FIELD_TESTS,
    FIELD_CUSTOM,
    FIELD_ARCHIVE,
    FIELD_STDOUT,
    FIELD_STDERR,
    FIELD_HOST,
    FIELD_PORT,
    FIELD_USER,
    FIELD_PASSWORD,
    FIELD_COUNT
};
#define FIELD_BIT(field) ((uint32_t)1 << (field))
_Static_assert(FIELD_COUNT <= 32, "a set of fields fits into 32 bits");

enum wire_message {
    MESSAGE_NEW_JOB,
    MESSAGE_KILL_JOB,
    MESSAGE_PING,
    MESSAGE_HELLO,
    MESSAGE_STARTED,
    MESSAGE_DONE,
    MESSAGE_SSH,
    MESSAGE_PONG,
    MESSAGE_COUNT
};

#define WIRE_FIELDS_MAX 13

struct wire_layout {
    const char *type;                /* what the type key says */
    uint8_t fields[WIRE_FIELDS_MAX]; /* enum wire_field in the order on the wire; ends with 0 */
};

/** What an environment in AgentHello is described by. */
enum environment_form {
    ENVIRONMENT_CREATED,    /* 0.5: id, created */
    ENVIRONMENT_PORTS,      /* 0.6: and ports */
    ENVIRONMENT_TITLED,     /* 0.7 to 0.9: id, title, created, ports, runtime */
    ENVIRONMENT_ADVERTISED, /* main: and advertised */
};

/** One generation. Each message points to the layout of the generation that brought it. */
struct wire_codec {
    const char *type_key; /* comes last in every message */
    const struct wire_layout *messages[MESSAGE_COUNT];
    enum environment_form environments;
    bool created_is_float;
    bool keeps_state; /* a job that never ran is answered with inputdata's "@state" */
};

extern const struct wire_codec wire_codec_0_5, wire_codec_0_6, wire_codec_0_7, wire_codec_0_8,
    wire_codec_0_9, wire_codec_main;
extern const struct wire_layout layout_kill_job_0_5, layout_ping_0_5, layout_hello_0_5,
    layout_started_0_5, layout_ssh_0_5, layout_pong_0_5;
extern const struct wire_layout layout_new_job_0_7, layout_ping_0_7, layout_hello_0_7,
    layout_started_0_7, layout_done_0_7, layout_ssh_0_7, layout_pong_0_7;
extern const struct wire_layout layout_kill_job_0_8;

const struct wire_codec *wire_codec_of(enum wire_generation g);
const char *wire_field_name(enum wire_field field);

/** A frame taken apart. */
struct wire_fields {
    enum wire_message message; /* MESSAGE_COUNT while unknown */
    uint32_t present;          /* FIELD_BITs */
    struct wire_span values[FIELD_COUNT];
};

/** Takes FRAME apart and checks all of it: one msgpack map, a known type, exactly the fields of its
 * layout (FIELD_STATE of a kill may be there or not). -EBADMSG; what was readable is filled in all
 * the same, but has then not been scanned. */
int wire_fields_split(const struct wire_codec *codec, const void *frame, size_t size,
                      struct wire_fields *ret, struct error *e);

/** Begins a frame: a map with room for the layout's fields and the type. */
struct wire_frame {
    struct wire_pack pack;
    size_t before; /* size of the buffer before */
};
struct wire_frame wire_frame_begin(const struct wire_codec *codec, enum wire_message message,
                                   struct buffer *out);
/** Writes the name of FIELD; its value must follow. */
void wire_frame_field(struct wire_frame *f, enum wire_field field);
/** Writes the type, checks that any peer can decode what was written, and undoes everything on
 * failure. */
int wire_frame_end(struct wire_frame *f, const struct wire_codec *codec, enum wire_message message);
