/* The fields of messages between launcher and client, one behind the other, in this machine's own
 * byte order: both ends are one program. What is read is not believed: every length and count has a
 * bound, and what is claimed must be there. */
#pragma once

#include "base/buffer.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Appends to B, which its owner keeps; the first failure sticks in CODE, a negative errno. */
struct writer {
    struct buffer *b;
    int code;
};

void writer_bytes(struct writer *w, const void *data, size_t size);
void writer_u32(struct writer *w, uint32_t value);
void writer_u64(struct writer *w, uint64_t value);
/** TEXT may be NULL, which reader_optional_text() gives back as such. */
void writer_text(struct writer *w, const char *text);
/** LIST ends with NULL, and may be NULL, which is an empty one. */
void writer_list(struct writer *w, char *const *list);
void writer_header(struct writer *w, uint32_t magic, uint32_t type, uint64_t id);

/** Reads LEFT bytes from AT, which stay the caller's. The first fault sticks: CODE is then a
 * negative errno (-EBADMSG, -ENOMEM), E says which FIELD, and everything after it reads as 0 or
 * NULL. */
struct reader {
    const uint8_t *at;
    size_t left;
    int code;
    struct error *e;
};

void reader_fault(struct reader *r, const char *field, const char *what);
void reader_no_memory(struct reader *r, const char *field);
void reader_bytes(struct reader *r, const char *field, void *ret, size_t size);
uint32_t reader_u32(struct reader *r, const char *field);
uint64_t reader_u64(struct reader *r, const char *field);
uint16_t reader_u16(struct reader *r, const char *field);
bool reader_bool(struct reader *r, const char *field);
/** A count of at most MAX items that take at least ITEM bytes each: they must be there, so that a
 * small message cannot ask for much memory. */
size_t reader_count(struct reader *r, const char *field, size_t max, size_t item);
/** A text of at most MAX bytes without NUL, for free(3); NULL where there is none. */
char *reader_optional_text(struct reader *r, const char *field, size_t max);
/** The same; none is a fault. */
char *reader_text(struct reader *r, const char *field, size_t max);
/** Into an array of SIZE bytes. */
void reader_text_into(struct reader *r, const char *field, char *ret, size_t size);
/** At most MAX texts, ended by NULL; for strv_free(). After a fault it may hold some of them. */
char **reader_list(struct reader *r, const char *field, size_t max, size_t text_max);
/** Nothing may be left; CODE. */
int reader_finish(struct reader *r);

/** A uint64_t in a struct, and its name in errors. */
struct number {
    const char *field;
    size_t offset;
};

void writer_numbers(struct writer *w, const void *from, const struct number *numbers, size_t n);
void reader_numbers(struct reader *r, void *to, const struct number *numbers, size_t n);
