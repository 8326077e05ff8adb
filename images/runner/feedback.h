/* The feedback a run script builds up: one JSON map in /.__output/__feedback.json, empty or absent
 * while nothing was said. Each command reads it, changes it and puts it back, under a lock on the
 * directory, by a rename: commands may run at the same time, and PID 1 never sees half a file. */
#pragma once

#include "json.h"

#define FEEDBACK_DIR  ".__output"
#define FEEDBACK_FILE "__feedback.json"

/** A submission is one document in INGInious' database, which holds 16 MiB. */
#define FEEDBACK_SIZE_MAX ((size_t)16 << 20)

/** What stands in for a file that is no JSON map any more. */
#define FEEDBACK_MODIFIED "Feedback file has been modified by user !"

struct feedback {
    struct pool pool;
    struct json map;
    int dir_fd; /* holds the lock */
};
#define FEEDBACK_INIT                                                                              \
    {                                                                                              \
        .dir_fd = -EBADF                                                                           \
    }
#define _cleanup_feedback_ _cleanup_(feedback_clear)

/** Opens it for a change; ROOT_FD is the container's "/". Waits for other commands. */
int feedback_open(int root_fd, struct feedback *ret, struct error *e);
/** Writes it back and gives up the lock. -EMSGSIZE above FEEDBACK_SIZE_MAX. */
int feedback_save(struct feedback *f, struct error *e);
/** Reads it without a lock: for PID 1, which must not wait for anybody. */
int feedback_read(int root_fd, struct feedback *ret, struct error *e);
void feedback_clear(struct feedback *f);

/* The changes. PROBLEM "" is the task as a whole. -EINVAL where the file holds something that
 * cannot be changed so, -ENOMEM. */
int feedback_set_result(struct feedback *f, struct text problem, struct text result,
                        struct error *e);
int feedback_set_message(struct feedback *f, struct text problem, struct text message, bool append,
                         struct error *e);
int feedback_set_grade(struct feedback *f, double grade);
int feedback_set_state(struct feedback *f, struct text state);
int feedback_set_custom(struct feedback *f, struct text key, struct json value, struct error *e);
int feedback_set_test(struct feedback *f, struct text key, struct json value, struct error *e);
