#include "fields.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

/* The length that stands for "there is no text" (a NULL pointer). */
#define NO_TEXT UINT32_MAX

/* --- writing: the first failure sticks ---------------------------------------------------- */

void writer_bytes(struct writer *w, const void *data, size_t size)
{
    if (w->code == 0)
        w->code = buffer_append(w->b, data, size);
}

void writer_u32(struct writer *w, uint32_t value)
{
    writer_bytes(w, &value, sizeof(value));
}

void writer_u64(struct writer *w, uint64_t value)
{
    writer_bytes(w, &value, sizeof(value));
}

void writer_text(struct writer *w, const char *text)
{
    size_t length = text ? strlen(text) : 0;

    if (length >= NO_TEXT) {
        w->code = -EMSGSIZE;
        return;
    }
    writer_u32(w, text ? (uint32_t)length : NO_TEXT);
    writer_bytes(w, text, length);
}

void writer_list(struct writer *w, char *const *list)
{
    writer_u32(w, (uint32_t)strv_length(list));
    for (; list && *list; list++)
        writer_text(w, *list);
}

void writer_header(struct writer *w, uint32_t magic, uint32_t type, uint64_t id)
{
    writer_u32(w, magic);
    writer_u32(w, type);
    writer_u64(w, id);
}

/* --- reading: the first fault sticks, everything after it reads as 0 ----------------------- */

void reader_fault(struct reader *r, const char *field, const char *what)
{
    if (r->code == 0)
        r->code = error_set(r->e, -EBADMSG, "%s %s", field, what);
}

void reader_no_memory(struct reader *r, const char *field)
{
    if (r->code == 0)
        r->code = error_sys(r->e, -ENOMEM, "%s", field);
}

void reader_bytes(struct reader *r, const char *field, void *ret, size_t size)
{
    if (r->code == 0 && size > r->left)
        reader_fault(r, field, "is cut off");
    if (r->code < 0) {
        memset(ret, 0, size);
        return;
    }
    memcpy(ret, r->at, size);
    r->at += size;
    r->left -= size;
}

uint32_t reader_u32(struct reader *r, const char *field)
{
    uint32_t value;

    reader_bytes(r, field, &value, sizeof(value));
    return value;
}

uint64_t reader_u64(struct reader *r, const char *field)
{
    uint64_t value;

    reader_bytes(r, field, &value, sizeof(value));
    return value;
}

uint16_t reader_u16(struct reader *r, const char *field)
{
    uint32_t value = reader_u32(r, field);

    if (value > UINT16_MAX)
        reader_fault(r, field, "is too large");
    return (uint16_t)value;
}

bool reader_bool(struct reader *r, const char *field)
{
    uint32_t value = reader_u32(r, field);

    if (value > 1)
        reader_fault(r, field, "is neither yes nor no");
    return value == 1;
}

size_t reader_count(struct reader *r, const char *field, size_t max, size_t item)
{
    size_t count = reader_u32(r, field);

    if (count > max)
        reader_fault(r, field, "has too many entries");
    else if (count > r->left / item)
        reader_fault(r, field, "is cut off");
    return r->code < 0 ? 0 : count;
}

/* Length of the text that follows, at most MAX bytes without NUL; NO_TEXT where there is none. */
static uint32_t reader_length(struct reader *r, const char *field, size_t max)
{
    uint32_t length = reader_u32(r, field);

    if (r->code < 0 || length == NO_TEXT)
        return length;
    if (length > max)
        reader_fault(r, field, "is too long");
    else if (length > r->left)
        reader_fault(r, field, "is cut off");
    else if (memchr(r->at, 0, length))
        reader_fault(r, field, "has a NUL in it");
    return r->code < 0 ? 0 : length;
}

char *reader_optional_text(struct reader *r, const char *field, size_t max)
{
    uint32_t length = reader_length(r, field, max);
    char *text;

    if (r->code < 0 || length == NO_TEXT)
        return NULL;
    text = malloc((size_t)length + 1);
    if (!text) {
        reader_no_memory(r, field);
        return NULL;
    }
    reader_bytes(r, field, text, length);
    text[length] = 0;
    return text;
}

char *reader_text(struct reader *r, const char *field, size_t max)
{
    char *text = reader_optional_text(r, field, max);

    if (!text)
        reader_fault(r, field, "is missing");
    return text;
}

void reader_text_into(struct reader *r, const char *field, char *ret, size_t size)
{
    uint32_t length = reader_length(r, field, size - 1);

    if (length == NO_TEXT)
        reader_fault(r, field, "is missing");
    if (r->code < 0)
        length = 0;
    reader_bytes(r, field, ret, length);
    ret[length] = 0;
}

char **reader_list(struct reader *r, const char *field, size_t max, size_t text_max)
{
    size_t n = reader_count(r, field, max, sizeof(uint32_t));
    char **list;

    if (r->code < 0)
        return NULL;
    list = calloc(n + 1, sizeof(char *));
    if (!list) {
        reader_no_memory(r, field);
        return NULL;
    }
    for (size_t i = 0; i < n && r->code == 0; i++)
        list[i] = reader_text(r, field, text_max);
    return list;
}

int reader_finish(struct reader *r)
{
    if (r->left > 0)
        reader_fault(r, "message", "has bytes behind its end");
    return r->code;
}

/* --- numbers of a struct, field by field ---------------------------------------------------- */

void writer_numbers(struct writer *w, const void *from, const struct number *numbers, size_t n)
{
    for (size_t i = 0; i < n; i++)
        writer_bytes(w, (const char *)from + numbers[i].offset, sizeof(uint64_t));
}

void reader_numbers(struct reader *r, void *to, const struct number *numbers, size_t n)
{
    for (size_t i = 0; i < n; i++)
        reader_bytes(r, numbers[i].field, (char *)to + numbers[i].offset, sizeof(uint64_t));
}
