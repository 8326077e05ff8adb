/* Logins by ssh into containers: into the grading container when its task is debugged, into a
 * student container that its grader made for that. The server and its password are the image's; the
 * agent gives it a network and a port of the host, and tells the backend where somebody may log in,
 * once in a job's life. */
#pragma once

#include "agent/agent_internal.h"

/** Where a server in a container listens. */
#define SSH_PORT 22
/** What jobs with ports of the host get of both times, whatever their task says. */
#define PORTS_SECONDS (30 * 60)
/** Longest user and password that are told to the backend; real ones have less than 20 bytes. */
#define SSH_TEXT_MAX 1024

/** Room for any host name or address. */
#define SSH_HOST_SIZE 256
/** Where people log in: the configured host, else the source address of the default route at this
 * moment. -ENETUNREACH where there is neither. */
int ssh_host(const struct agent *a, char host[SSH_HOST_SIZE]);
/** Says in the log what ssh_host() finds. */
void ssh_log_host(const struct agent *a);

/** The container's ports that J's grading container needs of the host: fills PORTS
 * (SANDBOX_PORTS_MAX) and returns how many. */
size_t ssh_ports_needed(const struct job *j, uint16_t *ports);

/** Why a student of J cannot be logged in to: the crash's text, NULL where one can. */
const char *ssh_student_refusal(const struct job *j);

/** Handles a login that sandbox ID of J offers (ssh_debug, ssh_student). */
void ssh_offer(struct job *j, uint64_t id, const struct container_message *m);
