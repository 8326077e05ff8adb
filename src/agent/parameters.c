#include "agent/parameters.h"

#include "agent/python.h"

#define TIME_DEFAULT     30
#define MEMORY_DEFAULT   200
#define HARD_TIME_FACTOR 3

void job_parameters_clear(struct job_parameters *p)
{
    free(p->run_cmd);
    *p = (struct job_parameters){0};
}

static int64_t clamp(int64_t value, int64_t most)
{
    return MAX(MIN(value, most), -most);
}

/* int(V), between -MOST and MOST. */
static int to_int(const struct wire_value *v, int64_t most, int64_t *ret)
{
    int64_t value = v->integer;
    int r = 0;

    switch (v->kind) {
    case WIRE_INT:
        break;
    case WIRE_BOOL:
        value = v->boolean;
        break;
    case WIRE_FLOAT:
        r = python_int_from_float(v->real, &value);
        break;
    case WIRE_STR:
    case WIRE_BIN:
        r = python_int(v->text, v->size, v->kind == WIRE_STR, &value);
        break;
    default:
        r = -EINVAL;
    }
    if (r == 0)
        *ret = clamp(value, most);
    return r;
}

/* One of the limits; *RET stays where it is not there. */
static int load_limit(struct wire_span limits, const char *key, int64_t most, int64_t *ret)
{
    struct wire_value v;

    return wire_map_get(limits, key, &v) ? to_int(&v, most, ret) : 0;
}

static int load_limits(struct wire_span limits, struct job_parameters *p)
{
    struct wire_value v;
    int r = load_limit(limits, "time", JOB_SECONDS_MAX, &p->time);

    if (r < 0)
        return r;
    p->hard_time = clamp(p->time * HARD_TIME_FACTOR, JOB_SECONDS_MAX);
    if (wire_map_get(limits, "hard_time", &v) && wire_truthy(&v))
        r = to_int(&v, JOB_SECONDS_MAX, &p->hard_time);
    if (r == 0)
        r = load_limit(limits, "memory", JOB_MEMORY_MAX, &p->memory);
    p->memory = MAX(p->memory, JOB_MEMORY_MIN);
    /* Upstream never looks at it: what is no number there is none, and no reason to refuse a job.
     */
    if (load_limit(limits, "disk", JOB_MEMORY_MAX, &p->disk) < 0 || p->disk < 0)
        p->disk = 0;
    return r;
}

static bool is_map(struct wire_span raw)
{
    struct wire_value v;

    return wire_read(raw, &v) && v.kind == WIRE_MAP;
}

int job_parameters_parse(struct wire_span parameters, struct job_parameters *ret)
{
    struct job_parameters p = {.time = TIME_DEFAULT,
                               .hard_time = TIME_DEFAULT * HARD_TIME_FACTOR,
                               .memory = MEMORY_DEFAULT};
    struct wire_value v;
    int r = 0;

    if (!is_map(parameters))
        return -EINVAL;
    p.network = wire_map_get(parameters, "network_grading", &v) && wire_truthy(&v);
    if (wire_map_get(parameters, "limits", &v))
        r = v.kind == WIRE_MAP ? load_limits(v.raw, &p) : -EINVAL;
    if (r < 0)
        return r;
    if (wire_map_get(parameters, "run_cmd", &v) && v.kind != WIRE_NIL)
        r = wire_str_dup(&v, &p.run_cmd);
    if (r == 0)
        *ret = p;
    return r;
}
