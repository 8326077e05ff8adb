/* A directory as the tar archive of a layer: entries sorted by name, times no later than a bound,
 * so that the same tree gives the same bytes. */
#pragma once

#include "base/error.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pack_tree_options {
    bool overlay;      /* the directory is a layer in overlayfs's form: its whiteouts and opaque
                        * directories become those of archives */
    int64_t mtime_max; /* later times become this one; negative: times as they are */
    const volatile sig_atomic_t *stop; /* may be NULL; ends it with -ECANCELED when it is not 0 */
};

struct pack_tree_result {
    uint64_t entries, bytes;
    uint64_t dropped_devices, dropped_xattrs; /* sockets count as devices */
    int64_t newest;                           /* time of modification among the files and links */
};

typedef int (*pack_sink_fn)(void *userdata, const void *data, size_t size, struct error *e);

/** Walks the tree below ROOT_FD by descriptors, never through links. Errors name the file. */
int pack_tree(int root_fd, const struct pack_tree_options *options, pack_sink_fn sink,
              void *userdata, struct pack_tree_result *ret, struct error *e);
/** Only looks for the newest time. STOP as in the options. */
int pack_newest(int root_fd, const volatile sig_atomic_t *stop, int64_t *ret, struct error *e);
