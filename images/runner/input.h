/* What the student submitted, as run scripts find it: /.__input/__inputdata.json, the start
 * message as JSON, with uploaded files beside it as __inputfile_N. */
#pragma once

#include "json.h"
#include "wire/frame_runner.h"

#define INPUT_DIR  ".__input"
#define INPUT_FILE "__inputdata.json"

/** Reading: PID 1 wrote it from one frame, whose bytes may be six each in JSON. */
#define INPUT_SIZE_MAX (6 * WIRE_FRAME_MAX)
/** Files in one submission that are written out. */
#define INPUT_FILES_MAX 10000

/** Writes START's input below ROOT_FD. Done by PID 1 before the worker can run. -EINVAL for what
 * JSON cannot hold. */
int input_write(int root_fd, const struct runner_message *start, struct error *e);

/** Reads the input map into POOL. -ENOENT where there is no file, -EBADMSG where it is not ours. */
int input_load(int root_fd, struct pool *pool, struct json *ret, struct error *e);

/** A part of the input. */
struct input_value {
    struct json *value; /* its value, or */
    const char *file;   /* the path of its bytes, below the container's root */
};
/** Finds PROBLEM: "id", "id:filename", "id:value", "@username"... -ENOENT; -EINVAL
 * for a file that PID 1 did not write. */
int input_find(struct json *input, struct pool *pool, const char *problem, struct input_value *ret);
/** The two parts of an uploaded file, or false where V is none. */
bool input_is_file(struct json *v, struct json **ret_name, struct json **ret_path);
