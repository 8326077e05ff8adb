/* Feedback templates: the part of Jinja2's language that short messages use, rendered as Jinja2
 * with its default settings does. {{ expression }}, {# comment #}, {% if %} with elif and else, {%
 * set %},
 * {% raw %} and "-" for blanks; in expressions names, texts, whole numbers, _("text"), comparisons,
 * in, not, and, or, ~, "x if y else z", tests for being defined, and some filters. What goes beyond
 * is told apart from mistakes: Jinja2 itself can do that, where an image has it. */
#pragma once

#include "json.h"

/** Expressions and conditions within one another; more is a mistake. */
#define TEMPLATE_DEPTH_MAX 50

/** What _() does: the translation of TEXT, or TEXT. */
struct template_translator {
    struct text (*translate)(void *data, struct text text);
    void *data;
};

/** Renders SOURCE, UTF-8. NAMES is a map of texts; {% set %} adds to it. The result is in POOL.
 * -EOPNOTSUPP with a line that says what goes beyond; -EINVAL with one that says what is wrong;
 * -ENOMEM, -EMSGSIZE. */
int template_render(struct pool *pool, struct text source, struct json *names,
                    const struct template_translator *translator, struct text *ret,
                    struct error *e);
