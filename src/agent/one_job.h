/* A backend for exactly one job: a ROUTER in this process that speaks the same wire as a real one. What `dockless grade`
 * talks to, so that grading without a server takes the path that grading with one takes. */
#pragma once

#include "base/buffer.h"
#include "base/error.h"

#include <stdbool.h>
#include <systemd/sd-event.h>

struct one_job {
    const char *course_id, *task_id;
    const char *environment_type, *environment;
    const struct buffer *inputdata;  /* an encoded msgpack map */
    const struct buffer *parameters; /* an encoded msgpack map */
    const struct buffer *problems;   /* an encoded msgpack map */
    bool debug;
};

/** FRAME is the AgentJobDone, valid during the call. Called once. */
typedef void (*one_job_done_fn)(void *userdata, const void *frame, size_t size);

struct one_job_backend;

/** Binds a ROUTER to ADDRESS ("inproc://..." or "ipc://...") of CONTEXT and gives JOB (must outlive the backend) to the
 * first agent that says hello. */
int one_job_open(sd_event *event, void *context, const char *address, const struct one_job *job, one_job_done_fn done,
                 void *userdata, struct one_job_backend **ret, struct error *e);
void one_job_close(struct one_job_backend *b);
DEFINE_CLEANUP(struct one_job_backend, one_job_close)
