#include "commands.h"

#include "feedback.h"
#include "grader.h"
#include "student.h"
#include "words.h"

#include "base/fdio.h"

#include <string.h>
#include <unistd.h>

const struct command commands[] = {
    {"INGInious", command_inginious},
    {"_run_student", command_run_student_module},
    {"_run_student_intern", command_run_student_intern},
    {"archive", command_archive},
    {"feedback", command_feedback},
    {"feedback-custom", command_feedback_custom},
    {"feedback-grade", command_feedback_grade},
    {"feedback-msg", command_feedback_msg},
    {"feedback-msg-tpl", command_feedback_msg_tpl},
    {"feedback-result", command_feedback_result},
    {"feedback-state", command_feedback_state},
    {"getinput", command_getinput},
    {"parsetemplate", command_parsetemplate},
    {"rst-code", command_rst_code},
    {"rst-image", command_rst_image},
    {"rst-indent", command_rst_indent},
    {"rst-msgblock", command_rst_msgblock},
    {"run_student", command_run_student},
    {"ssh_student", command_ssh_student},
    {"tag", command_tag},
    {"tag-set", command_tag_set},
    {NULL, NULL},
};

const struct command *command_find(const char *name)
{
    for (const struct command *c = commands; c->name; c++)
        if (strcmp(c->name, name) == 0)
            return c;
    return NULL;
}

int command_failed(const struct invocation *c, int code, const struct error *e)
{
    fprintf(stderr, "%s: %s\n", c->name, *e->text ? e->text : strerror(-code));
    return 1;
}

int command_text(struct pool *pool, const char *text, struct text *ret)
{
    struct text t = words_repair(pool, text, strlen(text));

    if (!t.data)
        return -ENOMEM;
    *ret = t;
    return 0;
}

int command_message(struct pool *pool, const char *argument, bool escapes, struct text *ret,
                    struct error *e)
{
    _cleanup_buffer_ struct buffer b = {.max = 2 * FEEDBACK_SIZE_MAX};
    struct text t;
    int k;

    if (*argument) {
        k = command_text(pool, argument, &t);
    } else {
        k = fd_read_all(STDIN_FILENO, &b, FEEDBACK_SIZE_MAX);
        if (k < 0)
            return error_sys(e, k, "standard input");
        t = words_repair(pool, (const char *)b.data, b.size);
        k = t.data ? 0 : -ENOMEM;
    }
    if (k >= 0 && escapes)
        k = words_unescape(pool, t, &t, e);
    if (k >= 0)
        *ret = t;
    return k;
}
