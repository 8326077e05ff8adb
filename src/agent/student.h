/* Student containers: a grader asks for one, is told that it has started, gets its exit status.
 *
 *   RUNNING      the sandbox was asked for; run_student_started was sent
 *   CALLING      it has ended without having called its grader: we ask to call in its place
 *   LISTENING    we have called, and wait for the grader to have said what it says to a student
 *   HELD         the answer is known and waits for its moment
 *   (freed)      run_student_retval was sent
 *
 * A student ends earlier where its grader does: the launcher kills it, and it is freed with the job
 * without an answer.
 *
 * Why an answer waits. INGInious' run_student (Python) waits for its student in accept(), and what
 * its own first process has passed on to it before it asks for the status (which is after it has
 * told the student its command) is lost for ever: its socket, a ZeroMQ REQ, drops an answer to what
 * it has not asked yet. It would hang until the job's time is over. So for such a grader a student
 * that never called is replaced by us for the length of that talk, and an answer goes out only when
 * the grader has had the time to ask. Graders with LABEL_RUNNER take an answer at any time. */
#pragma once

#include "agent/agent_internal.h"

enum student_state { STUDENT_RUNNING, STUDENT_CALLING, STUDENT_LISTENING, STUDENT_HELD };

struct student {
    struct job *job;
    struct student *next;
    enum student_state state;
    uint64_t id; /* at the launcher: of the sandbox, then of the call */
    char *socket_id;
    char container_id[CONTAINER_ID_LENGTH + 1];
    const struct environment *environment;
    int64_t time, hard_time, memory; /* seconds, seconds, MiB */
    bool share_network;
    bool ssh;   /* a port of the host leads into it */
    int retval; /* once it has ended */
    int fd;     /* LISTENING: our end of the grader's socket */
    size_t heard;
    uint64_t deadline_usec;
    struct loop_source *io, *timer;
};

/** Handles run_student of J's grader: makes a student, or answers 254 at once. */
void student_request(struct job *j, const struct container_message *m);
/** Answers a request that cannot be read, 254. */
void student_refuse(struct job *j, const char *socket_id);

/** The student with this id at the launcher, or NULL. */
struct student *student_find(struct agent *a, uint64_t id);
/** The student of J that runs in container CONTAINER_ID, or NULL. */
struct student *student_of(struct job *j, const char *container_id);

/** Handles the launcher's answers for S, which may be gone afterwards. FD is taken. */
void student_exited(struct student *s, const struct sandbox_report *report);
void student_connected(struct student *s, int result, int fd);

/** Frees it without an answer. Its sandbox dies with that of the grader. */
void student_free(struct student *s);

/** The sandbox of a student container (protocol: "Student container"). SPEC is the caller's to
 * clear. */
int student_make_spec(const struct student *s, struct sandbox_spec *spec, struct error *e);
