/* Scope-bound cleaning: a variable marked _cleanup_x_ is released when it goes out of scope; TAKE_*
 * hands its value on and disarms it. Destructors accept already-cleaned values. */
#pragma once

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void free_p(void *p)
{
    free(*(void **)p);
}

/** Closes FD if it is one, keeps errno; returns -EBADF so that callers can write fd =
 * safe_close(fd). */
static inline int safe_close(int fd)
{
    if (fd >= 0) {
        int saved = errno;
        close(fd);
        errno = saved;
    }
    return -EBADF;
}

static inline void close_p(int *fd)
{
    *fd = safe_close(*fd);
}

static inline void fclose_p(FILE **f)
{
    if (*f)
        fclose(*f);
    *f = NULL;
}

#define _cleanup_(f)     __attribute__((cleanup(f)))
#define _cleanup_free_   _cleanup_(free_p)
#define _cleanup_close_  _cleanup_(close_p)
#define _cleanup_fclose_ _cleanup_(fclose_p)
#define _printf_(a, b)   __attribute__((format(printf, a, b)))

/** Defines func_p() for _cleanup_(func_p) from a destructor func(type *). */
/* NOLINTBEGIN(bugprone-macro-parentheses): a type cannot stand in parentheses */
#define DEFINE_CLEANUP(type, func)                                                                 \
    static inline void func##_p(type **p)                                                          \
    {                                                                                              \
        if (*p)                                                                                    \
            func(*p);                                                                              \
        *p = NULL;                                                                                 \
    }
/* NOLINTEND(bugprone-macro-parentheses) */

#define TAKE_FD(fd)                                                                                \
    ({                                                                                             \
        int *taken_fd_ = &(fd);                                                                    \
        int value_ = *taken_fd_;                                                                   \
        *taken_fd_ = -EBADF;                                                                       \
        value_;                                                                                    \
    })

#define TAKE_PTR(p)                                                                                \
    ({                                                                                             \
        __typeof__(p) *taken_ptr_ = &(p);                                                          \
        __typeof__(p) value_ = *taken_ptr_;                                                        \
        *taken_ptr_ = NULL;                                                                        \
        value_;                                                                                    \
    })

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)     ((a) < (b) ? (a) : (b))
#define MAX(a, b)     ((a) > (b) ? (a) : (b))
