/* The filters of feedback templates: {{ value|name(arguments) }}. */
#pragma once

#include "expression.h"

#define FILTER_ARGUMENTS_MAX 2

/** Applies the filter NAME to *V. */
int filter_apply(struct expression_reader *r, const char *name, struct value *v,
                 const struct value *arguments, size_t n);
