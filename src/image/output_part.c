#include "image/output_part.h"

#include "base/cleanup.h"
#include "base/fdio.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

/* Other processes may have our number, in other namespaces; names of theirs that are tried. */
#define NAME_TRIES 100

/* Whether NAME in DIR_FD is what FD is. */
static bool is_named(int dir_fd, const char *name, int fd)
{
    struct stat named, st;

    return fstatat(dir_fd, name, &named, AT_SYMLINK_NOFOLLOW) == 0 && fstat(fd, &st) == 0 &&
           named.st_dev == st.st_dev && named.st_ino == st.st_ino;
}

/* The lock falls with the writer. Who makes a part waits for the lock and then looks whether the
 * part is still there, so that one without a lock may go. */
static void remove_if_dead(int dir_fd, const char *name)
{
    _cleanup_close_ int fd =
        openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0 || st.st_uid != geteuid() ||
        (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)))
        return;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0 && is_named(dir_fd, name, fd))
        fd_remove_tree(dir_fd, name);
}

static void sweep(int place_fd)
{
    int fd = openat(place_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;

    if (!dir) {
        safe_close(fd);
        return;
    }
    while ((entry = readdir(dir)))
        if (strncmp(entry->d_name, OUTPUT_PART_PREFIX, strlen(OUTPUT_PART_PREFIX)) == 0)
            remove_if_dead(place_fd, entry->d_name);
    closedir(dir);
}

static int make_one(int place_fd, const char *name, mode_t kind)
{
    const int file = O_RDWR | O_CREAT | O_EXCL, directory = O_RDONLY | O_DIRECTORY;
    _cleanup_close_ int fd = -EBADF;

    if (kind == S_IFDIR && mkdirat(place_fd, name, 0755) < 0)
        return -errno;
    fd =
        openat(place_fd, name, (kind == S_IFDIR ? directory : file) | O_NOFOLLOW | O_CLOEXEC, 0644);
    /* ENOENT: swept between the two. */
    if (fd < 0)
        return errno == ENOENT && kind == S_IFDIR ? -EEXIST : -errno;
    if (flock(fd, LOCK_EX) < 0)
        return -errno;
    return is_named(place_fd, name, fd) ? TAKE_FD(fd) : -EEXIST;
}

int output_part_make(int place_fd, mode_t kind, struct output_part *ret, struct error *e)
{
    struct output_part part = {.place_fd = place_fd};
    int number = 0;

    sweep(place_fd);
    do {
        snprintf(part.name, sizeof(part.name), OUTPUT_PART_PREFIX "%d.%d", (int)getpid(), number);
        part.fd = make_one(place_fd, part.name, kind);
    } while (part.fd == -EEXIST && ++number < NAME_TRIES);
    if (part.fd < 0) {
        safe_close(place_fd);
        return error_sys(e, part.fd, "make %s", part.name);
    }
    *ret = part;
    return 0;
}

void output_part_remove(struct output_part *p)
{
    if (p->fd >= 0 && is_named(p->place_fd, p->name, p->fd))
        fd_remove_tree(p->place_fd, p->name);
}

void output_part_close(struct output_part *p)
{
    safe_close(p->fd);
    safe_close(p->place_fd);
    *p = OUTPUT_PART_NONE;
}
