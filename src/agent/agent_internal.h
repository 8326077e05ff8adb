/* What the files of the agent share: the agent itself and the life of a job.
 *
 *   RECEIVED    decoded, AgentJobStarted sent
 *   PREPARING   the launcher is asked whether the task exists
 *   RUNNING     a sandbox was asked for; its start, the conversation, its end
 *   ANSWERED    AgentJobDone sent: the job is freed at once
 *
 * A kill is legal in each of them; a job that has no sandbox yet is answered at once, one that has
 * is answered by the report of its end. */
#pragma once

#include "agent/agent.h"
#include "agent/conversation.h"
#include "agent/environments.h"
#include "agent/link.h"
#include "agent/parameters.h"
#include "agent/ports.h"
#include "wire/backend.h"

#include <runtime/cpus.h>
#include <runtime/launcher.h>

/* Sandboxes at once: those of all jobs, those of jobs that were given up and are being killed, and
 * all student containers. */
_Static_assert(2 * AGENT_JOBS_MAX + AGENT_STUDENTS_MAX <= LAUNCHER_SANDBOXES_MAX,
               "the launcher has room for all that may be configured");

/** Indexes of the launcher's roots. */
enum { ROOT_STORE, ROOT_TASKS, ROOTS_ };

/** Length of a container id in hex digits, as Docker has it; the first twelve are the host name. */
#define CONTAINER_ID_LENGTH 64
#define HOSTNAME_LENGTH     12

/** Indexes of a grading container's mounts, which its students are given parts of. */
enum job_mount { MOUNT_TASK, MOUNT_COMMON, MOUNT_SOCKETS };

/** What a job's memory is counted in. */
#define JOB_MIB ((uint64_t)1 << 20)

/** Lines of our log that one job can cause by its requests. A grader may ask 100,000 times for what
 * it cannot have; the first few times tell all there is to tell. */
#define JOB_LINES_MAX 20

enum job_state { JOB_RECEIVED, JOB_PREPARING, JOB_RUNNING };

struct job {
    struct agent *agent;
    struct job *next;
    enum job_state state;
    uint64_t id; /* at the launcher: of the probe, then of the sandbox */
    struct buffer frame;
    struct backend_message message; /* points into frame */
    struct job_parameters parameters;
    const struct environment *environment;
    char container_id[CONTAINER_ID_LENGTH + 1];
    struct conversation *conversation;
    struct buffer result; /* body of the last `result` message */
    struct student *students;
    size_t n_students;
    size_t slot;             /* whose CPUs it has, where slots have some */
    bool ended;              /* the container is gone */
    bool kill_requested;     /* by the backend */
    bool ssh_offered;        /* AgentJobSSHDebug was sent */
    unsigned starts;         /* how often a container was asked for */
    unsigned lines;          /* of JOB_LINES_MAX */
    const char *ending_text; /* why we end it: the crash's text; NULL: we do not */
    uint64_t received_usec;
};

struct agent {
    const struct agent_config *config;
    enum wire_generation protocol; /* of the backend */
    const struct wire_rules *rules;
    struct loop *event;
    void *context;
    struct image_store *store;
    struct environment_types types;
    struct environments environments;
    struct environments *retired; /* of jobs that still run */
    size_t n_retired;
    bool announce;           /* the backend has not heard of the present ones */
    struct buffer announced; /* the last hello */
    void (*on_reload)(void *userdata);
    void *on_reload_data;
    struct launcher *launcher;
    struct ports ports;
    struct loop_source *launcher_source, *sigterm_source, *sigint_source, *sighup_source;
    int images_fd; /* an inotify(7) of the store */
    struct loop_source *drain_timer, *images_source, *settle_timer;
    struct link *link;
    struct job *jobs;
    size_t n_jobs;
    size_t n_students; /* of all jobs */
    uint64_t last_id;  /* given out at the launcher */
    uint64_t slots;
    uint64_t memory_per_slot; /* MiB */
    uint64_t nofile_per_slot;
    struct cpus *slot_cpus; /* of each of n_slot_cpus slots; NULL: all have all */
    size_t n_slot_cpus;
    int lock_fd, store_lock_fd;
    bool service; /* tells the service manager how it is */
    uint64_t watchdog_usec;
    struct loop_source *watchdog_timer; /* NULL: none is wanted */
    bool draining;                      /* leaving when the last job has ended */
    bool stopping;
    int status; /* why agent_run() ended */
};

/** Handles one BackendNewJob: takes over M (cleared in the caller) whose bytes are in FRAME. */
void job_receive(struct agent *a, const void *frame, size_t size);
/** Handles BackendKillJob for JOB_ID. */
void job_kill(struct agent *a, const struct backend_message *m);
/** Handles the launcher's answers for job J. */
void job_probed(struct job *j, int result);
void job_exited(struct job *j, const struct sandbox_report *report);
/** Whether J may cause another line of the log; says so where it was the last. */
bool job_may_log(struct job *j);
/** Ends J without an answer: the backend has given it up. A running sandbox is killed. */
void job_abandon(struct job *j);
/** Ends J with an answer because the agent leaves. */
void job_end(struct job *j, const char *kind, const char *text);

/** Ends all jobs with an answer and the loop; STATUS is why: 0 or a negative errno. */
void agent_leave(struct agent *a, int status);
int agent_watch_signals(struct agent *a, struct error *e);
/** Gives each of the slots its share of the host. */
int agent_divide_host(struct agent *a, struct error *e);
/** Hands an event of the launcher to whom it is for. */
void agent_handle_event(struct agent *a, struct launcher_event *event);
/** Called when the last job was freed: what waits for that is done. */
void agent_idle(struct agent *a);

/** Tells the service manager, if there is one (sd_notify(3)), that the agent serves, that it reads
 * its configuration again (service_ready() ends that), and that it leaves, within SECONDS at most.
 * Without agent_is_service() they do nothing. */
void service_ready(struct agent *a);
void service_reloading(struct agent *a);
void service_stopping(struct agent *a, uint64_t seconds);

/** Finds out which generation's program runs in images whose labels do not tell (see
 * environments.h). */
void environments_inspect(struct agent *a, struct environments *e);

/** Watches SIGHUP and the store. */
int reload_watch(struct agent *a, struct error *e);
void reload_idle(struct agent *a);
void reload_end(struct agent *a);

/** The sandbox of a grading container (protocol: "Grading container"). SPEC is the caller's to
 * clear. */
int job_make_spec(const struct job *j, struct sandbox_spec *spec, struct error *e);
/** The part of a SPEC that an image makes: layers, program (the image's entrypoint, then COMMAND),
 * environment, host name. */
int job_spec_set_image(struct sandbox_spec *spec, const struct image *image,
                       const char *container_id, char *const *command, struct error *e);
/** The ports that sandbox ID was lent; with some it has a network. -ENOMEM. */
int job_spec_set_ports(const struct agent *a, uint64_t id, struct sandbox_spec *spec);
/** The limits of J's container, and of its students' with memory and times replaced. */
struct sandbox_limits job_spec_limits(const struct job *j, const struct job_limits *own);
/** A limit as the launcher wants it; 0 and less is hit at once. */
uint64_t job_limit_usec(int64_t seconds);
/** Fills CONTAINER_ID with random hex digits. */
void job_make_container_id(char container_id[CONTAINER_ID_LENGTH + 1]);
