#include "cli/grade.h"

#include "base/fdio.h"
#include "base/text.h"
#include "wire/pack.h"

#include <string.h>
#include <time.h>

/* A frontend's defaults for a task without limits. */
#define DEFAULT_TIME   20
#define DEFAULT_MEMORY 1024
#define DEFAULT_DISK   1024

void grade_input_clear(struct grade_input *input)
{
    free(input->id);
    free(input->value);
    free(input->file_name);
    *input = (struct grade_input){0};
}

static int read_input_file(const char *path, struct grade_input *input, struct error *e)
{
    struct buffer content = {.max = GRADE_FILE_MAX + 4096};
    const char *slash = strrchr(path, '/');
    int r = fd_read_file(AT_FDCWD, path, &content, GRADE_FILE_MAX);

    if (r < 0) {
        buffer_clear(&content);
        return error_sys(e, r, "%s", path);
    }
    input->size = content.size;
    input->value = buffer_string(&content);
    input->file_name = strdup(slash ? slash + 1 : path);
    return input->value && input->file_name ? 0 : error_sys(e, -ENOMEM, "%s", path);
}

int grade_input_parse(const char *argument, struct grade_input *ret, struct error *e)
{
    const char *equals = strchr(argument, '=');
    struct grade_input input = {0};
    int r = 0;

    if (!equals || equals == argument)
        return error_set(e, -EINVAL, "--input \"%s\" is not of the form ID=VALUE or ID=@FILE",
                         argument);
    input.id = strndup(argument, (size_t)(equals - argument));
    if (equals[1] == '@') {
        r = read_input_file(equals + 2, &input, e);
    } else {
        input.value = strdup(equals + 1);
        input.size = strlen(equals + 1);
    }
    if (r == 0 && (!input.id || !input.value))
        r = error_sys(e, -ENOMEM, "%s", argument);
    if (r == 0 && !text_is_utf8(argument, strlen(argument)))
        r = error_set(e, -EINVAL, "--input \"%s\" is not UTF-8", argument);
    if (r < 0) {
        grade_input_clear(&input);
        return r;
    }
    *ret = input;
    return 0;
}

static const struct task_problem *find_problem(const struct task_file *task, const char *id)
{
    for (size_t i = 0; i < task->n_problems; i++)
        if (strcmp(task->problems[i].id, id) == 0)
            return &task->problems[i];
    return NULL;
}

static bool is_file_problem(const struct task_problem *p)
{
    return p && (strcmp(p->type, "file") == 0 || strcmp(p->type, "code_file") == 0);
}

/* One value: a file problem gets {filename, value}, everything else text. */
static int pack_value(struct wire_pack *p, const struct grade_input *input,
                      const struct task_problem *problem, struct error *e)
{
    if (input->file_name &&
        (is_file_problem(problem) || !text_is_utf8(input->value, input->size))) {
        wire_pack_map(p, 2);
        wire_pack_text(p, "filename");
        wire_pack_text(p, input->file_name);
        wire_pack_text(p, "value");
        wire_pack_bin(p, input->value, input->size);
        return 0;
    }
    if (is_file_problem(problem))
        return error_set(e, -EINVAL, "problem \"%s\" wants a file: --input %s=@FILE", input->id,
                         input->id);
    wire_pack_str(p, input->value, input->size);
    return 0;
}

static size_t count_id(const struct grade_input *inputs, size_t n, const char *id)
{
    size_t count = 0;

    for (size_t i = 0; i < n; i++)
        count += strcmp(inputs[i].id, id) == 0;
    return count;
}

/* All values of the id of inputs[FIRST]: a list for a problem with several choices or an id given
 * twice. */
static int pack_input(struct wire_pack *p, const struct grade_input *inputs, size_t n, size_t first,
                      const struct task_file *task, struct error *e)
{
    const char *id = inputs[first].id;
    const struct task_problem *problem = find_problem(task, id);
    size_t count = count_id(inputs, n, id);
    int r = 0;

    wire_pack_text(p, id);
    if (count > 1 || (problem && problem->multiple))
        wire_pack_array(p, count);
    for (size_t i = first; i < n && r == 0; i++)
        if (strcmp(inputs[i].id, id) == 0)
            r = pack_value(p, &inputs[i], problem, e);
    return r;
}

/* What a frontend adds to every submission. An --input of the same name wins. */
static void pack_common(struct wire_pack *p, const struct grade_input *inputs, size_t n)
{
    char now[64] = "";
    time_t seconds = time(NULL);
    struct tm tm;
    const char *const values[][2] = {{"@username", "grade"}, {"@email", "grade@localhost"},
                                     {"@lang", "en"},        {"@time", now},
                                     {"@attempts", "1"},     {"@state", ""}};

    if (localtime_r(&seconds, &tm))
        strftime(now, sizeof(now), "%Y-%m-%d %H:%M:%S.000000", &tm);
    for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
        if (count_id(inputs, n, values[i][0]) > 0)
            continue;
        wire_pack_text(p, values[i][0]);
        wire_pack_text(p, values[i][1]);
    }
    wire_pack_text(p, "@random");
    wire_pack_array(p, 0);
}

static size_t count_common(const struct grade_input *inputs, size_t n)
{
    static const char *const ids[] = {"@username", "@email",    "@lang",
                                      "@time",     "@attempts", "@state"};
    size_t count = 1;

    for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
        count += count_id(inputs, n, ids[i]) == 0;
    return count;
}

int grade_encode_inputs(const struct grade_input *inputs, size_t n, const struct task_file *task,
                        struct buffer *out, struct error *e)
{
    struct wire_pack p = {.out = out};
    size_t distinct = 0;
    int r = 0;

    for (size_t i = 0; i < n; i++)
        distinct += count_id(inputs, i, inputs[i].id) == 0;
    wire_pack_map(&p, distinct + count_common(inputs, n));
    for (size_t i = 0; i < n && r == 0; i++)
        if (count_id(inputs, i, inputs[i].id) == 0)
            r = pack_input(&p, inputs, n, i, task, e);
    pack_common(&p, inputs, n);
    if (r == 0 && p.error < 0)
        r = error_sys(e, p.error, "the submission");
    return r;
}

int grade_encode_parameters(const struct task_file *task, struct buffer *out)
{
    struct wire_pack p = {.out = out};
    double time = task->time >= 0 ? task->time : DEFAULT_TIME;
    double memory = task->memory >= 0 ? task->memory : DEFAULT_MEMORY;

    wire_pack_map(&p, 3);
    wire_pack_text(&p, "run_cmd");
    wire_pack_text(&p, task->run_cmd);
    wire_pack_text(&p, "network_grading");
    wire_pack_bool(&p, task->network_grading);
    wire_pack_text(&p, "limits");
    wire_pack_map(&p, task->hard_time >= 0 ? 4 : 3);
    wire_pack_text(&p, "time");
    wire_pack_int(&p, (int64_t)time);
    wire_pack_text(&p, "memory");
    wire_pack_int(&p, (int64_t)memory);
    wire_pack_text(&p, "disk");
    wire_pack_int(&p, DEFAULT_DISK);
    if (task->hard_time >= 0) {
        wire_pack_text(&p, "hard_time");
        wire_pack_int(&p, (int64_t)task->hard_time);
    }
    return p.error;
}
