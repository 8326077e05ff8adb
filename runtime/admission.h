/* What a client asks for is checked once more where the privileges are: the spec by itself, the
 * roots of this launcher and what may be done with them, and the descriptors that came along. */
#pragma once

#include "runtime/sandbox.h"

struct host;

/** 0 when SPEC may run here with STDIO (negative: none); else a negative errno, and E says which
 * field breaks which rule. Nothing is opened or changed. */
int admission_check(const struct host *h, const struct sandbox_spec *spec, const int stdio[3],
                    struct error *e);
