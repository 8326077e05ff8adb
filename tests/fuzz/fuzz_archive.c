/* links: image */
/* The index of a foreign oci-archive: or docker-archive:, and what is then looked for in it. */
#include "image/archive.h"

#include "base/fdio.h"
#include "require.h"

#include <string.h>
#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"oci-layout",
                                        "index.json",
                                        "manifest.json",
                                        "repositories",
                                        "a/b/../layer.tar",
                                        "/",
                                        "..",
                                        ""};
    static int fd = -EBADF;
    _cleanup_(archive_free_p) struct archive *archive = NULL;
    struct error e = ERROR_INIT;

    if (fd < 0)
        fd = memfd_create("archive", MFD_CLOEXEC);
    REQUIRE(fd >= 0 && ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0);
    REQUIRE(fd_write_full(fd, data, size) == 0);
    if (archive_index(fd, &archive, &e) < 0) {
        REQUIRE(e.text[0]);
        return 0;
    }
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        uint64_t at = 0, length = 0;
        if (archive_find(archive, names[i], &at, &length, &e) == 0)
            REQUIRE(at <= size && length <= size - at);
    }
    return 0;
}
