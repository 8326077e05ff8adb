/* What the files of the seam share. */
#pragma once

#include "base/buffer.h"
#include "image/seam.h"

#include <sys/stat.h>

struct attributes {
    mode_t mode;
    uid_t uid;
    gid_t gid;
    struct timespec mtime;
    struct buffer xattrs; /* name, NUL, 32-bit size, value; the next */
};

struct seam_directory {
    const char *path; /* in the plan's paths */
    struct attributes attributes;
};

struct seam {
    struct path_list paths;
    struct seam_directory *directories; /* sorted: parents first */
    size_t n;
    struct digest digest;
};

/** What the layers say about one path. */
struct seam_view {
    int fd;         /* the directory whose attributes hold; -EBADF: there is no such directory */
    int top_fd;     /* the one overlayfs would take them from; may be the same */
    bool merged;    /* overlayfs merges it from several layers */
    bool opaque;    /* the layers seen so far end its content */
    bool whiteouts; /* the topmost has some in it */
};

#define SEAM_VIEW_INIT                                                                             \
    {                                                                                              \
        .fd = -EBADF, .top_fd = -EBADF                                                             \
    }

struct stack;
/** LAYERS are kept by the caller. */
int stack_new(const struct seam_layer *layers, size_t n, struct stack **ret, struct error *e);
void stack_free(struct stack *s);
DEFINE_CLEANUP(struct stack, stack_free)
int stack_look(const struct stack *s, const char *path, struct seam_view *ret, struct error *e);
void seam_view_clear(struct seam_view *v);
#define _cleanup_view_ _cleanup_(seam_view_clear)

int attributes_read(int fd, struct attributes *ret, struct error *e);
bool attributes_equal(const struct attributes *a, const struct attributes *b);
int attributes_write(int fd, const struct attributes *a, struct error *e);
