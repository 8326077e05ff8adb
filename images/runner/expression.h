/* The expressions of feedback templates; see template.h. They are evaluated while they are read. */
#pragma once

#include "template.h"

struct value {
    bool defined;     /* false: a name that is not known; prints nothing */
    struct json json; /* JSON_NULL, JSON_BOOL, JSON_INTEGER or JSON_TEXT */
};

struct expression_reader {
    struct pool *pool;
    struct json *names;
    const struct template_translator *translator;
    const char *start, *at; /* of the template, NUL-terminated */
    struct error *e;
    unsigned depth;
};

/** Reads one expression. */
int expression_read(struct expression_reader *r, struct value *ret);
/** Reads a name, blanks before it; a copy. */
int expression_name(struct expression_reader *r, struct text *ret);
void expression_skip_blanks(struct expression_reader *r);

/** Notes the line that is being read and what is wrong with it; returns -EINVAL. */
int expression_wrong(struct expression_reader *r, const char *format, ...) _printf_(2, 3);
/** ... or what in it only Jinja2 itself can do; returns -EOPNOTSUPP. */
int expression_beyond(struct expression_reader *r, const char *format, ...) _printf_(2, 3);

/** Whether V counts as true. */
bool value_is_true(const struct value *v);
/** V as it is printed. */
int value_text(const struct expression_reader *r, const struct value *v, struct text *ret);
