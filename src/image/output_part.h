/* What an image is written to until it is complete: a file or directory of a name of its own,
 * locked by whoever writes it. Without a living writer, it is rubbish. */
#pragma once

#include "base/error.h"

#include <sys/types.h>

#define OUTPUT_PART_PREFIX ".dockless-part."

struct output_part {
    int place_fd; /* the directory that it is in; owned */
    int fd;       /* it, locked; owned */
    char name[40];
};
#define OUTPUT_PART_NONE ((struct output_part){.place_fd = -EBADF, .fd = -EBADF})

/** Makes an empty one in the directory PLACE_FD, which is taken over, after removing those whose
 * writers are dead. KIND: S_IFREG or S_IFDIR. */
int output_part_make(int place_fd, mode_t kind, struct output_part *ret, struct error *e);
/** Takes away the part and what is in it, if it still has its name. */
void output_part_remove(struct output_part *p);
void output_part_close(struct output_part *p);
