/* The files of an image, while it is written: in a directory, or in a tar archive. All is written
 * to a part of its own, beside what it will be or, of a directory that is there, in it; what was
 * there stays as it was until everything is on disk. A part is locked as long as its writer lives,
 * so that the next writer at the same place takes away those of writers that were killed. */
#pragma once

#include "base/cleanup.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct image_output;

/** For the directory PATH, which appears as a whole where it is missing. One that is there has one
 * writer at a time. */
int image_output_directory(const char *path, struct image_output **ret, struct error *e);
/** A new archive: it has its name PATH when it is finished. -EEXIST where there is something. */
int image_output_archive(const char *path, struct image_output **ret, struct error *e);
/** Whatever is not finished goes away. */
void image_output_close(struct image_output *o);
DEFINE_CLEANUP(struct image_output, image_output_close)

/** The directory that is there already; -EBADF of one that is new, and of an archive. The output's.
 */
int image_output_fd(const struct image_output *o);

/** A file whose name and size come later: what is written to *ret_fd, from its position on, up to
 * image_output_end() or image_output_drop(). The descriptor is the output's. */
int image_output_begin(struct image_output *o, int *ret_fd, struct error *e);
/** NAME, of 99 bytes at most, is below a directory that was made. In an archive, a file that has
 * the name already stays and the new one goes: names are digests. */
int image_output_end(struct image_output *o, const char *name, uint64_t size, struct error *e);
void image_output_drop(struct image_output *o);
/** A whole file. */
int image_output_add(struct image_output *o, const char *name, const void *data, size_t size,
                     struct error *e);
/** The directory NAME for files that follow; archives need none. */
int image_output_make_directory(struct image_output *o, const char *name, struct error *e);
/** All that was added is on disk and where it belongs. A directory that was there gets the file
 * that was added last, which speaks of the others, when it has them. -EAGAIN: a directory that was
 * missing is there now. It is image_output_fd() from then on; what was added can be looked at again
 * and this be tried again. */
int image_output_finish(struct image_output *o, struct error *e);
