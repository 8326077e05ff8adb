/* The files that an image is made of: a directory's, or those in a tar archive, which is never
 * unpacked. Both are foreign. Files are found by descriptor and never through links of a directory;
 * links inside an archive are followed inside it, since `docker save` wrote layers that an image
 * has twice as links. */
#pragma once

#include "base/buffer.h"
#include "base/error.h"

#include <stdint.h>

/** Files of one archive: an image has three a layer at most. */
#define ARCHIVE_FILES_MAX 65536
/** Links followed for one name. */
#define ARCHIVE_LINKS_MAX 8

/** One file: SIZE bytes of FD from OFFSET on. */
struct image_file {
    int fd; /* owned; its position means nothing */
    uint64_t offset, size;
};
#define IMAGE_FILE_INIT                                                                            \
    {                                                                                              \
        .fd = -EBADF                                                                               \
    }
void image_file_close(struct image_file *f);
#define _cleanup_image_file_ _cleanup_(image_file_close)
/** Reads up to SIZE bytes from AT on; fewer only at the file's end. The bytes, or negative errno.
 */
ssize_t image_file_read(const struct image_file *f, uint64_t at, void *data, size_t size);

struct image_files;

int image_files_open_directory(const char *path, struct image_files **ret, struct error *e);
/** Reads the headers of a tar archive. -EBADMSG where it is damaged or has a name twice, -ENOTSUP
 * where the archive itself is compressed. */
int image_files_open_archive(const char *path, struct image_files **ret, struct error *e);
void image_files_close(struct image_files *f);
DEFINE_CLEANUP(struct image_files, image_files_close)

/** Opens a regular file. -ENOENT, -ELOOP for a link where none may be, -EBADMSG for what is no
 * file; all with E set. */
int image_files_open(struct image_files *f, const char *name, struct image_file *ret,
                     struct error *e);
/** Reads a file whole: -EFBIG beyond MAX. */
int image_files_read(struct image_files *f, const char *name, size_t max, struct buffer *ret,
                     struct error *e);
