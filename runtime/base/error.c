#include "base/error.h"

#include <stdarg.h>
#include <string.h>

_printf_(3, 0) static void set_va(struct error *e, int code, const char *format, va_list ap)
{
    e->code = code;
    vsnprintf(e->text, sizeof(e->text), format, ap);
}

int error_set(struct error *e, int code, const char *format, ...)
{
    va_list ap;

    if (!e)
        return code;
    va_start(ap, format);
    set_va(e, code, format, ap);
    va_end(ap);
    return code;
}

int error_sys(struct error *e, int code, const char *format, ...)
{
    va_list ap;
    size_t used;

    if (!e)
        return code;
    va_start(ap, format);
    set_va(e, code, format, ap);
    va_end(ap);
    used = strlen(e->text);
    snprintf(e->text + used, sizeof(e->text) - used, ": %s", strerror(-code));
    return code;
}

int error_prefix(struct error *e, int code, const char *format, ...)
{
    char old[ERROR_TEXT_MAX];
    va_list ap;
    size_t used;

    if (!e)
        return code;
    memcpy(old, e->text, sizeof(old));
    va_start(ap, format);
    set_va(e, code, format, ap);
    va_end(ap);
    used = strlen(e->text);
    snprintf(e->text + used, sizeof(e->text) - used, ": %s", old);
    return code;
}
