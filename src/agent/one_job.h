/* A backend for exactly one job: a ROUTER in this process that speaks the same wire as a real one.
 * What `dockless grade` talks to, so that grading without a server takes the path that grading with
 * one takes. */
#pragma once

#include "wire/backend_side.h"

#include "base/loop.h"

struct one_job {
    enum wire_generation protocol;
    struct backend_new_job message; /* job_id is filled in by the backend */
    /** Called once: R 0 and the AgentJobDone, whose spans are valid during the call, or a negative
     * errno and E when the agent sent what no backend could decode. */
    void (*done)(void *userdata, int r, const struct agent_message *m, const struct error *e);
    void *userdata;
};

struct one_job_backend;

/** Binds a ROUTER to ADDRESS ("inproc://..." or "ipc://...") of CONTEXT and gives JOB (must outlive
 * the backend) to the first agent that says hello. */
int one_job_open(struct loop *event, void *context, const char *address, const struct one_job *job,
                 struct one_job_backend **ret, struct error *e);
void one_job_close(struct one_job_backend *b);
DEFINE_CLEANUP(struct one_job_backend, one_job_close)
