/* The commands of a grading container. Each is a small program: it explains itself on stdout and
 * stderr and returns its exit status. docs/man/dockless-runner.7 describes them. */
#pragma once

#include "args.h"
#include "base/error.h"
#include "json.h"

struct invocation {
    const char *name; /* as it was called */
    char **argv;      /* what follows the name, NULL-terminated */
    int root_fd;      /* the container's "/" */
};

struct command {
    const char *name;
    int (*run)(const struct invocation *c);
};

/** The command called NAME, or NULL. */
const struct command *command_find(const char *name);
/** All of them, ended by a NULL name. */
extern const struct command commands[];

int command_feedback(const struct invocation *c);
int command_feedback_custom(const struct invocation *c);
int command_feedback_grade(const struct invocation *c);
int command_feedback_msg(const struct invocation *c);
int command_feedback_result(const struct invocation *c);
int command_feedback_state(const struct invocation *c);
int command_tag(const struct invocation *c);
int command_tag_set(const struct invocation *c);
int command_feedback_msg_tpl(const struct invocation *c);
int command_getinput(const struct invocation *c);
int command_parsetemplate(const struct invocation *c);
int command_archive(const struct invocation *c);
int command_run_student(const struct invocation *c);
int command_run_student_module(const struct invocation *c);
int command_ssh_student(const struct invocation *c);
int command_rst_code(const struct invocation *c);
int command_rst_image(const struct invocation *c);
int command_rst_indent(const struct invocation *c);
int command_rst_msgblock(const struct invocation *c);

/* What several commands share. */

/** Prints "NAME: text of E" on stderr; returns 1. CODE -ENOMEM needs no text. */
int command_failed(const struct invocation *c, int code, const struct error *e);
/** TEXT as a value: what is not UTF-8 in it becomes U+FFFD. -ENOMEM. */
int command_text(struct pool *pool, const char *text, struct text *ret);
/** ARGUMENT, or all of stdin where it is empty; with ESCAPES, backslash escapes are interpreted.
 * -EFBIG, -EINVAL, -ENOMEM or what reading gave. */
int command_message(struct pool *pool, const char *argument, bool escapes, struct text *ret,
                    struct error *e);
